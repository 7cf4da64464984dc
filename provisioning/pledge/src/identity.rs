//! Who the box is by its maker.

use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_voucher::{KeyIdentifier, MasaRoots, Registrar, RegistrarError, SerialNumber};

/// Who the box is by its maker, and whose vouchers it follows: what it has from the factory.
#[derive(Clone, Debug)]
pub struct Identity {
    serial_number: SerialNumber,
    issuer: Option<KeyIdentifier>,
    chain: Vec<Certificate>,
    masa: MasaRoots,
    nobody: Registrar,
}

/// Why a box's first certificate is none.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no certificate.
    #[error("there is no IDevID certificate; the box has to go back to its maker")]
    None,
    /// It is of no machine.
    #[error("the subject of the IDevID certificate does not name one machine; the box has to go back to its maker")]
    Serial,
    /// More than anybody needs.
    #[error("the IDevID and those that vouch for it cannot be used")]
    Chain(#[source] RegistrarError),
}

impl Identity {
    /// Of the box's first certificate (IDevID, IEEE 802.1AR) and those that vouch for it, in this order, and the roots of
    /// those who sign its vouchers.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub fn new(chain: Vec<Certificate>, masa: MasaRoots) -> Result<Self, IdentityError> {
        let idevid = chain.first().ok_or(IdentityError::None)?;
        let serial_number = SerialNumber::of(idevid).ok_or(IdentityError::Serial)?;
        let issuer = KeyIdentifier::of_issuer(idevid);
        let nobody = Registrar::from_tls([idevid.der()]).map_err(IdentityError::Chain)?;
        // As many as a message has room for.
        Registrar::from_tls(chain.iter().map(Certificate::der)).map_err(IdentityError::Chain)?;
        Ok(Self { serial_number, issuer, chain, masa, nobody })
    }

    /// The box's serial number.
    #[must_use]
    pub const fn serial_number(&self) -> &SerialNumber {
        &self.serial_number
    }

    /// Its first certificate, and those that vouch for it.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    pub(crate) const fn issuer(&self) -> Option<&KeyIdentifier> {
        self.issuer.as_ref()
    }

    pub(crate) const fn masa(&self) -> &MasaRoots {
        &self.masa
    }

    /// Somebody who is no registrar of anybody: the box itself.
    pub(crate) const fn nobody(&self) -> &Registrar {
        &self.nobody
    }
}
