//! Certificates that never change, and what is signed with them: always the same bytes. Each key is one byte, 32 times.

use dolmen_hsm_api::{Algorithm, Domain};
use dolmen_provisioning_ca::{
    Certificate,
    chain::Roots,
    cms::{Unsigned, to_sign},
};
use dolmen_provisioning_voucher::{
    Assertion, Form, Freshness, IdevidRoots, JSON_VOUCHER, KeyIdentifier, Nonce, OwnershipEpoch, PledgeRequest,
    Registrar, Voucher, VoucherRequest,
};
use futures::executor::block_on;

use crate::support::{memory_key, nonce, serial, time};

pub(crate) const MASA_ROOT: &[u8] = include_bytes!("fixed/masa-root.pem");
const MASA: &[u8] = include_bytes!("fixed/masa.pem");
pub(crate) const MAKER_ROOT: &[u8] = include_bytes!("fixed/maker-root.pem");
const BOX: &[u8] = include_bytes!("fixed/box.pem");
pub(crate) const ORGANISATION: &[u8] = include_bytes!("fixed/organisation.pem");
const REGISTRAR: &[u8] = include_bytes!("fixed/registrar.pem");

pub(crate) fn certificate(pem: &[u8]) -> Certificate {
    Roots::from_pem(pem).expect("a certificate")[0].clone()
}

pub(crate) fn unsigned(json: &[u8]) -> Unsigned {
    to_sign(JSON_VOUCHER, json, &[certificate(MASA), certificate(MASA_ROOT)]).expect("a message")
}

fn sign(json: &[u8], key: u8, chain: &[&[u8]]) -> Vec<u8> {
    let chain: Vec<_> = chain.iter().map(|pem| certificate(pem)).collect();
    let unsigned = to_sign(JSON_VOUCHER, json, &chain).expect("a message");
    let key = memory_key(&[key; 32], Algorithm::EcdsaP256, &[Domain::Certificate]);
    block_on(unsigned.sign(&key)).expect("a signature")
}

/// By the maker's key.
pub(crate) fn signed(json: &[u8]) -> Vec<u8> {
    sign(json, 2, &[MASA, MASA_ROOT])
}

pub(crate) fn maker_key() -> KeyIdentifier {
    KeyIdentifier::of_issuer(&certificate(BOX)).expect("an issuer's key")
}

pub(crate) fn tls() -> Registrar {
    Registrar::from_tls([certificate(REGISTRAR).der()]).expect("a certificate")
}

pub(crate) fn voucher() -> Voucher {
    Voucher {
        created_on: time(),
        expires_on: Some("2027-11-22T08:00:00Z".parse().expect("a time")),
        assertion: Assertion::Verified,
        serial_number: serial(),
        idevid_issuer: Some(maker_key()),
        pinned_domain_cert: certificate(ORGANISATION),
        domain_cert_revocation_checks: Some(false),
        freshness: Freshness::Both(Nonce::from_bytes([0xa5; 16]).expect("a nonce"), OwnershipEpoch::new(8)),
    }
}

/// What the box asks for.
pub(crate) fn pledge_request() -> VoucherRequest {
    VoucherRequest {
        created_on: Some(time()),
        assertion: Some(Assertion::Proximity),
        nonce: Some(nonce()),
        serial_number: serial(),
        idevid_issuer: Some(maker_key()),
        form: Form::Pledge { proximity_registrar_cert: Some(certificate(REGISTRAR)) },
    }
}

/// The message that the box sends.
pub(crate) fn asked() -> Vec<u8> {
    sign(&pledge_request().to_json().expect("JSON"), 4, &[BOX])
}

/// What the registrar makes of it.
pub(crate) fn registrar_request() -> VoucherRequest {
    let makers = IdevidRoots(Roots::from_pem(MAKER_ROOT).expect("roots"));
    PledgeRequest::verify(&asked(), &makers).expect("a request").of_registrar(time())
}

/// The message that the registrar sends.
pub(crate) fn passed_on(json: &[u8]) -> Vec<u8> {
    sign(json, 6, &[REGISTRAR])
}
