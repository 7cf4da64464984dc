//! Certificates of boxes: for the key that was appraised, and for no other.

use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{
    Certificate, Order, Profile, PublicKey, Request as CertificateRequest, Serial as CertificateSerial, Subject,
    UnixTime, Validity, est,
};

use super::enrol::check_alarm;
use crate::{
    Answer, Event, Fresh, Refusal, Registrar, Request,
    limits::CERTIFICATES_MAX,
    peer::{Member, Pledge},
    registrar::Turn,
    state::{Appraised, BoxState},
};

/// What `SubjectPublicKeyInfo` of a key on P-256 begins with, up to its coordinates (RFC 5480 §2).
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

impl Registrar {
    /// A first certificate, or the same again: the answer may have been lost.
    pub(crate) async fn enroll(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        request: &Request<'_>,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let asked = read(request)?;
        if matches!(self.approved(pledge), Err(Refusal::NotApproved(_))) {
            return Ok(Answer::wait(self.setup.policy.retry_seconds()));
        }
        self.certify_pledge(turn, pledge, &asked, fresh).await
    }

    /// Another certificate for a box whose certificate is over: it shows its maker's.
    pub(crate) async fn reenroll_pledge(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        request: &Request<'_>,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        self.certify_pledge(turn, pledge, &read(request)?, fresh).await
    }

    async fn certify_pledge(
        &mut self,
        turn: &mut Turn,
        pledge: &Pledge,
        asked: &CertificateRequest,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let one = self.approved(pledge)?;
        check_alarm(&pledge.serial, one)?;
        self.check_key(turn, &pledge.serial, one, asked.public_key())?;
        self.issue(turn, &pledge.serial, asked.public_key(), fresh).await
    }

    /// Another certificate for a box that shows one, be it over: the same subject and names (RFC 7030 §4.2.2).
    pub(crate) async fn reenroll_member(
        &mut self,
        turn: &mut Turn,
        member: &Member,
        request: &Request<'_>,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let asked = read(request)?;
        let one = self.enrolled_once(member)?;
        check_alarm(&member.serial, one)?;
        est::check_reenroll(&member.certificate, &asked).map_err(Refusal::Reenroll)?;
        self.check_key(turn, &member.serial, one, asked.public_key())?;
        self.issue(turn, &member.serial, asked.public_key(), fresh).await
    }

    /// As [`enrolled`](Self::enrolled), also with a certificate that is over and was forgotten here: the authority
    /// issued it, and it was not revoked.
    fn enrolled_once(&self, member: &Member) -> Result<&BoxState, Refusal> {
        match self.enrolled(member) {
            Err(Refusal::NotIssued(serial)) if !self.state.revoked().contains_key(member.certificate.serial()) => {
                self.state.boxes().get(&member.serial).ok_or(Refusal::NotIssued(serial))
            }
            other => other,
        }
    }

    /// Whether a box was appraised lately, and this is its key.
    fn check_key(&self, turn: &Turn, serial: &Serial, one: &BoxState, key: PublicKey) -> Result<(), Refusal> {
        let Some(Appraised { appraisal, at, .. }) = &one.appraised else {
            return Err(Refusal::Order("enrol, so that the TPM is appraised"));
        };
        let point = appraisal.ldevid().strip_prefix(P256_INFO);
        let appraised = point.and_then(|point| PublicKey::from_bytes(point).ok());
        if appraised != Some(key) {
            return Err(Refusal::KeyNotAppraised);
        }
        if turn.now.saturating_sub(*at) > self.setup.policy.appraisal_seconds_max() {
            return Err(Refusal::AppraisalOld(serial.clone()));
        }
        Ok(())
    }

    /// The registrar decides whose certificate it is and how long it holds; requests have no say in it.
    async fn issue(
        &mut self,
        turn: &mut Turn,
        serial: &Serial,
        key: PublicKey,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let organisation = &self.setup.organisation.name;
        let subject = Subject::new(organisation, serial.as_str());
        let subject =
            subject.and_then(|subject| subject.with_machine_serial(serial.as_str())).map_err(Refusal::Name)?;
        let order = Order {
            profile: Profile::LDevId,
            subject,
            key,
            alt_names: Vec::new(),
            validity: self.validity(turn)?,
            serial: CertificateSerial::from_random(fresh.serial),
        };
        let certificate = self.setup.authority.issue(&order).await.map_err(Refusal::Issue)?;
        let body = est::write_enrolled(&certificate).map_err(Refusal::Est)?;
        self.make_room(turn, serial)?;
        self.record(turn, Event::Issued { serial: serial.clone(), certificate })?;
        Ok(Answer::certificates(body))
    }

    /// From now on, as long as the policy says, and not longer than the authority's own certificate.
    fn validity(&self, turn: &Turn) -> Result<Validity, Refusal> {
        self.check_authority(turn)?;
        let seconds = turn.now.saturating_add(self.setup.policy.ldevid_seconds());
        let until = UnixTime::from_secs(seconds)?.min(self.setup.authority.certificate().validity().not_after());
        Ok(Validity::new(turn.time()?, until)?)
    }

    /// Whether certificates can be issued at all.
    pub(crate) fn check_authority(&self, turn: &Turn) -> Result<(), Refusal> {
        let end = self.setup.authority.certificate().validity().not_after();
        if end < turn.time()? { Err(Refusal::AuthorityExpired(end)) } else { Ok(()) }
    }

    /// Takes the oldest certificate of a box back where it has too many.
    fn make_room(&mut self, turn: &mut Turn, serial: &Serial) -> Result<(), Refusal> {
        let now = turn.now;
        let holds = |certificate: &&Certificate| certificate.validity().not_after().as_secs() >= now;
        let certificates = self.state.boxes().get(serial).map(|one| one.certificates.iter().filter(holds));
        let Some(mut certificates) = certificates else { return Ok(()) };
        let (oldest, count) = (certificates.next().cloned(), 1 + certificates.count());
        match oldest.filter(|_| count >= CERTIFICATES_MAX) {
            Some(certificate) => self.record_own(turn, Event::Superseded { serial: serial.clone(), certificate }),
            None => Ok(()),
        }
    }
}

/// Reads a request for a certificate, which is for this connection if it says for which.
fn read(request: &Request<'_>) -> Result<CertificateRequest, Refusal> {
    let asked = est::read_request(request.body).map_err(Refusal::Est)?;
    match (asked.channel_binding(), request.binding) {
        (Some(asked), Some(session)) if asked != session => Err(Refusal::ChannelBinding),
        _ => Ok(asked),
    }
}
