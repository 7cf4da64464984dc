//! Whether a box is known, and may go on.

use dolmen_provisioning_appraisal::Serial;

use crate::{
    Event, Refusal, Registrar,
    limits::BOXES_MAX,
    peer::{Member, Pledge},
    registrar::Turn,
    state::{BoxState, Standing},
};

impl Registrar {
    /// Makes a box known that comes for the first time, if it may come. Whether it may go on is another question.
    pub(crate) fn meet(&mut self, turn: &mut Turn, pledge: &Pledge) -> Result<(), Refusal> {
        if let Some(one) = self.state.boxes().get(&pledge.serial) {
            return check_idevid(pledge, one);
        }
        let serial = &pledge.serial;
        if self.state.boxes().len() >= BOXES_MAX {
            return Err(Refusal::BoxesFull);
        }
        let by_policy = self.setup.policy.approves(serial, pledge.maker);
        let waits = !by_policy && !self.state.expected().contains(serial);
        if waits && self.state.waiting().count() >= self.setup.policy.waiting_max() {
            return Err(Refusal::InboxFull);
        }
        self.record(turn, Event::Seen { serial: serial.clone(), idevid: pledge.fingerprint })?;
        if by_policy {
            self.record_own(turn, Event::Approved { serial: serial.clone() })?;
        }
        Ok(())
    }

    /// A box that may go on.
    pub(crate) fn approved(&self, pledge: &Pledge) -> Result<&BoxState, Refusal> {
        let one = self.state.boxes().get(&pledge.serial).ok_or(Refusal::Order("ask for a voucher"))?;
        check_idevid(pledge, one)?;
        check_standing(&pledge.serial, one)?;
        Ok(one)
    }

    /// A box that has enrolled, and shows a certificate that counts.
    pub(crate) fn enrolled(&self, member: &Member) -> Result<&BoxState, Refusal> {
        let one = self.state.boxes().get(&member.serial);
        let one = one.ok_or_else(|| Refusal::NotIssued(member.serial.clone()))?;
        check_standing(&member.serial, one)?;
        if !one.certificates.contains(&member.certificate) {
            return Err(Refusal::NotIssued(member.serial.clone()));
        }
        Ok(one)
    }
}

fn check_idevid(pledge: &Pledge, one: &BoxState) -> Result<(), Refusal> {
    if one.idevid == pledge.fingerprint { Ok(()) } else { Err(Refusal::OtherIdevid(pledge.serial.clone())) }
}

fn check_standing(serial: &Serial, one: &BoxState) -> Result<(), Refusal> {
    let serial = serial.clone();
    match &one.standing {
        Standing::Approved => Ok(()),
        Standing::Waiting => Err(Refusal::NotApproved(serial)),
        Standing::Declined(reason) => Err(Refusal::Declined { serial, reason: reason.clone() }),
        Standing::Revoked(reason) => Err(Refusal::Revoked { serial, reason: reason.clone() }),
        Standing::Replaced(new) => Err(Refusal::Replaced { old: serial, new: new.clone() }),
    }
}
