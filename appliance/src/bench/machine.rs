//! What the figures were measured on.

use std::path::Path;

use serde::Serialize;

/// CPU flags, by Linux's names, that decide which code signatures, hashes and ciphers run.
const FLAGS: [&str; 11] =
    ["bmi2", "adx", "avx2", "avx512f", "avx512ifma", "sha_ni", "aes", "vaes", "pclmulqdq", "vpclmulqdq", "gfni"];

/// A machine, as far as it matters to the figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// Processor model.
    pub(super) cpu: String,
    /// The fastest clock of its cores in MHz, when the program started; 0 where the kernel does not say.
    pub(super) clock_mhz: f64,
    /// Those of its features that decide which code signatures, hashes and ciphers run.
    pub(super) cpu_flags: Vec<&'static str>,
    /// Hardware threads that this program may use.
    pub(super) cores: usize,
    /// Memory in MiB.
    pub(super) memory_mib: u64,
    /// Kernel release.
    pub(super) kernel: String,
    /// File system that the boxes write to; on `tmpfs` a synced write costs nothing.
    pub(super) filesystem: String,
    /// Average number of runnable processes in the minute before the start: above 0.5, something else was running.
    pub(super) load_average: f64,
}

impl Machine {
    /// Reads what the kernel says; `unknown` or zero where it does not.
    pub(super) fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let cpuinfo = file("/proc/cpuinfo");
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(unknown),
            clock_mhz: clock_mhz(&cpuinfo),
            cpu_flags: flags(&cpuinfo),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_mib(&file("/proc/meminfo")).unwrap_or(0),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: unknown(),
            load_average: file("/proc/loadavg")
                .split_ascii_whitespace()
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }

    /// With the file system that holds `dir`.
    pub(super) fn writing_to(mut self, dir: &Path) -> Self {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        if let Some(kind) = dir.canonicalize().ok().and_then(|dir| filesystem(&mounts, &dir)) {
            self.filesystem = kind;
        }
        self
    }
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// The highest `cpu MHz`: a core that idles may be slow.
fn clock_mhz(cpuinfo: &str) -> f64 {
    let clocks = cpuinfo.lines().filter_map(|line| line.strip_prefix("cpu MHz")?.trim().strip_prefix(':'));
    clocks.filter_map(|clock| clock.trim().parse().ok()).fold(0.0, f64::max)
}

fn flags(cpuinfo: &str) -> Vec<&'static str> {
    let flags = field(cpuinfo, "flags").unwrap_or_default();
    let has = |flag: &&str| flags.split_ascii_whitespace().any(|one| one == *flag);
    FLAGS.into_iter().filter(has).collect()
}

fn memory_mib(meminfo: &str) -> Option<u64> {
    let kib: u64 = field(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

/// Type of the file system with the longest mount point above `dir`.
fn filesystem(mounts: &str, dir: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mount, _)| dir.starts_with(mount))
        // The last of equals: a later mount hides an earlier one.
        .max_by_key(|(mount, _)| mount.len())
        .map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let kind = |dir: &str| filesystem(mounts, Path::new(dir));
        assert_eq!(kind("/home/x").as_deref(), Some("ext4"));
        assert_eq!(kind("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/tmp/disk/x").as_deref(), Some("xfs"));
        assert_eq!(kind("/tmpfile").as_deref(), Some("ext4"));
    }

    #[test]
    fn proc_files_are_read_by_name() {
        assert_eq!(field("processor\t: 0\nmodel name\t: A B\n", "model name").as_deref(), Some("A B"));
        let cpuinfo = "cpu MHz\t\t: 800.5\nflags\t\t: fpu avx adx avx512f sha_ni\n\ncpu MHz\t\t: 3600.25\n";
        assert_eq!(clock_mhz(cpuinfo), 3600.25);
        assert_eq!(clock_mhz(""), 0.0);
        assert_eq!(flags(cpuinfo), ["adx", "avx512f", "sha_ni"]);
        assert_eq!(memory_mib("MemFree: 1 kB\nMemTotal:       2048000 kB\n"), Some(2000));
    }
}
