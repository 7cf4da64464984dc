//! What the boxes and this program use, read from `/proc`.

use anyhow::Context as _;

/// Microseconds of a tick in `/proc/PID/stat`: Linux reports 100 ticks a second to programs on all common processors.
const TICK_US: u64 = 10_000;

/// CPU time that a process has used since its start, all threads, user and system, in microseconds.
pub(super) fn cpu_us(pid: u32) -> anyhow::Result<u64> {
    let stat = read(pid, "stat")?;
    parse_stat(&stat).with_context(|| format!("read the CPU time in /proc/{pid}/stat"))
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) resident: u64,
    /// Resident at most since its start.
    pub(super) peak: u64,
}

/// The memory of a process.
pub(super) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = read(pid, "status")?;
    parse_status(&status).with_context(|| format!("read the memory in /proc/{pid}/status"))
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).with_context(|| format!("read {path}: the process has ended"))
}

/// utime and stime are the 14th and 15th field (proc_pid_stat(5)); the 2nd, the name, may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_US)
}

fn parse_status(status: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some(Memory { resident: bytes("VmRSS")?, peak: bytes("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_and_status_are_read_by_their_fields() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 9 0 100 1 1";
        assert_eq!(parse_stat(stat), Some(1_750_000));
        assert_eq!(parse_stat("42 (x) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(parse_status(status), Some(Memory { resident: 1 << 20, peak: 2 << 20 }));
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        let before = cpu_us(pid).unwrap();
        let start = std::time::Instant::now();
        while cpu_us(pid).unwrap() == before {
            assert!(start.elapsed().as_secs() < 60, "spinning must use CPU time");
        }
    }
}
