//! Whether a device signed what it was asked to.

use std::sync::LazyLock;

use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_accel_library::Peer;
use dolmen_hsm_api::Signature;
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    nid::Nid,
};

use crate::scheme::{Input, Scheme};

/// What the node verifies with.
static VERIFIER: LazyLock<Peer> = LazyLock::new(dolmen_accel_library::baseline);

/// Checks a signature by the algorithm's rule; the reason if it does not hold.
pub(crate) fn check(scheme: Scheme, public_key: &[u8], input: &Input, signature: &Signature) -> Result<(), String> {
    let job = VerifyJob { key: public_key, message: input.message(), signature: &signature.0 };
    let mut verdict = [Verdict::Invalid];
    let verified = VERIFIER.verify(scheme.algorithm(), &[job], &mut verdict);
    if verified.is_ok() && verdict[0].is_valid() {
        return Ok(());
    }
    Err(match scheme {
        Scheme::Sm2(mechanisms) if is_ecdsa_on_sm2(public_key, input.bytes(), signature).unwrap_or(false) => format!(
            "by the mechanism {:#x} it signs ECDSA on the SM2 curve, which is no SM2 signature; set the numbers of its \
             maker's mechanisms for SM2 in the settings, or use another device for SM2",
            mechanisms.sign
        ),
        Scheme::Sm2(mechanisms) => format!(
            "what the mechanism {:#x} gives is no SM2 signature under the key; look up the number of its maker's \
             mechanism, and whether that takes a digest or a message, and set both",
            mechanisms.sign
        ),
        _ => {
            "its signature does not hold under the public key beside the private one; the two may belong to different \
              keys: delete both, and make a new key"
                .to_owned()
        }
    })
}

/// Whether a signature is the ECDSA signature of `digest` on the curve of SM2.
fn is_ecdsa_on_sm2(public_key: &[u8], digest: &[u8], signature: &Signature) -> Result<bool, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::SM2)?;
    let mut context = BigNumContext::new()?;
    let point = EcPoint::from_bytes(&group, &[&[4][..], public_key].concat(), &mut context)?;
    let (r, s) = signature.0.split_at(32);
    let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
    let key = EcKey::from_public_key(&group, &point)?;
    signature.verify(digest, &key)
}

#[cfg(test)]
mod tests {
    use openssl::ec::PointConversionForm;

    use super::*;
    use crate::config::{Sm2Input, Sm2Mechanisms};

    #[test]
    fn ecdsa_on_the_curve_of_sm2_is_told() {
        let group = EcGroup::from_curve_name(Nid::SM2).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let point = key.public_key().to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context).unwrap();
        let made = EcdsaSig::sign(&[9; 32], &key).unwrap();
        let both = [made.r().to_vec_padded(32).unwrap(), made.s().to_vec_padded(32).unwrap()].concat();
        let signature = Signature(both.try_into().unwrap());
        let scheme = Scheme::Sm2(Sm2Mechanisms { key_pair_gen: 0x1040, sign: 0x1041, input: Sm2Input::Digest });
        let reason = check(scheme, &point[1..], &Input::Digest([9; 32]), &signature).unwrap_err();
        assert!(reason.starts_with("by the mechanism 0x1041 it signs ECDSA on the SM2 curve"), "{reason}");
        let reason = check(scheme, &point[1..], &Input::Digest([8; 32]), &signature).unwrap_err();
        assert!(reason.starts_with("what the mechanism 0x1041 gives is no SM2 signature"), "{reason}");
    }
}
