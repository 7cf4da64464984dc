//! Secrets that come back only in the state they were sealed to.

use zeroize::Zeroizing;

use crate::KeyError;

/// What must hold for a sealed secret to be given back. All of it must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealPolicy {
    /// Platform Configuration Registers (SHA-256 bank) that must have the value that they had when it was sealed.
    pub pcrs: Vec<u8>,
    /// Who may approve other registers, whose values change with each version of the software.
    pub authority: Option<Authority>,
}

/// Who approves software by its measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The P-256 public key, `x || y`.
    pub public_key: [u8; 64],
    /// What the approvals are about, as in `dolmen:stable`; one authority may approve several kinds of software.
    pub reference: Vec<u8>,
}

/// What seals. Calls block.
pub trait Sealer: Send + Sync {
    /// Seals a secret, 64 bytes at most; the result can lie on any disk.
    ///
    /// # Errors
    ///
    /// [`KeyError::Policy`] if the policy is none that this device knows.
    fn seal(&self, secret: &[u8], policy: &SealPolicy) -> Result<Vec<u8>, KeyError>;

    /// Gives the secret back. With an authority in the policy it takes that authority's approval of what runs now.
    ///
    /// # Errors
    ///
    /// [`KeyError::Policy`] if the policy does not hold, and says which part of it.
    fn unseal(&self, sealed: &[u8], approval: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}
