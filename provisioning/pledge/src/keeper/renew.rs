//! What is done over one connection: the box shows itself, and is given another certificate if it is time.

use dolmen_provisioning_appraisal::{
    Acknowledgement, Challenge, Enrolment, Message as _, QuoteRequest, Reattestation, Response,
};
use dolmen_provisioning_ca::{self as ca, Certificate, PublicKey, est};

use super::{At, Keeper, Task};
use crate::{Key, appraising::Appraising, exchange::Exchange, fault::Fault, trust::CertificateRefusal};

/// What is known for one connection.
#[derive(Debug, Default)]
pub(super) struct Round {
    quote: Option<QuoteRequest>,
    reattestation: Option<Vec<u8>>,
    /// Whether another attestation was asked for when this one was on its way.
    pub(super) again: bool,
    /// Whether the registrar has found the box to be as it was, and there is more to do.
    attested: bool,
    /// Instead of that, for a box without a certificate.
    appraising: Appraising,
    request: Option<(PublicKey, String)>,
    /// The new certificate, as long as nobody knows who issued it.
    issued: Option<Certificate>,
}

impl Round {
    pub(super) fn at(&self, key: Key) -> At {
        match (key, self.appraising.next()) {
            (Key::IDevId, Some(showing)) => showing.into(),
            (Key::LDevId, _) if !self.attested => match self {
                Self { quote: None, .. } => At::Send(Exchange::AskQuote),
                Self { reattestation: None, .. } => At::Reattest,
                Self { .. } => At::Send(Exchange::Attestation),
            },
            _ => match self {
                Self { issued: Some(_), .. } => At::Send(Exchange::CaCerts),
                Self { request: Some(_), .. } => At::Send(Exchange::SimpleReenroll),
                Self { .. } => At::MakeRenewal,
            },
        }
    }

    /// What is to be sent.
    pub(super) fn body(&self, exchange: Exchange) -> &[u8] {
        match exchange {
            Exchange::Attestation => self.reattestation.as_deref().unwrap_or_default(),
            Exchange::Enrolment | Exchange::Response => self.appraising.body(exchange),
            // There is no more to say.
            Exchange::Departure => b"{}",
            Exchange::SimpleReenroll => self.request.as_ref().map(|(_, body)| body.as_bytes()).unwrap_or_default(),
            _ => &[],
        }
    }

    pub(super) const fn quote(&self) -> Option<&QuoteRequest> {
        self.quote.as_ref()
    }

    pub(super) const fn challenge(&self) -> Option<&Challenge> {
        self.appraising.challenge()
    }

    pub(super) const fn accepted(&mut self) {
        self.appraising.accepted();
    }
}

impl Keeper {
    pub(super) fn quote_is(&mut self, body: &[u8]) {
        match QuoteRequest::from_json(body) {
            Ok(quote) => self.round.quote = Some(quote),
            Err(error) => self.refuse(Fault::QuoteRequest.code(), &error),
        }
    }

    pub(super) fn reattestation_is(&mut self, reattestation: &Reattestation) {
        match reattestation.to_json() {
            Ok(json) => self.round.reattestation = Some(json),
            Err(error) => self.fault(Fault::Attestation, &error.to_string()),
        }
    }

    /// The box is as it was. A certificate that is due is renewed at once: the registrar wants that to be close together.
    pub(super) fn acknowledged(&mut self, body: &[u8], now: u64) {
        let Ok(Acknowledgement { again_seconds }) = Acknowledgement::from_json(body) else {
            return self.strange("the answer does not say when to attest again");
        };
        self.schedule.attested(now, again_seconds, self.round.again);
        self.unproven = false;
        // Whatever was in the way before is not any more.
        (self.refusal, self.failure) = (None, None);
        if self.schedule.task(self.member.certificate().validity(), now) == Task::Renew {
            self.round.attested = true;
        } else {
            self.served();
        }
    }

    pub(super) fn enrolment_is(&mut self, enrolment: &Enrolment) {
        if let Err(error) = self.round.appraising.enrolment_is(enrolment) {
            self.fault(Fault::Attestation, &error.to_string());
        }
    }

    pub(super) fn challenge_is(&mut self, body: &[u8]) {
        if let Err(error) = self.round.appraising.challenge_is(body) {
            self.refuse(Fault::Challenge.code(), &error);
        }
    }

    pub(super) fn response_is(&mut self, response: &Response) {
        if let Err(error) = self.round.appraising.response_is(response) {
            self.fault(Fault::Response, &error.to_string());
        }
    }

    pub(super) fn request_is(&mut self, request: &ca::Request) {
        let key = request.public_key();
        if self.member.certificate().public_key() != Ok(key) {
            let text = "the key that asks for another certificate is not that of the box's present one; if \
                        that key is lost, decommission the box and have its maker issue a voucher with a greater \
                        ownership epoch";
            return self.fault(Fault::RequestOtherKey, text);
        }
        self.round.request = Some((key, est::write_request(request)));
    }

    pub(super) fn certificate_is(&mut self, body: &[u8]) {
        let Some((key, _)) = &self.round.request else { return };
        match est::read_enrolled(body, key) {
            Ok(certificate) if self.member.knows_issuer(&certificate) => self.renew(&certificate, None),
            Ok(certificate) => self.round.issued = Some(certificate),
            Err(error) => self.refuse_certificate(&CertificateRefusal::Certificate(error)),
        }
    }

    /// Who may have issued the certificate: the root that was trusted before has to vouch for them.
    pub(super) fn authorities_are(&mut self, body: &[u8]) {
        let Some(certificate) = self.round.issued.take() else { return };
        match est::read_certs(body) {
            Ok(authorities) => self.renew(&certificate, Some(authorities)),
            Err(error) => self.refuse_certificate(&CertificateRefusal::Authorities(error)),
        }
    }

    fn renew(&mut self, certificate: &Certificate, authorities: Option<Vec<Certificate>>) {
        match self.member.renewed(certificate, authorities, &self.identity) {
            Ok(member) => {
                self.served();
                self.renewed = Some(member);
            }
            Err(refusal) => self.refuse_certificate(&refusal),
        }
    }

    /// The new certificate outlives a loss of power: from now on it is the box's. It is shown at once.
    pub(super) fn stored(&mut self) {
        let Some(member) = self.renewed.take() else { return };
        self.member = member;
        self.unproven = self.task == Task::Enrol;
        self.disowned = false;
        self.schedule.renewed();
    }
}
