//! An owner's box: it shows what it is, and asks for a certificate.

use dolmen_provisioning_appraisal::{Enrolment, Response};
use dolmen_provisioning_ca::{self as ca, Certificate, est};

use super::{At, Pledge};
use crate::{
    appraising::{Appraising, Showing},
    exchange::Exchange,
    fault::Fault,
    limits::TELLS_MAX,
    owner::Enrolled,
    trust::{self, CertificateRefusal},
};

/// What a box knows that asks its owner for a certificate. Nothing of it is stored: each step can be done again.
#[derive(Debug, Default)]
pub(super) struct Enrolling {
    /// Whether the registrar knows that its voucher is followed.
    pub(super) told: bool,
    /// How often it was told without an answer.
    tells: u8,
    /// The owner's authorities, and which of them is the root.
    authorities: Option<(Vec<Certificate>, Certificate)>,
    pub(super) appraising: Appraising,
    request: Option<(ca::Request, String)>,
    /// Why the new certificate is not taken, if the registrar was not told yet.
    pub(super) refused: Option<&'static str>,
}

impl Enrolling {
    pub(super) fn at(&self) -> At {
        if self.refused.is_some() {
            return At::Send(Exchange::EnrollStatus);
        }
        if !self.told {
            return At::Send(Exchange::VoucherStatus);
        }
        if self.authorities.is_none() {
            return At::Send(Exchange::CaCerts);
        }
        match self.appraising.next() {
            Some(Showing::Attest) => At::Attest,
            Some(Showing::Respond) => At::Respond,
            Some(Showing::Send(exchange)) => At::Send(exchange),
            None if self.request.is_none() => At::MakeRequest,
            None => At::Send(Exchange::SimpleEnroll),
        }
    }

    pub(super) fn body(&self, exchange: Exchange) -> &[u8] {
        match exchange {
            Exchange::Enrolment | Exchange::Response => self.appraising.body(exchange),
            _ => self.request.as_ref().map(|(_, body)| body.as_bytes()).unwrap_or_default(),
        }
    }

    /// The answer to a status got lost.
    pub(super) const fn not_told(&mut self) {
        self.tells = self.tells.saturating_add(1);
        self.told |= self.tells >= TELLS_MAX;
    }

    pub(super) fn disconnected(&mut self) {
        self.appraising.disconnected();
        self.refused = None;
    }

    /// All but what the registrar was told.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { told: self.told, tells: self.tells, ..Self::default() };
    }
}

impl Pledge {
    pub(super) fn authorities_are(&mut self, body: &[u8]) {
        let (Some(owner), Some(connection)) = (&self.owner, &self.connection) else { return };
        let pinned = owner.accepted.pinned_domain_cert();
        let authorities = est::read_certs(body).map_err(CertificateRefusal::Authorities);
        let found = authorities.and_then(|authorities| {
            let root = trust::root(pinned, &authorities, &connection.server)?;
            Ok((authorities, root))
        });
        match found {
            Ok(found) => self.enrolling.authorities = Some(found),
            Err(refusal) => self.refuse(refusal.code(), &refusal),
        }
    }

    pub(super) fn enrolment_is(&mut self, enrolment: &Enrolment) {
        if let Err(error) = self.enrolling.appraising.enrolment_is(enrolment) {
            self.fault(Fault::Attestation, &error.to_string());
        }
    }

    pub(super) fn challenge_is(&mut self, body: &[u8]) {
        if let Err(error) = self.enrolling.appraising.challenge_is(body) {
            self.refuse(Fault::Challenge.code(), &error);
        }
    }

    pub(super) fn response_is(&mut self, response: &Response) {
        if let Err(error) = self.enrolling.appraising.response_is(response) {
            self.fault(Fault::Response, &error.to_string());
        }
    }

    pub(super) fn request_is(&mut self, request: ca::Request) {
        let body = est::write_request(&request);
        self.enrolling.request = Some((request, body));
    }

    pub(super) fn certificate_is(&mut self, body: &[u8]) {
        let Some((request, _)) = &self.enrolling.request else { return };
        let Some((authorities, root)) = &self.enrolling.authorities else { return };
        let ldevid = est::read_enrolled(body, &request.public_key()).map_err(CertificateRefusal::Certificate);
        let chain =
            ldevid.and_then(|ldevid| trust::ldevid_chain(&ldevid, authorities, root, self.identity.serial_number()));
        match chain {
            Ok(chain) => {
                let enrolled = Enrolled { chain, authorities: authorities.clone(), root: root.clone(), bundled: None };
                if let Some(owner) = &mut self.owner {
                    (owner.enrolled, self.unsaved) = (Some(enrolled), true);
                }
                if let Some(connection) = &self.connection {
                    self.route.served(&connection.hint);
                }
            }
            Err(refusal) => {
                let hint = self.connection.as_ref().map(|connection| &connection.hint);
                self.refusal = Some(crate::Report::own(refusal.code(), &refusal, hint));
                self.enrolling.refused = Some(refusal.code());
            }
        }
    }
}
