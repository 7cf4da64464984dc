//! Keys and certificates of everybody who has a part; they are the same every time.

use std::sync::{Arc, OnceLock};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_ca::{
    Authority, Certificate, ObjectIdentifier, Order, Profile, PublicKey, Serial, Subject, UnixTime, Validity,
    chain::Roots, cms,
};
use dolmen_provisioning_pledge::{Hint, Identity, Pledge, Record, Source};
use dolmen_provisioning_voucher::{
    Assertion, Freshness, IdevidRoots, JSON_VOUCHER, KeyIdentifier, MasaRoots, Nonce, OrganisationRoots,
    OwnershipEpoch, SerialNumber, Voucher, VoucherRequest, check_request,
};
use futures::executor::block_on;

pub(crate) const SERIAL: &str = "SN-0042";
const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");

/// Keys, by the byte that their secrets consist of.
pub(crate) const IDEVID: u8 = 3;
pub(crate) const LDEVID: u8 = 4;
/// The maker's root; its authority has the next.
const MAKER: u8 = 1;
const MASA: u8 = 5;
/// Of organisations: root, authority, registrar, a second registrar.
const ORGANISATIONS: [u8; 2] = [0x20, 0x30];

pub(crate) fn signer(secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = format!("soft:key-{secret}").parse().expect("a name");
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() };
    Arc::new(MemoryKey::new(uri, spec, &Bytes::new([secret; 32])).expect("a secret"))
}

/// Somebody who has a key and a certificate.
pub(crate) struct Party {
    pub(crate) key: u8,
    /// With those of its authorities, but for the root.
    pub(crate) chain: Vec<Certificate>,
}

impl Party {
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    pub(crate) fn ders(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.der().to_vec()).collect()
    }

    /// A voucher, or a request for one.
    pub(crate) fn sign(&self, json: &[u8]) -> Vec<u8> {
        let unsigned = cms::to_sign(JSON_VOUCHER, json, &self.chain).expect("a message");
        block_on(unsigned.sign(&*signer(self.key))).expect("a signature")
    }
}

/// An organisation with two registrars.
pub(crate) struct Organisation {
    pub(crate) root: Authority,
    pub(crate) issuing: Authority,
    pub(crate) registrars: [Party; 2],
}

pub(crate) struct World {
    maker: Authority,
    pub(crate) machine: Party,
    masa: Party,
    pub(crate) organisations: [Organisation; 2],
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (maker, issuing) = authorities("Maker", MAKER);
        let hardware = Profile::IDevId { hardware: HARDWARE };
        World {
            machine: issue(&issuing, hardware, "box", IDEVID, Some(SERIAL)),
            masa: issue(&maker, Profile::Masa, "masa", MASA, None),
            maker,
            organisations: ORGANISATIONS.map(organisation),
        }
    })
}

fn organisation(key: u8) -> Organisation {
    // Both have the same names: keys tell them apart.
    let (root, issuing) = authorities("Example", key);
    let registrar = |at: u8| issue(&issuing, Profile::Registrar, "registrar", key + 2 + at, None);
    Organisation { registrars: [0, 1].map(registrar), root, issuing }
}

fn authorities(name: &str, key: u8) -> (Authority, Authority) {
    let subject = |common_name| Subject::new(name, common_name).expect("a name");
    let root = Authority::root(signer(key), subject("root"), forever(), Serial::from_random([key; 16]));
    let root = block_on(root).expect("a root");
    let order = order(Profile::Issuing, subject("issuing"), key + 1);
    let certificate = block_on(root.issue(&order)).expect("an authority");
    let issuing = Authority::new(certificate, vec![root.certificate().clone()], signer(key + 1));
    (root, issuing.expect("an authority"))
}

fn issue(authority: &Authority, profile: Profile, name: &str, key: u8, machine: Option<&str>) -> Party {
    let subject = Subject::new("Example", name).expect("a name");
    let subject = machine.map_or(Ok(subject.clone()), |serial| subject.with_machine_serial(serial));
    let certificate = block_on(authority.issue(&order(profile, subject.expect("a serial number"), key)));
    let mut chain = vec![certificate.expect("a certificate")];
    chain.extend(Some(authority.certificate()).filter(|_| !authority.chain().is_empty()).cloned());
    Party { key, chain }
}

/// A new LDevID of an organisation's.
pub(crate) fn ldevid(organisation: &Organisation, key: PublicKey, serial: &str, number: u8) -> Certificate {
    issue_ldevid(&organisation.issuing, key, serial, number, forever())
}

