//! Enrolment: a box shows its TPM, is given a challenge that this TPM alone opens, and is judged by its answer.

use dolmen_hsm_evidence::Moment;
use dolmen_provisioning_appraisal::{self as appraisal, Appraisal, Bytes, Enrolment, Message as _, Response, Serial};

use crate::{
    Answer, Event, Fresh, Refusal, Registrar,
    limits::{CHALLENGE_SECONDS, CHALLENGES_MAX},
    peer::Pledge,
    record::OVERDUE,
    registrar::{Pending, Turn},
    state::BoxState,
};

impl Registrar {
    /// A box that has its voucher from elsewhere comes here first.
    pub(crate) fn begin_enrolment(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        body: &[u8],
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let enrolment = Enrolment::from_json(body)?;
        self.meet(turn, pledge)?;
        check_alarm(&pledge.serial, self.approved(pledge)?)?;
        // A TPM need not work for nothing.
        self.check_authority(turn)?;
        self.forget_old(turn.now);
        let serial = &pledge.serial;
        if !self.challenges.contains_key(serial) && self.challenges.len() >= CHALLENGES_MAX {
            return Err(Refusal::ChallengesFull);
        }
        let fresh = appraisal::Fresh::new(fresh.secret, fresh.nonce);
        let moment = i64::try_from(turn.now).map_or(Moment::Any, Moment::At);
        let (awaiting, challenge) = self.setup.verifier.begin(&enrolment, serial, fresh, moment)?;
        let answer = Answer::json(challenge.to_json()?);
        let until = turn.now.saturating_add(CHALLENGE_SECONDS);
        self.challenges.insert(serial.clone(), Pending { awaiting, until });
        Ok(answer)
    }

    pub(crate) fn finish_enrolment(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let response = Response::from_json(body)?;
        check_alarm(&pledge.serial, self.approved(pledge)?)?;
        self.forget_old(turn.now);
        let pending = self.challenges.remove(&pledge.serial);
        let pending = pending.ok_or_else(|| Refusal::NoChallenge(pledge.serial.clone()))?;
        let appraisal = pending.awaiting.finish(&response)?;
        self.check_unique(&pledge.serial, &appraisal)?;
        self.check_firmware(turn, &pledge.serial, &appraisal)?;
        let (serial, appraisal) = (pledge.serial.clone(), Bytes::new(appraisal.to_bytes())?);
        self.record(turn, Event::Appraised { serial, appraisal })?;
        Ok(Answer::empty(204))
    }

    /// A TPM and a key are of one box, and a box that has a certificate keeps its TPM.
    fn check_unique(&self, serial: &Serial, new: &Appraisal) -> Result<(), Refusal> {
        for (other, one) in self.state.boxes() {
            let Some(appraised) = &one.appraised else { continue };
            let held = &appraised.appraisal;
            if other == serial {
                if held.ek() != new.ek() && !one.certificates.is_empty() {
                    return Err(Refusal::TpmChanged(serial.clone()));
                }
            } else if held.ek() == new.ek() {
                return Err(Refusal::TpmOfOther { serial: serial.clone(), other: other.clone() });
            } else if held.ldevid() == new.ldevid() || held.ak_name() == new.ak_name() {
                return Err(Refusal::KeyOfOther { serial: serial.clone(), other: other.clone() });
            }
        }
        Ok(())
    }

    /// A box cannot enrol anew to hide that its firmware was changed.
    fn check_firmware(&mut self, turn: &mut Turn, serial: &Serial, new: &Appraisal) -> Result<(), Refusal> {
        let Some(one) = self.state.boxes().get(serial) else { return Ok(()) };
        let held = one.appraised.as_ref().filter(|_| !one.certificates.is_empty() && !one.may_change);
        let changed = held.is_some_and(|held| {
            let mut registers = held.appraisal.firmware().iter();
            registers.any(|(register, value)| new.firmware().get(register).is_some_and(|new| new != value))
        });
        if !changed {
            return Ok(());
        }
        let refusal = Refusal::FirmwareChanged(serial.clone());
        self.alarm(turn, serial, refusal.code())?;
        Err(refusal)
    }

    /// Drops what was not answered in time. A clock that was set back makes nothing older.
    pub(crate) fn forget_old(&mut self, now: u64) {
        self.challenges.retain(|_, pending| now <= pending.until);
        self.quotes.retain(|_, pending| now <= pending.until);
    }
}

/// A box under an alarm is looked at before it goes on. One that was only late may show what it is.
pub(crate) fn check_alarm(serial: &Serial, one: &BoxState) -> Result<(), Refusal> {
    match &one.alarm {
        Some(code) if code != OVERDUE => Err(Refusal::Alarmed { serial: serial.clone(), code: code.clone() }),
        _ => Ok(()),
    }
}
