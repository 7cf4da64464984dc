//! A place where a person may sit: a screen with a keyboard, or a terminal on a serial line.

use std::{
    os::fd::AsFd as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};

use crate::{
    ansi,
    framebuffer::Framebuffer,
    grid::{Grid, printable},
    keys::{Key, Keys},
    layout::{Abilities, layout},
    plain,
    screen::View,
    terminal::Terminal,
    texts,
    words::Language,
};

/// Within that time a terminal has sent a whole sequence, at 1200 bit/s even.
const SEQUENCE: Duration = Duration::from_millis(50);

/// How often everything is drawn anew: who plugs in a cable waits no longer than that.
const REDRAW: Duration = Duration::from_secs(10);

/// How often devices are looked after: drivers are loaded late, and give way to others.
const RETRY: Duration = Duration::from_secs(2);

/// Where screens are shown, by paths of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A screen and its keyboard. Pixels in the chosen language where there is a framebuffer; else text in English, as the
    /// kernel's own font has no Chinese.
    Screen {
        /// The framebuffer.
        framebuffer: PathBuf,
        /// The virtual terminal, whose keyboard it is.
        terminal: PathBuf,
    },
    /// A terminal of UTF-8 on a serial line.
    Serial {
        /// The line.
        terminal: PathBuf,
    },
    /// Somebody who logs a serial line: changed lines without sequences. Nobody types there.
    Log {
        /// The line.
        terminal: PathBuf,
    },
}

impl Place {
    /// Those of a machine: the screen, and the first serial line.
    pub fn of_machine() -> Vec<Self> {
        vec![
            Self::Screen { framebuffer: "/dev/fb0".into(), terminal: "/dev/tty1".into() },
            Self::Serial { terminal: "/dev/ttyS0".into() },
        ]
    }

    fn terminal(&self) -> &PathBuf {
        match self {
            Self::Screen { terminal, .. } | Self::Serial { terminal } | Self::Log { terminal } => terminal,
        }
    }
}

/// A place with its open devices.
#[derive(Debug)]
pub(crate) struct Seat {
    place: Place,
    terminal: Option<Terminal>,
    framebuffer: Option<Framebuffer>,
    painter: ansi::Painter,
    printer: plain::Printer,
    keys: Keys,
    typed_at: Instant,
    retry_at: Instant,
    redraw_at: Instant,
    began: Instant,
}

impl Seat {
    pub(crate) fn new(place: Place, now: Instant) -> Self {
        Self {
            place,
            terminal: None,
            framebuffer: None,
            painter: ansi::Painter::new(),
            printer: plain::Printer::new(),
            keys: Keys::new(),
            typed_at: now,
            retry_at: now,
            redraw_at: now,
            began: now,
        }
    }

    /// Opens what is not open and forgets what was drawn, each when it is time.
    pub(crate) fn tend(&mut self, now: Instant) {
        if now >= self.retry_at {
            self.retry_at = now + RETRY;
            self.open();
        }
        if now >= self.redraw_at {
            self.redraw_at = now + REDRAW;
            self.redraw();
        }
    }

    fn open(&mut self) {
        if self.terminal.is_none() {
            self.terminal = Terminal::open(self.place.terminal()).ok();
            self.painter.forget();
            self.printer.forget();
        }
        let Place::Screen { framebuffer, .. } = &self.place else { return };
        self.framebuffer = self.framebuffer.take().filter(Framebuffer::is_current);
        let is_new = self.framebuffer.is_none();
        if is_new {
            self.framebuffer = Framebuffer::open(framebuffer).ok();
        }
        if let Some(terminal) = &mut self.terminal {
            if is_new {
                // A driver that took over meanwhile sets its video mode when the kernel's text comes back, and not before.
                terminal.graphics(false);
            }
            // Again and again, as whoever resets the terminal takes it back.
            terminal.graphics(self.framebuffer.is_some());
        }
    }

    /// Draws everything with the next view.
    pub(crate) fn redraw(&mut self) {
        self.painter.forget();
        if let Some(framebuffer) = &mut self.framebuffer {
            framebuffer.forget();
        }
    }

    /// Shows a view. A device that refuses is gone until it is tried again.
    pub(crate) fn show(&mut self, view: &dyn View, language: Language, now: Instant) {
        let hint = texts::KEY_LANGUAGE.get(language);
        if let Some(framebuffer) = &mut self.framebuffer {
            let grid = layout(&view.screen(language), framebuffer.size(), Abilities { zoom: true, hint });
            if framebuffer.show(&grid).is_err() {
                self.framebuffer = None;
            }
            return;
        }
        let Some(terminal) = self.terminal.as_mut().filter(|terminal| !terminal.is_busy()) else { return };
        let (language, hint) = match self.place {
            Place::Screen { .. } => (Language::English, ""),
            Place::Serial { .. } => (language, hint),
            Place::Log { .. } => (language, ""),
        };
        let grid = layout(&view.screen(language), terminal.size(), Abilities { zoom: false, hint });
        let bytes = self.bytes(&grid, now);
        self.send(&bytes);
    }

    fn bytes(&mut self, grid: &Grid, now: Instant) -> Vec<u8> {
        match self.place {
            Place::Log { .. } => self.printer.paint(grid, now.duration_since(self.began)),
            _ => self.painter.paint(grid),
        }
    }

    /// Prints a line on a serial line.
    pub(crate) fn print(&mut self, line: &str) {
        let bytes = match self.place {
            Place::Screen { .. } => return,
            Place::Serial { .. } => self.painter.print(line),
            Place::Log { .. } => format!("{}\r\n", printable(line)).into_bytes(),
        };
        self.send(&bytes);
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.terminal.as_mut().is_some_and(|terminal| terminal.send(bytes).is_err()) {
            self.terminal = None;
        }
    }

    /// What to wait for.
    pub(crate) fn poll(&self) -> Option<PollFd<'_>> {
        let terminal = self.terminal.as_ref()?;
        let out = if terminal.is_busy() { PollFlags::OUT } else { PollFlags::empty() };
        Some(PollFd::from_borrowed_fd(terminal.as_fd(), PollFlags::IN | out))
    }

    /// How long to wait at most.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        let until_tend = self.retry_at.min(self.redraw_at).saturating_duration_since(now);
        if self.keys.is_partial() { until_tend.min(SEQUENCE) } else { until_tend }
    }

    /// Sends and reads what can be.
    pub(crate) fn serve(&mut self, now: Instant) {
        let Some(terminal) = &mut self.terminal else { return };
        let result = terminal.flush().and_then(|()| terminal.read());
        match result {
            Ok(bytes) if !bytes.is_empty() => {
                self.typed_at = now;
                if !matches!(self.place, Place::Log { .. }) {
                    self.keys.feed(&bytes);
                }
            }
            Ok(_) => {}
            Err(_) => self.terminal = None,
        }
        if self.keys.is_partial() && now.duration_since(self.typed_at) >= SEQUENCE {
            self.keys.quiet();
        }
    }

    /// The key that was pressed first.
    pub(crate) fn next_key(&mut self) -> Option<Key> {
        self.keys.next_key()
    }

    /// Gives the terminal back, as far as it takes bytes at once. Behind pixels is the kernel's text, which comes back.
    pub(crate) fn end(&mut self) {
        if self.framebuffer.is_none() && !matches!(self.place, Place::Log { .. }) {
            let bytes = self.painter.end();
            self.send(&bytes);
        }
    }
}
