//! Public areas and names.

use dolmen_hsm_evidence::{Curve, EvidenceError, HashAlgorithm, Public, PublicKey, Scheme, SchemeAlgorithm, Symmetric};

use crate::support::{BOUND, DECRYPT, RESTRICTED, SIGN, SoftKey, public, vector, words};

const KEYS: [&str; 9] =
    ["ek_p256", "ek_p384", "ek_rsa2048", "ak_p256", "ak_p384", "ak_rsa2048", "ak_sm2", "device_p256", "loose_p256"];

#[test]
fn names_are_those_of_the_tpm() {
    for key in ["ak_p256", "ak_p384"] {
        assert_eq!(public(key).name(), vector(&format!("{key}.name")), "{key}");
    }
    assert_eq!(public("ak_p384").name_algorithm(), HashAlgorithm::Sha384);
}

#[test]
fn public_areas_are_written_as_they_were_read() {
    for key in KEYS {
        let (bytes, public) = (vector(&format!("{key}.pub")), public(key));
        assert_eq!(public.to_tpm2b(), bytes, "{key}");
        assert_eq!(Public::from_tpmt(&bytes[2..]).unwrap(), public, "{key}");
        assert_eq!(public.as_tpmt(), &bytes[2..], "{key}");
    }
}

#[test]
fn keys_are_what_their_attributes_say() {
    let what = |key: &str| {
        let key = public(key);
        [key.is_endorsement_key(), key.is_attestation_key(), key.is_device_key()]
    };
    for key in KEYS {
        let expected = match &key[..2] {
            "ek" => [true, false, false],
            "ak" => [false, true, true],
            "de" => [false, false, true],
            _ => [false, false, false],
        };
        assert_eq!(what(key), expected, "{key}");
    }
}

/// Without any one of what binds a key to its TPM and to its role, it proves nothing.
#[test]
fn each_attribute_counts() {
    let key = SoftKey::generate();
    assert!(key.public(BOUND | RESTRICTED | SIGN).is_attestation_key());
    for bit in [1 << 1, 1 << 4, 1 << 5, RESTRICTED, SIGN] {
        assert!(!key.public((BOUND | RESTRICTED | SIGN) & !bit).is_attestation_key(), "{bit:#x}");
        let device = key.public((BOUND | RESTRICTED | SIGN) & !bit).is_device_key();
        assert_eq!(device, bit == RESTRICTED, "{bit:#x}");
    }
    assert!(!key.public(BOUND | RESTRICTED | SIGN | DECRYPT).is_attestation_key());
    assert!(key.public(BOUND | RESTRICTED | DECRYPT).is_endorsement_key());
    assert!(!key.public(BOUND | RESTRICTED | DECRYPT | SIGN).is_endorsement_key());
}

#[test]
fn parameters_are_read() {
    let ecdsa = Scheme { algorithm: SchemeAlgorithm::Ecdsa, hash: HashAlgorithm::Sha384 };
    assert_eq!(public("ak_p384").scheme(), Some(ecdsa));
    assert_eq!(ecdsa.to_string(), "ecdsa-sha384");
    assert_eq!(public("ak_rsa2048").scheme().unwrap().to_string(), "rsassa-sha256");
    assert_eq!(public("ak_sm2").scheme().unwrap().to_string(), "sm2-sha256");
    assert_eq!(public("ek_p256").symmetric(), Some(Symmetric::Aes128Cfb));
    assert_eq!(public("ek_p384").symmetric(), Some(Symmetric::Aes256Cfb));
    assert_eq!((public("ek_p256").policy().len(), public("ak_p256").policy().len()), (32, 0));
    assert!(matches!(public("ak_sm2").key(), PublicKey::Ecc { curve: Curve::Sm2, .. }));
    assert!(matches!(public("ek_rsa2048").key(), PublicKey::Rsa { modulus } if modulus.len() == 256));
    let attributes = format!("{:?}", public("device_p256").attributes());
    assert_eq!(attributes, r#"0x00040072["fixedTPM", "fixedParent", "sensitiveDataOrigin", "sign"]"#);
}

#[test]
fn other_keys_are_refused() {
    let key = SoftKey::generate();
    let unsupported = |area: &[u8]| match Public::from_tpmt(area).unwrap_err() {
        EvidenceError::Unsupported { id, .. } => id,
        other => panic!("{other}"),
    };
    // ECDAA, which has a counter after its hash, and ECDSA with SHA-1.
    assert_eq!(unsupported(&key.area(SIGN, &[0x001a, 0x000b, 1])), 0x001a);
    assert_eq!(unsupported(&key.area(SIGN, &[0x0018, 0x0004])), 0x0004);
    let good = key.area(SIGN, &[0x0018, 0x000b]);
    for (at, id) in [(0, 0x0008), (2, 0x0004), (10, 0x0003), (16, 0x0005), (18, 0x0020)] {
        let mut area = good.clone();
        area[at..at + 2].copy_from_slice(&words(&[id]));
        assert_eq!(unsupported(&area), u32::from(id), "{at}");
    }
    let mut long = good.clone();
    long.push(0);
    assert!(matches!(Public::from_tpmt(&long), Err(EvidenceError::Trailing { bytes: 1, .. })));
    assert!(matches!(Public::from_tpmt(&good[..40]), Err(EvidenceError::Truncated { .. })));
    assert!(matches!(Public::from_tpmt(&[0; 2000]), Err(EvidenceError::TooLong { .. })));
    // A point that is not on the curve.
    let mut off = good;
    *off.last_mut().unwrap() ^= 1;
    assert!(matches!(Public::from_tpmt(&off), Err(EvidenceError::Key(_))));
}
