//! Time-based one-time passwords, as authenticator apps make them: RFC 6238 with SHA-1, 6 digits and 30 seconds, which is
//! what all apps know. A code of the step before or after counts, for clocks that differ (RFC 6238 §5.2), and no step
//! counts twice.

use qrcode::{EcLevel, QrCode, render::svg};
use serde::{Deserialize, Serialize};
use totp_rs::{Algorithm, Builder, Totp};

use crate::{Refusal, TotpEnrolment, secret::Bytes};

/// What is kept of a user's authenticator app. The secret has to be readable: the box makes the same codes. It is as safe
/// as the file, which only the box's program can read, on an encrypted disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TotpState {
    pub(crate) secret: Bytes<20>,
    /// The last step that counted: no earlier one does any more.
    pub(crate) last_step: u64,
}

impl TotpState {
    /// The step that a code is of, if it counts at this time.
    pub(crate) fn check(&self, code: &str, now: u64) -> Option<u64> {
        // A code that is longer is none, and one with spaces is how apps show it.
        let code: String = code.chars().filter(|one| *one != ' ').take(7).collect();
        let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
        let step = if is_code { totp(&self.secret, "", "").ok()?.check(&code, now) } else { None };
        step.filter(|step| *step > self.last_step)
    }
}

/// What an app needs, for it to scan.
pub(crate) fn enrolment(secret: &Bytes<20>, user: &str, box_name: &str) -> Result<TotpEnrolment, Refusal> {
    let encode = |error: String| Refusal::Encode(error.into());
    let totp = totp(secret, user, box_name)?;
    let uri = totp.to_url().map_err(|error| encode(error.to_string()))?;
    let qr = QrCode::with_error_correction_level(&uri, EcLevel::M).map_err(|error| encode(error.to_string()))?;
    let qr_svg = qr.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    Ok(TotpEnrolment {
        secret_base32: totp.secret().to_base32().into(),
        otpauth_uri: uri.into(),
        qr_svg: qr_svg.into(),
    })
}

fn totp(secret: &Bytes<20>, user: &str, box_name: &str) -> Result<Totp, Refusal> {
    // A colon ends the issuer in an otpauth URI.
    let issuer = format!("Dolmen {}", box_name.replace(':', " "));
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(secret.get().to_vec())
        .with_account_name(user)
        .with_issuer(Some(issuer));
    totp.build().map_err(|error| Refusal::Encode(error.to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc6238() -> TotpState {
        TotpState { secret: Bytes::new(*b"12345678901234567890"), last_step: 0 }
    }

    /// RFC 6238 appendix B has eight digits, of which these are the last six.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ];
        for (now, code) in vectors {
            assert_eq!(rfc6238().check(code, now), Some(now / 30), "{code}");
        }
        assert_eq!(rfc6238().check(" 287 082", 59), Some(1));
        for bad in ["287083", "", "28708", "2870820", "94287082", "２８７０８２", "+87082"] {
            assert_eq!(rfc6238().check(bad, 59), None, "{bad}");
        }
    }

    #[test]
    fn a_step_counts_once_and_not_long() {
        let (now, code) = (1_111_111_109, "081804");
        let step = now / 30;
        let with = |last_step| TotpState { last_step, ..rfc6238() };
        assert_eq!(with(step - 1).check(code, now), Some(step));
        assert_eq!(with(step).check(code, now), None);
        assert_eq!(with(step + 5).check(code, now), None);
        for (shift, counts) in [(-61, false), (-30, true), (30, true), (61, false)] {
            assert_eq!(with(0).check(code, now.saturating_add_signed(shift)).is_some(), counts, "{shift}");
        }
        // Clocks may say anything.
        assert_eq!(with(0).check(code, 0), None);
        assert_eq!(with(0).check(code, u64::MAX / 2), None);
    }

    #[test]
    fn an_app_can_scan_it() {
        let enrolment = enrolment(&Bytes::new([7; 20]), "李.wei", "box:7").unwrap();
        let uri = enrolment.otpauth_uri.expose();
        assert!(uri.starts_with("otpauth://totp/Dolmen%20box%207:"), "{uri}");
        assert!(uri.contains(&format!("secret={}", enrolment.secret_base32.expose())), "{uri}");
        assert!(enrolment.qr_svg.expose().contains("<svg"));
    }
}
