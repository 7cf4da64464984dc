//! An organisation, its keys, and OpenSSL beside it.

use std::{fs, net::Ipv4Addr, path::Path, process::Command, sync::Arc};

use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeySpec, KeyUri, Message, Residence, Signature, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_ca::{
    Authority, Certificate, CrlReason, GeneralName, ObjectIdentifier, Order, Profile, PublicKey, Revocation,
    RevocationList, Serial, Subject, UnixTime, Validity, alt_name,
};
use futures::{executor::block_on, future::BoxFuture};
use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    nid::Nid,
    pkey::{PKey, Private},
    sha::sha256,
    x509::X509,
};

/// 2027-01-15 08:00:00.
pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60;
pub(crate) const YEAR: u64 = 365 * DAY;
pub(crate) const SERIAL: &str = "SN-0042";
pub(crate) const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");

/// Keys, by the byte that their secrets consist of.
pub(crate) const ROOT: u8 = 1;
pub(crate) const ISSUING: u8 = 2;
pub(crate) const BOX: u8 = 3;
pub(crate) const REGISTRAR: u8 = 4;
pub(crate) const STRANGER: u8 = 9;

pub(crate) fn signer_of(algorithm: Algorithm, domain: Domain, secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = format!("soft:key-{secret}").parse().expect("a name");
    let spec = KeySpec { algorithm, domains: [domain].into_iter().collect() };
    Arc::new(MemoryKey::new(uri, spec, &Bytes::new([secret; 32])).expect("a secret"))
}

pub(crate) fn signer(secret: u8) -> Arc<dyn Signer> {
    signer_of(Algorithm::EcdsaP256, Domain::Certificate, secret)
}

pub(crate) fn public_key(secret: u8) -> PublicKey {
    PublicKey::of(&*signer(secret)).expect("a P-256 key")
}

/// A device that says it has one key and signs by another.
#[derive(Debug)]
pub(crate) struct Liar {
    pub(crate) says: Arc<dyn Signer>,
    pub(crate) signs: Arc<dyn Signer>,
}

impl Signer for Liar {
    fn uri(&self) -> &KeyUri {
        self.says.uri()
    }

    fn algorithm(&self) -> Algorithm {
        self.says.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.says.public_key()
    }

    fn domains(&self) -> Domains {
        self.says.domains()
    }

    fn residence(&self) -> Residence {
        Residence::Device
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        self.signs.sign(domain, message)
    }
}

pub(crate) fn time(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds).expect("before the year 10000")
}

/// From the start on.
pub(crate) fn years(count: u64) -> Validity {
    Validity::new(time(START), time(START + count * YEAR)).expect("an end after the beginning")
}

pub(crate) fn forever() -> Validity {
    Validity::new(time(START), UnixTime::MAX).expect("an end after the beginning")
}

pub(crate) fn serial(number: u8) -> Serial {
    Serial::from_random([number; 16])
}

pub(crate) fn subject(common_name: &str) -> Subject {
    Subject::new("Example", common_name).expect("a name")
}

pub(crate) fn machine() -> Subject {
    subject("box-1").with_machine_serial(SERIAL).expect("a serial number")
}

pub(crate) fn names() -> Vec<GeneralName> {
    vec![alt_name::dns("box-1.example").expect("a name"), alt_name::ip(Ipv4Addr::new(10, 0, 0, 1).into())]
}

pub(crate) fn order(profile: Profile, subject: Subject, key: u8, validity: Validity) -> Order {
    let alt_names = Vec::new();
    Order { profile, subject, key: public_key(key), alt_names, validity, serial: serial(0x10 + key) }
}

pub(crate) fn box_order() -> Order {
    Order { alt_names: names(), ..order(Profile::LDevId, machine(), BOX, years(1)) }
}

/// An organisation: a root, an authority under it, and a box.
pub(crate) struct Organisation {
    pub(crate) root: Authority,
    pub(crate) issuing: Authority,
    pub(crate) ldevid: Certificate,
}

impl Organisation {
    pub(crate) fn new() -> Self {
        let root = Authority::root(signer(ROOT), subject("root"), years(20), serial(1));
        let root = block_on(root).expect("a root");
        let certificate = block_on(root.issue(&order(Profile::Issuing, subject("issuing"), ISSUING, years(10))));
        let chain = vec![root.certificate().clone()];
        let issuing = Authority::new(certificate.expect("an authority"), chain, signer(ISSUING));
        let issuing = issuing.and_then(|issuing| issuing.with_crl_uri("http://ca.example/issuing.crl"));
        let issuing = issuing.expect("an authority");
        let ldevid = block_on(issuing.issue(&box_order())).expect("a certificate");
        Self { root, issuing, ldevid }
    }

