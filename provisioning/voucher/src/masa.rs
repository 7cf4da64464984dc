//! The rule of the authority that signs vouchers (MASA): which request it answers, and with what (RFC 8995 §5.5), and
//! what it signs without being asked.

use dolmen_provisioning_ca::{
    Certificate, UnixTime,
    chain::{Purpose, Rules},
    cms::verify,
};

use crate::{
    Assertion, Form, Freshness, IdevidRoots, JSON_VOUCHER, JsonError, KeyIdentifier, Nonce, OrganisationRoots,
    OwnershipEpoch, PledgeRequest, RequestRefusal, SerialNumber, Voucher, VoucherRequest, Whose, prior::check_issuer,
};

/// Why there is no voucher for what was sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaleError {
    /// A certificate from which no registrar's could come.
    #[error("the organisation's certificate is not an authority's; take its root certificate")]
    NotAuthority,
    /// Boxes begin with it, and follow greater ones alone.
    #[error("no box follows a voucher with the ownership epoch 0; take 1 for a box's first owner")]
    Epoch,
}

/// A voucher to be: the answer to a request that holds ([`check_request`]), or what goes with a box that was
/// [sold](Self::sold). That a box was sold to the organisation that asks is not known from a request: compare
/// [`organisation`](Self::organisation) with the list of what was sold before [`build`](Self::build).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoucherBuilder {
    serial_number: SerialNumber,
    idevid_issuer: Option<KeyIdentifier>,
    nonce: Option<Nonce>,
    organisation: Certificate,
    registrar: Option<Certificate>,
    pinned_domain_cert: Certificate,
    assertion: Assertion,
    epoch: Option<OwnershipEpoch>,
    expires_on: Option<UnixTime>,
}

impl VoucherBuilder {
    /// For a box that was sold and asked for nothing: its serial number, who made its certificate
    /// ([`KeyIdentifier::of_issuer`]), the root certificate of the organisation that bought it, and its next ownership
    /// epoch, which is 1 for the first owner.
    ///
    /// # Errors
    ///
    /// [`SaleError`].
    pub fn sold(
        serial_number: SerialNumber,
        idevid_issuer: KeyIdentifier,
        organisation: Certificate,
        epoch: OwnershipEpoch,
    ) -> Result<Self, SaleError> {
        if !organisation.is_authority() {
            return Err(SaleError::NotAuthority);
        }
        if epoch == OwnershipEpoch::default() {
            return Err(SaleError::Epoch);
        }
        Ok(Self {
            serial_number,
            idevid_issuer: Some(idevid_issuer),
            nonce: None,
            pinned_domain_cert: organisation.clone(),
            organisation,
            registrar: None,
            assertion: Assertion::Logged,
            epoch: Some(epoch),
            expires_on: None,
        })
    }

    /// Which box.
    #[must_use]
    pub const fn serial_number(&self) -> &SerialNumber {
        &self.serial_number
    }

    /// Whose the box becomes: the root certificate that vouches for the registrar.
    #[must_use]
    pub const fn organisation(&self) -> &Certificate {
        &self.organisation
    }

    /// What asks: the registrar's certificate; none where nobody did.
    #[must_use]
    pub const fn registrar(&self) -> Option<&Certificate> {
        self.registrar.as_ref()
    }

    /// What the voucher says that the authority knows: `proximity` where box and registrar said that they are connected
    /// to each other, and the box named the registrar that asks; else `logged`, or what [`verified`](Self::verified)
    /// made of it.
    #[must_use]
    pub const fn assertion(&self) -> Assertion {
        self.assertion
    }

    /// Gives the box to the registrar that asks alone, not to any of the organisation's; none where nobody asked.
    #[must_use]
    pub fn pin_registrar(self) -> Option<Self> {
        Some(Self { pinned_domain_cert: self.registrar.clone()?, ..self })
    }

    /// The authority knows that the box was sold to this organisation.
    #[must_use]
    pub fn verified(self) -> Self {
        Self { assertion: Assertion::Verified, ..self }
    }

