//! Vouchers: a box asks, and is given the one that was brought for it, or waits.
//!
//! The authority that signs them is not reached from here. A box's request is kept until somebody takes it to the
//! authority ([`Registrar::export`]) and brings the answer ([`Registrar::import`]). Vouchers with an ownership epoch and no
//! nonce are brought before the box comes.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Bytes, Serial};
use dolmen_provisioning_ca::{UnixTime, chain, cms};
use dolmen_provisioning_voucher::{JSON_VOUCHER, KeyIdentifier, PledgeRequest, RequestRefusal, Voucher};

use crate::{
    Answer, Change, Event, Refusal, Registrar,
    limits::{VOUCHER_BYTES_MAX, VOUCHERS_MAX, WANTED_MAX},
    operator::operator,
    peer::Pledge,
    registrar::Turn,
    state::{Asked, Standing},
};

impl Registrar {
    pub(crate) fn request_voucher(&mut self, turn: &mut Turn, pledge: &Pledge, body: &[u8]) -> Result<Answer, Refusal> {
        let request = PledgeRequest::verify(body, &self.setup.makers)?;
        if *request.idevid() != pledge.certificate {
            return Err(Refusal::OtherSigner);
        }
        if request.registrar().is_some_and(|registrar| Some(registrar) != self.setup.certificates.first()) {
            return Err(RequestRefusal::Proximity.into());
        }
        self.meet(turn, pledge)?;
        let nonce = request.request().nonce.as_ref().map(|nonce| Hash::of(nonce.as_bytes()));
        let asked = Asked { nonce, message: Hash::of(body) };
        let is_new = self.check_nonce(&pledge.serial, asked)?;
        let wait = Answer::wait(self.setup.policy.retry_seconds());
        let approved = self.approved(pledge).map(|_| ());
        if matches!(approved, Err(Refusal::NotApproved(_))) {
            if is_new {
                self.remember(turn, &pledge.serial, asked, None)?;
            }
            return Ok(wait);
        }
        approved?;
        let Some(voucher) = self.voucher_for(&request) else {
            let wanted = self.state.boxes().get(&pledge.serial).is_some_and(|one| one.wanted.is_some());
            if !wanted && self.state.wanted().count() >= WANTED_MAX {
                return Err(Refusal::WantedFull);
            }
            if is_new || !wanted {
                self.remember(turn, &pledge.serial, asked, Some(body))?;
            }
            return Ok(wait);
        };
        if is_new {
            self.remember(turn, &pledge.serial, asked, None)?;
        }
        let given = Hash::of(&voucher);
        if self.state.boxes().get(&pledge.serial).and_then(|one| one.voucher) != Some(given) {
            self.record(turn, Event::Given { serial: pledge.serial.clone(), voucher: given })?;
        }
        Ok(Answer::voucher(voucher))
    }

    /// Whether this request was not sent before. The last one may be sent again, by a box that lost the answer; one of
    /// those before it, or another with the same nonce, is none of a box that makes up its nonces.
    fn check_nonce(&self, serial: &Serial, asked: Asked) -> Result<bool, Refusal> {
        let Some(one) = self.state.boxes().get(serial) else { return Ok(true) };
        if one.asked.last() == Some(&asked) {
            return Ok(false);
        }
        let others = self.state.boxes().values().flat_map(|one| &one.asked);
        if asked.nonce.is_some() && others.into_iter().any(|other| other.nonce == asked.nonce) {
            return Err(Refusal::NonceReplayed);
        }
        Ok(true)
    }

    fn remember(
        &mut self,
        turn: &mut Turn,
        serial: &Serial,
        Asked { nonce, message }: Asked,
        request: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let request = request.map(|request| Bytes::new(request.to_vec())).transpose()?;
        self.record(turn, Event::Asked { serial: serial.clone(), nonce, message, request })
    }

    /// The voucher that the box can follow, if it is here.
    fn voucher_for(&self, request: &PledgeRequest) -> Option<Vec<u8>> {
        let serial = request.request().serial_number.as_str();
        let message = self.state.vouchers().get(&serial.parse().ok()?)?;
        // What was brought was checked then; who may sign could have become less since.
        let voucher = self.read_voucher(message).ok()?;
        let nonce = voucher.freshness.nonce();
        let fits = nonce.is_none() || nonce == request.request().nonce.as_ref();
        let issuer = KeyIdentifier::of_issuer(request.idevid());
        let is_makers = voucher.idevid_issuer.is_none() || voucher.idevid_issuer == issuer;
        (fits && is_makers).then(|| message.clone())
    }