    pub(crate) fn roots(&self) -> [Certificate; 1] {
        [self.root.certificate().clone()]
    }

    pub(crate) fn others(&self) -> [Certificate; 1] {
        [self.issuing.certificate().clone()]
    }
}

/// A list for 30 days with these serial numbers.
pub(crate) fn list(serials: &[Serial]) -> RevocationList {
    let reasons = [CrlReason::KeyCompromise, CrlReason::Unspecified, CrlReason::CessationOfOperation];
    let revoked = serials.iter().zip(reasons.into_iter().cycle());
    let date = time(START + DAY);
    let revoked = revoked.map(|(serial, reason)| (serial.clone(), Revocation { date, reason })).collect();
    RevocationList { number: 7, this_update: time(START + 2 * DAY), next_update: time(START + 32 * DAY), revoked }
}

/// The key of this secret, for OpenSSL.
pub(crate) fn private_key(secret: u8) -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let number = BigNum::from_slice(&[secret; 32]).expect("a number");
    let mut point = EcPoint::new(&group).expect("a point");
    let mut context = openssl::bn::BigNumContext::new().expect("memory");
    point.mul_generator2(&group, &number, &mut context).expect("a point");
    EcKey::from_private_components(&group, &number, &point).and_then(PKey::from_ec_key).expect("a key")
}

pub(crate) fn pem(certificate: &Certificate) -> Vec<u8> {
    X509::from_der(certificate.der()).and_then(|certificate| certificate.to_pem()).expect("a certificate")
}

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

/// Runs `openssl`: what it wrote to its output and errors if it was content, else what it wrote for an error.
pub(crate) fn openssl(directory: &Path, arguments: &str) -> Result<String, String> {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output();
    let output = output.expect("openssl; scripts/setup.sh installs it");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// `r` and `s` over a content, around which everything else is right.
pub(crate) fn sealed(content: &[u8], key: u8) -> Vec<u8> {
    let key = private_key(key).ec_key().expect("a key");
    let signature =
        EcdsaSig::sign(&sha256(content), &key).and_then(|signature| signature.to_der()).expect("a signature");
    let algorithm = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let signature = [&[3, u8::try_from(signature.len() + 1).expect("short"), 0], &signature[..]].concat();
    let inner = [content, algorithm, &signature].concat();
    let length = u16::try_from(inner.len()).expect("short").to_be_bytes();
    [&[0x30, 0x82], &length[..], &inner].concat()
}

/// The content of something that is sealed.
pub(crate) fn content(der: &[u8]) -> &[u8] {
    let inner = &der[bounds(der).0..];
    &inner[..bounds(inner).1]
}

/// Where the content of a structure begins, and where it ends.
fn bounds(der: &[u8]) -> (usize, usize) {
    let (begin, length) = match der[1] {
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    (begin, begin + length)
}

/// With some bytes more at a place, and all lengths around it raised.
pub(crate) fn insert(der: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let (begin, end) = bounds(der);
    let mut inner = Vec::new();
    let mut place = begin;
    while place < end {
        let next = place + bounds(&der[place..]).1;
        if place == at {
            inner.extend_from_slice(bytes);
        }
        if (place + 1..next).contains(&at) {
            inner.extend(insert(&der[place..next], at - place, bytes));
        } else {
            inner.extend_from_slice(&der[place..next]);
        }
        place = next;
    }
    let length = inner.len();
    let [high, low] = u16::try_from(length).expect("short").to_be_bytes();
    let header = match length {
        0..0x80 => vec![der[0], low],
        0x80..0x100 => vec![der[0], 0x81, low],
        _ => vec![der[0], 0x82, high, low],
    };
    [header, inner].concat()
}

/// The structure that has these bytes at an offset in it, and its place.
pub(crate) fn find<'a>(der: &'a [u8], bytes: &[u8], offset: usize) -> (usize, &'a [u8]) {
    let found = der.windows(bytes.len()).position(|window| window == bytes).expect("these bytes");
    let place = found - offset;
    (place, &der[place..place + bounds(&der[place..]).1])
}

/// Numbers that seem random and are the same every time (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// Bytes that were changed a little, in one to three places.
    pub(crate) fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                bytes.push(self.byte());
            }
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.byte(),
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0x82, 0xff][self.below(6)],
                3 => drop(bytes.drain(at..end)),
                4 => bytes.insert(at, self.byte()),
                5 => bytes.extend_from_within(at..end),
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}
