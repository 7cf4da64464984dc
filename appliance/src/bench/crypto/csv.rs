//! The figures as comma-separated values (RFC 4180), for spreadsheets.

use std::{borrow::Cow, fmt::Display};

use super::result::Report;

const HEADER: &str = "alg,op,impl,version,backend,known_keys,keys,size,batch,threads,ops_per_cpu_s,ops_per_s,\
                      planted_ops_per_cpu_s,p50_us,p99_us,verified,spoilt,spread,ratio_to_best_peer,prepared_keys,\
                      table_bytes,prepare_ms,uj_per_op";

/// Writes the figures, a line each.
pub(super) fn csv(report: &Report) -> String {
    let mut text = format!("{HEADER}\r\n");
    for row in &report.results {
        let fields = [
            row.alg.to_owned(),
            row.op.to_owned(),
            escape(&row.name).into_owned(),
            escape(report.version_of(row)).into_owned(),
            row.backend.unwrap_or("").to_owned(),
            row.known_keys.to_string(),
            row.keys.to_string(),
            optional(row.size),
            row.batch.to_string(),
            row.threads.to_string(),
            row.ops_per_cpu_s.to_string(),
            row.ops_per_s.to_string(),
            optional(row.planted_ops_per_cpu_s),
            row.p50_us.to_string(),
            row.p99_us.to_string(),
            row.verified.to_string(),
            row.spoilt.to_string(),
            row.spread.to_string(),
            optional(row.ratio_to_best_peer),
            optional(row.prepared_keys),
            optional(row.table_bytes),
            optional(row.prepare_ms),
            optional(row.uj_per_op),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// In quotes where a reader would otherwise see more than one field.
fn escape(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\r', '\n']) {
        Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(field)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn fields_with_separators_are_quoted() {
        assert_eq!(escape("OpenSSL 3.0"), "OpenSSL 3.0");
        assert_eq!(escape("a,b"), "\"a,b\"");
        assert_eq!(escape("a \"b\"\nc"), "\"a \"\"b\"\"\nc\"");
    }

    #[test]
    fn every_line_has_the_fields_of_the_header() {
        let report = report();
        let text = csv(&report);
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 1 + report.results.len());
        let header: Vec<_> = lines[0].split(',').collect();
        for (line, row) in lines[1..].iter().zip(&report.results) {
            let fields: Vec<_> = line.split(',').collect();
            assert_eq!(fields.len(), header.len(), "{line}");
            let field = |name: &str| fields[header.iter().position(|field| *field == name).unwrap()];
            assert_eq!(field("impl"), row.name);
            assert_eq!(field("ops_per_cpu_s"), row.ops_per_cpu_s.to_string());
            assert_eq!(field("uj_per_op"), row.uj_per_op.map_or(String::new(), |uj| uj.to_string()));
        }
    }
}
