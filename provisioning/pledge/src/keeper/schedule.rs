//! When a keeper has something to do.
//!
//! Two clocks say so, since neither is right alone. The box's may be wrong, or be set at any time: it is asked for
//! differences and for the certificate's standing. What was waited only grows, and is less than what passed.
//!
//! - A box attests when one of the two says that it is time, and also when the box's clock was set back behind the last
//!   attestation: rather too often than never.
//! - A box renews when its clock says so, but not before a third of the certificate's life was waited since it came:
//!   a certificate is due after two thirds, so that a clock that says so earlier is wrong. Also when people ask for it.

use dolmen_provisioning_ca::{UnixTime, Validity, renewal::Standing};

use crate::limits::{ATTEST_SECONDS_MAX, ATTEST_SECONDS_MIN, WAIT_SECONDS_MAX};

/// When there is something to do.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Whether the box is to attest at once, whatever the time.
    wanted: bool,
    attested: Option<Attested>,
    /// Seconds that were waited so far.
    waited: u64,
    /// When the present certificate came, in seconds waited; none where it was there at the start.
    renewed: Option<u64>,
    /// Whether somebody wants another one, whatever the time.
    renewal_wanted: bool,
}

/// An attestation that was accepted.
#[derive(Debug)]
struct Attested {
    /// By the box's clock.
    at: u64,
    /// In seconds waited.
    waited: u64,
    /// When to come again.
    again_seconds: u32,
}

impl Schedule {
    /// At a start: a box that booted shows itself.
    pub(super) const fn new() -> Self {
        Self { wanted: true, attested: None, waited: 0, renewed: None, renewal_wanted: false }
    }

    pub(super) const fn waited(&mut self, seconds: u32) {
        self.waited = self.waited.saturating_add(seconds as u64);
    }

    /// The box is to attest at once.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// An attestation was accepted. `again` is what the registrar said; `wanted` whether another one is wanted already.
    pub(super) fn attested(&mut self, at: u64, again: u32, wanted: bool) {
        let again_seconds = again.clamp(ATTEST_SECONDS_MIN, ATTEST_SECONDS_MAX);
        self.attested = Some(Attested { at, waited: self.waited, again_seconds });
        self.wanted = wanted;
    }

    /// By the box's clock.
    pub(super) fn last_attested(&self) -> Option<u64> {
        self.attested.as_ref().map(|attested| attested.at)
    }

    /// There is another certificate. It is shown at once.
    pub(super) const fn renewed(&mut self) {
        (self.renewed, self.wanted) = (Some(self.waited), true);
        self.renewal_wanted = false;
    }

    /// The box is to ask for another certificate at once, and until it has one.
    pub(super) const fn want_renewal(&mut self) {
        self.renewal_wanted = true;
    }

    /// Seconds until the box is to attest; 0 where it is to now.
    fn attest_in(&self, now: u64) -> u32 {
        let Some(Attested { at, waited, again_seconds }) = &self.attested else { return 0 };
        let Some(passed) = now.checked_sub(*at).filter(|_| !self.wanted) else { return 0 };
        let passed = passed.max(self.waited.saturating_sub(*waited));
        again_seconds.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }

    /// What is to be done, for a certificate that holds so long.
    pub(super) fn task(&self, validity: Validity, now: u64) -> Task {
        let standing = standing(validity, now);
        let life = validity.not_after().as_secs().saturating_sub(validity.not_before().as_secs());
        let is_new = self.renewed.is_some_and(|at| self.waited.saturating_sub(at) < life / 3);
        match (standing, self.attest_in(now)) {
            (Standing::Expired, _) if !is_new => Task::Enrol,
            (standing, _) if self.renewal_wanted || (standing.renew() && !is_new) => Task::Renew,
            (_, 0) => Task::Attest,
            (_, seconds) => Task::Rest(seconds.min(WAIT_SECONDS_MAX)),
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing for so many seconds, 60 at most.
    Rest(u32),
    /// To show the box.
    Attest,
    /// That, and then to ask for another certificate.
    Renew,
    /// To enrol anew: there is no certificate that holds.
    Enrol,
}

/// How a certificate stands. After the year 9999 is as at its end.
pub(super) fn standing(validity: Validity, now: u64) -> Standing {
    Standing::of(validity, UnixTime::from_secs(now).unwrap_or(UnixTime::MAX))
}

#[cfg(test)]
mod tests;
