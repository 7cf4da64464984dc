//! All consoles of a machine at once: they show the same, and whoever types first acts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, Timespec, poll};

use crate::{
    front::{Closed, Front},
    keys::Key,
    screen::View,
    seat::{Place, Seat},
    words::Language,
};

/// How long the console waits before it looks at its flag: a service has 90 s to stop.
const SLICE: Duration = Duration::from_millis(500);

/// The consoles of a machine.
///
/// Devices come and go, and none of that is an error: what is not there is tried again every two seconds, and everything is
/// drawn anew every ten, as nobody tells when a terminal is plugged in. Tab changes the language and Ctrl-L draws at once.
///
/// Dropped, it gives the terminals back: a program that a signal would end catches it and sets the flag of
/// [`Console::stop_on`], or the screen stays as it is, without the kernel's text.
#[derive(Debug)]
pub struct Console {
    seats: Vec<Seat>,
    language: Language,
    stop: Option<Arc<AtomicBool>>,
}

impl Console {
    /// Consoles in these places.
    pub fn new(language: Language, places: impl IntoIterator<Item = Place>) -> Self {
        let now = Instant::now();
        let seats = places.into_iter().map(|place| Seat::new(place, now)).collect();
        Self { seats, language, stop: None }
    }

    /// Stops within half a second of the flag being set: from then on every turn answers [`Closed`].
    pub fn stop_on(&mut self, flag: Arc<AtomicBool>) {
        self.stop = Some(flag);
    }

    /// The language that was chosen last.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The first key that is not for the console itself.
    fn next_key(&mut self) -> Option<Key> {
        for seat in &mut self.seats {
            while let Some(key) = seat.next_key() {
                match key {
                    Key::Tab => self.language = self.language.next(),
                    Key::Control('l') => seat.redraw(),
                    key => return Some(key),
                }
            }
        }
        None
    }

    fn show(&mut self, view: &dyn View) {
        let now = Instant::now();
        for seat in &mut self.seats {
            seat.tend(now);
            seat.show(view, self.language, now);
        }
    }

    /// Waits until something can be read or sent, or time is up, and does it.
    fn wait(&mut self, wait: Duration) {
        let now = Instant::now();
        let patience = self.seats.iter().map(|seat| seat.patience(now)).fold(wait.min(SLICE), Duration::min);
        let mut waiting: Vec<PollFd<'_>> = self.seats.iter().filter_map(Seat::poll).collect();
        let result = Timespec::try_from(patience).ok().map(|time| poll(&mut waiting, Some(&time)));
        // A signal ends the wait early, which does no harm; but never turn in circles.
        if matches!(result, None | Some(Err(_))) {
            thread::sleep(patience.min(Duration::from_millis(10)));
        }
        let now = Instant::now();
        self.seats.iter_mut().for_each(|seat| seat.serve(now));
    }
}

impl Front for Console {
    fn turn(&mut self, view: &dyn View, wait: Duration) -> Result<Option<Key>, Closed> {
        let end = Instant::now().checked_add(wait);
        let mut has_waited = false;
        loop {
            if self.stop.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Err(Closed);
            }
            // Before the view is shown, as Tab changes what it says.
            let key = self.next_key();
            self.show(view);
            if key.is_some() {
                return Ok(key);
            }
            let left = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() && has_waited {
                return Ok(None);
            }
            self.wait(left);
            has_waited = true;
        }
    }

    fn print(&mut self, line: &str) {
        let now = Instant::now();
        for seat in &mut self.seats {
            seat.tend(now);
            seat.print(line);
        }
    }

    fn speak(&mut self, language: Language) {
        self.language = language;
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.seats.iter_mut().for_each(Seat::end);
    }
}

#[cfg(test)]
mod tests;
