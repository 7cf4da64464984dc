//! What boxes take of their machine over time: memory, threads, open files and disk; and whether that stays bounded.

use std::{
    fs::{self, File},
    io::Write as _,
    ops::RangeInclusive,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::Cluster;

/// Names the file for every sample.
const REPORT: &str = "DOLMEN_CHURN_REPORT";
const COLUMNS: &str = "elapsed_s,changes,place,box,pid,rss_kib,threads,handles,disk_bytes,log_bytes,height";
/// How many open files a box may have more in the end: tables of its database come and go, three for each of its 15
/// families until they are merged, and so do connections.
const HANDLES_MORE: u64 = 100;
/// How much more memory and disk, in the end, than half more than at first.
const MORE_BYTES: u64 = 32 << 20;

/// What one box took at some time.
struct Sample {
    elapsed: Duration,
    /// In the cluster, whose boxes take each other's places.
    place: usize,
    name: String,
    rss_bytes: u64,
    threads: u64,
    handles: u64,
    /// All of the box's folder but its log.
    disk_bytes: u64,
    log_bytes: u64,
    height: u64,
}

impl Sample {
    fn disk_per_block(&self) -> u64 {
        self.disk_bytes / self.height.max(1)
    }
}

/// Samples of all boxes of a cluster.
pub struct Record {
    began: Instant,
    every: Duration,
    taken: Option<Instant>,
    samples: Vec<Sample>,
    report: Option<File>,
}

/// What the boxes in one place took in the first and in the last quarter of the time.
struct Quarters<'a> {
    place: usize,
    first: Vec<&'a Sample>,
    last: Vec<&'a Sample>,
}

impl Record {
    /// Begins, with samples so far apart. Each is a line in the file that `DOLMEN_CHURN_REPORT` names, where it does.
    pub fn begin(every: Duration) -> Self {
        let report = std::env::var_os(REPORT).map(|path| {
            let mut file = File::create(&path).unwrap_or_else(|error| panic!("{REPORT}={}: {error}", path.display()));
            writeln!(file, "{COLUMNS}").expect("the report can be written");
            file
        });
        Self { began: Instant::now(), every, taken: None, samples: Vec::new(), report }
    }

    /// Takes a sample where the last one is old enough. `changes` is how often the members have changed the chain.
    pub fn take_if_due(&mut self, cluster: &Cluster, changes: u64) {
        if self.taken.is_none_or(|taken| taken.elapsed() >= self.every) {
            self.take(cluster, changes);
        }
    }

    /// Takes a sample of each box that runs.
    pub fn take(&mut self, cluster: &Cluster, changes: u64) {
        self.taken = Some(Instant::now());
        let elapsed = self.began.elapsed();
        for place in 0..cluster.chain.boxes.len() {
            let Some(pid) = cluster.pid(place) else { continue };
            let sample = sample(cluster, place, pid, elapsed);
            if let Some(report) = &mut self.report {
                let Sample { name, rss_bytes, threads, handles, disk_bytes, log_bytes, height, .. } = &sample;
                let (elapsed_s, rss_kib) = (elapsed.as_secs(), rss_bytes >> 10);
                writeln!(
                    report,
                    "{elapsed_s},{changes},{place},{name},{pid},{rss_kib},{threads},{handles},\
                     {disk_bytes},{log_bytes},{height}"
                )
                .expect("the report can be written");
            }
            self.samples.push(sample);
        }
    }

    /// Shows the most that was taken in the first and in the last quarter of the time.
    pub fn print(&self) {
        eprintln!("the most in the first -> in the last quarter of the time");
        let [memory, handles, threads] = ["memory MiB", "handles", "threads"];
        let [disk, per_block, log] = ["disk MiB", "disk bytes/block", "log MiB"];
        eprintln!("place{memory:>14}{handles:>14}{threads:>14}{disk:>14}{per_block:>20}{log:>14}");
        for own in self.quarters() {
            let shown = |what: fn(&Sample) -> u64| format!("{} -> {}", most(&own.first, what), most(&own.last, what));
            let memory = shown(|sample| sample.rss_bytes >> 20);
            let handles = shown(|sample| sample.handles);
            let threads = shown(|sample| sample.threads);
            let disk = shown(|sample| sample.disk_bytes >> 20);
            let per_block = shown(Sample::disk_per_block);
            let log = shown(|sample| sample.log_bytes >> 20);
            let place = own.place;
            eprintln!("{place:>5}{memory:>14}{handles:>14}{threads:>14}{disk:>14}{per_block:>20}{log:>14}");
        }
    }

