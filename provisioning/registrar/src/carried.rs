//! What somebody carries: days lie between a challenge and its answer.
//!
//! Challenges of carried requests are kept apart from those of connections, by bounds of their own: neither takes the
//! other's place, and a box that comes both ways has one of each.

use std::mem;

use crate::{
    Answer, Fresh, Refusal, Registrar,
    limits::{CARRIED_CHALLENGE_SECONDS, CARRIED_CHALLENGES_MAX},
    peer::Pledge,
    registrar::{Pending, Turn},
};

impl Registrar {
    /// As [`begin_enrolment`](Self::begin_enrolment), for a box whose answer takes days.
    pub(crate) fn begin_carried(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        body: &[u8],
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        self.carried.retain(|_, pending| turn.now <= pending.until);
        if !self.carried.contains_key(&pledge.serial) && self.carried.len() >= CARRIED_CHALLENGES_MAX {
            return Err(Refusal::ChallengesFull);
        }
        let held = mem::take(&mut self.challenges);
        let answer = self.begin_enrolment(turn, pledge, body, fresh);
        let begun = mem::replace(&mut self.challenges, held);
        let until = turn.now.saturating_add(CARRIED_CHALLENGE_SECONDS);
        self.carried.extend(begun.into_iter().map(|(serial, pending)| (serial, Pending { until, ..pending })));
        answer
    }

    /// As [`finish_enrolment`](Self::finish_enrolment), of a challenge that was carried.
    pub(crate) fn finish_carried(&mut self, turn: &mut Turn, pledge: &Pledge, body: &[u8]) -> Result<Answer, Refusal> {
        let carried = mem::take(&mut self.carried);
        let held = mem::replace(&mut self.challenges, carried);
        // It forgets those that are too old.
        let answer = self.finish_enrolment(turn, pledge, body);
        self.carried = mem::replace(&mut self.challenges, held);
        answer
    }
}
