//! Whom to call next, and when again.
//!
//! There is no clock here. Time is what was waited: a [`Step::Wait`](crate::Step::Wait) that is done moves it on. What
//! else takes time makes pauses longer, never shorter.

use crate::{
    Hint, Source,
    limits::{
        BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN, HINTS_PER_SOURCE_MAX, PLACES_MAX, REFUSED_SECONDS, ROUND_SECONDS_MAX,
    },
};

/// Seconds to pause after so many failures in a row: twice as many each time, up to 240, and up to half as many more by
/// chance, so that boxes that were powered on together do not call together.
#[must_use]
pub fn backoff_seconds(failures: u32, chance: u8) -> u32 {
    let doubled = BACKOFF_SECONDS_MIN.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(BACKOFF_SECONDS_MAX);
    let seconds = doubled.min(BACKOFF_SECONDS_MAX);
    seconds + seconds / 2 * u32::from(chance) / 255
}

/// Places that were hinted at, and from when on each may be called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    places: Vec<Place>,
    /// The place that was called last, as long as nothing speaks against it.
    preferred: Option<Hint>,
    /// Whether somebody looked for hints since the last pause.
    fresh: bool,
    /// How often in a row nobody was found.
    empty: u32,
    /// Seconds that were waited so far.
    now: u64,
    chance: u8,
}

#[derive(Clone, Debug)]
struct Place {
    hint: Hint,
    due: u64,
    failures: u32,
    /// Whether the last look found it.
    listed: bool,
}

impl Route {
    /// What chance adds to pauses.
    pub(crate) const fn chance(&self) -> u8 {
        self.chance
    }

    /// Takes what a look around found.
    pub(crate) fn discovered(&mut self, hints: Vec<Hint>, chance: u8) {
        (self.fresh, self.chance) = (true, chance);
        let mut listed: Vec<Place> = Vec::new();
        for source in Source::ALL {
            let of_source = hints.iter().filter(|hint| hint.source() == source);
            let mut left = HINTS_PER_SOURCE_MAX;
            for hint in of_source {
                if left > 0 && !listed.iter().any(|place| place.hint.is_at(hint)) {
                    left -= 1;
                    listed.push(self.place(hint));
                }
            }
        }
        self.empty = if listed.is_empty() { self.empty.saturating_add(1) } else { 0 };
        // Who is to be left alone still is, when a later announcement brings him back.
        let now = self.now;
        let hidden = self
            .places
            .iter()
            .filter(|place| place.due > now && !listed.iter().any(|other| other.hint.is_at(&place.hint)));
        let hidden: Vec<_> = hidden.cloned().map(|place| Place { listed: false, ..place }).collect();
        let room = PLACES_MAX - listed.len();
        let forgotten = hidden.len().saturating_sub(room);
        listed.extend(hidden.into_iter().skip(forgotten));
        self.places = listed;
        self.preferred = self.preferred.take().filter(|hint| self.places.iter().any(|place| place.hint.is_at(hint)));
    }

    fn place(&self, hint: &Hint) -> Place {
        let known = self.places.iter().find(|place| place.hint.is_at(hint));
        let (due, failures) = known.map_or((0, 0), |place| (place.due, place.failures));
        Place { hint: hint.clone(), due, failures, listed: true }
    }

    /// Whom to call now.
    pub(crate) fn next(&self) -> Option<&Hint> {
        let mut due = self.places.iter().filter(|place| place.listed && place.due <= self.now);
        let preferred = self.preferred.as_ref();
        let is_preferred = |place: &&Place| preferred.is_some_and(|hint| hint.is_at(&place.hint));
        due.clone().find(is_preferred).or_else(|| due.next()).map(|place| &place.hint)
    }

    /// Whether to look around, where there is nobody to call now.
    pub(crate) const fn is_stale(&self) -> bool {
        !self.fresh
    }

    /// Seconds to pause, where there is nobody to call now: until somebody is, or until it is time to look around again.
    pub(crate) fn pause_seconds(&self) -> u32 {
        let due = self.places.iter().filter(|place| place.listed).map(|place| place.due.saturating_sub(self.now)).min();
        match due {
            None => backoff_seconds(self.empty, self.chance).min(ROUND_SECONDS_MAX),
            Some(seconds) => u32::try_from(seconds).unwrap_or(u32::MAX).clamp(1, ROUND_SECONDS_MAX),
        }
    }

    pub(crate) fn waited(&mut self, seconds: u32) {
        self.now = self.now.saturating_add(seconds.into());
        self.fresh = false;
    }

    /// It did what it was asked.
    pub(crate) fn served(&mut self, hint: &Hint) {
        self.preferred = Some(hint.clone());
        if let Some(place) = self.find(hint) {
            place.failures = 0;
        }
    }

    /// It could not be reached, or said what nobody understands.
    pub(crate) fn failed(&mut self, hint: &Hint) {
        let chance = self.chance;
        let now = self.now;
        if let Some(place) = self.find(hint) {
            place.failures = place.failures.saturating_add(1);
            place.due = now.saturating_add(backoff_seconds(place.failures, chance).into());
        }
    }

    /// It refused, for good as far as it knows.
    pub(crate) fn refused(&mut self, hint: &Hint) {
        self.later(hint, REFUSED_SECONDS);
    }

    /// It said when to ask again.
    pub(crate) fn later(&mut self, hint: &Hint, seconds: u32) {
        let due = self.now.saturating_add(seconds.into());
        if let Some(place) = self.find(hint) {
            place.due = due;
        }
    }

    /// There is news: everybody may be called.
    pub(crate) fn wake(&mut self) {
        let now = self.now;
        self.fresh = false;
        for place in &mut self.places {
            place.due = place.due.min(now);
        }
    }

    fn find(&mut self, hint: &Hint) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.hint.is_at(hint))
    }
}

#[cfg(test)]
mod tests;
