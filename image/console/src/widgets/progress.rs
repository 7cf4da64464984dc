//! How far something is, how fast, and how long it will take.

use std::{collections::VecDeque, time::Duration};

use crate::{
    screen::{Block, Line, Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// Over what time the speed is measured. A stick that pauses for a second does not make it jump.
const WINDOW: Duration = Duration::from_secs(10);

/// Samples of that time: two in a second.
const SAMPLES_MAX: usize = 20;

/// Measures how fast bytes go by. The clock is the caller's: any that never goes back, from any beginning.
#[derive(Clone, Debug)]
pub struct Meter {
    all: u64,
    done: u64,
    began: Option<Duration>,
    now: Duration,
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Nothing is done of so many bytes.
    pub fn new(all: u64) -> Self {
        Self { all, done: 0, began: None, now: Duration::ZERO, samples: VecDeque::new() }
    }

    /// So many bytes are done at this time.
    pub fn at(&mut self, now: Duration, done: u64) {
        self.began.get_or_insert(now);
        (self.now, self.done) = (now, done.min(self.all));
        while self.samples.len() > 1 && self.samples.front().is_some_and(|(time, _)| now.saturating_sub(*time) > WINDOW)
        {
            self.samples.pop_front();
        }
        let step = WINDOW / u32::try_from(SAMPLES_MAX).unwrap_or(1);
        if self.samples.back().is_none_or(|(time, _)| now.saturating_sub(*time) >= step) {
            self.samples.push_back((now, self.done));
        }
    }

    /// Bytes in a second; `None` until a second has passed.
    pub fn speed(&self) -> Option<u64> {
        let (since, before) = self.samples.front()?;
        let passed = self.now.checked_sub(*since).filter(|passed| *passed >= Duration::from_secs(1))?;
        let bytes = u128::from(self.done.saturating_sub(*before));
        u64::try_from(bytes * 1000 / passed.as_millis()).ok()
    }

    /// How long the rest takes at this speed; `None` while there is none.
    pub fn left(&self) -> Option<Duration> {
        let speed = self.speed().filter(|speed| *speed > 0)?;
        Some(Duration::from_secs((self.all - self.done).div_ceil(speed)))
    }

    /// How long it has taken so far.
    pub fn passed(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| self.now.saturating_sub(began))
    }

    /// Thousandths that are done; all of them where there is nothing to do.
    pub fn thousandths(&self) -> u16 {
        let parts = (u128::from(self.done) * 1000).checked_div(u128::from(self.all)).unwrap_or(1000);
        u16::try_from(parts).unwrap_or(1000)
    }
}

/// A step that takes its time.
#[derive(Clone, Debug)]
pub struct Progress {
    title: Phrase,
    texts: Vec<(Role, Phrase)>,
    /// Bytes of the step.
    pub meter: Meter,
}

impl Progress {
    /// A step over so many bytes.
    pub fn new(title: impl Into<Phrase>, all: u64) -> Self {
        Self { title: title.into(), texts: Vec::new(), meter: Meter::new(all) }
    }

    /// With a text above the bar.
    #[must_use]
    pub fn text(mut self, role: Role, text: impl Into<Phrase>) -> Self {
        self.texts.push((role, text.into()));
        self
    }
}

impl View for Progress {
    fn screen(&self, language: Language) -> Screen {
        let mut screen = Screen::new(self.title.get(language));
        super::put_texts(&mut screen, &self.texts, language);
        let meter = &self.meter;
        screen.push(Block::Bar(meter.thousandths()));
        let percent = format!("{:3} %", meter.thousandths() / 10);
        let bytes = texts::PROGRESS_BYTES.with(&[("done", &bytes_text(meter.done)), ("all", &bytes_text(meter.all))]);
        let mut line = Line::new().strong(percent).text("  ").text(bytes.get(language));
        if let Some(speed) = meter.speed() {
            line = line.text(format!("  {}/s", bytes_text(speed)));
        }
        screen.line(line);
        let time = match meter.left() {
            Some(left) if meter.done < meter.all => texts::PROGRESS_LEFT.with(&[("time", &clock(left))]),
            _ => texts::PROGRESS_PASSED.with(&[("time", &clock(meter.passed()))]),
        };
        screen.line(Line::new().quiet(time.get(language)));
        screen
    }
}

/// Bytes as people count them, by thousands as the makers of disks do: `412.0 MB`.
pub fn bytes_text(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) / 100;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A time of minutes and seconds, or of hours: `4:05`, `1:00:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        1..=99 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => "> 99:59:59".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_of_the_last_seconds() {
        let mut meter = Meter::new(100_000_000);
        let start = Duration::from_secs(1000);
        meter.at(start, 0);
        assert_eq!((meter.speed(), meter.left(), meter.thousandths()), (None, None, 0));
        // Ten seconds of one speed, then another for longer than the window.
        for tenth in 1..=100_u64 {
            meter.at(start + Duration::from_millis(tenth * 100), tenth * 100_000);
        }
        assert_eq!(meter.speed(), Some(1_000_000));
        assert_eq!(meter.left(), Some(Duration::from_secs(90)));
        for tenth in 1..=120_u64 {
            meter.at(start + Duration::from_millis(10_000 + tenth * 100), 10_000_000 + tenth * 400_000);
        }
        assert_eq!(meter.speed(), Some(4_000_000));
        assert_eq!(meter.passed(), Duration::from_secs(22));
        assert!(meter.samples.len() <= SAMPLES_MAX + 2);
    }

    #[test]
    fn what_stands_still_has_no_end() {
        let mut meter = Meter::new(10);
        for second in 0..100 {
            meter.at(Duration::from_secs(second), 5);
        }
        assert_eq!((meter.speed(), meter.left()), (Some(0), None));
        meter.at(Duration::from_secs(100), 999);
        assert_eq!((meter.done, meter.thousandths()), (10, 1000));
        assert_eq!(Meter::new(0).thousandths(), 1000);
        let mut huge = Meter::new(u64::MAX);
        huge.at(Duration::ZERO, 0);
        huge.at(Duration::from_secs(1), u64::MAX);
        assert_eq!(huge.thousandths(), 1000);
    }

    #[test]
    fn numbers_for_people() {
        let texts = [0, 999, 1000, 999_999, 1_000_000, 412_040_000, 4_000_000_000_000, u64::MAX].map(bytes_text);
        assert_eq!(
            texts,
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "412.0 MB", "4.0 TB", "18446.7 PB"].map(String::from)
        );
        assert_eq!(
            [5, 65, 3600, 9_000_000].map(|s| clock(Duration::from_secs(s))),
            ["0:05", "1:05", "1:00:00", "> 99:59:59"]
        );
    }
}
