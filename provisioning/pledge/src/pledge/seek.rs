//! Nobody's box: it asks for a voucher.

use dolmen_provisioning_ca::{
    Certificate,
    cms::{self, Unsigned},
};
use dolmen_provisioning_voucher::{
    Assertion, Expectation, Form, JSON_VOUCHER, Nonce, OwnershipEpoch, Refusal, VoucherRequest, accept,
};

use super::{At, Pledge};
use crate::{
    Report,
    exchange::Exchange,
    fault::Fault,
    limits::{ASKS_MAX, OFFERS_MAX, SIGNED_BYTES_MAX},
    owner::Owner,
    trust::Server,
};

/// What a box knows that asks for a voucher.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    /// Requests that were not answered yet, the newest last: whoever is asked again is asked the same.
    asks: Vec<Ask>,
    /// Vouchers from sticks.
    offers: Vec<Vec<u8>>,
    /// Why the connected registrar's voucher is not followed, if it was not told yet.
    pub(super) refused: Option<&'static str>,
}

/// A request for a voucher.
#[derive(Debug)]
struct Ask {
    /// Who is asked.
    registrar: Certificate,
    nonce: Nonce,
    unsigned: Unsigned,
    message: Option<Vec<u8>>,
}

/// Why an offered voucher is not kept.
#[derive(Debug, thiserror::Error)]
pub enum OfferRefusal {
    /// Another was followed before.
    #[error("this box has an owner already; decommission it first, and offer a voucher with a greater ownership epoch")]
    Owned,
    /// Enough are kept.
    #[error("this box keeps {limit} offered vouchers already; connect it to the registrar of one, or start it anew")]
    Full {
        /// How many there may be.
        limit: usize,
    },
    /// It does not hold, whoever the registrar is.
    #[error("the offered voucher is not kept")]
    Voucher(#[from] Refusal),
}

impl OfferRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Owned => "voucher-already-owned",
            Self::Full { .. } => "voucher-offers-full",
            Self::Voucher(refusal) => refusal.code(),
        }
    }
}

impl Seeking {
    pub(super) fn at(&self, server: &Server, epoch: Option<OwnershipEpoch>) -> At {
        if self.refused.is_some() {
            return At::Send(Exchange::VoucherStatus);
        }
        if epoch.is_none() {
            return At::ReadEpoch;
        }
        match self.ask(server) {
            None => At::MakeNonce,
            Some(Ask { message: None, .. }) => At::SignAsk,
            Some(Ask { message: Some(_), .. }) => At::Send(Exchange::RequestVoucher),
        }
    }

    fn ask(&self, server: &Server) -> Option<&Ask> {
        self.asks.iter().find(|ask| ask.registrar == *server.registrar().certificate())
    }

    fn place(&self, server: &Server) -> Option<usize> {
        self.asks.iter().position(|ask| ask.registrar == *server.registrar().certificate())
    }
}

impl Pledge {
    /// Offers a voucher that came another way than from a registrar, as on a stick. It is kept until the box is connected
    /// to a registrar that it leads to, or is started anew. It needs an ownership epoch, and no nonce: nobody asked for it.
    ///
    /// It ends a [`Step::Wait`](crate::Step::Wait): ask for the [`next`](Self::next) step again.
    ///
    /// # Errors
    ///
    /// [`OfferRefusal`], also where the box has an owner already: the first voucher that is followed is the only one.
    pub fn offer_voucher(&mut self, message: &[u8]) -> Result<(), OfferRefusal> {
        let kept = self.keep_offer(message);
        if let Err(refusal) = &kept {
            self.refusal = Some(Report::own(refusal.code(), refusal, None));
        } else if matches!(self.at(), At::Wait(_)) {
            self.wait = None;
            self.route.wake();
        } else {
            self.news = true;
        }
        kept
    }

    fn keep_offer(&mut self, message: &[u8]) -> Result<(), OfferRefusal> {
        if self.owner.is_some() {
            return Err(OfferRefusal::Owned);
        }
        let expectation = Expectation {
            serial_number: self.identity.serial_number(),
            idevid_issuer: self.identity.issuer(),
            nonce: None,
            epoch: self.epoch.unwrap_or_default(),
            registrar: self.identity.nobody(),
        };
        // All rules but those about the registrar, which come last.
        match accept(message, self.identity.masa(), &expectation) {
            // How far the TPM's epoch is may not be known yet.
            Err(Refusal::EpochStep { .. }) if self.epoch.is_none() => {}
            Err(refusal) if !is_about_registrar(&refusal) => return Err(refusal.into()),
            _ => {}
        }
        if self.seeking.offers.iter().any(|offer| offer == message) {
            return Ok(());
        }
        if self.seeking.offers.len() >= OFFERS_MAX {
            return Err(OfferRefusal::Full { limit: OFFERS_MAX });
        }
        self.seeking.offers.push(message.to_vec());
        Ok(())
    }

