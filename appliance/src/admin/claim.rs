//! Who may change the box: whoever shows the claim code, which stands on the box's own screen.
//!
//! It has 60 bits, so that nobody has to wait because others guess: a million guesses a second take 18,000 years on
//! average.

use std::path::Path;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use openssl::sha::sha256;

use crate::claim;

/// The code of a box.
pub(super) struct Claim {
    /// Not the code itself, so that it cannot show.
    digest: [u8; 32],
}

impl Claim {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { digest: sha256(&claim::load(path)?) })
    }

    /// Lets a request pass that has the code as its bearer token (RFC 6750 §2.1).
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Unclaimed> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // Digests have one length, and are compared in constant time.
        match token {
            Some(token) if openssl::memcmp::eq(&sha256(token), &self.digest) => Ok(()),
            Some(_) => Err(Unclaimed("this is not the claim code that the box's screen shows\n")),
            None => {
                Err(Unclaimed("this needs the claim code from the box's screen, as `Authorization: Bearer CODE`\n"))
            }
        }
    }
}

/// The request of somebody who does not show the code.
#[derive(Debug)]
pub(super) struct Unclaimed(&'static str);

impl IntoResponse for Unclaimed {
    fn into_response(self) -> Response {
        let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
        (StatusCode::UNAUTHORIZED, challenge, self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use dolmen_hsm_api::private;

    use super::*;

    #[test]
    fn only_the_code_passes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claim-code");
        private::write_new(&path, b"AAAA-BBBB-CCCC").unwrap();
        let claim = Claim::load(&path).unwrap();
        let status = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            claim.check(&headers).map_err(|refusal| refusal.into_response().status().as_u16())
        };
        assert_eq!(status("Bearer AAAA-BBBB-CCCC"), Ok(()));
        for wrong in ["Bearer AAAA-BBBB-CCCD", "Bearer AAAA-BBBB-CCC", "Bearer ", "Basic AAAA-BBBB-CCCC", ""] {
            assert_eq!(status(wrong), Err(401), "{wrong}");
        }
        assert!(claim.check(&HeaderMap::new()).is_err());
    }
}
