//! A model of a registrar: it judges all that a real one judges, but for the TPM.

use std::collections::HashMap;

use dolmen_image_bundle::Hash as ImageHash;
use dolmen_provisioning_appraisal::{
    Acknowledgement, Bytes, Challenge, Enrolment, Fixed, Message as _, QuoteRequest, Reattestation, Response,
    activation_proof,
};
use dolmen_provisioning_bundle::{Admission, AdmissionExpectation, ChainBundle, Hash, Organisation as Member, Peer};
use dolmen_provisioning_ca::{Authority, Certificate, PublicKey, UnixTime, Validity, chain::When, est};
use dolmen_provisioning_pledge::{Answer, Method, Request};
use dolmen_provisioning_voucher::PledgeRequest;
use futures::executor::block_on;

use crate::support::{
    Organisation, Party, SERIAL, Ticket, forever, issue_ldevid, registrar_request, serial, signer, world,
};

/// What opens a challenge of this model.
pub(crate) const SECRET: [u8; 32] = [0x5e; 32];
pub(crate) const CHAIN: u64 = 7;
pub(crate) const APPRAISAL: [u8; 32] = [0xcc; 32];
/// When boxes are enrolled, by all clocks.
pub(crate) const START: u64 = 1_800_000_000;
const ATTESTATION: &str = "/.well-known/dolmen/attestation";
pub(crate) const GENESIS: [u8; 32] = [0xaa; 32];

/// Which vouchers a registrar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stock {
    /// One that was sold with the box.
    Epoch(u64),
    /// As Epoch, for this registrar alone.
    Pinned(u64),
    /// It asks the maker.
    Nonce,
    /// One for another box.
    OtherBox,
    /// One for another organisation.
    OtherOwner,
    /// None, and it will have none.
    Refused,
}

/// A registrar, and all that it remembers.
#[derive(Clone)]
pub(crate) struct Registrar {
    pub(crate) organisation: usize,
    pub(crate) registrar: usize,
    pub(crate) stock: Stock,
    /// How often it answers by 202, for each that may be.
    pub(crate) waits: [u32; 3],
    /// What was asked, in order, by which certificate.
    pub(crate) log: Vec<(&'static str, Vec<u8>)>,
    pub(crate) statuses: Vec<String>,
    vouchers: HashMap<Vec<u8>, Vec<u8>>,
    challenges: u8,
    challenge: Option<[u8; 32]>,
    appraised: Option<Vec<u8>>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) admissions: Vec<String>,
    /// Its clock.
    pub(crate) now: u64,
    /// How long certificates hold, in seconds; none for ever.
    pub(crate) life: Option<u64>,
    /// When it wants boxes to attest again.
    pub(crate) again: u32,
    /// Another authority than its organisation's first.
    pub(crate) authority: Option<Authority>,
    quote: Option<[u8; 32]>,
    /// When the box was last judged.
    judged: Option<u64>,
    /// When it attested.
    pub(crate) attested: Vec<u64>,
    /// Whether the box has other firmware than it enrolled with, which was allowed.
    pub(crate) flashed: bool,
}

impl Registrar {
    pub(crate) fn new(organisation: usize, registrar: usize, stock: Stock) -> Self {
        Self {
            organisation,
            registrar,
            stock,
            waits: [0; 3],
            log: Vec::new(),
            statuses: Vec::new(),
            vouchers: HashMap::new(),
            challenges: 0,
            challenge: None,
            appraised: None,
            certificates: Vec::new(),
            admissions: Vec::new(),
            now: START,
            life: None,
            again: 24 * 60 * 60,
            authority: None,
            quote: None,
            judged: None,
            attested: Vec::new(),
            flashed: false,
        }
    }

    /// What issues certificates.
    fn issuing(&self) -> &Authority {
        self.authority.as_ref().unwrap_or(&self.owner().issuing)
    }

