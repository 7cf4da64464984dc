//! Makers, an organisation, boxes, and the registrar's journal.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Serial, Verifier};
use dolmen_provisioning_bundle::{self as bundle, Admission, Organisation};
use dolmen_provisioning_ca::{
    Authority, Certificate, ObjectIdentifier, Order, Profile, PublicKey, RequestBuilder, Serial as Number, Subject,
    UnixTime, Validity, chain::Roots, cms, est,
};
use dolmen_provisioning_registrar::{
    Answer, Call, Chain, Change, Effect, Event, Fresh, Peer, Policy, Record, Registrar, Request, Setup, Who,
};
use dolmen_provisioning_voucher::{
    Assertion, Form, Freshness, IdevidRoots, JSON_VOUCHER, MasaRoots, Nonce, OwnershipEpoch, Voucher, VoucherRequest,
};
use futures::executor::block_on;

use crate::support::{policy, released};

/// 2033, as in the tests of appraisals.
pub(crate) const NOW: u64 = 2_000_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60;
const BEGIN: u64 = 1_900_000_000;
const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");

/// The key of this name.
pub(crate) fn key(name: &str) -> Arc<dyn Signer> {
    let uri: KeyUri = "soft:test".parse().expect("a name");
    let domains = [Domain::Certificate, Domain::Tls].into_iter().collect();
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains };
    let secret = Bytes::new(*Hash::of(name.as_bytes()).as_bytes());
    Arc::new(MemoryKey::new(uri, spec, &secret).expect("a secret"))
}

pub(crate) fn unix(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds).expect("before the year 10000")
}

fn forever() -> Validity {
    Validity::new(unix(BEGIN), UnixTime::MAX).expect("an end after the beginning")
}

fn number(name: &str) -> Number {
    Number::from_random(Hash::of(name.as_bytes()).as_bytes()[..16].try_into().expect("16 bytes"))
}

fn root(name: &str) -> Authority {
    let subject = Subject::new(name, "root").expect("a name");
    block_on(Authority::root(key(&format!("{name} root")), subject, forever(), number(name))).expect("a root")
}

fn issue(authority: &Authority, profile: Profile, subject: Subject, key: &dyn Signer, label: &str) -> Certificate {
    issue_until(UnixTime::MAX, authority, profile, subject, key, label)
}

fn issue_until(
    end: UnixTime,
    authority: &Authority,
    profile: Profile,
    subject: Subject,
    key: &dyn Signer,
    label: &str,
) -> Certificate {
    let key = PublicKey::of(key).expect("a key");
    let validity = Validity::new(unix(BEGIN), end).expect("an end after the beginning");
    let order = Order { profile, subject, key, alt_names: Vec::new(), validity, serial: number(label) };
    block_on(authority.issue(&order)).expect("a certificate")
}

/// Who makes boxes and signs vouchers for them.
pub(crate) struct Maker {
    pub(crate) root: Authority,
    masa: Certificate,
}

impl Maker {
    pub(crate) fn new(name: &str) -> Self {
        let root = root(name);
        let subject = Subject::new(name, "masa").expect("a name");
        let masa = issue(&root, Profile::Masa, subject, &*key("masa"), &format!("{name} masa"));
        Self { root, masa }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.root.certificate().clone()]).expect("a root")
    }

    /// A box; `label` tells two with the same serial number apart.
    pub(crate) fn build(&self, serial: &str, label: &str) -> Pledge {
        let (name, key) = (format!("{serial} {label}"), key(&format!("{serial} {label} idevid")));
        let subject = Subject::new("Maker", "box").and_then(|subject| subject.with_machine_serial(serial));
        let profile = Profile::IDevId { hardware: HARDWARE };
        let idevid = issue(&self.root, profile, subject.expect("a serial number"), &*key, &name);
        Pledge { serial: serial.parse().expect("a serial number"), key, idevid, ldevid: crate::world::key(&name) }
    }

    pub(crate) fn sign(&self, voucher: &Voucher) -> Vec<u8> {
        let json = voucher.to_json().expect("JSON");
        let unsigned = cms::to_sign(JSON_VOUCHER, &json, std::slice::from_ref(&self.masa)).expect("a message");
        block_on(unsigned.sign(&*key("masa"))).expect("a signature")
    }
}

/// What a voucher says.
pub(crate) fn voucher(serial: &str, pinned: &Certificate, freshness: Freshness) -> Voucher {
    Voucher {
        created_on: unix(NOW),
        expires_on: None,
        assertion: Assertion::Verified,
        serial_number: serial.parse().expect("a serial number"),
        idevid_issuer: None,
        pinned_domain_cert: pinned.clone(),
        domain_cert_revocation_checks: Some(false),
        freshness,
    }
}

