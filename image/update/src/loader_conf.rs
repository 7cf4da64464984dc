//! `loader/loader.conf` of systemd-boot, of which one line is ours to change: `default`, the name of the UKI that is
//! started whatever the versions are. Source: loader.conf(5).

/// Where it is.
pub(crate) const PATH: &str = "loader/loader.conf";
pub(crate) const FOLDER: &str = "loader";

/// What it names as the default.
pub(crate) fn default_of(text: &str) -> Option<&str> {
    // systemd-boot takes the last one.
    text.lines().filter_map(value_of_default).next_back()
}

/// It with another default, or without one. All other lines stay.
pub(crate) fn with_default(text: &str, default: Option<&str>) -> String {
    let mut lines: Vec<String> =
        text.lines().filter(|line| value_of_default(line).is_none()).map(str::to_owned).collect();
    lines.extend(default.map(|name| format!("default {name}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn value_of_default(line: &str) -> Option<&str> {
    let (key, value) = line.trim().split_once([' ', '\t'])?;
    (key == "default").then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "timeout 0\n# default none\neditor no\ndefault-x 1\n";

    #[test]
    fn one_line_changes() {
        assert_eq!(default_of(TEXT), None);
        let pinned = with_default(TEXT, Some("dolmen_1.0.0.efi"));
        assert_eq!(pinned, format!("{TEXT}default dolmen_1.0.0.efi\n"));
        assert_eq!(default_of(&pinned), Some("dolmen_1.0.0.efi"));
        let again = with_default(&pinned, Some("dolmen_2.0.0.efi"));
        assert_eq!(again, format!("{TEXT}default dolmen_2.0.0.efi\n"));
        assert_eq!(with_default(&again, None), TEXT);
        assert_eq!(with_default("", Some("a")), "default a\n");
        assert_eq!(with_default("  default\ta\r\ndefault b", None), "");
        assert_eq!(default_of("default a\n default  b \n"), Some("b"));
    }
}
