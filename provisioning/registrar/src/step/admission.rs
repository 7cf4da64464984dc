//! The chain: what a box has to know of it, and that it asks to be one of the chain's.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_bundle::{self as bundle, Admission, AdmissionExpectation};
use dolmen_provisioning_ca::chain::When;

use super::enrol::check_alarm;
use crate::{
    Answer, Chain, Event, Refusal, Registrar,
    peer::Member,
    registrar::{BundleFor, Turn},
    request::{consensus_key, is_same_key},
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
        self.check_consensus_key(serial, request)?;
        let held = one.membership.as_ref();
        let is_same = held.is_some_and(|(held, _)| held == request);
        let is_same_key = held.is_some_and(|(held, _)| is_same_key(held, request));
        let is_new = match held.map(|(_, membership)| membership) {
            Some(Membership::Admitted(role)) if is_same_key => return Ok(Answer::role(*role)),
            Some(Membership::TurnedAway(reason)) if is_same => {
                return Err(Refusal::TurnedAway { serial: serial.clone(), reason: reason.clone() });
            }
            // No chain takes a key back.
            Some(Membership::Retired) if is_same_key => return Err(Refusal::Retired(serial.clone())),
            Some(Membership::Asked) => !is_same,
            // The TPM is the one that enrolled, as at each enrolment: the same box, with another key.
            Some(Membership::Admitted(_) | Membership::TurnedAway(_) | Membership::Retired) | None => true,
        };
        check_alarm(serial, one)?;
        if is_new {
            self.record(turn, Event::AdmissionAsked { serial: serial.clone(), request: request.clone() })?;
        }
        // Again for one that asked before: its transaction may have been lost.
        self.effects_follow(turn, serial);
        Ok(Answer::wait(self.setup.policy.retry_seconds()))
    }

    /// A consensus key is of one box: whoever named another's would have that one retired with its own next key.
    fn check_consensus_key(&self, serial: &Serial, request: &str) -> Result<(), Refusal> {
        if consensus_key(request).is_none() {
            return Err(Refusal::AdmissionKey);
        }
        let others = self.state.boxes().iter().filter(|(other, _)| *other != serial);
        for (other, one) in others {
            let present = one.membership.as_ref().filter(|(_, membership)| membership.is_open()).map(|(held, _)| held);
            if one.former.iter().chain(present).any(|held| is_same_key(held, request)) {
                return Err(Refusal::AdmissionKeyOfOther { serial: serial.clone(), other: other.clone() });
            }
        }
        Ok(())
    }
}

fn appraisal_hash(one: &BoxState) -> Result<bundle::Hash, Refusal> {
    let appraised = one.appraised.as_ref().ok_or(Refusal::Order("enrol, so that the TPM is appraised"))?;
    Ok(bundle::Hash::from_bytes(*appraised.appraisal.hash().as_bytes()))
}
