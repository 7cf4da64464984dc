//! The figures as one page: tables and plots, with nothing from elsewhere.

use std::fmt::Write as _;

use super::{
    plot::{self, Bar, COLOURS, Lines, Series, escape},
    result::{Report, Row},
    table,
};

const STYLE: &str = include_str!("page.css");

/// A setting along which figures may differ: its title, its label in a row, and its place in order.
struct Axis {
    title: &'static str,
    label: fn(&Row) -> String,
    order: fn(&Row) -> usize,
}

const AXES: [Axis; 4] = [
    Axis { title: "batch", label: |row| row.batch.to_string(), order: |row| row.batch },
    Axis { title: "keys", label: keys_label, order: |row| row.keys },
    Axis { title: "threads", label: |row| row.threads.to_string(), order: |row| row.threads },
    Axis { title: "bytes", label: |row| row.size.unwrap_or(0).to_string(), order: |row| row.size.unwrap_or(0) },
];

fn keys_label(row: &Row) -> String {
    if row.keys == 0 { "unknown".to_owned() } else { row.keys.to_string() }
}

/// A kind of figure: its title on an axis, and its value in a row.
struct Figure {
    title: &'static str,
    value: fn(&Row) -> Option<f64>,
}

const PER_CPU: Figure = Figure { title: "operations per second of CPU time", value: |row| Some(row.ops_per_cpu_s) };
const PER_SECOND: Figure = Figure { title: "operations per second", value: |row| Some(row.ops_per_s) };
const ENERGY: Figure = Figure { title: "microjoules per operation", value: |row| row.uj_per_op };

/// Writes the plots of a subject.
type Plots = fn(&mut String, &Report, &[&Row]);

/// Writes the page.
pub(super) fn html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>dolmen bench {op}</title>\
         <style>\n{STYLE}</style></head><body><main>\n<h1>dolmen bench {op}</h1>\n",
        op = escape(report.op),
    );
    page.push_str("<table class=\"head\">");
    for (name, value) in table::head(report) {
        let _ = write!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(&value));
    }
    page.push_str("</table>\n");
    for note in &report.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    let mut subjects: Vec<_> = report.results.iter().map(|row| (row.op, row.alg)).collect();
    subjects.dedup();
    for (op, alg) in subjects {
        let rows: Vec<_> = report.results.iter().filter(|row| (row.op, row.alg) == (op, alg)).collect();
        let _ = writeln!(page, "<section><h2>{} {}</h2>", escape(op), escape(alg));
        for (title, plots) in [("Throughput", throughput as Plots), ("Latency of a call", latency), ("Energy", energy)]
        {
            let _ = writeln!(page, "<h3>{title}</h3>\n<div class=\"plots\">");
            plots(&mut page, report, &rows);
            page.push_str("</div>\n");
        }
        page.push_str("<h3>Figures</h3>\n");
        for race in report.races().filter(|race| (race[0].op, race[0].alg) == (op, alg)) {
            figures(&mut page, race);
        }
        page.push_str("</section>\n");
    }
    page.push_str("</main></body></html>\n");
    page
}

/// Throughput along every setting that has more than one value; as bars where none has.
fn throughput(page: &mut String, report: &Report, rows: &[&Row]) {
    let mut plotted = false;
    for axis in AXES.iter().filter(|axis| positions(axis, rows).len() > 1) {
        plotted = true;
        // A second of CPU time is the same with more threads, so only wall time shows whether they help.
        let figure = if axis.title == "threads" { PER_SECOND } else { PER_CPU };
        for (title, group) in others_fixed(axis, rows) {
            let series = series(report, axis, &group, &[(&figure, "")]);
            let plot = lines_of(axis, &group, figure.title, series, false);
            put(page, &format!("By {}{title}", axis.title), &plot::lines(&plot));
        }
    }
    if !plotted {
        put(page, &table::title(rows[0]), &plot::bars(PER_CPU.title, &bars(report, rows, &PER_CPU)));
    }
}

/// How long calls take: by batch where there are several, otherwise for each setting.
fn latency(page: &mut String, report: &Report, rows: &[&Row]) {
    const P50: Figure = Figure { title: "microseconds of a call", value: |row| Some(row.p50_us) };
    const P99: Figure = Figure { title: "microseconds of a call", value: |row| Some(row.p99_us) };
    let axis = AXES.iter().find(|axis| positions(axis, rows).len() > 1).unwrap_or(&AXES[0]);
    for (title, group) in others_fixed(axis, rows) {
        let series = series(report, axis, &group, &[(&P50, " p50"), (&P99, " p99")]);
        let plot = lines_of(axis, &group, P50.title, series, true);
        put(page, &format!("By {}{title}", axis.title), &plot::lines(&plot));
    }
}