pub(crate) fn epoch(epoch: u64) -> Freshness {
    Freshness::Epoch(OwnershipEpoch::new(epoch))
}

pub(crate) fn nonce(byte: u8) -> Nonce {
    Nonce::from_bytes(vec![byte; 16]).expect("a nonce")
}

/// A box.
pub(crate) struct Pledge {
    pub(crate) serial: Serial,
    pub(crate) key: Arc<dyn Signer>,
    pub(crate) idevid: Certificate,
    /// Its identity in the organisation.
    pub(crate) ldevid: Arc<dyn Signer>,
}

impl Pledge {
    /// Its request for a voucher, with something in it changed.
    pub(crate) fn request(&self, nonce: Nonce, change: impl FnOnce(&mut VoucherRequest)) -> Vec<u8> {
        let mut request = VoucherRequest {
            created_on: None,
            assertion: Some(Assertion::Proximity),
            nonce: Some(nonce),
            serial_number: self.serial.as_str().parse().expect("a serial number"),
            idevid_issuer: None,
            form: Form::Pledge { proximity_registrar_cert: Some(organisation().registrar.clone()) },
        };
        change(&mut request);
        let json = request.to_json().expect("JSON");
        let unsigned = cms::to_sign(JSON_VOUCHER, &json, std::slice::from_ref(&self.idevid)).expect("a message");
        block_on(unsigned.sign(&*self.key)).expect("a signature")
    }

    pub(crate) fn csr(&self) -> Vec<u8> {
        csr(&*self.ldevid, &RequestBuilder::new(&Subject::new("Any", "box").expect("a name"), Vec::new()).expect("one"))
    }

    /// An appraisal of it, as if a TPM with this number had been judged.
    pub(crate) fn appraised(&self, tpm: u8) -> Event {
        let serial = self.serial.clone();
        let bytes = appraisal(&self.serial, tpm, &*self.ldevid);
        Event::Appraised { serial, appraisal: crate::measured::bytes(bytes) }
    }

    /// Its request to be one of the chain's, with something in it changed.
    pub(crate) fn admission(
        &self,
        ldevid: &Certificate,
        appraisal: Hash,
        change: impl FnOnce(&mut Admission),
    ) -> Vec<u8> {
        let mut admission = Admission {
            serial_number: self.serial.as_str().parse().expect("a serial number"),
            chain_id: chain().chain_id,
            genesis_hash: chain().genesis_hash,
            request: asks(self.serial.as_str()),
            appraisal: Some(bundle::Hash::from_bytes(*appraisal.as_bytes())),
        };
        change(&mut admission);
        let unsigned = admission.to_sign(std::slice::from_ref(ldevid)).expect("a message");
        block_on(unsigned.sign(&*self.ldevid)).expect("a signature")
    }
}

/// A request for the chain, by the consensus key of this name.
pub(crate) fn asks(name: &str) -> String {
    format!("{{\"public_key\":\"{}\"}}", Hash::of(name.as_bytes()))
}

pub(crate) fn csr(key: &dyn Signer, builder: &RequestBuilder) -> Vec<u8> {
    est::write_request(&block_on(builder.sign(key)).expect("a request")).into_bytes()
}

/// What a registrar writes about a box that it appraised (`Appraisal::to_bytes`).
pub(crate) fn appraisal(serial: &Serial, tpm: u8, ldevid: &dyn Signer) -> Vec<u8> {
    let sized = |part: &[u8]| [&u16::try_from(part.len()).expect("short").to_be_bytes()[..], part].concat();
    let registers = |numbers: &[u8]| {
        let count = vec![u8::try_from(numbers.len()).expect("few")];
        numbers.iter().fold(count, |all, number| [all, vec![*number], vec![*number; 32]].concat())
    };
    let info = const_hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").expect("digits");
    [
        b"dolmen-appraisal-v1\0".to_vec(),
        sized(serial.as_str().as_bytes()),
        sized(b"1.2.0"),
        vec![3],
        vec![0xab; 32],
        vec![tpm; 32],
        vec![0],
        sized(&[&[0, 0x0b][..], &[tpm; 32]].concat()),
        sized(&[&info[..], ldevid.public_key()].concat()),
        registers(&[4, 7, 11]),
        registers(&[0, 1]),
        5_u32.to_be_bytes().to_vec(),
        0_u32.to_be_bytes().to_vec(),
        1_u64.to_be_bytes().to_vec(),
    ]
    .concat()
}

/// An organisation's certificates.
pub(crate) struct Firm {
    pub(crate) authority: Authority,
    pub(crate) registrar: Certificate,
}