    pub(crate) fn owner(&self) -> &'static Organisation {
        &world().organisations[self.organisation]
    }

    pub(crate) fn party(&self) -> &'static Party {
        &self.owner().registrars[self.registrar]
    }

    /// Answers a request of whoever showed this certificate.
    pub(crate) fn answer(&mut self, client: &Certificate, request: &Request<'_>) -> Answer {
        self.log.push((request.path, request.body.to_vec()));
        let is_idevid = client == world().machine.certificate();
        let is_ldevid = self.certificates.contains(client);
        let content_type = request.content_type;
        match (request.method, request.path, content_type) {
            (Method::Post, "/.well-known/brski/requestvoucher", Some("application/voucher-cms+json")) if is_idevid => {
                self.voucher(&request.body)
            }
            (Method::Post, "/.well-known/brski/voucher_status", Some("application/json")) if is_idevid => {
                self.status("voucher", &request.body)
            }
            (Method::Get, "/.well-known/est/cacerts", None) => {
                ok("application/pkcs7-mime; smime-type=certs-only", est::cacerts(self.issuing()).expect("certs"))
            }
            (Method::Post, "/.well-known/dolmen/enrolment", Some("application/json")) if is_idevid => {
                self.enrolment(&request.body)
            }
            (Method::Post, "/.well-known/dolmen/response", Some("application/json")) if is_idevid => {
                self.response(&request.body)
            }
            (Method::Post, "/.well-known/est/simpleenroll", Some("application/pkcs10")) if is_idevid => {
                self.enroll(&request.body)
            }
            (Method::Post, "/.well-known/brski/enrollstatus", Some("application/json")) if is_idevid => {
                self.status("enroll", &request.body)
            }
            (Method::Get, "/.well-known/dolmen/bundle", None) if is_ldevid => ok("application/cms", self.bundle()),
            (Method::Post, "/.well-known/dolmen/admission", Some("application/cms")) if is_ldevid => {
                self.admission(client, &request.body)
            }
            (Method::Get, ATTESTATION, None) => self.member(client).unwrap_or_else(|| self.ask_quote()),
            (Method::Post, ATTESTATION, Some("application/json")) => {
                self.member(client).unwrap_or_else(|| self.attestation(&request.body))
            }
            (Method::Post, "/.well-known/est/simplereenroll", Some("application/pkcs10")) => {
                self.reenroll(client, &request.body)
            }
            (_, path, _) => refused(403, &format!("not-allowed{}", path.len()), false),
        }
    }

    fn must_wait(&mut self, which: usize) -> Option<Answer> {
        self.waits[which] = self.waits[which].checked_sub(1)?;
        let mut answer = ok("", "");
        (answer.status, answer.retry_after) = (202, Some("30".to_owned()));
        Some(answer)
    }

    fn voucher(&mut self, body: &[u8]) -> Answer {
        let request = PledgeRequest::verify(body, &world().makers()).expect("a request that holds");
        assert_eq!(request.registrar(), Some(self.party().certificate()), "asked by the one that is connected");
        if self.stock == Stock::Refused {
            return refused(403, "voucher-none", false);
        }
        if let Some(answer) = self.must_wait(0) {
            return answer;
        }
        if let Some(voucher) = self.vouchers.get(body) {
            return ok("application/voucher-cms+json", voucher.clone());
        }
        let root = self.owner().root.certificate();
        let ticket = Ticket { serial: SERIAL, pinned: root, nonce: None, epoch: None };
        let voucher = match self.stock {
            Stock::Epoch(epoch) => Ticket { epoch: Some(epoch), ..ticket }.voucher(),
            Stock::Pinned(epoch) => {
                Ticket { epoch: Some(epoch), pinned: self.party().certificate(), ..ticket }.voucher()
            }
            Stock::OtherBox => Ticket { epoch: Some(9), serial: "SN-0043", ..ticket }.voucher(),
            Stock::OtherOwner => {
                let pinned = world().organisations[1 - self.organisation].root.certificate();
                Ticket { epoch: Some(9), pinned, ..ticket }.voucher()
            }
            Stock::Nonce | Stock::Refused => {
                let created_on = "2026-11-22T08:00:00Z".parse().expect("a time");
                let request = registrar_request(self.party(), &request.of_registrar(created_on));
                world().answer(&request, self.owner())
            }
        };
        self.vouchers.insert(body.to_vec(), voucher.clone());
        ok("application/voucher-cms+json", voucher)
    }

    fn status(&mut self, what: &str, body: &[u8]) -> Answer {
        let status: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!((&status["version"], &status["reason-context"]), (&"1".into(), &serde_json::json!({})));
        let reason = status["reason"].as_str().unwrap_or_default();
        self.statuses.push(format!("{what} {} {reason}", status["status"]).trim_end().to_owned());
        ok("", "")
    }

    fn enrolment(&mut self, body: &[u8]) -> Answer {
        let Ok(enrolment) = Enrolment::from_json(body) else { return refused(400, "enrolment-damaged", true) };
        self.appraised = None;
        self.challenges = self.challenges.wrapping_add(1);
        let nonce = [self.challenges; 32];
        self.challenge = Some(nonce);
        let challenge = Challenge {
            id_object: bytes(enrolment.ak_public.as_slice()),
            encrypted_secret: bytes(&[1; 8]),
            nonce: Fixed(nonce),
            registers: [4, 11].into(),
        };
        ok("application/json", challenge.to_json().expect("JSON"))
    }

    /// A challenge is answered once.
    fn response(&mut self, body: &[u8]) -> Answer {
        let challenge = self.challenge.take();
        let Ok(response) = Response::from_json(body) else { return refused(400, "response-damaged", true) };
        match challenge {
            Some(nonce) if response.proof == activation_proof(&SECRET, &Fixed(nonce)) => {
                (self.appraised, self.judged) = (Some(body.to_vec()), Some(self.now));
                self.flashed = false;
                Answer { status: 204, ..ok("", "") }
            }
            Some(_) => refused(403, "activation", true),
            None => refused(409, "no-challenge", true),
        }
    }

    fn enroll(&mut self, body: &[u8]) -> Answer {
        if self.appraised.is_none() {
            return refused(409, "not-appraised", true);
        }
        let Ok(request) = est::read_request(body) else { return refused(400, "request-damaged", false) };
        if let Some(answer) = self.must_wait(1) {
            return answer;
        }
        self.issue(request.public_key())
    }

    /// A new certificate for the same key. Those of before hold, too.
    fn issue(&mut self, key: PublicKey) -> Answer {
        let number = u8::try_from(self.certificates.len()).expect("few") + 1;
        let [now, end] = [self.now, self.now + self.life.unwrap_or_default()].map(UnixTime::from_secs);
        let validity = Validity::new(now.expect("a time"), end.expect("a time")).expect("an end");
        let validity = self.life.map_or_else(forever, |_| validity);
        let certificate = issue_ldevid(self.issuing(), key, SERIAL, number, validity);
        self.certificates.push(certificate.clone());
        ok("application/pkcs7-mime; smime-type=certs-only", est::write_enrolled(&certificate).expect("certs"))
    }

    /// What is said to one whose certificate does not hold.
    fn member(&self, client: &Certificate) -> Option<Answer> {
        if !client.is_issued_by(self.issuing().certificate()).expect("a key") {
            return Some(refused(403, "ldevid-unknown", false));
        }
        if client.validity().not_after().as_secs() < self.now {
            return Some(refused(403, "ldevid-expired", false));
        }
        (!self.certificates.contains(client)).then(|| refused(403, "ldevid-not-issued", false))
    }

    fn ask_quote(&mut self) -> Answer {
        self.challenges = self.challenges.wrapping_add(1);
        let nonce = [self.challenges; 32];
        self.quote = Some(nonce);
        let request = QuoteRequest { nonce: Fixed(nonce), registers: [4, 11].into() };
        ok("application/json", request.to_json().expect("JSON"))
    }

    /// A quote answers one request.
    fn attestation(&mut self, body: &[u8]) -> Answer {
        let Ok(answer) = Reattestation::from_json(body) else { return refused(400, "message-damaged", false) };
        match self.quote.take() {
            Some(nonce) if answer.quote.quote.statement.as_slice() == nonce && self.flashed => {
                refused(409, "enrol-anew", false)
            }
            Some(nonce) if answer.quote.quote.statement.as_slice() == nonce => {
                self.judged = Some(self.now);
                self.attested.push(self.now);
                let again_seconds = self.again;
                ok("application/json", Acknowledgement { again_seconds }.to_json().expect("JSON"))
            }
            Some(_) => refused(403, "quote-replayed", false),
            None => refused(409, "no-challenge", true),
        }
    }

    /// By whoever was judged within a day, with the same name as before.
    fn reenroll(&mut self, client: &Certificate, body: &[u8]) -> Answer {
        let Ok(request) = est::read_request(body) else { return refused(400, "request-damaged", false) };
        if client == world().machine.certificate() {
            // Its appraisal is what it is judged by, and nothing of before.
            if self.appraised.take().is_none() {
                return refused(409, "out-of-order", true);
            }
        } else {
            if !self.certificates.contains(client) {
                return refused(403, "ldevid-not-issued", false);
            }
            if est::check_reenroll(client, &request).is_err() {
                return refused(403, "reenroll-other", false);
            }
        }
        if self.judged.is_none_or(|at| at + 24 * 60 * 60 < self.now) {
            return refused(409, "appraisal-old", true);
        }
        if let Some(answer) = self.must_wait(1) {
            return answer;
        }
        self.issue(request.public_key())
    }

    pub(crate) fn content(&self) -> ChainBundle {
        ChainBundle {
            serial_number: serial(),
            issued_at: "2027-01-15T08:00:00Z".parse().expect("a time"),
            chain_id: CHAIN,
            genesis: "{}\n".to_owned(),
            genesis_hash: Hash::from_bytes(GENESIS),
            checkpoint: None,
            peers: vec![Peer { public_key: [1; 32], address: "10.0.0.1:30303".parse().expect("an address") }],
            organisation: Member { id: 3, name: "Example".to_owned() },
            organisation_roots: vec![self.owner().root.certificate().clone()],
            appraisal: Some(Hash::from_bytes(APPRAISAL)),
        }
    }

    fn bundle(&self) -> Vec<u8> {
        sign_bundle(&self.content(), self.party())
    }

    fn admission(&mut self, client: &Certificate, body: &[u8]) -> Answer {
        let expectation = AdmissionExpectation {
            organisation: &[self.owner().root.certificate().clone()],
            when: When::Never,
            crls: &[],
            chain_id: CHAIN,
            genesis_hash: Hash::from_bytes(GENESIS),
            appraisal: Some(Hash::from_bytes(APPRAISAL)),
        };
        let Ok(admission) = Admission::verify(body, &expectation) else {
            return refused(400, "admission-damaged", true);
        };
        assert_eq!(admission.ldevid(), client, "signed by the one that is connected");
        if let Some(answer) = self.must_wait(2) {
            return answer;
        }
        self.admissions.push(admission.content().request.clone());
        ok("application/json", r#"{"role":"follower"}"#)
    }
}

pub(crate) fn sign_bundle(bundle: &ChainBundle, party: &Party) -> Vec<u8> {
    block_on(bundle.to_sign(&party.chain).expect("a bundle").sign(&*signer(party.key))).expect("a signature")
}

pub(crate) fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let content_type = Some(content_type.to_owned()).filter(|text| !text.is_empty());
    Answer { status: 200, content_type, retry_after: None, body: body.into() }
}

pub(crate) fn refused(status: u16, code: &str, retry: bool) -> Answer {
    let body = serde_json::json!({ "title": "No.", "status": status, "code": code, "retry": retry });
    Answer { status, ..ok("application/problem+json", body.to_string()) }
}

pub(crate) fn bytes<const MAX: usize>(bytes: &[u8]) -> Bytes<MAX> {
    Bytes::new(bytes.to_vec()).expect("few bytes")
}

pub(crate) fn image_hash(byte: u8) -> ImageHash {
    ImageHash::from_bytes([byte; 32])
}

pub(crate) fn public_key(secret: u8) -> PublicKey {
    PublicKey::of(&*signer(secret)).expect("a P-256 key")
}
