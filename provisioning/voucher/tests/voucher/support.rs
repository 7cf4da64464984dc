//! Everybody who has a part, and what they sign.

use std::sync::OnceLock;

use dolmen_provisioning_ca::{Certificate, UnixTime, cms::to_sign};
use dolmen_provisioning_voucher::{
    Assertion, Expectation, Form, Freshness, IdevidRoots, JSON_VOUCHER, KeyIdentifier, MasaRoots, Nonce,
    OrganisationRoots, OwnershipEpoch, Registrar, SerialNumber, Voucher, VoucherRequest,
};
use futures::executor::block_on;

pub(crate) use crate::certify::{Identity, Kind, Subject, memory_key};

pub(crate) const SERIAL: &str = "BOX-0001";

impl Identity {
    /// A voucher or request that it signed.
    pub(crate) fn sign(&self, json: &[u8]) -> Vec<u8> {
        let unsigned = to_sign(JSON_VOUCHER, json, &self.chain).expect("a message");
        block_on(unsigned.sign(&self.signer())).expect("a signature")
    }
}

/// A maker, a box of theirs, and an organisation that buys it.
pub(crate) struct World {
    pub(crate) masa_root: Identity,
    pub(crate) masa: Identity,
    pub(crate) maker_root: Identity,
    pub(crate) pledge: Identity,
    pub(crate) organisation_root: Identity,
    pub(crate) organisation: Identity,
    pub(crate) registrar: Identity,
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let masa_root = Subject::root("voucher root").certify();
        let maker_root = Subject::root("maker root").certify();
        let organisation_root = Subject::root("organisation root").certify();
        let organisation = Subject::authority("organisation", &organisation_root).certify();
        World {
            masa: Subject::masa("voucher signer", &masa_root).certify(),
            pledge: Subject::pledge(&[SERIAL], &maker_root).certify(),
            registrar: Subject::registrar("registrar", &organisation).certify(),
            masa_root,
            maker_root,
            organisation_root,
            organisation,
        }
    })
}

impl World {
    pub(crate) fn masa_roots(&self) -> MasaRoots {
        MasaRoots(self.masa_root.roots())
    }

    pub(crate) fn makers(&self) -> IdevidRoots {
        IdevidRoots(self.maker_root.roots())
    }

    pub(crate) fn organisations(&self) -> OrganisationRoots {
        OrganisationRoots(self.organisation_root.roots())
    }

    pub(crate) fn tls(&self) -> Registrar {
        tls(&self.registrar)
    }

    /// For the box, with its nonce, from the authority's side.
    pub(crate) fn voucher(&self) -> Voucher {
        Voucher {
            created_on: time(),
            expires_on: None,
            assertion: Assertion::Proximity,
            serial_number: serial(),
            idevid_issuer: Some(maker_key()),
            pinned_domain_cert: self.organisation_root.certificate.clone(),
            domain_cert_revocation_checks: Some(false),
            freshness: Freshness::Nonce(nonce()),
        }
    }

    pub(crate) fn pledge_request(&self) -> VoucherRequest {
        VoucherRequest {
            created_on: Some(time()),
            assertion: Some(Assertion::Proximity),
            nonce: Some(nonce()),
            serial_number: serial(),
            idevid_issuer: Some(maker_key()),
            form: Form::Pledge { proximity_registrar_cert: Some(self.registrar.certificate.clone()) },
        }
    }

    pub(crate) fn registrar_request(&self) -> VoucherRequest {
        let prior = self.pledge.sign(&self.pledge_request().to_json().expect("JSON"));
        VoucherRequest { form: Form::Registrar { prior_signed_voucher_request: prior }, ..self.pledge_request() }
    }
}

/// What a box sees of a registrar that it connects to. Roots are not sent.
pub(crate) fn tls(registrar: &Identity) -> Registrar {
    let sent = &registrar.chain[..registrar.chain.len() - 1];
    Registrar::from_tls(sent.iter().map(Certificate::der)).expect("certificates")
}

pub(crate) fn expectation<'a>(
    serial_number: &'a SerialNumber,
    idevid_issuer: &'a KeyIdentifier,
    nonce: &'a Nonce,
    registrar: &'a Registrar,
) -> Expectation<'a> {
    let (idevid_issuer, nonce) = (Some(idevid_issuer), Some(nonce));
    Expectation { serial_number, idevid_issuer, nonce, epoch: OwnershipEpoch::new(7), registrar }
}

pub(crate) fn time() -> UnixTime {
    "2026-11-22T08:00:00Z".parse().expect("a time")
}

pub(crate) fn serial() -> SerialNumber {
    SERIAL.parse().expect("a serial number")
}

pub(crate) fn nonce() -> Nonce {
    Nonce::from_bytes([0xa5; 16]).expect("a nonce")
}

pub(crate) fn maker_key() -> KeyIdentifier {
    KeyIdentifier::of_issuer(&world().pledge.certificate).expect("an issuer's key")
}
