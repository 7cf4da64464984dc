//! The serial console of a machine: what it prints, line by line and with its time, and what is typed into it.

mod screen;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    process::{ChildStdin, ChildStdout},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::screen::{Event, Screen};
use crate::{
    Pattern, VmError,
    limits::{CONSOLE_BYTES_MAX, LINE_BYTES_MAX, TAIL_LINES},
    process::processor_time,
};

/// What a pattern found.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) groups: Vec<Option<String>>,
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
}

/// How waiting ended.
pub(crate) enum Waited {
    Seen(Seen),
    /// A forbidden line came first.
    Forbidden(String),
    /// Nothing came, and nothing will: the console is closed.
    Closed,
    /// The guest printed more than is kept.
    Flood,
    TimedOut,
}

/// A console. A thread reads it, so that the machine never waits for its reader.
pub(crate) struct Console {
    shared: Arc<Shared>,
    /// The first line that no wait has looked at to its end.
    next: usize,
    keyboard: ChildStdin,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Default)]
struct Log {
    lines: Vec<Line>,
    bytes: usize,
    closed: bool,
}

struct Line {
    text: Vec<u8>,
    /// Whether nothing more will be added to it.
    ended: bool,
    /// When it began.
    wall: Duration,
    processor: Duration,
}

impl Console {
    /// Reads what process `id`, which was started at `power_on`, prints, and writes it to a file as well.
    pub(crate) fn new(
        (keyboard, output): (ChildStdin, ChildStdout),
        id: u32,
        power_on: Instant,
        log: &Path,
    ) -> Result<Self, VmError> {
        let file = File::create(log).map_err(VmError::file("create", log))?;
        let shared = Arc::new(Shared { log: Mutex::default(), changed: Condvar::new() });
        let reader = Reader { shared: Arc::clone(&shared), file, id, power_on };
        Ok(Self { shared, next: 0, keyboard, reader: Some(thread::spawn(move || reader.run(output))) })
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &[u8]) -> io::Result<()> {
        self.keyboard.write_all(keys)?;
        self.keyboard.flush()
    }

    /// Waits for a line from behind the one that was found last. Where one line is both awaited and forbidden, it was
    /// awaited.
    pub(crate) fn wait(&mut self, awaited: &Pattern, forbidden: &[Pattern], within: Duration) -> Waited {
        let deadline = Instant::now() + within;
        let shared = Arc::clone(&self.shared);
        let mut log = shared.lock();
        loop {
            while let Some(line) = log.lines.get(self.next) {
                if let Some(seen) = line.seen(awaited) {
                    self.next += 1;
                    return Waited::Seen(seen);
                }
                // A line that is still being written may turn out to be what is awaited.
                let decided = line.ended || !awaited.is_of_whole_lines();
                if decided && forbidden.iter().any(|pattern| line.seen(pattern).is_some()) {
                    return Waited::Forbidden(line.text());
                }
                if !line.ended {
                    break;
                }
                self.next += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match () {
                () if log.bytes >= CONSOLE_BYTES_MAX => return Waited::Flood,
                () if log.closed => return Waited::Closed,
                () if left.is_zero() => return Waited::TimedOut,
                () => {}
            }
            log = shared.changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All that was printed since power on.
    pub(crate) fn text(&self) -> String {
        let log = self.shared.lock();
        log.lines.iter().map(|line| line.text() + "\n").collect()
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        let log = self.shared.lock();
        let first = log.lines.len().saturating_sub(TAIL_LINES);
        log.lines[first..].iter().map(|line| format!("{} {}\n", stamp(line.wall), line.text())).collect()
    }

    /// Reads what is left once the machine is off.
    pub(crate) fn drain(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        // A log is whole after each change of it.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn seen(&self, pattern: &Pattern) -> Option<Seen> {
        let captures = pattern.captures(&self.text, self.ended)?;
        let group = |group: regex::bytes::Match<'_>| String::from_utf8_lossy(group.as_bytes()).into_owned();
        Some(Seen {
            line: self.text(),
            groups: captures.iter().map(|captured| captured.map(group)).collect(),
            wall: self.wall,
            processor: self.processor,
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// Seconds since power on, as the log has them.
fn stamp(wall: Duration) -> String {
    format!("[{:8.2}]", wall.as_secs_f64())
}

/// The thread that reads.
struct Reader {
    shared: Arc<Shared>,
    file: File,
    id: u32,
    power_on: Instant,
}

impl Reader {
    fn run(mut self, mut output: ChildStdout) {
        let (mut screen, mut buffer) = (Screen::default(), vec![0; 4096]);
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            self.take(&mut screen, &buffer[..count]);
        }
        let mut log = self.shared.lock();
        self.end_line(&mut log, &self.file);
        log.closed = true;
        self.shared.changed.notify_all();
    }

    fn take(&mut self, screen: &mut Screen, bytes: &[u8]) {
        let mut log = self.shared.lock();
        for event in bytes.iter().filter_map(|byte| screen.next(*byte)) {
            match event {
                Event::Byte(byte) => self.add(&mut log, byte),
                Event::LineEnds => self.end_line(&mut log, &self.file),
            }
        }
        drop(log);
        self.shared.changed.notify_all();
    }

    fn add(&self, log: &mut Log, byte: u8) {
        if log.bytes >= CONSOLE_BYTES_MAX {
            return;
        }
        log.bytes += 1;
        match log.lines.last_mut() {
            Some(line) if !line.ended => line.text.push(byte),
            _ => log.lines.push(Line {
                text: vec![byte],
                ended: false,
                wall: self.power_on.elapsed(),
                processor: processor_time(self.id),
            }),
        }
        if log.lines.last().is_some_and(|line| line.text.len() >= LINE_BYTES_MAX) {
            self.end_line(log, &self.file);
        }
    }

    fn end_line(&self, log: &mut Log, mut file: &File) {
        let Some(line) = log.lines.last_mut().filter(|line| !line.ended) else { return };
        line.ended = true;
        // The log is for people: a full disk fails the test elsewhere.
        let _ = writeln!(file, "{} {}", stamp(line.wall), line.text());
    }
}