    /// Makes the voucher count against others of the box: it has to be greater than that of any voucher before. Needed
    /// where the box made up no nonce.
    #[must_use]
    pub fn ownership_epoch(self, epoch: OwnershipEpoch) -> Self {
        Self { epoch: Some(epoch), ..self }
    }

    /// Until when whoever keeps the voucher should hand it to the box.
    #[must_use]
    pub fn expires_on(self, time: UnixTime) -> Self {
        Self { expires_on: Some(time), ..self }
    }

    /// The voucher, whose JSON is to be signed.
    ///
    /// # Errors
    ///
    /// [`JsonError::Neither`] where there is neither a nonce nor an epoch.
    pub fn build(self, created_on: UnixTime) -> Result<Voucher, JsonError> {
        Ok(Voucher {
            created_on,
            expires_on: self.expires_on,
            assertion: self.assertion,
            serial_number: self.serial_number,
            idevid_issuer: self.idevid_issuer,
            pinned_domain_cert: self.pinned_domain_cert,
            domain_cert_revocation_checks: Some(false),
            freshness: Freshness::new(self.nonce, self.epoch).ok_or(JsonError::Neither)?,
        })
    }
}

/// Whether the authority answers a registrar's request, a message in DER, and with what:
///
/// 1. A registrar of an organisation that it knows signed it: its certificate is for registrars.
/// 2. The box's request is in it, and a box of these makers signed that with its first key: it asks for itself.
/// 3. Both say the same: serial number and nonce.
/// 4. If the box was connected to a registrar, it was this one: it names the certificate that the registrar signed
///    with. A box whose request is carried on a stick is connected to nobody and names none. Whoever carries it says
///    which organisation asks, so that the list of what was sold has to know it; the voucher never asserts proximity.
///
/// # Errors
///
/// [`RequestRefusal`], by the first of these that does not hold.
pub fn check_request(
    message: &[u8],
    organisations: &OrganisationRoots,
    makers: &IdevidRoots,
) -> Result<VoucherBuilder, RequestRefusal> {
    let whose = Whose::Registrar;
    let rules = Rules::timeless(Purpose::Registrar);
    let verified = verify(message, JSON_VOUCHER, &organisations.0, &rules).map_err(RequestRefusal::cms(whose))?;
    let registrar = verified.signer();
    let request = VoucherRequest::from_json(verified.content());
    let request = request.map_err(|source| RequestRefusal::Content { whose, source })?;
    let Form::Registrar { prior_signed_voucher_request } = &request.form else {
        return Err(RequestRefusal::Form(whose));
    };
    let pledge = PledgeRequest::verify(prior_signed_voucher_request, makers)?;
    check_same(&request, &pledge)?;
    if pledge.registrar().is_some_and(|named| named != registrar) {
        return Err(RequestRefusal::Proximity);
    }
    // A path has a certificate: the signer's.
    let organisation = verified.path().root().unwrap_or(registrar);
    let both = [request.assertion, pledge.request().assertion];
    let near = pledge.registrar().is_some() && both.iter().all(|one| *one == Some(Assertion::Proximity));
    Ok(VoucherBuilder {
        serial_number: request.serial_number,
        idevid_issuer: KeyIdentifier::of_issuer(pledge.idevid()),
        nonce: request.nonce,
        organisation: organisation.clone(),
        registrar: Some(registrar.clone()),
        pinned_domain_cert: organisation.clone(),
        assertion: if near { Assertion::Proximity } else { Assertion::Logged },
        epoch: None,
        expires_on: None,
    })
}

/// Whether a registrar asks for what the box asked for.
fn check_same(request: &VoucherRequest, pledge: &PledgeRequest) -> Result<(), RequestRefusal> {
    let asked = pledge.request();
    if request.serial_number != asked.serial_number {
        let (registrar, pledge) = (request.serial_number.clone(), asked.serial_number.clone());
        return Err(RequestRefusal::Serial { registrar, pledge });
    }
    if request.nonce != asked.nonce {
        return Err(RequestRefusal::Nonce);
    }
    check_issuer(request, pledge.idevid(), Whose::Registrar)
}