/// Energy where it was measured; the head of the page says why where it was not.
fn energy(page: &mut String, report: &Report, rows: &[&Row]) {
    if rows.iter().all(|row| row.uj_per_op.is_none()) {
        let _ = writeln!(page, "<p>{}</p>", escape(&report.energy));
        return;
    }
    for race in rows.chunk_by(|one, other| table::title(one) == table::title(other)) {
        put(page, &table::title(race[0]), &plot::bars(ENERGY.title, &bars(report, race, &ENERGY)));
    }
}

/// A table of a race.
fn figures(page: &mut String, race: &[Row]) {
    let _ = write!(page, "<div class=\"scroll\"><table><caption>{}</caption>", escape(&table::title(&race[0])));
    for (index, line) in table::cells(race).iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        page.push_str("<tr>");
        for cell in line {
            let _ = write!(page, "<{tag}>{}</{tag}>", escape(cell));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>\n");
}

fn put(page: &mut String, title: &str, svg: &str) {
    let _ = writeln!(page, "<figure><figcaption>{}</figcaption>{svg}</figure>", escape(title));
}

/// Values of a setting with their labels, in order.
fn positions(axis: &Axis, rows: &[&Row]) -> Vec<(usize, String)> {
    let mut positions: Vec<_> = rows.iter().map(|row| ((axis.order)(row), (axis.label)(row))).collect();
    positions.sort();
    positions.dedup();
    positions
}

/// Rows that differ along `axis` alone, with what the other settings are where they differ between groups.
fn others_fixed<'a>(axis: &Axis, rows: &[&'a Row]) -> Vec<(String, Vec<&'a Row>)> {
    let others: Vec<_> =
        AXES.iter().filter(|other| other.title != axis.title && positions(other, rows).len() > 1).collect();
    let mut groups: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let title: String = others.iter().map(|other| format!(", {} {}", other.title, (other.label)(row))).collect();
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, group)) => group.push(row),
            None => groups.push((title, vec![row])),
        }
    }
    groups
}

/// A line for each implementation and figure; the second and later figures are dashed.
fn series(report: &Report, axis: &Axis, rows: &[&Row], figures: &[(&Figure, &str)]) -> Vec<Series> {
    let positions = positions(axis, rows);
    let mut all = Vec::new();
    for label in labels(rows) {
        for (index, (figure, suffix)) in figures.iter().enumerate() {
            let at = |position: usize| rows.iter().find(|row| row.label() == label && (axis.order)(row) == position);
            let values = positions.iter().map(|(position, _)| at(*position).and_then(|row| (figure.value)(row)));
            all.push(Series {
                name: format!("{label}{suffix}"),
                colour: colour(report, &label),
                dashed: index > 0,
                values: values.collect(),
            });
        }
    }
    all
}

fn lines_of(axis: &Axis, rows: &[&Row], y_title: &'static str, series: Vec<Series>, logarithmic: bool) -> Lines {
    let xs = positions(axis, rows).into_iter().map(|(_, label)| label).collect();
    Lines { x_title: axis.title, y_title, xs, series, logarithmic }
}

fn bars(report: &Report, rows: &[&Row], figure: &Figure) -> Vec<Bar> {
    let bar = |row: &&Row| {
        let label = row.label();
        Some(Bar { colour: colour(report, &label), name: label, value: (figure.value)(row)? })
    };
    rows.iter().filter_map(bar).collect()
}

/// Implementations in the order of their rows.
fn labels(rows: &[&Row]) -> Vec<String> {
    let mut labels = Vec::new();
    for row in rows {
        let label = row.label();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// The same colour for an implementation everywhere on the page.
fn colour(report: &Report, label: &str) -> usize {
    let all: Vec<_> = report.results.iter().collect();
    labels(&all).iter().position(|known| known == label).unwrap_or(0) % COLOURS
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn the_page_has_every_figure_and_loads_nothing() {
        let report = report();
        let page = html(&report);
        for row in &report.results {
            assert!(page.contains(&table::number(row.ops_per_cpu_s)), "{row:?}");
            assert!(page.contains(&table::number(row.p99_us)), "{row:?}");
        }
        for foreign in ["http:", "https:", "src=", "<link", "<script", "url(", "@import"] {
            assert!(!page.contains(foreign), "the page loads something by {foreign}");
        }
        assert!(page.contains("By batch") && page.contains("unknown"), "no plot by batch or by keys");
        // One series a race and implementation, at both batch sizes.
        assert!(page.matches("<svg").count() >= 4, "{} plots", page.matches("<svg").count());
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let mut report = report();
        report.machine.cpu = "<b>&\"CPU\"</b>".to_owned();
        let page = html(&report);
        assert!(page.contains("&lt;b&gt;&amp;&quot;CPU&quot;") && !page.contains("<b>"));
    }

    #[test]
    fn energy_is_plotted_or_its_absence_explained() {
        let mut report = report();
        assert!(html(&report).contains("microjoules per operation"));
        for row in &mut report.results {
            row.uj_per_op = None;
        }
        report.energy = "not measured: no counters".to_owned();
        let page = html(&report);
        assert!(!page.contains("microjoules per operation"));
        assert!(page.matches("not measured: no counters").count() >= 2);
    }
}
