//! The registrar's numbers, as Prometheus reads them.

use std::{collections::BTreeMap, fmt::Write as _};

use dolmen_provisioning_registrar::Metrics;

/// The text of all of them (exposition format 0.0.4).
pub(super) fn render(metrics: &Metrics) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, label: &str, values: &BTreeMap<&'static str, u64>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (value, number) in values {
            let _ = match label {
                "" => writeln!(text, "{name} {number}"),
                label => writeln!(text, "{name}{{{label}=\"{value}\"}} {number}"),
            };
        }
    };
    let answered = "Requests of boxes that were answered, by what was asked.";
    family("dolmen_registrar_answered_total", "counter", answered, "call", &metrics.answered);
    let refused = "Requests of boxes that were refused, by why.";
    family("dolmen_registrar_refused_total", "counter", refused, "code", &metrics.refused);
    family("dolmen_registrar_boxes", "gauge", "Boxes by how they stand.", "standing", &metrics.boxes);
    let ends = "Seconds that the certificates hold by which the registrar works.";
    family("dolmen_registrar_certificate_seconds", "gauge", ends, "certificate", &metrics.certificate_seconds);
    for (name, help, number) in [
        ("dolmen_registrar_alarms", "Boxes that somebody should look at.", metrics.alarms),
        ("dolmen_registrar_vouchers_wanted", "Boxes that wait for a voucher.", metrics.wanted),
        ("dolmen_registrar_vouchers", "Vouchers that are kept.", metrics.vouchers),
        ("dolmen_registrar_challenges", "Boxes that were given a challenge and have not answered.", metrics.challenges),
        ("dolmen_registrar_certificates_revoked", "Certificates that were taken back.", metrics.revoked),
    ] {
        family(name, "gauge", help, "", &BTreeMap::from([("", number)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_and_labels() {
        let metrics =
            Metrics { refused: BTreeMap::from([("box-unknown", 2), ("rate", 1)]), alarms: 3, ..Metrics::default() };
        let text = render(&metrics);
        for line in [
            "# TYPE dolmen_registrar_refused_total counter",
            "dolmen_registrar_refused_total{code=\"box-unknown\"} 2",
            "dolmen_registrar_refused_total{code=\"rate\"} 1",
            "dolmen_registrar_alarms 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
