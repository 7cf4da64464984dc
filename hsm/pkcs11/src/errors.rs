//! What devices report, and what it means for a key.

use cryptoki::error::{Error, RvError};
use dolmen_hsm_api::KeyError;

/// Who can take a lock away.
const UNLOCK: &str = "unlock it, or set a new PIN, with its maker's tool and the security officer's PIN";

/// Why something on a token failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The device or its library reports it.
    Device(Error),
    /// What the device holds or gives is not what it should be.
    Reason(String),
    /// It is known what it means. Boxed, since it is large.
    Key(Box<KeyError>),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Device(error)
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        Self::Key(Box::new(error))
    }
}

impl Fault {
    /// What the caller learns.
    pub(crate) fn into_key_error(self, device: String, operation: &'static str) -> KeyError {
        match self {
            Self::Device(error) => key_error(device, operation, &error),
            Self::Reason(reason) => KeyError::Device { device, operation, reason },
            Self::Key(error) => *error,
        }
    }
}

/// Whether sessions and handles that we hold may be void, so that opening all of it again may help.
pub(crate) fn is_stale(error: &Error) -> bool {
    let Error::Pkcs11(code, _) = error else { return false };
    is_absence(*code)
        || is_forgetting(*code)
        // Network HSMs report a lost connection as one of these.
        || matches!(code, RvError::DeviceError | RvError::GeneralError)
}

/// Whether the token is not there.
fn is_absence(code: RvError) -> bool {
    matches!(
        code,
        RvError::DeviceRemoved | RvError::TokenNotPresent | RvError::TokenNotRecognized | RvError::SlotIdInvalid
    )
}

/// Whether the token or library lost what it knew of us.
fn is_forgetting(code: RvError) -> bool {
    matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
    )
}

/// Whether a token does not do this at all, rather than not now.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::ActionProhibited
                | RvError::AttributeReadOnly
                | RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::FunctionNotSupported
                | RvError::FunctionRejected
                | RvError::TemplateIncomplete
                | RvError::TemplateInconsistent,
            _
        ) | Error::NullFunctionPointer
    )
}

/// Whether a token does not take the curve, or not in this encoding.
pub(crate) fn is_curve_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::CurveNotSupported
                | RvError::DomainParamsInvalid
                | RvError::MechanismParamInvalid
                | RvError::AttributeValueInvalid
                | RvError::TemplateInconsistent,
            _
        )
    )
}

/// Whether a token has no such mechanism.
pub(crate) fn is_mechanism_refusal(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(RvError::MechanismInvalid | RvError::FunctionNotSupported, _))
}

/// What an error of a device means for a key.
pub(crate) fn key_error(device: String, operation: &'static str, error: &Error) -> KeyError {
    let reason = describe(error);
    match error {
        Error::Pkcs11(RvError::PinLocked | RvError::PinExpired, _) => KeyError::Locked { device, next: UNLOCK },
        Error::Pkcs11(RvError::DeviceMemory, _) => KeyError::Full { device },
        Error::Pkcs11(code, _) if is_absence(*code) => KeyError::Absent { device, reason },
        Error::Pkcs11(code, _) if is_forgetting(*code) => KeyError::SessionLost { device, reason },
        _ => KeyError::Device { device, operation, reason },
    }
}

/// The call and the code, as the standard and the devices' manuals write them.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("C_{function:?} gave {}", name(*code)),
        other => other.to_string(),
    }
}

fn name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => format!("the code {number:#x}"),
        known => {
            let mut name = "CKR".to_owned();
            for letter in format!("{known:?}").chars() {
                if letter.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn codes_have_their_names() {
        let error = Error::Pkcs11(RvError::SessionHandleInvalid, Function::SignInit);
        assert_eq!(describe(&error), "C_SignInit gave CKR_SESSION_HANDLE_INVALID");
        let error = Error::Pkcs11(RvError::VendorDefined(0x8000_0007), Function::Sign);
        assert_eq!(describe(&error), "C_Sign gave the code 0x80000007");
    }

    #[test]
    fn codes_have_their_meaning() {
        let meaning = |code| key_error("it".into(), "sign", &Error::Pkcs11(code, Function::Sign));
        assert!(matches!(meaning(RvError::TokenNotPresent), KeyError::Absent { .. }));
        assert!(matches!(meaning(RvError::UserNotLoggedIn), KeyError::SessionLost { .. }));
        assert!(matches!(meaning(RvError::PinLocked), KeyError::Locked { .. }));
        assert!(matches!(meaning(RvError::DeviceMemory), KeyError::Full { .. }));
        assert!(matches!(meaning(RvError::DataLenRange), KeyError::Device { .. }));
        let stale = |code| is_stale(&Error::Pkcs11(code, Function::Sign));
        assert!(stale(RvError::DeviceError) && stale(RvError::KeyHandleInvalid) && stale(RvError::DeviceRemoved));
        assert!(!stale(RvError::PinIncorrect) && !stale(RvError::PinLocked) && !stale(RvError::DataInvalid));
    }
}
