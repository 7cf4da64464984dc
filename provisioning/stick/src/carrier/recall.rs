//! What the box has made for letters that are on their way. It is not made anew, so that the replies fit after a loss
//! of power too.

use dolmen_provisioning_appraisal::{Challenge, Enrolment, Message as _, Response};
use dolmen_provisioning_bundle::{Admission, ChainBundle, limits::ADMISSION_BYTES_MAX};
use dolmen_provisioning_ca::{
    cms::{self, ContentType, Opened, Unsigned},
    est,
};
use dolmen_provisioning_pledge::{Key, Outcome, Step};

use super::{Carrier, Party};
use crate::path::{ADMISSION, ENROLMENT, RESPONSE, SIMPLEENROLL};

impl Carrier {
    /// What came of a step before, as long as the box is connected by a stick.
    pub(super) fn recall(&self, step: &Step<'_>) -> Option<Outcome> {
        let party = self.connection.as_ref()?;
        match step {
            Step::Attest => {
                let enrolment = Enrolment::from_json(self.body(ENROLMENT)?).ok()?;
                Some(Outcome::Enrolment(Box::new(enrolment)))
            }
            Step::Respond(challenge) if self.is_last(challenge) => {
                let response = Response::from_json(self.body(RESPONSE)?).ok()?;
                Some(Outcome::Response(Box::new(response)))
            }
            Step::MakeRequest => est::read_request(self.body(SIMPLEENROLL)?).ok().map(Outcome::Request),
            Step::MakeAdmission(chain) => self.admission_request(chain).map(Outcome::AdmissionRequest),
            Step::Sign { key: Key::LDevId, unsigned } => self.signed_admission(unsigned, party).map(Outcome::Signed),
            _ => None,
        }
    }

    /// The body of a request in the last letter that has one.
    fn body(&self, path: &str) -> Option<&[u8]> {
        let mut requests = self.exchanges.iter().rev().flat_map(|exchange| &exchange.letter.requests);
        requests.find(|request| request.path == path).map(|request| &request.body.0[..])
    }

    /// Whether it is the challenge that the last enrolment was answered with.
    fn is_last(&self, challenge: &Challenge) -> bool {
        let answer = self.exchanges.iter().rev().find_map(|exchange| {
            let place = exchange.letter.requests.iter().position(|request| request.path == ENROLMENT)?;
            exchange.reply.as_ref()?.reply.answers.get(place)
        });
        answer.and_then(|answer| Challenge::from_json(&answer.body.0).ok()).is_some_and(|found| found == *challenge)
    }

    /// The admission that the box asked for.
    fn admission(&self) -> Option<(&[u8], Opened, Admission)> {
        let message = self.body(ADMISSION)?;
        let opened = cms::open(message, ContentType::data(ADMISSION_BYTES_MAX)).ok()?;
        let admission = Admission::from_json(opened.content()).ok()?;
        Some((message, opened, admission))
    }

    /// What the consensus key asked for, if it was this chain's admission.
    fn admission_request(&self, chain: &ChainBundle) -> Option<String> {
        let (_, _, admission) = self.admission()?;
        let asked = (admission.chain_id, admission.genesis_hash, admission.appraisal);
        (asked == (chain.chain_id, chain.genesis_hash, chain.appraisal)).then_some(admission.request)
    }

    /// The message that says the same, by the same certificate.
    fn signed_admission(&self, unsigned: &Unsigned, party: &Party) -> Option<Vec<u8>> {
        let (message, opened, admission) = self.admission()?;
        let again = admission.to_sign(&party.chain).ok()?;
        let is_same = again.message() == unsigned.message() && party.chain.first() == Some(opened.signer());
        is_same.then(|| message.to_vec())
    }
}