    /// Follows a kept voucher that leads to the connected registrar, and forgets those that can never be followed.
    pub(super) fn try_offers(&mut self, epoch: OwnershipEpoch) {
        let Some(server) = self.connection.as_ref().map(|connection| connection.server.clone()) else { return };
        for offer in std::mem::take(&mut self.seeking.offers) {
            match Owner::accept(&self.identity, offer.clone(), server.clone(), None, epoch) {
                Ok(owner) => return self.follow(owner),
                Err(refusal) if is_about_registrar(&refusal) => self.seeking.offers.push(offer),
                Err(refusal) => self.refusal = Some(Report::own(refusal.code(), &refusal, None)),
            }
        }
    }

    pub(super) fn unsigned_ask(&self) -> Option<&Unsigned> {
        self.seeking.ask(&self.connection.as_ref()?.server).map(|ask| &ask.unsigned)
    }

    pub(super) fn ask_message(&self) -> &[u8] {
        let ask = self.connection.as_ref().and_then(|connection| self.seeking.ask(&connection.server));
        ask.and_then(|ask| ask.message.as_deref()).unwrap_or_default()
    }

    /// A nonce makes a request of it, to whom the box is connected to.
    pub(super) fn nonce_is(&mut self, nonce: [u8; 32]) {
        let Some(connection) = &self.connection else { return };
        let registrar = connection.server.registrar().certificate().clone();
        let ask = Nonce::from_bytes(nonce).map_err(|error| error.to_string()).and_then(|nonce| {
            let request = VoucherRequest {
                // The box does not know.
                created_on: None,
                assertion: Some(Assertion::Proximity),
                nonce: Some(nonce.clone()),
                serial_number: self.identity.serial_number().clone(),
                idevid_issuer: self.identity.issuer().cloned(),
                form: Form::Pledge { proximity_registrar_cert: Some(registrar.clone()) },
            };
            let json = request.to_json().map_err(|error| error.to_string())?;
            let unsigned = cms::to_sign(JSON_VOUCHER, &json, self.identity.chain());
            let unsigned = unsigned.map_err(|error| error.to_string())?;
            Ok(Ask { registrar, nonce, unsigned, message: None })
        });
        match ask {
            Err(text) => self.fault(Fault::VoucherRequest, &text),
            Ok(ask) => {
                if self.seeking.asks.len() >= ASKS_MAX {
                    self.seeking.asks.remove(0);
                }
                self.seeking.asks.push(ask);
            }
        }
    }

    pub(super) fn ask_is(&mut self, message: Vec<u8>) {
        if message.is_empty() || message.len() > SIGNED_BYTES_MAX {
            return self.fault(Fault::Signature, "the signed request for a voucher is no message");
        }
        let place = self.connection.as_ref().and_then(|connection| self.seeking.place(&connection.server));
        if let Some(ask) = place.and_then(|place| self.seeking.asks.get_mut(place)) {
            ask.message = Some(message);
        }
    }

    /// The request was answered: its nonce is used up.
    pub(super) fn forget_ask(&mut self) -> Option<Nonce> {
        let place = self.seeking.place(&self.connection.as_ref()?.server)?;
        Some(self.seeking.asks.remove(place).nonce)
    }

    /// A registrar gave a voucher.
    pub(super) fn voucher_is(&mut self, voucher: &[u8]) {
        let nonce = self.forget_ask();
        let (Some(connection), Some(epoch)) = (&self.connection, self.epoch) else { return };
        match Owner::accept(&self.identity, voucher.to_vec(), connection.server.clone(), nonce, epoch) {
            Ok(owner) => self.follow(owner),
            Err(refusal) => {
                self.refusal = Some(Report::own(refusal.code(), &refusal, Some(&connection.hint)));
                self.seeking.refused = Some(refusal.code());
            }
        }
    }

    fn follow(&mut self, owner: Owner) {
        if let Some(connection) = &self.connection {
            self.route.served(&connection.hint);
        }
        self.seeking = Seeking::default();
        (self.owner, self.unsaved) = (Some(owner), true);
    }
}

/// Whether all holds but that the registrar is the voucher's.
const fn is_about_registrar(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::PinnedCertificate(_) | Refusal::RegistrarPurpose(_))
}
