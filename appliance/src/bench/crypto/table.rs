//! The figures as tables on the terminal.

use super::result::{Report, Row};

/// A title and a table for each race, after a description of the machine.
pub(super) fn table(report: &Report) -> String {
    let mut lines: Vec<_> = head(report).into_iter().map(|(name, value)| format!("{name:<10} {value}")).collect();
    for race in report.races() {
        lines.push(String::new());
        lines.push(title(&race[0]));
        lines.extend(align(&cells(race)));
    }
    if !report.notes.is_empty() {
        lines.push(String::new());
        lines.extend(report.notes.iter().cloned());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What was measured on what, by name.
pub(super) fn head(report: &Report) -> Vec<(&'static str, String)> {
    let machine = &report.machine;
    let mut head = vec![
        ("program", format!("dolmen {}, {} build, {}", report.version, report.profile, report.toolchain)),
        ("machine", format!("{}, {} cores, {} MiB", machine.cpu, machine.cores, machine.memory_mib)),
        ("", format!("{:.0} MHz at the start; {}", machine.clock_mhz, or_none(&machine.cpu_flags))),
        (
            "",
            format!(
                "Linux {}, load average {:.2} at the start, {:.2} at the end",
                machine.kernel, machine.load_average, report.load_average_end
            ),
        ),
        (
            "method",
            format!(
                "{} s for each figure in slices of {} ms, taken in turn; every answer checked; seed {}",
                report.seconds, report.slice_ms, report.seed
            ),
        ),
        ("energy", report.energy.clone()),
    ];
    for (index, one) in report.implementations.iter().enumerate() {
        let name = if index == 0 { "compared" } else { "" };
        let text = format!("{}: {}, {}", one.label(), one.version, one.description);
        head.push((name, text.trim_end_matches(", ").to_owned()));
    }
    head
}

fn or_none(flags: &[&str]) -> String {
    if flags.is_empty() { "no vector or carry-less extensions".to_owned() } else { flags.join(", ") }
}

/// What a race was about.
pub(super) fn title(row: &Row) -> String {
    let mut parts = vec![format!("{} {}", row.op, row.alg)];
    let keys = row.keys_in_words();
    if !keys.is_empty() {
        parts.push(keys);
    }
    parts.extend(row.size.map(|size| format!("{size} bytes")));
    parts.push(format!("batch {}", row.batch));
    parts.push(if row.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", row.threads) });
    parts.join(", ")
}

/// Names of columns, then a line for each implementation.
pub(super) fn cells(race: &[Row]) -> Vec<Vec<String>> {
    let ours = race.iter().find(|row| row.backend.is_some());
    let any = |has: fn(&Row) -> bool| race.iter().any(has);
    let (sized, planted, energy) = (
        any(|row| row.size.is_some()),
        any(|row| row.planted_ops_per_cpu_s.is_some()),
        any(|row| row.uj_per_op.is_some()),
    );
    let mut header = vec!["implementation", "ops/CPU s"];
    header.extend(sized.then_some("MB/CPU s"));
    header.extend(["ops/s", "p50 us", "p99 us"]);
    header.extend(planted.then_some("1/8 bad"));
    header.extend(energy.then_some("uJ/op"));
    header.extend(["spread", "checked"]);
    header.extend(ours.map(|_| "ours is"));
    let mut cells = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in race {
        let mut line = vec![row.label(), number(row.ops_per_cpu_s)];
        if sized {
            line.push(row.megabytes_per_cpu_s().map_or_else(String::new, number));
        }
        line.extend([number(row.ops_per_s), number(row.p50_us), number(row.p99_us)]);
        if planted {
            line.push(row.planted_ops_per_cpu_s.map_or_else(String::new, number));
        }
        if energy {
            line.push(row.uj_per_op.map_or_else(String::new, number));
        }
        line.extend([format!("{:.1}%", row.spread * 100.0), number(row.verified as f64)]);
        line.extend(ours.map(|ours| format!("{:.2}x", ours.ops_per_cpu_s / row.ops_per_cpu_s)));
        cells.push(line);
    }
    cells
}

/// Columns under each other; the first to the left, numbers to the right.
fn align(cells: &[Vec<String>]) -> Vec<String> {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |line: &Vec<String>| {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text += &if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        text.trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

/// A figure with as many digits as mean something, thousands apart.
pub(super) fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::tests::report, *};

    #[test]
    fn figures_have_their_thousands_apart() {
        assert_eq!(number(0.05), "0.1");
        assert_eq!(number(99.94), "99.9");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(1_234_567.8), "1,234,568");
    }

    #[test]
    fn a_table_has_its_figures_and_how_we_compare() {
        let text = table(&report());
        let line = |name: &str| {
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("  {name}"))).collect();
            assert!(!lines.is_empty(), "no {name} in\n{text}");
            lines[0].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(line("dolmen").ends_with(&["1.00x".to_owned()]));
        // 150,000 against 25,000.
        assert!(line("libexample").ends_with(&["6.00x".to_owned()]));
        assert!(line("libexample").contains(&"25,000".to_owned()));
        assert!(text.contains("verify sm2, 64 known keys, batch 1024, 1 thread"), "{text}");
        assert!(text.contains("adx"), "{text}");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let cell = |text: &str| text.to_owned();
        let lines = align(&[vec![cell("a"), cell("bb"), cell("c")], vec![cell("aaa"), cell("b"), cell("100")]]);
        assert_eq!(lines, ["  a    bb    c", "  aaa   b  100"]);
    }
}
