//! Energy of the processor, as RAPL counts it (Linux powercap, `Documentation/power/powercap`).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where Linux has the counters.
const POWERCAP: &str = "/sys/class/powercap";

/// The counters of the processor packages.
#[derive(Debug)]
pub(super) struct Rapl {
    packages: Vec<Package>,
}

#[derive(Debug)]
struct Package {
    counter: PathBuf,
    /// The counter starts again from zero above this.
    max_uj: u64,
}

impl Rapl {
    /// Finds the counters; says why there are none where there are none.
    pub(super) fn open() -> Result<Self, String> {
        Self::open_in(Path::new(POWERCAP))
    }

    fn open_in(root: &Path) -> Result<Self, String> {
        let entries = fs::read_dir(root).map_err(|error| {
            format!("not measured: this machine shows no RAPL counters ({}: {error})", root.display())
        })?;
        let mut packages = Vec::new();
        for entry in entries.flatten() {
            // `intel-rapl:0` is a package, on AMD too; `intel-rapl:0:1` a part of one.
            let name = entry.file_name();
            let package = name.to_str().and_then(|name| name.strip_prefix("intel-rapl:"));
            if package.is_none_or(|index| index.parse::<u32>().is_err()) {
                continue;
            }
            let read = |file: &str| {
                let path = entry.path().join(file);
                let text = fs::read_to_string(&path).map_err(|error| {
                    let path = path.display();
                    format!("not measured: cannot read {path}: {error}; only root may on most systems")
                })?;
                text.trim().parse::<u64>().map_err(|error| format!("not measured: {}: {error}", path.display()))
            };
            read("energy_uj")?;
            packages.push(Package { counter: entry.path().join("energy_uj"), max_uj: read("max_energy_range_uj")? });
        }
        if packages.is_empty() {
            return Err(format!("not measured: no processor package in {}", root.display()));
        }
        Ok(Self { packages })
    }

    /// The counters now.
    pub(super) fn read(&self) -> Option<Vec<u64>> {
        self.packages.iter().map(|package| fs::read_to_string(&package.counter).ok()?.trim().parse().ok()).collect()
    }

    /// Microjoules of all packages since `before`, which [`read`](Self::read) gave.
    pub(super) fn since_uj(&self, before: &[u64]) -> Option<f64> {
        let now = self.read()?;
        let used = self.packages.iter().zip(before.iter().zip(&now));
        Some(used.map(|(package, (before, now))| package.between(*before, *now)).sum())
    }
}

impl Package {
    fn between(&self, before: u64, now: u64) -> f64 {
        let used = if now >= before { now - before } else { self.max_uj.saturating_sub(before) + now };
        used as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_and_their_parts_are_not() {
        let root = tempfile::tempdir().unwrap();
        let counter = |name: &str, uj: &str| {
            let dir = root.path().join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("energy_uj"), format!("{uj}\n")).unwrap();
            fs::write(dir.join("max_energy_range_uj"), "1000\n").unwrap();
        };
        assert!(Rapl::open_in(root.path()).unwrap_err().contains("no processor package"));
        counter("intel-rapl:0", "900");
        counter("intel-rapl:1", "10");
        counter("intel-rapl:0:0", "5");
        let rapl = Rapl::open_in(root.path()).unwrap();
        let before = rapl.read().unwrap();
        assert_eq!(before.iter().sum::<u64>(), 910);
        // The first starts again from zero: 100 up to its end, 50 more.
        counter("intel-rapl:0", "50");
        counter("intel-rapl:1", "17");
        assert_eq!(rapl.since_uj(&before), Some(157.0));
    }

    #[test]
    fn a_machine_without_counters_says_so() {
        let error = Rapl::open_in(Path::new("/nonexistent/powercap")).unwrap_err();
        assert!(error.contains("no RAPL counters"), "{error}");
    }
}
