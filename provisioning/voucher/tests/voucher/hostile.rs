//! Whatever bytes come in, the answer is an error, or what was signed. Every failure names the seed that replays it.

use std::ops::Range;

use dolmen_provisioning_ca::{
    chain::{Purpose, Roots, Rules},
    cms::verify,
};
use dolmen_provisioning_voucher::{
    Accepted, Form, IdevidRoots, JSON_VOUCHER, MasaRoots, OrganisationRoots, OwnershipEpoch, PledgeRequest, Refusal,
    RequestRefusal, Voucher, VoucherRequest, accept, check_request,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    fixed,
    support::{expectation, nonce, serial},
};

/// What decoders trip over: ends of strings, tags, lengths that are none, and parts of JSON.
const TOKENS: [&[u8]; 20] = [
    b"\0",
    b"\x30\x80",
    b"\x04\x80",
    b"\x84\xff\xff\xff\xff",
    b"\x83\x01\0\0",
    b"\x31\0",
    b"\xa0\x82",
    b"\x02\x01",
    b"\xff",
    b"\"",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"null",
    b"\\u0000",
    b",",
    b"=",
    b"\"nonce\":\"AAECAwQFBgc=\",",
    b"\"serial-number\":\"BOX-0002\",",
    b"18446744073709551616",
];

/// Some bytes changed, moved, taken away or put in, once to four times.
fn mutate(random: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let times = random.random_range(1..=4);
    mutate_times(random, bytes, times)
}

fn mutate_times(random: &mut StdRng, bytes: &[u8], times: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..times {
        if bytes.is_empty() {
            break;
        }
        let part = part(random, bytes.len());
        match random.random_range(0..8) {
            0 => bytes[part.start] ^= 1 << random.random_range(0..8),
            1 => bytes[part.start] = random.random(),
            2 => drop(bytes.drain(part)),
            3 => bytes.truncate(part.start),
            4 => {
                drop(bytes.splice(part.start..part.start, TOKENS[random.random_range(0..TOKENS.len())].iter().copied()))
            }
            5 => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                let end = bytes.len().min(part.start + token.len());
                let length = end - part.start;
                bytes[part.start..end].copy_from_slice(&token[..length]);
            }
            6 => {
                let copy = bytes[part].to_vec();
                let at = random.random_range(0..=bytes.len());
                drop(bytes.splice(at..at, copy));
            }
            _ => bytes[part].fill(random.random()),
        }
    }
    bytes
}

fn part(random: &mut StdRng, length: usize) -> Range<usize> {
    let start = random.random_range(0..length);
    start..length.min(start + random.random_range(1..=64))
}

fn masa() -> MasaRoots {
    MasaRoots(Roots::from_pem(fixed::MASA_ROOT).expect("roots"))
}

fn makers() -> IdevidRoots {
    IdevidRoots(Roots::from_pem(fixed::MAKER_ROOT).expect("roots"))
}

fn organisations() -> OrganisationRoots {
    OrganisationRoots(Roots::from_pem(fixed::ORGANISATION).expect("roots"))
}

/// A box that keeps epoch 7.
fn take(message: &[u8], masa: &MasaRoots) -> Result<Accepted, Refusal> {
    let (serial, maker, nonce, tls) = (serial(), fixed::maker_key(), nonce(), fixed::tls());
    accept(message, masa, &expectation(&serial, &maker, &nonce, &tls))
}

/// Otherwise the tests below would see nothing but refusals.
#[test]
fn unchanged_ones_are_taken() {
    let accepted = take(&fixed::signed(&fixed::voucher().to_json().unwrap()), &masa()).unwrap();
    assert_eq!(accepted.epoch(), OwnershipEpoch::new(8));
    PledgeRequest::verify(&fixed::asked(), &makers()).unwrap();
    let request = fixed::passed_on(&fixed::registrar_request().to_json().unwrap());
    check_request(&request, &organisations(), &makers()).unwrap();
}

