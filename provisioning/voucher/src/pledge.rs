//! The box's rule: which voucher it follows (RFC 8995 §5.6.1).

use dolmen_provisioning_ca::{
    Certificate, CertificateError,
    chain::{self, Purpose, Rules},
    cms,
};

use crate::{
    Assertion, JSON_VOUCHER, KeyIdentifier, MasaRoots, Nonce, OwnershipEpoch, Refusal, SerialNumber, Voucher,
    limits::{CERTIFICATES_MAX, EPOCH_STEP_MAX},
};

/// Why a registrar's certificates are not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// None, or more than anybody needs.
    #[error("the registrar showed {found} certificates, 1 to {limit} can be; give it its own and its authorities'")]
    Number {
        /// How many, or one more than there can be.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// One that cannot be read.
    #[error("the registrar's certificate {index} (from 0) cannot be used")]
    Certificate {
        /// Which of them.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
}

/// Whoever the box is connected to: the certificates that TLS showed. The box does not know yet if it is a registrar of
/// its owner; [`accept`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrar {
    certificate: Certificate,
    others: Vec<Certificate>,
}

impl Registrar {
    /// Of the certificates in DER, its own first (RFC 8446 §4.4.2).
    ///
    /// # Errors
    ///
    /// [`RegistrarError`].
    pub fn from_tls<D: AsRef<[u8]>>(chain: impl IntoIterator<Item = D>) -> Result<Self, RegistrarError> {
        let read = |(index, der): (usize, D)| {
            Certificate::from_der(der.as_ref()).map_err(|source| RegistrarError::Certificate { index, source })
        };
        let chain = chain.into_iter().enumerate().take(CERTIFICATES_MAX + 1).map(read);
        let mut others = chain.collect::<Result<Vec<_>, _>>()?;
        if others.is_empty() || others.len() > CERTIFICATES_MAX {
            return Err(RegistrarError::Number { found: others.len(), limit: CERTIFICATES_MAX });
        }
        Ok(Self { certificate: others.remove(0), others })
    }

    /// Its own certificate: what the box's request names.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// What a box knows when it is given a voucher.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// Its serial number, as in its first certificate (IDevID).
    pub serial_number: &'a SerialNumber,
    /// Which key made that certificate, if it says so.
    pub idevid_issuer: Option<&'a KeyIdentifier>,
    /// What it made up for its last request; none where it did not ask, or the answer has come.
    pub nonce: Option<&'a Nonce>,
    /// The epoch that it keeps: that of the last voucher that it followed.
    pub epoch: OwnershipEpoch,
    /// Whom it is connected to.
    pub registrar: &'a Registrar,
}

/// A voucher that the box follows. Only [`accept`] makes one. It becomes true once [`epoch`](Self::epoch) is stored: a
/// box that loses power before asks again, and one that stores it later could be given the voucher twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    voucher: Voucher,
    epoch: OwnershipEpoch,
}

impl Accepted {
    /// Whose the box is now: what it trusts for its owner's servers from here on.
    #[must_use]
    pub const fn pinned_domain_cert(&self) -> &Certificate {
        &self.voucher.pinned_domain_cert
    }

    /// What the box has to keep from now on, greater than before. A voucher with a nonce alone counts too, so that
    /// older ones of the former owner do not come back.
    #[must_use]
    pub const fn epoch(&self) -> OwnershipEpoch {
        self.epoch
    }

    /// What the maker knew.
    #[must_use]
    pub const fn assertion(&self) -> Assertion {
        self.voucher.assertion
    }
}

/// Whether a box follows a voucher, a message in DER:
///
/// 1. One of the box's makers signed it, with a key that is for vouchers: no box's key is.
/// 2. It is for this box: serial number, and who made the box's certificate if the voucher says so.
/// 3. It is new. A nonce in it is the box's own. An epoch in it is greater than the one that the box keeps, by 1,024 at
///    most. One of them is there, and what is there has to hold.
/// 4. It does not want what a box cannot do: ask for revocation.
/// 5. Its certificate is the registrar's, or one of an authority from which there is a path to the registrar's, and the
///    registrar's is for registrars.
///
/// # Errors
///
/// [`Refusal`], by the first of these that does not hold.
pub fn accept(message: &[u8], masa: &MasaRoots, expectation: &Expectation<'_>) -> Result<Accepted, Refusal> {
    let verified = cms::verify(message, JSON_VOUCHER, &masa.0, &Rules::timeless(Purpose::Voucher))?;
    let voucher = Voucher::from_json(verified.content()).map_err(Refusal::Content)?;
    check_box(&voucher, expectation)?;
    let epoch = next_epoch(&voucher, expectation)?;
    if voucher.domain_cert_revocation_checks == Some(true) {
        return Err(Refusal::RevocationChecks);
    }
    let Registrar { certificate, others } = expectation.registrar;
    let pinned = std::slice::from_ref(&voucher.pinned_domain_cert);
    chain::verify(certificate, others, pinned, &Rules::timeless(Purpose::Registrar))?;
    Ok(Accepted { voucher, epoch })
}

fn check_box(voucher: &Voucher, expectation: &Expectation<'_>) -> Result<(), Refusal> {
    if voucher.serial_number != *expectation.serial_number {
        let (found, expected) = (voucher.serial_number.clone(), expectation.serial_number.clone());
        return Err(Refusal::Serial { found, expected });
    }
    if voucher.idevid_issuer.is_some() && voucher.idevid_issuer.as_ref() != expectation.idevid_issuer {
        return Err(Refusal::IdevidIssuer);
    }
    Ok(())
}

/// What the box keeps if the voucher is new.
fn next_epoch(voucher: &Voucher, expectation: &Expectation<'_>) -> Result<OwnershipEpoch, Refusal> {
    let nonce = voucher.freshness.nonce();
    if nonce.is_some() && nonce != expectation.nonce {
        return Err(Refusal::Nonce);
    }
    let held = expectation.epoch;
    match voucher.freshness.epoch() {
        Some(found) if found <= held => Err(Refusal::Replayed { found, held }),
        Some(found) if found.get() - held.get() > EPOCH_STEP_MAX => {
            Err(Refusal::EpochStep { found, held, limit: EPOCH_STEP_MAX })
        }
        Some(found) => Ok(found),
        None => held.next().ok_or(Refusal::EpochsExhausted),
    }
}