impl Firm {
    pub(crate) fn new(name: &str) -> Self {
        Self::until(name, UnixTime::MAX, UnixTime::MAX)
    }

    /// Whose issuing authority and registrar have certificates that end then.
    pub(crate) fn until(name: &str, issuing: UnixTime, registrar: UnixTime) -> Self {
        let root = root(name);
        let subject = Subject::new(name, "issuing").expect("a name");
        let (signer, label) = (key(&format!("{name} issuing")), format!("{name} issuing"));
        let issuing = issue_until(issuing, &root, Profile::Issuing, subject, &*signer, &label);
        let authority = Authority::new(issuing, vec![root.certificate().clone()], signer).expect("an authority");
        let subject = Subject::new(name, "registrar").expect("a name");
        let (signer, label) = (key("registrar"), format!("{name} registrar"));
        let registrar = issue_until(registrar, &authority, Profile::Registrar, subject, &*signer, &label);
        Self { authority, registrar }
    }

    pub(crate) fn root(&self) -> &Certificate {
        &self.authority.chain()[0]
    }

    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        vec![self.registrar.clone(), self.authority.certificate().clone(), self.root().clone()]
    }

    /// A box's certificate that no registrar knows of.
    pub(crate) fn ldevid(&self, pledge: &Pledge) -> Certificate {
        let subject = Subject::new("Example", pledge.serial.as_str());
        let subject = subject.and_then(|subject| subject.with_machine_serial(pledge.serial.as_str()));
        issue(&self.authority, Profile::LDevId, subject.expect("a name"), &*pledge.ldevid, pledge.serial.as_str())
    }
}

pub(crate) fn organisation() -> Firm {
    Firm::new("Example")
}

pub(crate) fn maker() -> Maker {
    Maker::new("Maker")
}

pub(crate) fn chain() -> Chain {
    Chain {
        chain_id: 7,
        genesis: "{}".to_owned(),
        genesis_hash: bundle::Hash::from_bytes([0x77; 32]),
        checkpoint: None,
        peers: vec![bundle::Peer { public_key: [1; 32], address: "10.0.0.1:3000".parse().expect("an address") }],
        organisation_roots: vec![organisation().root().clone()],
    }
}

pub(crate) fn setup(text: &str, verifier: Verifier) -> Setup {
    setup_of(organisation(), text, verifier)
}

pub(crate) fn setup_of(firm: Firm, text: &str, verifier: Verifier) -> Setup {
    let maker = maker();
    Setup {
        organisation: Organisation { id: 1, name: "Example".to_owned() },
        certificates: firm.certificates(),
        authority: firm.authority,
        signer: key("registrar"),
        makers: IdevidRoots(maker.roots()),
        masas: MasaRoots(maker.roots()),
        policy: Policy::parse(text).expect("a policy"),
        verifier,
    }
}

/// A registrar, and the driver around it.
pub(crate) struct Office {
    pub(crate) registrar: Registrar,
    pub(crate) journal: Vec<(u64, Record)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: u64,
    /// What links requests to the session.
    pub(crate) binding: Option<&'static [u8]>,
    asked: u64,
}

impl Office {
    /// With a policy of joining, and one of appraisals that takes nobody here.
    pub(crate) fn new(text: &str) -> Self {
        Self::with(setup(text, Verifier::new(policy(&[]), released())))
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let (registrar, records) = Registrar::open(setup, []).expect("a new journal");
        let journal = records.into_iter().map(|record| (NOW, record)).collect();
        Self { registrar, journal, effects: Vec::new(), now: NOW, binding: None, asked: 0 }
    }

    /// With a journal that another one wrote.
    pub(crate) fn of(setup: Setup, journal: Vec<(u64, Record)>) -> Self {
        let records = journal.iter().map(|(time, record)| (*time, record));
        let (registrar, _) = Registrar::open(setup, records).expect("its own journal");
        Self { registrar, journal, effects: Vec::new(), now: NOW, binding: None, asked: 0 }
    }

    /// Ends, and begins again from the journal: the state is the same.
    pub(crate) fn restart(&mut self) {
        let journal = self.journal.iter().map(|(time, record)| (*time, record));
        let (registrar, records) = Registrar::open(self.registrar.setup().clone(), journal).expect("its own journal");
        assert_eq!((registrar.state(), records), (self.registrar.state(), vec![]));
        self.registrar = registrar;
    }

    fn fresh(&mut self) -> Fresh {
        self.asked += 1;
        let random = *Hash::of(&self.asked.to_be_bytes()).as_bytes();
        let serial = random[..16].try_into().expect("16 bytes");
        Fresh { secret: random.into(), nonce: random, serial }
    }