    /// A voucher that an authority signed which is known here.
    fn read_voucher(&self, message: &[u8]) -> Result<Voucher, Refusal> {
        let rules = chain::Rules::timeless(chain::Purpose::Voucher);
        let verified = cms::verify(message, JSON_VOUCHER, &self.setup.masas.0, &rules);
        let verified = verified.map_err(|error| Refusal::Voucher(error.into()))?;
        Voucher::from_json(verified.content())
            .map_err(|error| Refusal::Voucher(dolmen_provisioning_voucher::Refusal::Content(error)))
    }

    /// Takes a voucher that somebody brought, a message in DER. The same one again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::Voucher`] for one that no known authority signed, [`Refusal::VoucherOrganisation`] for one of another
    /// organisation, [`Refusal::VoucherOld`] for one whose epoch is not greater than that of the one that is here,
    /// [`Refusal::VoucherNonce`] for one with a nonce that no box waits with, and others for what cannot be kept.
    pub fn import(&mut self, message: &[u8], by: &str, now: u64) -> Result<Change, Refusal> {
        let (mut turn, limit) = (Turn::new(now, operator(by)?), VOUCHER_BYTES_MAX);
        if message.len() > limit {
            return Err(Refusal::VoucherBytes { found: message.len(), limit });
        }
        let voucher = self.read_voucher(message)?;
        let serial = voucher.serial_number.as_str().parse::<Serial>().map_err(|_| Refusal::NoSerial)?;
        let ours = self.setup.certificates.iter().chain([self.setup.authority.certificate()]);
        if !ours.chain(self.setup.authority.chain()).any(|one| *one == voucher.pinned_domain_cert) {
            return Err(Refusal::VoucherOrganisation(serial.to_string()));
        }
        let held = self.state.vouchers().get(&serial);
        if held.is_some_and(|held| held == message) {
            return Ok(turn.into());
        }
        if held.is_none() && self.state.vouchers().len() >= VOUCHERS_MAX {
            return Err(Refusal::VouchersFull);
        }
        if let Some(nonce) = voucher.freshness.nonce() {
            let nonce = Hash::of(nonce.as_bytes());
            let last = self.state.boxes().get(&serial).and_then(|one| one.asked.last());
            if last.and_then(|asked| asked.nonce) != Some(nonce) {
                return Err(Refusal::VoucherNonce(serial));
            }
        }
        let epoch = held.and_then(|held| self.read_voucher(held).ok()).and_then(|held| held.freshness.epoch());
        if voucher.freshness.epoch().is_some_and(|new| Some(new) <= epoch) {
            return Err(Refusal::VoucherOld(serial));
        }
        let voucher = Bytes::new(message.to_vec())?;
        self.record(&mut turn, Event::Imported { serial, voucher })?;
        Ok(turn.into())
    }

    /// The registrar's own request for the voucher of a box that waits for one, a message in DER: it is taken to the
    /// authority that signs vouchers (RFC 8995 §5.5).
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`], [`Refusal::Order`] for a box that does not wait, and [`Refusal::Sign`].
    pub async fn export(&mut self, serial: &Serial, by: &str, now: u64) -> Result<(Change, Vec<u8>), Refusal> {
        let mut turn = Turn::new(now, operator(by)?);
        let one = self.state.boxes().get(serial).ok_or_else(|| Refusal::UnknownBox(serial.clone()))?;
        let request = one.wanted.as_ref().filter(|_| one.standing == Standing::Approved);
        let request = request.ok_or(Refusal::Order("the box has to ask for a voucher, and to be approved"))?;
        let request = PledgeRequest::verify(request, &self.setup.makers)?.of_registrar(UnixTime::from_secs(now)?);
        let json = request.to_json().map_err(Refusal::Json)?;
        let unsigned = cms::to_sign(JSON_VOUCHER, &json, &self.setup.certificates);
        let unsigned = unsigned.map_err(Refusal::Cms)?;
        let message = unsigned.sign(&*self.setup.signer).await.map_err(Refusal::Sign)?;
        self.record(&mut turn, Event::Exported { serial: serial.clone() })?;
        Ok((turn.into(), message))
    }
}

impl From<Turn> for Change {
    fn from(turn: Turn) -> Self {
        Self { records: turn.records, effects: turn.effects }
    }
}