/// Only the root's own certificate is passed over: it is sent along, but the one that the reader has is trusted.
#[test]
fn no_byte_of_a_message_is_another() {
    let json = fixed::voucher().to_json().unwrap();
    let (message, masa) = (fixed::signed(&json), masa());
    let root = fixed::certificate(fixed::MASA_ROOT);
    let root_at = message.windows(root.der().len()).position(|window| window == root.der()).unwrap();
    let is_root = |at: usize| (root_at..root_at + root.der().len()).contains(&at);
    for at in 0..message.len() {
        for change in [1, 2, 0x20, 0x80, 0xff] {
            let mut changed = message.clone();
            changed[at] ^= change;
            match verify(&changed, JSON_VOUCHER, &masa.0, &Rules::timeless(Purpose::Voucher)) {
                Ok(verified) => assert!(is_root(at) && verified.content() == json, "{at}: {change:#x}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn changed_vouchers_are_not_followed() {
    let json = fixed::voucher().to_json().unwrap();
    let (message, masa) = (fixed::signed(&json), masa());
    let whole = take(&message, &masa).unwrap();
    let mut refused = 0;
    for seed in 0..4000 {
        let changed = mutate(&mut StdRng::seed_from_u64(seed), &message);
        match take(&changed, &masa) {
            Ok(accepted) => assert_eq!(accepted, whole, "seed {seed}"),
            Err(refusal) => {
                assert!(refusal.code().starts_with("voucher-"), "seed {seed}: {refusal}");
                refused += 1;
            }
        }
    }
    assert!(refused > 3000, "{refused}");
}

#[test]
fn changed_requests_are_not_answered() {
    let (organisations, makers) = (organisations(), makers());
    let request = fixed::registrar_request();
    let message = fixed::passed_on(&request.to_json().unwrap());
    let prior = fixed::asked();
    for seed in 0..2000 {
        let mut random = StdRng::seed_from_u64(seed);
        // No certificate in these is passed over.
        let changed = mutate(&mut random, &message);
        assert!(changed == message || check_request(&changed, &organisations, &makers).is_err(), "seed {seed}");
        let changed = mutate(&mut random, &prior);
        assert!(changed == prior || PledgeRequest::verify(&changed, &makers).is_err(), "seed {seed}");
        // A registrar that passes it on all the same.
        let form = Form::Registrar { prior_signed_voucher_request: changed.clone() };
        if let Ok(json) = (VoucherRequest { form, ..request.clone() }).to_json() {
            let answer = check_request(&fixed::passed_on(&json), &organisations, &makers);
            let code = answer.as_ref().err().map(RequestRefusal::code);
            assert!(changed == prior || code.is_some_and(|code| code.starts_with("pledge-request-")), "seed {seed}");
        }
    }
}

/// What is read can be written, and then is the same.
#[test]
fn changed_texts_are_read_or_refused() {
    let voucher = fixed::voucher().to_json().unwrap();
    let requests = [fixed::pledge_request(), fixed::registrar_request()].map(|request| request.to_json().unwrap());
    let mut read = 0;
    for seed in 0..10_000 {
        let mut random = StdRng::seed_from_u64(seed);
        if let Ok(voucher) = Voucher::from_json(&mutate(&mut random, &voucher)) {
            assert_eq!(Voucher::from_json(&voucher.to_json().unwrap()).unwrap(), voucher, "seed {seed}");
            read += 1;
        }
        for request in &requests {
            if let Ok(request) = VoucherRequest::from_json(&mutate(&mut random, request)) {
                let again = VoucherRequest::from_json(&request.to_json().unwrap()).unwrap();
                assert_eq!(again, request, "seed {seed}");
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}

/// A maker that signs anything: the box follows nothing but a voucher for it, that is new, of its registrar's owner.
#[test]
fn signed_nonsense_is_not_followed() {
    let (json, masa) = (fixed::voucher().to_json().unwrap(), masa());
    let owner = fixed::certificate(fixed::ORGANISATION);
    let mut followed = 0;
    for seed in 0..2000 {
        let changed = mutate_times(&mut StdRng::seed_from_u64(seed), &json, 1);
        if changed.is_empty() {
            continue;
        }
        if let Ok(accepted) = take(&fixed::signed(&changed), &masa) {
            let voucher = Voucher::from_json(&changed).unwrap();
            assert_eq!(voucher.serial_number, serial(), "seed {seed}");
            assert!(voucher.freshness.nonce().is_none_or(|found| *found == nonce()), "seed {seed}");
            assert!(voucher.freshness.epoch().is_none_or(|found| found == accepted.epoch()), "seed {seed}");
            assert!(accepted.epoch() > OwnershipEpoch::new(7), "seed {seed}");
            // The maker may write another certificate than the owner's, but not of another key.
            assert_eq!(accepted.pinned_domain_cert().public_key(), owner.public_key(), "seed {seed}");
            assert_ne!(voucher.domain_cert_revocation_checks, Some(true), "seed {seed}");
            followed += 1;
        }
    }
    // Times and the assertion may change.
    assert!(followed > 20, "{followed}");
}
