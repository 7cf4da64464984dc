//! The end of a box that tells its registrar of it.

use dolmen_provisioning_ca::CrlReason;
use serde::Deserialize;

use crate::{Answer, Event, Refusal, Registrar, peer::Member, registrar::Turn};

/// What a box has to say: nothing but that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Departure {}

impl Registrar {
    /// Takes a box's certificates back, and its key from the chain. It may come back as a new box, if somebody approves it.
    pub(crate) fn departure(&mut self, turn: &mut Turn, member: &Member, body: &[u8]) -> Result<Answer, Refusal> {
        let Departure {} = serde_json::from_slice(body).map_err(|_| Refusal::Report)?;
        // The answer may have been lost.
        let revoked = self.state().revoked().get(member.certificate.serial());
        if revoked.is_some_and(|revocation| revocation.reason == CrlReason::CessationOfOperation) {
            return Ok(Answer::empty(204));
        }
        self.enrolled(member)?;
        self.forget(&member.serial);
        self.record(turn, Event::Left { serial: member.serial.clone() })?;
        self.retire_gone(turn, &member.serial);
        Ok(Answer::empty(204))
    }
}
