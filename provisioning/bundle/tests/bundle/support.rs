//! An organisation with a registrar and a box, whose keys and certificates are the same every time.

use std::sync::{Arc, OnceLock};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_bundle::{
    Admission, AdmissionExpectation, ChainBundle, Checkpoint, Expectation, Hash, Organisation, Peer,
};
use dolmen_provisioning_ca::{
    Authority, Certificate, Order, Profile, PublicKey, Serial, Subject, UnixTime, Validity, chain::When,
};
use dolmen_provisioning_voucher::SerialNumber;
use futures::executor::block_on;

pub(crate) const SERIAL: &str = "SN-0042";
pub(crate) const GENESIS: &str = "{\n  \"chain_id\": 7\n}\n";
pub(crate) const CHAIN: u64 = 7;
/// What `dolmen gov request` writes is not looked at.
pub(crate) const REQUEST: &str = "{\"chain_id\":7,\"name\":\"box-1\"}\n";

/// Keys, by the byte that their secrets consist of.
pub(crate) const ROOT: u8 = 1;
pub(crate) const ISSUING: u8 = 2;
pub(crate) const REGISTRAR: u8 = 3;
pub(crate) const BOX: u8 = 4;
pub(crate) const STRANGER: u8 = 9;

pub(crate) fn signer(secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = format!("soft:key-{secret}").parse().expect("a name");
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() };
    Arc::new(MemoryKey::new(uri, spec, &Bytes::new([secret; 32])).expect("a secret"))
}

/// Somebody who has a key and a certificate.
pub(crate) struct Identity {
    pub(crate) key: u8,
    /// With those of its authorities, but for the root.
    pub(crate) chain: Vec<Certificate>,
}

impl Identity {
    pub(crate) fn bundle(&self, bundle: &ChainBundle) -> Vec<u8> {
        block_on(bundle.to_sign(&self.chain).expect("a bundle").sign(&*signer(self.key))).expect("a signature")
    }

    pub(crate) fn admission(&self, admission: &Admission) -> Vec<u8> {
        block_on(admission.to_sign(&self.chain).expect("an admission").sign(&*signer(self.key))).expect("a signature")
    }
}

pub(crate) struct World {
    pub(crate) root: Authority,
    pub(crate) issuing: Authority,
    pub(crate) registrar: Identity,
    pub(crate) machine: Identity,
    /// A registrar of another organisation, which has the same names.
    pub(crate) stranger: Identity,
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (root, issuing) = organisation(ROOT, ISSUING);
        let registrar = issue(&issuing, Profile::Registrar, REGISTRAR, None);
        let machine = issue(&issuing, Profile::LDevId, BOX, Some(SERIAL));
        let (_, other) = organisation(STRANGER, STRANGER + 1);
        let stranger = issue(&other, Profile::Registrar, STRANGER + 2, None);
        World { root, issuing, registrar, machine, stranger }
    })
}

fn organisation(root: u8, issuing: u8) -> (Authority, Authority) {
    let certificate = Authority::root(signer(root), subject("root"), years(20), Serial::from_random([root; 16]));
    let root = block_on(certificate).expect("a root");
    let order = order(Profile::Issuing, subject("issuing"), issuing, 10);
    let certificate = block_on(root.issue(&order)).expect("an authority");
    let issuing = Authority::new(certificate, vec![root.certificate().clone()], signer(issuing));
    (root, issuing.expect("an authority"))
}

pub(crate) fn issue(authority: &Authority, profile: Profile, key: u8, machine: Option<&str>) -> Identity {
    let name = subject(profile.name());
    let name = machine.map_or(Ok(name.clone()), |serial| name.with_machine_serial(serial)).expect("a serial number");
    let certificate = block_on(authority.issue(&order(profile, name, key, 1))).expect("a certificate");
    Identity { key, chain: vec![certificate, authority.certificate().clone()] }
}

fn order(profile: Profile, subject: Subject, key: u8, length: u64) -> Order {
    let public = PublicKey::of(&*signer(key)).expect("a P-256 key");
    let serial = Serial::from_random([0x10 + key; 16]);
    Order { profile, subject, key: public, alt_names: Vec::new(), validity: years(length), serial }
}

fn subject(common_name: &str) -> Subject {
    Subject::new("Example", common_name).expect("a name")
}

fn years(count: u64) -> Validity {
    let start = 1_800_000_000;
    let [from, to] = [start, start + count * 365 * 24 * 3600].map(|at| UnixTime::from_secs(at).expect("a time"));
    Validity::new(from, to).expect("an end after the beginning")
}

impl World {
    pub(crate) fn root(&self) -> &Certificate {
        self.root.certificate()
    }

    pub(crate) fn bundle(&self) -> ChainBundle {
        ChainBundle {
            serial_number: serial(),
            issued_at: "2027-01-15T08:00:00Z".parse().expect("a time"),
            chain_id: CHAIN,
            genesis: GENESIS.to_owned(),
            genesis_hash: hash(0xaa),
            checkpoint: Some(Checkpoint { height: 600, hash: hash(0xbb) }),
            peers: vec![
                Peer { public_key: [1; 32], address: "10.0.0.1:30303".parse().expect("an address") },
                Peer { public_key: [2; 32], address: "[fd00::2]:30303".parse().expect("an address") },
            ],
            organisation: Organisation { id: 3, name: "Example".to_owned() },
            organisation_roots: vec![self.root().clone()],
            appraisal: Some(hash(0xcc)),
        }
    }

    pub(crate) fn admission(&self) -> Admission {
        Admission {
            serial_number: serial(),
            chain_id: CHAIN,
            genesis_hash: hash(0xaa),
            request: REQUEST.to_owned(),
            appraisal: Some(hash(0xcc)),
        }
    }
}

pub(crate) fn serial() -> SerialNumber {
    SERIAL.parse().expect("a serial number")
}

pub(crate) fn hash(byte: u8) -> Hash {
    Hash::from_bytes([byte; 32])
}

/// What the box expects.
pub(crate) fn expectation(serial_number: &SerialNumber) -> Expectation<'_> {
    Expectation { serial_number, owner: world().root() }
}

/// What the registrar expects.
pub(crate) fn admission_expectation() -> AdmissionExpectation<'static> {
    static ROOTS: OnceLock<[Certificate; 1]> = OnceLock::new();
    AdmissionExpectation {
        organisation: ROOTS.get_or_init(|| [world().root().clone()]),
        when: When::Never,
        crls: &[],
        chain_id: CHAIN,
        genesis_hash: hash(0xaa),
        appraisal: Some(hash(0xcc)),
    }
}
