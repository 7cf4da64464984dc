//! Quotes and certifies.

use std::slice;

use dolmen_hsm_evidence::{
    Attested, Certified, EvidenceError, HashAlgorithm, Pcrs, Public, Quote, Signature, Statement, verify_certify,
    verify_quote,
};

use crate::support::{
    BOUND, CERTIFY_NONCE, DECRYPT, NONCE, RESTRICTED, SIGN, SoftKey, pcrs, public, sized, vector, words,
};

/// What swtpm calls its firmware.
const FIRMWARE: u64 = 0x2019_1023_0016_3636;
/// Keys that quoted.
const KEYS: [&str; 4] = ["p256", "p384", "rsa2048", "sm2"];

/// A quote of a file, with one thing changed by `change`.
fn quote(key: &str, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Result<Quote, EvidenceError> {
    let (mut statement, mut signature) = (vector(&format!("quote_{key}.attest")), vector(&format!("quote_{key}.sig")));
    change(&mut statement, &mut signature);
    verify_quote(&public(&format!("ak_{key}")), &statement, &signature, NONCE, &pcrs())
}

/// A certify of a file.
fn certify(ak: &str, file: &str, nonce: &[u8], subject: &Public) -> Result<Certified, EvidenceError> {
    let (statement, signature) = (vector(&format!("certify_{file}.attest")), vector(&format!("certify_{file}.sig")));
    verify_certify(&public(ak), &statement, &signature, nonce, subject)
}

#[test]
fn quotes_of_a_tpm_hold() {
    for key in KEYS {
        let quote = quote(key, |_, _| {}).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!((quote.pcrs, quote.firmware), (pcrs(), FIRMWARE), "{key}");
        assert!(!quote.clock.safe, "{key}: the TPM of software had been switched off without a shutdown");
    }
}

#[test]
fn certifies_of_a_tpm_hold() {
    let device = public("device_p256");
    for key in ["p256", "rsa2048"] {
        let certified = certify(&format!("ak_{key}"), key, CERTIFY_NONCE, &device).unwrap();
        assert_eq!((certified.name, certified.firmware), (device.name(), FIRMWARE), "{key}");
        assert_eq!(certified.qualified_name.len(), 34);
    }
}

#[test]
fn no_bit_of_a_statement_can_change() {
    for key in KEYS {
        for byte in 0..vector(&format!("quote_{key}.attest")).len() {
            let refused = quote(key, |statement, _| statement[byte] ^= 1 << (byte % 8)).unwrap_err();
            assert!(matches!(refused, EvidenceError::Signature), "{key}, byte {byte}: {refused}");
        }
        let refused = quote(key, |statement, _| statement.push(0)).unwrap_err();
        assert!(matches!(refused, EvidenceError::Signature), "{key}: {refused}");
    }
}

#[test]
fn no_bit_of_a_signature_can_change() {
    for key in KEYS {
        for byte in 0..vector(&format!("quote_{key}.sig")).len() {
            assert!(quote(key, |_, signature| signature[byte] ^= 1 << (byte % 8)).is_err(), "{key}, byte {byte}");
        }
        let refused = quote(key, |_, signature| *signature.last_mut().unwrap() ^= 1).unwrap_err();
        assert!(matches!(refused, EvidenceError::Signature), "{key}: {refused}");
        let refused = quote(key, |_, signature| signature.push(0)).unwrap_err();
        assert!(matches!(refused, EvidenceError::Trailing { what: "a signature", bytes: 1 }), "{key}: {refused}");
    }
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let (ak, device) = (public("ak_p256"), public("device_p256"));
    let (statement, signature) = (vector("quote_p256.attest"), vector("quote_p256.sig"));
    for nonce in [&b""[..], b"dolmen evidence test vector two!", &NONCE[..31]] {
        let refused = verify_quote(&ak, &statement, &signature, nonce, &pcrs()).unwrap_err();
        assert!(matches!(refused, EvidenceError::Nonce), "{refused}");
    }
    let refused = verify_certify(&ak, &statement, &signature, NONCE, &device).unwrap_err();
    assert!(matches!(refused, EvidenceError::StatementType { expected: "certify", found: 0x8018 }), "{refused}");
    let refused = certify("ak_p256", "p256", NONCE, &device).unwrap_err();
    assert!(matches!(refused, EvidenceError::Nonce), "{refused}");
    let (statement, signature) = (vector("certify_p256.attest"), vector("certify_p256.sig"));
    let refused = verify_quote(&ak, &statement, &signature, CERTIFY_NONCE, &pcrs()).unwrap_err();
    assert!(matches!(refused, EvidenceError::StatementType { expected: "quote", found: 0x8017 }), "{refused}");
}

#[test]
fn other_registers_and_other_values_are_refused() {
    let (ak, statement, signature) = (public("ak_p256"), vector("quote_p256.attest"), vector("quote_p256.sig"));
    let verify = |expected: &Pcrs| verify_quote(&ak, &statement, &signature, NONCE, expected).unwrap_err();

    let mut other = pcrs();
    other.set(7, [7; 32]).unwrap();
    assert!(matches!(verify(&other), EvidenceError::PcrDigest));

    let mut more = pcrs();
    more.set(23, [0; 32]).unwrap();
    let refused = verify(&more).to_string();
    assert!(refused.contains("of the registers 0x000b:0,1,4,7,11,14,15,16,17, asked for were 0x000b:0,"), "{refused}");

    // The same registers and values, but of another bank; and none at all.
    let mut sm3 = Pcrs::new(HashAlgorithm::Sm3).unwrap();
    for (index, value) in (0..).zip(pcrs().values()) {
        if let Some(value) = value {
            sm3.set(index, *value).unwrap();
        }
    }
    assert!(matches!(verify(&sm3), EvidenceError::PcrSelection { .. }));
    let none = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    assert!(matches!(verify(&none), EvidenceError::PcrSelection { .. }));

    // A second bank hides nothing.
    let (statement, signature) = (vector("quote_two_banks.attest"), vector("quote_two_banks.sig"));
    let mut two = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    for index in [0, 7] {
        two.set(index, pcrs().values()[index as usize].unwrap()).unwrap();
    }
    match verify_quote(&ak, &statement, &signature, NONCE, &two).unwrap_err() {
        EvidenceError::PcrSelection { expected, found } => {
            assert_eq!((expected.as_str(), found.as_str()), ("0x000b:0,7", "0x000b:0,7+0x0004:0"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn another_key_did_not_sign() {
    let (statement, signature) = (vector("quote_p256.attest"), vector("quote_p256.sig"));
    let verify = |ak: &Public| verify_quote(ak, &statement, &signature, NONCE, &pcrs()).unwrap_err();
    let other = SoftKey::generate().public(BOUND | RESTRICTED | SIGN);
    assert!(matches!(verify(&other), EvidenceError::Signature));
    for key in ["ak_p384", "ak_rsa2048", "ak_sm2"] {
        let refused = verify(&public(key));
        assert!(matches!(refused, EvidenceError::SignatureScheme { .. }), "{key}: {refused}");
    }
    let refused = verify(&public("device_p256"));
    assert!(
        matches!(refused, EvidenceError::MissingAttribute { role: "attestation", attribute: "restricted" }),
        "{refused}"
    );
    let refused = verify(&public("ek_p256"));
    assert!(
        matches!(refused, EvidenceError::UnwantedAttribute { role: "attestation", attribute: "decrypt" }),
        "{refused}"
    );
}

#[test]
fn another_subject_and_a_loose_one_are_refused() {
    let refused = certify("ak_p256", "p256", CERTIFY_NONCE, &public("loose_p256")).unwrap_err();
    let (expected, found) = (public("loose_p256").name(), public("device_p256").name());
    match refused {
        EvidenceError::Name { expected: e, found: f } => {
            assert_eq!((e, f), (const_hex::encode(expected), const_hex::encode(found)));
        }
        other => panic!("{other}"),
    }
    // The TPM certifies a key that may leave it; that is no device key.
    let refused = certify("ak_p256", "loose", CERTIFY_NONCE, &public("loose_p256")).unwrap_err();
    assert!(matches!(refused, EvidenceError::MissingAttribute { role: "device", attribute: "fixedTPM" }), "{refused}");
}

/// A statement of some kind, whatever it begins with.
fn statement(magic: u32, kind: u16, safe: u8, body: &[u8]) -> Vec<u8> {
    let head = [magic.to_be_bytes().to_vec(), words(&[kind]), sized(&[0; 34]), sized(NONCE)].concat();
    let parts: [&[u8]; 5] = [&head, &[0; 16], &[safe], &[0; 8], body];
    parts.concat()
}

/// What a key signs that only says that it is restricted.
#[test]
fn forged_statements_are_refused() {
    const MAGIC: u32 = 0xff54_4347;
    let key = SoftKey::generate();
    let ak = key.public(BOUND | RESTRICTED | SIGN);
    let verify = |ak: &Public, statement: &[u8]| verify_certify(ak, statement, &key.sign(statement), NONCE, ak);
    let body = [sized(&ak.name()), sized(&[0; 34])].concat();
    verify(&ak, &statement(MAGIC, 0x8017, 1, &body)).unwrap();

    let refused = verify(&ak, &statement(MAGIC - 1, 0x8017, 1, &body)).unwrap_err();
    assert!(matches!(refused, EvidenceError::Magic { found: 0xff54_4346 }), "{refused}");
    let refused = verify(&ak, &statement(MAGIC, 0x8014, 1, &body)).unwrap_err();
    assert!(matches!(refused, EvidenceError::StatementType { found: 0x8014, .. }), "{refused}");
    let refused = verify(&ak, &statement(MAGIC, 0x8017, 2, &body)).unwrap_err();
    assert!(matches!(refused, EvidenceError::Malformed { .. }), "{refused}");
    let refused = verify(&ak, &statement(MAGIC, 0x8017, 1, &[&body[..], &[0_u8][..]].concat())).unwrap_err();
    assert!(matches!(refused, EvidenceError::Trailing { bytes: 1, .. }), "{refused}");
    let refused = verify(&ak, &statement(MAGIC, 0x8017, 1, &body[1..])).unwrap_err();
    assert!(matches!(refused, EvidenceError::TooLong { .. } | EvidenceError::Truncated { .. }), "{refused}");

    for (bit, name) in [(1 << 1, "fixedTPM"), (1 << 4, "fixedParent"), (1 << 5, "sensitiveDataOrigin")] {
        let ak = key.public((BOUND | RESTRICTED | SIGN) & !bit);
        let refused = verify(&ak, &statement(MAGIC, 0x8017, 1, &body)).unwrap_err();
        assert!(matches!(refused, EvidenceError::MissingAttribute { attribute, .. } if attribute == name), "{refused}");
    }
    let refused = verify(&key.public(BOUND | RESTRICTED), &statement(MAGIC, 0x8017, 1, &body)).unwrap_err();
    assert!(matches!(refused, EvidenceError::MissingAttribute { attribute: "sign", .. }), "{refused}");
    let both = key.public(BOUND | RESTRICTED | SIGN | DECRYPT);
    assert!(verify(&both, &statement(MAGIC, 0x8017, 1, &body)).is_err());
    // Without a scheme a key signs by whatever it is told.
    let any = Public::from_tpmt(&key.area(BOUND | RESTRICTED | SIGN, &[0x0010])).unwrap();
    let refused = verify(&any, &statement(MAGIC, 0x8017, 1, &body)).unwrap_err();
    assert!(matches!(refused, EvidenceError::SignatureScheme { .. }), "{refused}");
}

#[test]
fn registers_without_any_bit_are_no_bank() {
    let key = SoftKey::generate();
    let ak = key.public(BOUND | RESTRICTED | SIGN);
    let expected = pcrs();
    let values: Vec<u8> = expected.values().iter().flatten().flatten().copied().collect();
    let registers = expected.selection().registers.to_le_bytes();
    let digest = sized(&HashAlgorithm::Sha256.digest(&[&values]));
    let bank = |id: u16, registers: &[u8]| [&id.to_be_bytes()[..], &[3_u8][..], registers].concat();
    let quote = |count: u32, banks: &[Vec<u8>]| {
        let body = [count.to_be_bytes().to_vec(), banks.concat(), digest.clone()].concat();
        let statement = statement(0xff54_4347, 0x8018, 1, &body);
        verify_quote(&ak, &statement, &key.sign(&statement), NONCE, &expected)
    };
    let asked = bank(0x000b, &registers[..3]);
    quote(1, slice::from_ref(&asked)).unwrap();
    quote(2, &[bank(0x0004, &[0; 3]), asked.clone()]).unwrap();
    let refused = quote(2, &[asked.clone(), asked.clone()]).unwrap_err();
    assert!(matches!(refused, EvidenceError::PcrSelection { .. }), "{refused}");
    assert!(matches!(quote(0, &[]), Err(EvidenceError::PcrSelection { .. })));
    assert!(matches!(quote(17, slice::from_ref(&asked)), Err(EvidenceError::TooLong { found: 17, .. })));
    assert!(matches!(quote(u32::MAX, &[asked]), Err(EvidenceError::TooLong { .. })));
}

#[test]
fn statements_and_signatures_are_read() {
    let statement = Statement::parse(&vector("quote_two_banks.attest")).unwrap();
    assert_eq!((statement.nonce.as_slice(), statement.signer.len()), (NONCE, 34));
    let Attested::Quote { selections, digest } = statement.attested else { panic!("a quote") };
    let selections = selections.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    assert_eq!((selections.as_str(), digest.len()), ("0x000b:0,7+0x0004:0", 32));
    let signature = Signature::parse(&vector("quote_p384.sig")).unwrap();
    assert_eq!(signature.scheme().to_string(), "ecdsa-sha384");
}
