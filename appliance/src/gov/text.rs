//! Words and tables for people.

use std::time::{SystemTime, UNIX_EPOCH};

/// A table with columns as wide as their widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

/// As in `alpha, beta and gamma`; `none` where there is nothing.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

/// A time span in its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, name) in units.iter().skip(largest).take(2) {
        let count = left / size;
        left %= size;
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count} {name}"));
        }
    }
    parts.join(" ")
}

/// How far a Unix time lies from now.
pub(super) fn from_now(time: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if time > now { format!("in {}", duration(time - now)) } else { format!("{} ago", duration(now - time)) }
}

/// Reads a time span such as `7d`, `12h`, `90min`, `45s` or a number of seconds.
pub(super) fn parse_duration(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let size: u64 = match unit {
        "d" => 86_400,
        "h" => 3600,
        "min" | "m" => 60,
        "s" | "" => 1,
        _ => return Err(format!("{unit:?} is no unit of time; write it like 7d, 12h, 90min or 45s")),
    };
    let number: u64 = number.parse().map_err(|_| "write it like 7d, 12h, 90min or 45s".to_owned())?;
    number.checked_mul(size).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let shown = table(&["name", "key", "role"], &[row(["box-0", "8a", "validator"]), row(["b", "", "é"])]);
        assert_eq!(shown, "name   key  role\nbox-0  8a   validator\nb           é\n");
    }

    #[test]
    fn things_are_listed() {
        let items = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&items(&[])), "none");
        assert_eq!(list(&items(&["a"])), "a");
        assert_eq!(list(&items(&["a", "b"])), "a and b");
        assert_eq!(list(&items(&["a", "b", "c"])), "a, b and c");
    }

    #[test]
    fn time_spans_are_written_and_read() {
        let shown = [0, 45, 60, 61, 3600, 5400, 604_800, 604_799].map(duration);
        assert_eq!(shown, ["0 s", "45 s", "1 min", "1 min 1 s", "1 h", "1 h 30 min", "7 d", "6 d 23 h"]);
        let read = ["7d", "12h", "90min", "5m", "45s", "60"].map(parse_duration);
        assert_eq!(read, [604_800, 43_200, 5400, 300, 45, 60].map(Ok));
        for wrong in ["", "d", "7w", "-1s", "1.5h", "999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
