//! The chain: what a box has to know of it, and that it asks to be one of the chain's.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_bundle::{self as bundle, Admission, AdmissionExpectation};
use dolmen_provisioning_ca::chain::When;

use super::enrol::check_alarm;
use crate::{
    Answer, Chain, Effect, Event, Refusal, Registrar,
    peer::Member,
    registrar::{BundleFor, Turn},
    state::{BoxState, Membership},
};

impl Registrar {
    /// A bundle is made anew each time: peers and checkpoints change.
    pub(crate) async fn bundle(
        &mut self,
        turn: &mut Turn,
        member: &Member,
        chain: Option<&Chain>,
    ) -> Result<Answer, Refusal> {
        let appraisal = appraisal_hash(self.enrolled(member)?)?;
        let chain = chain.ok_or(Refusal::NoChain)?;
        let serial_number = member.serial.as_str().parse().map_err(|_| Refusal::NoSerial)?;
        let content = BundleFor { serial_number, issued_at: turn.time()?, appraisal };
        let unsigned = chain.bundle(&self.setup, content).to_sign(&self.setup.certificates);
        let message = unsigned.map_err(Refusal::Bundle)?.sign(&*self.setup.signer).await.map_err(Refusal::Sign)?;
        self.record(turn, Event::Bundled { serial: member.serial.clone(), bundle: Hash::of(&message) })?;
        Ok(Answer::cms(message))
    }

    /// The box's own word that it asks for this is what the chain's admission rests on.
    pub(crate) fn admission(
        &mut self,
        turn: &mut Turn,
        member: &Member,
        body: &[u8],
        chain: Option<&Chain>,
    ) -> Result<Answer, Refusal> {
        let one = self.enrolled(member)?;
        let appraisal = appraisal_hash(one)?;
        let chain = chain.ok_or(Refusal::NoChain)?;
        let expectation = AdmissionExpectation {
            organisation: std::slice::from_ref(self.setup.authority.certificate()),
            when: When::At(turn.time()?),
            // The signer has to be the box that is connected, which was not revoked.
            crls: &[],
            chain_id: chain.chain_id,
            genesis_hash: chain.genesis_hash,
            appraisal: Some(appraisal),
        };
        let verified = Admission::verify(body, &expectation)?;
        if *verified.ldevid() != member.certificate {
            return Err(Refusal::OtherSigner);
        }
        let request = &verified.content().request;
        let serial = &member.serial;
        let held = one.membership.as_ref();
        let is_same = held.is_some_and(|(held, _)| held == request);
        let may_ask = match held.map(|(_, membership)| membership) {
            Some(Membership::Admitted(role)) if is_same => return Ok(Answer::role(*role)),
            Some(Membership::Admitted(_)) => return Err(Refusal::AdmissionOther(serial.clone())),
            Some(Membership::TurnedAway(reason)) if is_same => {
                return Err(Refusal::TurnedAway { serial: serial.clone(), reason: reason.clone() });
            }
            Some(Membership::Retired) if is_same => return Err(Refusal::Retired(serial.clone())),
            Some(Membership::Asked) => !is_same,
            Some(Membership::TurnedAway(_) | Membership::Retired) | None => true,
        };
        check_alarm(serial, one)?;
        let replaces = one.replaces.clone();
        if may_ask {
            self.record(turn, Event::AdmissionAsked { serial: serial.clone(), request: request.clone() })?;
        }
        // Again for one that asked before: its transaction may have been lost.
        let appraisal = Hash::from_bytes(*appraisal.as_bytes());
        turn.effects.push(Effect::Admit { serial: serial.clone(), request: request.clone(), appraisal, replaces });
        Ok(Answer::wait(self.setup.policy.retry_seconds()))
    }
}

fn appraisal_hash(one: &BoxState) -> Result<bundle::Hash, Refusal> {
    let appraised = one.appraised.as_ref().ok_or(Refusal::Order("enrol, so that the TPM is appraised"))?;
    Ok(bundle::Hash::from_bytes(*appraised.appraisal.hash().as_bytes()))
}