/// A new LDevID of an authority's.
pub(crate) fn issue_ldevid(
    authority: &Authority,
    key: PublicKey,
    serial: &str,
    number: u8,
    validity: Validity,
) -> Certificate {
    let subject = Subject::new("Example", "box").and_then(|subject| subject.with_machine_serial(serial));
    let order = Order {
        profile: Profile::LDevId,
        subject: subject.expect("a name"),
        key,
        alt_names: Vec::new(),
        validity,
        serial: Serial::from_random([number; 16]),
    };
    block_on(authority.issue(&order)).expect("a certificate")
}

/// Another issuing authority under an organisation's root, which takes the place of the one before.
pub(crate) fn rotated(organisation: &Organisation, key: u8) -> Authority {
    let subject = Subject::new("Example", "issuing 2").expect("a name");
    let certificate = block_on(organisation.root.issue(&order(Profile::Issuing, subject, key)));
    let chain = vec![organisation.root.certificate().clone()];
    Authority::new(certificate.expect("an authority"), chain, signer(key)).expect("an authority")
}

fn order(profile: Profile, subject: Subject, key: u8) -> Order {
    let public = PublicKey::of(&*signer(key)).expect("a P-256 key");
    let serial = Serial::from_random([0x40 ^ key; 16]);
    Order { profile, subject, key: public, alt_names: Vec::new(), validity: forever(), serial }
}

/// Over for whoever looks at the clock of this machine: nobody does.
pub(crate) fn forever() -> Validity {
    Validity::new(UnixTime::from_secs(1_000_000_000).expect("a time"), UnixTime::MAX).expect("an end")
}

/// What the maker's authority for vouchers says.
#[derive(Clone, Debug)]
pub(crate) struct Ticket<'a> {
    pub(crate) serial: &'a str,
    pub(crate) pinned: &'a Certificate,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) epoch: Option<u64>,
}

impl Ticket<'_> {
    pub(crate) fn voucher(&self) -> Vec<u8> {
        let voucher = Voucher {
            created_on: "2026-11-22T08:00:00Z".parse().expect("a time"),
            expires_on: None,
            assertion: Assertion::Verified,
            serial_number: self.serial.parse().expect("a serial number"),
            idevid_issuer: KeyIdentifier::of_issuer(world().machine.certificate()),
            pinned_domain_cert: self.pinned.clone(),
            domain_cert_revocation_checks: Some(false),
            freshness: Freshness::new(self.nonce.clone(), self.epoch.map(OwnershipEpoch::new)).expect("one of them"),
        };
        world().masa.sign(&voucher.to_json().expect("JSON"))
    }
}

impl World {
    pub(crate) fn makers(&self) -> IdevidRoots {
        IdevidRoots(roots(&self.maker))
    }

    /// Answers a registrar's request with a voucher that has the box's nonce.
    pub(crate) fn answer(&self, request: &[u8], organisation: &Organisation) -> Vec<u8> {
        let organisations = OrganisationRoots(roots(&organisation.root));
        let builder = check_request(request, &organisations, &self.makers()).expect("a request that holds");
        let voucher = builder.build("2026-11-22T08:00:00Z".parse().expect("a time")).expect("a nonce");
        self.masa.sign(&voucher.to_json().expect("JSON"))
    }
}

fn roots(authority: &Authority) -> Roots {
    Roots::new(vec![authority.certificate().clone()]).expect("a root")
}

/// The box, as it is from the factory.
pub(crate) fn identity() -> Identity {
    let masa = MasaRoots(roots(&world().maker));
    Identity::new(world().machine.chain.clone(), masa).expect("an identity")
}

/// The box at its start, with what its disk has.
pub(crate) fn resume(disk: Option<&[u8]>) -> Pledge {
    let record = disk.map(|bytes| Record::from_bytes(bytes).expect("a record"));
    Pledge::resume(record, identity()).expect("a record that holds")
}

pub(crate) fn hint(host: &str) -> Hint {
    Hint::new(Source::DnsSd, host, 8443).expect("a hint")
}

pub(crate) fn serial() -> SerialNumber {
    SERIAL.parse().expect("a serial number")
}

/// A registrar's request for the box, of the box's.
pub(crate) fn registrar_request(registrar: &Party, request: &VoucherRequest) -> Vec<u8> {
    registrar.sign(&request.to_json().expect("JSON"))
}
