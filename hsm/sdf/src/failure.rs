//! What a device's failure means to the caller, and whether another session may do better.

use dolmen_hsm_api::{KeyError, KeyUri};

use crate::{Code, SdfError};

/// Why an attempt on a session failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Perhaps for the session or the device was lost: another may do.
    Session(KeyError),
    /// It would fail again.
    Final(KeyError),
}

/// Gives a failure its meaning. `device` is how messages call it, `uri` the key that was used.
pub(crate) fn classify(device: &str, uri: Option<&KeyUri>, operation: &'static str, error: &SdfError) -> Failure {
    let reason = error.to_string();
    let device = device.to_owned();
    let SdfError::Call { function, code } = *error else {
        return Failure::Final(KeyError::Device { device, operation, reason });
    };
    match (code, uri) {
        (Code::NO_KEY, Some(uri)) => Failure::Final(KeyError::NotFound(uri.clone())),
        (Code::NO_KEY | Code::NOT_SUPPORTED | Code::NO_ALGORITHM | Code::NO_MODE, _) => {
            Failure::Final(KeyError::Device { device, operation, reason })
        }
        (Code::COMMUNICATION | Code::HARDWARE | Code::OPEN_DEVICE, _) => {
            Failure::Session(KeyError::Absent { device, reason })
        }
        (Code::OPEN_SESSION, _) => Failure::Session(KeyError::SessionLost { device, reason }),
        _ if function == "SDF_OpenSession" => Failure::Session(KeyError::SessionLost { device, reason }),
        // Also what a session that is gone looks like: the standard has no code for it.
        _ => Failure::Session(KeyError::Device { device, operation, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_errors() {
        let uri: KeyUri = "sdf:1".parse().unwrap();
        let classify = |function, code| {
            let error = SdfError::Call { function, code };
            classify("the device", Some(&uri), "sign", &error)
        };
        let sign = "SDF_InternalSign_ECC";
        assert!(matches!(classify(sign, Code::NO_KEY), Failure::Final(KeyError::NotFound(_))));
        assert!(matches!(classify(sign, Code::NO_ALGORITHM), Failure::Final(KeyError::Device { .. })));
        assert!(matches!(classify(sign, Code::COMMUNICATION), Failure::Session(KeyError::Absent { .. })));
        assert!(matches!(classify(sign, Code::HARDWARE), Failure::Session(KeyError::Absent { .. })));
        assert!(matches!(classify(sign, Code::OPEN_SESSION), Failure::Session(KeyError::SessionLost { .. })));
        let open = classify("SDF_OpenSession", Code(0x0100_0020));
        assert!(matches!(open, Failure::Session(KeyError::SessionLost { .. })));
        let Failure::Session(error) = classify(sign, Code::ARGUMENT) else { panic!("another session may do") };
        assert_eq!(
            error.to_string(),
            "the device cannot sign: SDF_InternalSign_ECC answers 0x0100001d (SDR_INARGERR); see the device's manual \
             for this code"
        );
    }
}
