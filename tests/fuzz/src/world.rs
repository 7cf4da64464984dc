//! Everybody who has a part, with keys and certificates that are the same every time: inputs are made by them, and what
//! was changed is signed by them again, so that it reaches what is behind the signature.

use std::sync::{Arc, LazyLock};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Message, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_ca::{
    Authority, Certificate, ObjectIdentifier, Order, Profile, PublicKey, Serial, Subject, UnixTime, Validity,
    chain::Roots,
    cms::{ContentType, Unsigned, to_sign},
};
use dolmen_provisioning_voucher::{IdevidRoots, MasaRoots, OrganisationRoots};
use futures::executor::block_on;

use crate::mutation;

/// The box's serial number.
pub(crate) const SERIAL: &str = "SN-0042";
/// 2027-01-15 08:00:00.
pub(crate) const NOW: u64 = 1_800_000_000;
const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");

/// Somebody who has a key and a certificate.
pub(crate) struct Party {
    pub(crate) key: Arc<dyn Signer>,
    /// Its own first; without the root.
    pub(crate) chain: Vec<Certificate>,
}

impl Party {
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    pub(crate) fn ders(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.der().to_vec()).collect()
    }

    pub(crate) fn sign(&self, unsigned: &Unsigned) -> Vec<u8> {
        block_on(unsigned.sign(&*self.key)).expect("a signature")
    }

    /// A message with this content; none for one that is too long.
    pub(crate) fn message(&self, content_type: ContentType, content: &[u8]) -> Option<Vec<u8>> {
        to_sign(content_type, content, &self.chain).ok().map(|unsigned| self.sign(&unsigned))
    }

    /// `r` and `s` of ECDSA with SHA-256.
    pub(crate) fn signature(&self, bytes: &[u8]) -> [u8; 64] {
        block_on(self.key.sign(Domain::Certificate, Message::Bytes(bytes))).expect("a signature").0
    }

    /// A certificate, a request or a list with this content.
    pub(crate) fn sealed(&self, content: &[u8]) -> Vec<u8> {
        mutation::sealed(content, |content| self.signature(content))
    }
}

/// A maker, a box of theirs, and the organisation that bought it.
pub(crate) struct World {
    pub(crate) maker: Authority,
    pub(crate) masa: Party,
    /// The box, by its maker.
    pub(crate) machine: Party,
    pub(crate) root: Authority,
    pub(crate) authority: Authority,
    /// The key of the authority, which issues certificates.
    pub(crate) issuing: Party,
    pub(crate) registrar: Party,
    /// The box, by its organisation.
    pub(crate) member: Party,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let maker = root("Maker", 1);
    let root = root("Example", 2);
    let issuing = issue(&root, Profile::Issuing, "issuing", None, 3);
    let chain = vec![root.certificate().clone()];
    let authority = Authority::new(issuing.certificate().clone(), chain, key(3)).expect("an authority");
    let hardware = Profile::IDevId { hardware: HARDWARE };
    World {
        masa: issue(&maker, Profile::Masa, "masa", None, 4),
        machine: issue(&maker, hardware, "box", Some(SERIAL), 5),
        registrar: issue(&authority, Profile::Registrar, "registrar", None, 6),
        member: issue(&authority, Profile::LDevId, "box", Some(SERIAL), 7),
        maker,
        root,
        authority,
        issuing,
    }
});

impl World {
    pub(crate) fn makers(&self) -> IdevidRoots {
        IdevidRoots(roots(&self.maker))
    }

    pub(crate) fn masas(&self) -> MasaRoots {
        MasaRoots(roots(&self.maker))
    }

    pub(crate) fn organisations(&self) -> OrganisationRoots {
        OrganisationRoots(roots(&self.root))
    }

    /// All certificates.
    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let authorities = [&self.maker, &self.root, &self.authority].map(Authority::certificate);
        let parties = [&self.masa, &self.machine, &self.registrar, &self.member].map(Party::certificate);
        authorities.into_iter().chain(parties).cloned().collect()
    }
}

/// The key whose secret consists of this byte.
pub(crate) fn key(secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = "soft:key".parse().expect("a name");
    let domains = [Domain::Certificate, Domain::Tls].into_iter().collect();
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains };
    Arc::new(MemoryKey::new(uri, spec, &Bytes::new([secret; 32])).expect("a secret"))
}

pub(crate) fn now() -> UnixTime {
    UnixTime::from_secs(NOW).expect("before the year 10000")
}

fn forever() -> Validity {
    Validity::new(UnixTime::from_secs(NOW - 1000).expect("a time"), UnixTime::MAX).expect("an end after the beginning")
}

fn roots(authority: &Authority) -> Roots {
    Roots::new(vec![authority.certificate().clone()]).expect("a root")
}

fn root(name: &str, secret: u8) -> Authority {
    let subject = Subject::new(name, "root").expect("a name");
    block_on(Authority::root(key(secret), subject, forever(), Serial::from_random([secret; 16]))).expect("a root")
}

fn issue(authority: &Authority, profile: Profile, name: &str, machine: Option<&str>, secret: u8) -> Party {
    let subject = Subject::new("Example", name).expect("a name");
    let subject = machine.map_or(Ok(subject.clone()), |serial| subject.with_machine_serial(serial));
    let order = Order {
        profile,
        subject: subject.expect("a serial number"),
        key: PublicKey::of(&*key(secret)).expect("a P-256 key"),
        alt_names: Vec::new(),
        validity: forever(),
        serial: Serial::from_random([secret; 16]),
    };
    let mut chain = vec![block_on(authority.issue(&order)).expect("a certificate")];
    chain.extend(Some(authority.certificate()).filter(|_| !authority.chain().is_empty()).cloned());
    Party { key: key(secret), chain }
}
