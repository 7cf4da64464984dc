//! No bytes panic a decoder: random ones, and files with bits changed and ends cut off.

use dolmen_hsm_evidence::{
    Credential, EventLog, HashAlgorithm, MeasureLog, Moment, Pcrs, Public, Signature, Statement, check_ek_certificate,
    make_credential, verify_certify, verify_quote,
};
use proptest::{collection, prelude::*, sample};

use crate::support::{CERTIFY_NONCE, NONCE, pcrs, public, vector};

/// A file of each kind.
const FILES: [&str; 16] = [
    "ek_p256.pub",
    "ek_p384.pub",
    "ek_rsa2048.pub",
    "ak_sm2.pub",
    "quote_p256.attest",
    "quote_p384.sig",
    "quote_rsa2048.sig",
    "quote_sm2.sig",
    "quote_two_banks.attest",
    "certify_p256.attest",
    "certify_p256.sig",
    "known_p256.cred",
    "known_rsa2048.cred",
    "ek_p384.der",
    "event_log.bin",
    "measure_log.json",
];

/// Everything that reads bytes of others. Says how many take them.
fn decode(bytes: &[u8]) -> usize {
    let mut taken = 0;
    let mut count = |ok: bool| taken += usize::from(ok);
    for public in [Public::from_tpm2b(bytes), Public::from_tpmt(bytes)].into_iter().flatten() {
        count(public.name().len() > 2);
        let _ = public.key().to_spki();
        let _ = make_credential(&public, &public.name(), b"a secret");
    }
    count(Signature::parse(bytes).is_ok());
    count(Statement::parse(bytes).is_ok());
    count(Credential::from_file(bytes).is_ok());
    count(check_ek_certificate(bytes, &[bytes], &[bytes], Moment::Any).is_ok());
    if let Ok(log) = EventLog::parse(bytes) {
        count(true);
        for bank in HashAlgorithm::ALL {
            let _ = log.replay(bank);
        }
    }
    if let Ok(log) = MeasureLog::parse(bytes) {
        count(true);
        let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("a bank of 32 bytes");
        let _ = log.replay(&mut pcrs);
    }
    taken
}

/// As a statement and as a signature of a key that made neither.
fn verify(bytes: &[u8]) {
    let (ak, device) = (public("ak_p256"), public("device_p256"));
    let _ = verify_quote(&ak, bytes, &vector("quote_p256.sig"), NONCE, &pcrs());
    let _ = verify_quote(&ak, &vector("quote_p256.attest"), bytes, NONCE, &pcrs());
    let _ = verify_certify(&ak, &vector("certify_p256.attest"), bytes, CERTIFY_NONCE, &device);
}

/// Otherwise the tests below would change files that nothing reads.
#[test]
fn every_file_is_read_by_something() {
    for file in FILES {
        assert!(decode(&vector(file)) > 0, "{file}");
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes);
        verify(&bytes);
    }

    #[test]
    fn changed_files(
        file in sample::select(FILES.to_vec()),
        flips in collection::vec((any::<sample::Index>(), 0_u8..8), 0..4),
        keep in any::<sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = vector(file);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        decode(&bytes);
        verify(&bytes);
    }

    /// Lengths are where decoders go wrong: two bytes anywhere become a large or small number.
    #[test]
    fn changed_lengths(
        file in sample::select(FILES.to_vec()),
        at in any::<sample::Index>(),
        value in prop_oneof![Just(0_u16), Just(1_u16), Just(0x7fff_u16), Just(0xffff_u16), any::<u16>()],
    ) {
        let mut bytes = vector(file);
        let at = at.index(bytes.len() - 1);
        bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        decode(&bytes);
        verify(&bytes);
    }
}
