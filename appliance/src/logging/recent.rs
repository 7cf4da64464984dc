//! The latest lines of the log, in memory, for the box's page and for support.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};
use utoipa::ToSchema;

/// Lines that are kept: some hours of a box that is well.
const LINES_MAX: usize = 4096;
/// Their bytes: a thousandth of what a box has.
const BYTES_MAX: usize = 4 << 20;
/// Bytes of one text of a line.
const TEXT_BYTES_MAX: usize = 4096;
/// Fields of a line.
const FIELDS_MAX: usize = 32;
/// What a line takes beside its texts, about.
const LINE_BYTES: usize = 128;

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may not work.
    Warn,
    /// What happens.
    Info,
    /// More of it, where `RUST_LOG` asks.
    Debug,
    /// All of it.
    Trace,
}

impl From<tracing::Level> for LogLevel {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LogLine {
    /// Its number, from 1 at each start of the box.
    pub(crate) seq: u64,
    /// When, Unix milliseconds.
    pub(crate) at_ms: u64,
    /// How bad it is.
    pub(crate) level: LogLevel,
    /// Which part of the program says it.
    pub(crate) target: String,
    /// What.
    pub(crate) message: String,
    /// Of what, by name.
    pub(crate) fields: BTreeMap<String, String>,
}

impl LogLine {
    fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        LINE_BYTES + self.target.len() + self.message.len() + fields
    }
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LogPart {
    /// The lines, the latest last.
    pub(crate) lines: Vec<LogLine>,
    /// Ask with this as `since` for the lines after these.
    pub(crate) next: u64,
    /// The number of the first line that is still kept.
    pub(crate) first: u64,
}

/// Lines within bounds: the oldest go first.
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    last: u64,
}

impl Ring {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, last: 0 }
    }

    fn push(&mut self, line: LogLine) {
        self.last += 1;
        let line = LogLine { seq: self.last, ..line };
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// The latest lines after one, that are as bad as a level or worse.
    fn part(&self, level: LogLevel, since: u64, count: usize) -> LogPart {
        let wanted = self.lines.iter().rev().take_while(|line| line.seq > since).filter(|line| line.level <= level);
        let mut lines: Vec<_> = wanted.take(count).cloned().collect();
        lines.reverse();
        LogPart { lines, next: self.last, first: self.lines.front().map_or(self.last + 1, |line| line.seq) }
    }
}

static RING: Mutex<Ring> = Mutex::new(Ring::new());

fn ring() -> MutexGuard<'static, Ring> {
    // A panic in between leaves at most one line too few.
    RING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The latest lines of this process's log after one, that are as bad as a level or worse.
pub(crate) fn part(level: LogLevel, since: u64, count: usize) -> LogPart {
    ring().part(level, since, count)
}

/// Keeps lines, and gives them to whoever sends them elsewhere.
pub(super) struct Keeper {
    sent: Option<SyncSender<LogLine>>,
}

impl Keeper {
    pub(super) const fn new(sent: Option<SyncSender<LogLine>>) -> Self {
        Self { sent }
    }
}

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut texts = Texts::default();
        event.record(&mut texts);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = LogLine {
            seq: 0,
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            level: (*metadata.level()).into(),
            target: texts.target.unwrap_or_else(|| cut(metadata.target().to_owned())),
            message: texts.message,
            fields: texts.fields,
        };
        if let Some(sent) = &self.sent {
            // Where there is no room it is left out there.
            let _ = sent.try_send(line.clone());
        }
        ring().push(line);
    }
}

#[derive(Default)]
struct Texts {
    /// What libraries that log by the crate `log` say of themselves.
    target: Option<String>,
    message: String,
    fields: BTreeMap<String, String>,
}

impl Texts {
    fn take(&mut self, field: &Field, value: String) {
        let value = cut(value);
        match field.name() {
            "message" => self.message = value,
            "log.target" => self.target = Some(value),
            name if name.starts_with("log.") || self.fields.len() == FIELDS_MAX => {}
            name => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn line(level: LogLevel, message: &str) -> LogLine {
        let (target, message) = ("dolmen".to_owned(), message.to_owned());
        LogLine { seq: 0, at_ms: 0, level, target, message, fields: BTreeMap::new() }
    }

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many() {
        let mut ring = Ring::new();
        for number in 0..LINES_MAX + 10 {
            ring.push(line(LogLevel::Info, &number.to_string()));
        }
        let part = ring.part(LogLevel::Trace, 0, usize::MAX);
        assert_eq!((part.lines.len(), part.first, part.next), (LINES_MAX, 11, LINES_MAX as u64 + 10));
        assert_eq!(part.lines[0].message, "10");
    }

    #[test]
    fn the_oldest_lines_go_when_they_are_too_long() {
        let mut ring = Ring::new();
        let long = "x".repeat(TEXT_BYTES_MAX);
        for _ in 0..2 * BYTES_MAX / TEXT_BYTES_MAX {
            ring.push(line(LogLevel::Info, &long));
        }
        let kept: usize = ring.lines.iter().map(LogLine::bytes).sum();
        assert!(ring.bytes == kept && kept <= BYTES_MAX && kept > BYTES_MAX / 2, "{kept}");
    }

    #[test]
    fn a_part_is_the_latest_of_what_is_asked_for() {
        let mut ring = Ring::new();
        for (level, text) in
            [(LogLevel::Info, "a"), (LogLevel::Error, "b"), (LogLevel::Info, "c"), (LogLevel::Warn, "d")]
        {
            ring.push(line(level, text));
        }
        let texts = |level, since, count| {
            let part = ring.part(level, since, count);
            part.lines.into_iter().map(|line| line.message).collect::<String>()
        };
        assert_eq!(texts(LogLevel::Trace, 0, 10), "abcd");
        assert_eq!(texts(LogLevel::Trace, 0, 2), "cd");
        assert_eq!(texts(LogLevel::Warn, 0, 10), "bd");
        assert_eq!(texts(LogLevel::Error, 0, 10), "b");
        assert_eq!(texts(LogLevel::Trace, 2, 10), "cd");
        assert_eq!(texts(LogLevel::Trace, 4, 10), "");
        assert_eq!(ring.part(LogLevel::Trace, 9, 10).next, 4);
        assert_eq!(Ring::new().part(LogLevel::Trace, 0, 10).first, 1);
    }

    #[test]
    fn events_are_kept_with_their_fields() {
        let subscriber = tracing_subscriber::registry().with(Keeper::new(None));
        let since = part(LogLevel::Trace, 0, 1).next;
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(height = 7, name = "box-0", error = %"broken", "a test's line");
            tracing::info!(long = "é".repeat(TEXT_BYTES_MAX), "a test's long line");
        });
        let kept = part(LogLevel::Trace, since, 100).lines;
        let own = kept.iter().find(|line| line.message == "a test's line").unwrap();
        assert_eq!((own.level, own.target.as_str()), (LogLevel::Warn, module_path!()));
        let fields: Vec<_> = own.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(fields, ["error=broken", "height=7", "name=box-0"]);
        let long = kept.iter().find(|line| line.message == "a test's long line").unwrap();
        assert_eq!(long.fields["long"].len(), TEXT_BYTES_MAX + '…'.len_utf8());
    }
}