    /// No box has many more open files than at first.
    pub fn check_handles(&self) {
        for own in self.quarters() {
            let handles = |sample: &Sample| sample.handles;
            let (before, after) = (most(&own.first, handles), most(&own.last, handles));
            assert!(after <= before + HANDLES_MORE, "place {}: {before} open files became {after}", own.place);
        }
    }

    /// No box grows on and on. Only a run of many minutes can tell.
    pub fn check_growth(&self) {
        for own in self.quarters() {
            let memory = |sample: &Sample| sample.rss_bytes;
            let (before, after) = (median(&own.first, memory), median(&own.last, memory));
            assert!(after <= bound(before), "place {}: {before} bytes of memory became {after}", own.place);
            let disk = |sample: &Sample| sample.disk_bytes;
            let (before, after) = (most(&own.first, disk), most(&own.last, disk));
            assert!(after <= bound(before), "place {}: {before} bytes of disk became {after}", own.place);
        }
    }

    fn quarters(&self) -> Vec<Quarters<'_>> {
        let samples = &self.samples[..];
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
        let (begin, end) = (first.elapsed, last.elapsed);
        let quarter = (end - begin) / 4;
        let places = samples.iter().map(|sample| sample.place + 1).max().unwrap_or(0);
        let of = |place| Quarters {
            place,
            first: within(samples, place, &(begin..=begin + quarter)),
            last: within(samples, place, &(end - quarter..=end)),
        };
        (0..places).map(of).collect()
    }
}

fn within<'a>(samples: &'a [Sample], place: usize, times: &RangeInclusive<Duration>) -> Vec<&'a Sample> {
    samples.iter().filter(|sample| sample.place == place && times.contains(&sample.elapsed)).collect()
}

fn most(samples: &[&Sample], what: impl Fn(&Sample) -> u64) -> u64 {
    samples.iter().map(|sample| what(sample)).max().unwrap_or(0)
}

fn median(samples: &[&Sample], what: impl Fn(&Sample) -> u64) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(|sample| what(sample)).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

/// How much what was so much at first may become.
fn bound(before: u64) -> u64 {
    before + before / 2 + MORE_BYTES
}

fn sample(cluster: &Cluster, place: usize, pid: u32, elapsed: Duration) -> Sample {
    let own = cluster.node(place);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the box runs");
    let log_bytes = fs::metadata(own.log()).map_or(0, |found| allocated(&found));
    Sample {
        elapsed,
        place,
        name: own.name.clone(),
        // In KiB, whatever it says behind the number.
        rss_bytes: number(&status, "VmRSS:") << 10,
        threads: number(&status, "Threads:"),
        handles: handles(pid),
        disk_bytes: disk_bytes(own.dir()).saturating_sub(log_bytes),
        log_bytes,
        height: own.height().unwrap_or(0),
    }
}

/// A number in `/proc/PID/status`.
fn number(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {status}"))
}

/// Open files of a process. A box keeps the list of them from other users, but not, since Linux 6.2, how long it is.
fn handles(pid: u32) -> u64 {
    let list = PathBuf::from(format!("/proc/{pid}/fd"));
    let counted = fs::read_dir(&list).map(|files| files.map(|_| 1_u64).sum::<u64>());
    let counted = counted.or_else(|_| fs::metadata(&list).map(|found| found.len()));
    counted.ok().filter(|count| *count > 0).expect("open files can be counted by root, and by others since Linux 6.2")
}

/// What a folder takes of the disk, files that nobody has written to their ends included.
fn disk_bytes(folder: &Path) -> u64 {
    // Files come and go meanwhile.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let found = entry.metadata().ok()?;
        Some(if found.is_dir() { disk_bytes(&entry.path()) } else { allocated(&found) })
    });
    bytes.sum()
}

/// What a file takes of the disk.
fn allocated(found: &fs::Metadata) -> u64 {
    /// The unit of `st_blocks`.
    const BLOCK_BYTES: u64 = 512;
    found.blocks() * BLOCK_BYTES
}