    /// A request by whoever has these certificates.
    pub(crate) fn request(
        &mut self,
        call: Call,
        certificates: &[&Certificate],
        body: &[u8],
        chain: Option<&Chain>,
    ) -> Answer {
        let certificates: Vec<_> = certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        self.send(call, &certificates, body, chain)
    }

    /// A request by whoever shows this.
    pub(crate) fn send(&mut self, call: Call, certificates: &[Vec<u8>], body: &[u8], chain: Option<&Chain>) -> Answer {
        let peer = Peer { certificates, address: "10.0.0.7:4711" };
        let fresh = self.fresh();
        let request = Request { call, peer, body, binding: self.binding, chain };
        let outcome = block_on(self.registrar.handle(&request, self.now, fresh));
        self.journal.extend(outcome.records.into_iter().map(|record| (self.now, record)));
        self.effects.extend(outcome.effects);
        outcome.answer
    }

    /// A request that somebody carried, by whoever signed it with this certificate.
    pub(crate) fn carried(&mut self, call: Call, certificate: &Certificate, body: &[u8]) -> Answer {
        let certificates = [certificate.der().to_vec()];
        let (peer, chain) = (Peer { certificates: &certificates, address: "stick" }, chain());
        let fresh = self.fresh();
        let request = Request { call, peer, body, binding: None, chain: Some(&chain) };
        let outcome = block_on(self.registrar.handle_carried(&request, self.now, fresh));
        self.journal.extend(outcome.records.into_iter().map(|record| (self.now, record)));
        self.effects.extend(outcome.effects);
        outcome.answer
    }

    /// A request by whoever has this certificate.
    pub(crate) fn ask(&mut self, call: Call, certificate: &Certificate, body: &[u8]) -> Answer {
        self.request(call, &[certificate], body, Some(&chain()))
    }

    /// The code of a refusal, which is the last record, too.
    pub(crate) fn refused(&mut self, call: Call, certificate: &Certificate, body: &[u8]) -> String {
        let answer = self.ask(call, certificate, body);
        let code = code(&answer);
        let recorded = self.journal.last().map(|(_, record)| &record.what);
        assert!(matches!(recorded, Some(Event::Refused { code: found, .. }) if *found == code), "{recorded:?}");
        code
    }

    /// Keeps what an operator did.
    pub(crate) fn keep<E: std::fmt::Debug>(&mut self, change: Result<Change, E>) -> Vec<Effect> {
        let change = change.expect("it can be done");
        self.journal.extend(change.records.into_iter().map(|record| (self.now, record)));
        change.effects
    }

    /// Puts something into the journal that happened before.
    pub(crate) fn happened(&mut self, what: Event) {
        self.journal.push((self.now, Record { who: Who::Registrar, what }));
        let journal = self.journal.iter().map(|(time, record)| (*time, record));
        let (registrar, _) = Registrar::open(self.registrar.setup().clone(), journal).expect("a journal");
        self.registrar = registrar;
    }

    /// A box that has a voucher and was appraised, with its certificate.
    pub(crate) fn enrol(&mut self, pledge: &Pledge, tpm: u8) -> Certificate {
        let (serial, now) = (&pledge.serial, self.now);
        let change = self.registrar.approve(serial, "Ada", now);
        self.keep(change);
        let request = pledge.request(nonce(tpm), |_| ());
        assert_eq!(self.ask(Call::RequestVoucher, &pledge.idevid, &request).status, 202);
        self.happened(pledge.appraised(tpm));
        self.certify(pledge)
    }

    pub(crate) fn certify(&mut self, pledge: &Pledge) -> Certificate {
        let answer = self.ask(Call::SimpleEnroll, &pledge.idevid, &pledge.csr());
        assert_eq!(answer.status, 200, "{answer:?}");
        certificate(&answer, &*pledge.ldevid)
    }

    pub(crate) fn appraisal(&self, pledge: &Pledge) -> Hash {
        let appraised = self.registrar.state().boxes()[&pledge.serial].appraised.as_ref();
        appraised.expect("it was appraised").appraisal.hash()
    }
}

/// The certificate in an answer of EST.
pub(crate) fn certificate(answer: &Answer, key: &dyn Signer) -> Certificate {
    est::read_enrolled(&answer.body, &PublicKey::of(key).expect("a key")).expect("a certificate")
}

/// The code of a refusal.
pub(crate) fn code(answer: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    assert_eq!((answer.media, &problem["status"]), (Some("application/problem+json"), &answer.status.into()));
    assert_eq!(problem["retry"], answer.retry_after.is_some());
    problem["code"].as_str().expect("a code").to_owned()
}
