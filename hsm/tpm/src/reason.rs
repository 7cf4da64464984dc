//! What a TPM's response codes mean for a key.

use dolmen_hsm_api::KeyError;
use tss_esapi::{
    Error,
    constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind},
};

/// Why an operation on a TPM failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's or the TPM's code.
    Code(Error),
    /// Ours, which no second try changes.
    Key(KeyError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Code(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl Failure {
    pub(crate) fn kind(&self) -> Option<Tss2ResponseCodeKind> {
        match self {
            Self::Code(Error::Tss2Error(code)) => code.kind(),
            _ => None,
        }
    }

    /// Whether the TPM decided; what it decided it decides again. Everything else may be a connection that broke, a TPM
    /// that was reset or a handle that went with it.
    pub(crate) fn is_verdict(&self) -> bool {
        use Tss2ResponseCodeKind as Kind;
        match self {
            Self::Key(_) => true,
            Self::Code(_) => matches!(
                self.kind(),
                Some(
                    Kind::AuthFail
                        | Kind::BadAuth
                        | Kind::Lockout
                        | Kind::PolicyFail
                        | Kind::Policy
                        | Kind::NvSpace
                        | Kind::NvDefined
                        | Kind::Integrity
                        | Kind::Signature
                        | Kind::Curve
                        | Kind::Hash
                        | Kind::Scheme
                )
            ),
        }
    }

    /// The error for whoever asked. `device` is how the configuration calls the TPM.
    pub(crate) fn into_error(self, device: &str, operation: &'static str) -> KeyError {
        let device = format!("the TPM {device}");
        let kind = self.kind();
        match self {
            Self::Key(error) => error,
            Self::Code(error) => match kind {
                Some(Tss2ResponseCodeKind::Lockout) => KeyError::Locked {
                    device,
                    next: "wait until its lockout ends, or clear it with `tpm2_dictionarylockout --clear-lockout`",
                },
                Some(Tss2ResponseCodeKind::NvSpace) => KeyError::Full { device },
                Some(Tss2ResponseCodeKind::Integrity) => KeyError::Policy {
                    what: "the wrapped key".into(),
                    reason:
                        "another TPM made it, or this one was cleared since; take the key out of use and make a new \
                             one"
                        .into(),
                },
                Some(Tss2ResponseCodeKind::PolicyFail | Tss2ResponseCodeKind::Policy) => KeyError::Policy {
                    what: "the TPM".into(),
                    reason: "its registers or counters are not what the policy asks for".into(),
                },
                _ if is_connection(&error) => KeyError::Absent { device, reason: error.to_string() },
                _ => KeyError::Device { device, operation, reason: error.to_string() },
            },
        }
    }
}

/// Whether the code comes from the way to the TPM and not from the TPM.
fn is_connection(error: &Error) -> bool {
    matches!(error, Error::Tss2Error(code) if !matches!(code, Tss2ResponseCode::FormatZero(_) | Tss2ResponseCode::FormatOne(_)))
}
