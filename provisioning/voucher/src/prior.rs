//! A box's request, once it is known to be that box's.

use dolmen_provisioning_ca::{
    Certificate, UnixTime,
    chain::{Purpose, Rules},
    cms::verify,
};

use crate::{Form, IdevidRoots, JSON_VOUCHER, KeyIdentifier, RequestRefusal, SerialNumber, VoucherRequest, Whose};

/// A request that a box signed with its first key (IDevID). Only [`verify`](Self::verify) makes one: its maker vouches
/// for the box, and the box asks for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PledgeRequest {
    request: VoucherRequest,
    registrar: Option<Certificate>,
    idevid: Certificate,
    message: Vec<u8>,
}

impl PledgeRequest {
    /// Takes a message in DER, if a box of these makers signed it, and asks for itself.
    ///
    /// # Errors
    ///
    /// [`RequestRefusal`] of a box's request.
    pub fn verify(message: &[u8], makers: &IdevidRoots) -> Result<Self, RequestRefusal> {
        let whose = Whose::Pledge;
        let rules = Rules::timeless(Purpose::IDevId);
        let verified = verify(message, JSON_VOUCHER, &makers.0, &rules).map_err(RequestRefusal::cms(whose))?;
        let request = VoucherRequest::from_json(verified.content());
        let request = request.map_err(|source| RequestRefusal::Content { whose, source })?;
        let Form::Pledge { proximity_registrar_cert: registrar } = request.form.clone() else {
            return Err(RequestRefusal::Form(whose));
        };
        let idevid = verified.signer().clone();
        if SerialNumber::of(&idevid).as_ref() != Some(&request.serial_number) {
            return Err(RequestRefusal::IdevidSerial { request: request.serial_number });
        }
        check_issuer(&request, &idevid, whose)?;
        Ok(Self { request, registrar, idevid, message: message.to_vec() })
    }

    /// What the box asks for.
    #[must_use]
    pub const fn request(&self) -> &VoucherRequest {
        &self.request
    }

    /// The registrar that it was connected to, as it says; none where its request was carried.
    #[must_use]
    pub const fn registrar(&self) -> Option<&Certificate> {
        self.registrar.as_ref()
    }

    /// The box's first certificate.
    #[must_use]
    pub const fn idevid(&self) -> &Certificate {
        &self.idevid
    }

    /// The message, DER.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The request with which a registrar asks for this box (RFC 8995 §5.5). The registrar signs its JSON.
    #[must_use]
    pub fn of_registrar(&self, created_on: UnixTime) -> VoucherRequest {
        VoucherRequest {
            created_on: Some(created_on),
            assertion: self.request.assertion,
            nonce: self.request.nonce.clone(),
            serial_number: self.request.serial_number.clone(),
            idevid_issuer: KeyIdentifier::of_issuer(&self.idevid),
            form: Form::Registrar { prior_signed_voucher_request: self.message.clone() },
        }
    }
}

/// Whether a request names who made the box's certificate, if it names anybody.
pub(crate) fn check_issuer(request: &VoucherRequest, idevid: &Certificate, whose: Whose) -> Result<(), RequestRefusal> {
    if request.idevid_issuer.is_some() && request.idevid_issuer != KeyIdentifier::of_issuer(idevid) {
        return Err(RequestRefusal::IdevidIssuer(whose));
    }
    Ok(())
}
