//! The same box later: whether it still is the one that enrolled.

use dolmen_provisioning_appraisal::{self as appraisal, Acknowledgement, Drift, Message as _, Reattestation, Serial};

use crate::{
    Answer, Change, Effect, Event, Fresh, OnDrift, Refusal, Registrar, Role, Who,
    limits::{CHALLENGE_SECONDS, QUOTES_MAX},
    peer::Member,
    record::OVERDUE,
    registrar::{Pending, Turn},
    state::{BoxState, Membership, Standing},
};

impl Registrar {
    pub(crate) fn ask_quote(&mut self, turn: &mut Turn, member: &Member, fresh: Fresh) -> Result<Answer, Refusal> {
        let appraised = self.enrolled(member)?.appraised.clone();
        let appraised = appraised.ok_or(Refusal::Order("enrol, so that the TPM is appraised"))?;
        self.forget_old(turn.now);
        if !self.quotes.contains_key(&member.serial) && self.quotes.len() >= QUOTES_MAX {
            return Err(Refusal::ChallengesFull);
        }
        let (awaiting, request) = self.setup.verifier.ask(appraised.appraisal, appraised.seen, fresh.nonce);
        let answer = Answer::json(request.to_json()?);
        let until = turn.now.saturating_add(CHALLENGE_SECONDS);
        self.quotes.insert(member.serial.clone(), Pending { awaiting, until });
        Ok(answer)
    }

    pub(crate) fn attestation(&mut self, turn: &mut Turn, member: &Member, body: &[u8]) -> Result<Answer, Refusal> {
        let answer = Reattestation::from_json(body)?;
        self.enrolled(member)?;
        self.forget_old(turn.now);
        let serial = member.serial.clone();
        let pending = self.quotes.remove(&serial).ok_or_else(|| Refusal::NoChallenge(serial.clone()))?;
        match pending.awaiting.finish(&answer) {
            Ok(found) => {
                let (counters, version) = (found.counters(), found.version().to_string());
                let (resets, restarts) = (counters.resets, counters.restarts);
                self.record(turn, Event::Attested { serial, version, resets, restarts })?;
                let again_seconds = self.setup.policy.attestation_seconds();
                // Ten years at most, which is less.
                let again_seconds = u32::try_from(again_seconds).unwrap_or(u32::MAX);
                Ok(Answer::json(Acknowledgement { again_seconds }.to_json()?))
            }
            Err(refusal) => {
                if is_firmware(&refusal) && self.enrolled(member)?.may_change {
                    return Err(Refusal::EnrolAnew(serial));
                }
                if is_change(&refusal) {
                    self.alarm(turn, &serial, refusal.code())?;
                }
                Err(refusal.into())
            }
        }
    }

    /// Boxes that are to attest at a time, and since when: those that are members and have not for as long as the policy
    /// says.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<(Serial, u64)> {
        let seconds = self.setup.policy.attestation_seconds();
        let due = self.attesting().map(|(serial, at)| (serial.clone(), at.saturating_add(seconds)));
        due.filter(|(_, since)| *since <= now).collect()
    }

    /// Raises an alarm about each box that should have attested long ago. To be called now and then.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`] does not happen.
    pub fn tick(&mut self, now: u64) -> Result<Change, Refusal> {
        self.forget_old(now);
        let mut turn = Turn::new(now, Who::Registrar);
        let seconds = self.setup.policy.overdue_seconds();
        let late = self.attesting().filter(|(_, at)| at.saturating_add(seconds) < now);
        let late: Vec<_> = late.map(|(serial, _)| serial.clone()).collect();
        for serial in late {
            self.alarm(&mut turn, &serial, OVERDUE)?;
        }
        Ok(turn.into())
    }

    /// Boxes that have a certificate, and when they were last judged.
    fn attesting(&self) -> impl Iterator<Item = (&Serial, u64)> {
        self.state.boxes().iter().filter_map(|(serial, one)| {
            let attests = one.standing == Standing::Approved && !one.certificates.is_empty();
            let appraised = one.appraised.as_ref().filter(|_| attests)?;
            Some((serial, appraised.at))
        })
    }

    /// Raises an alarm, once for each reason. It stays until somebody looked at the box ([`Registrar::allow_change`]), or,
    /// where the box was late alone, until it attests.
    pub(crate) fn alarm(&mut self, turn: &mut Turn, serial: &Serial, code: &str) -> Result<(), Refusal> {
        let held = self.state.boxes().get(serial).and_then(|one| one.alarm.as_deref());
        // What was found weighs more than what was not shown.
        if held == Some(code) || (code == OVERDUE && held.is_some()) {
            return Ok(());
        }
        self.record_own(turn, Event::Alarm { serial: serial.clone(), code: code.to_owned() })?;
        let effect = self.state.boxes().get(serial).and_then(|one| self.effect_of_alarm(serial, one));
        turn.effects.extend(effect);
        Ok(())
    }

    /// What the policy wants to be done about a box with an alarm.
    pub(crate) fn effect_of_alarm(&self, serial: &Serial, one: &BoxState) -> Option<Effect> {
        let code = one.alarm.clone().filter(|code| code != OVERDUE)?;
        let (request, membership) = one.membership.as_ref()?;
        let (serial, request) = (serial.clone(), request.clone());
        match (self.setup.policy.on_drift(), membership) {
            // One that follows has no vote to lose.
            (OnDrift::Demote, Membership::Admitted(Role::Validator)) => Some(Effect::Demote { serial, request, code }),
            (OnDrift::Retire, Membership::Admitted(_)) => Some(Effect::Retire { serial, request, code }),
            _ => None,
        }
    }
}

/// Whether firmware, its settings or the hardware are all that is otherwise: that is judged last.
const fn is_firmware(refusal: &appraisal::Refusal) -> bool {
    matches!(refusal, appraisal::Refusal::Drift(Drift::Register { .. }))
}

/// Whether a refusal says that the box is another than it was, or runs something else. What a cut connection or an old
/// quote makes is none.
fn is_change(refusal: &appraisal::Refusal) -> bool {
    use appraisal::Refusal as R;
    matches!(
        refusal,
        R::Drift(_)
            | R::PcrMismatch { .. }
            | R::LogMismatch { .. }
            | R::ImageRoot { .. }
            | R::ImageForbidden(_)
            | R::ImageUnknown(_)
            | R::ImageTestKeys(_)
            | R::SecurityVersion { .. }
            | R::BootPhase(_)
    )
}
