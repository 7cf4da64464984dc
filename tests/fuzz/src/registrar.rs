//! Calls to a registrar, and what it keeps and is told.

use std::sync::LazyLock;

use dolmen_provisioning_appraisal::Message as _;
use dolmen_provisioning_bundle::{Hash, Organisation, Peer as ChainPeer};
use dolmen_provisioning_ca::{Certificate, PublicKey, RequestBuilder, Subject, est};
use dolmen_provisioning_registrar::{
    Answer, Call, Chain, Event, Fresh, Peer, Policy, Record, Registrar, Request, Setup, State, Who,
};
use futures::executor::block_on;

use crate::{
    Target, appraisal, chain, voucher,
    world::{NOW, SERIAL, WORLD},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("registrar_call", calls, call).cases(150),
    Target::new("registrar_path", paths, path),
    Target::new("registrar_policy", policies, policy),
    Target::new("registrar_record", records, record),
];

const SECRET: [u8; 32] = *b"what only this TPM can read, 32b";
const NONCE: [u8; 32] = *b"a nonce that was never used yet.";

fn setup() -> Setup {
    let mut certificates = WORLD.registrar.chain.clone();
    certificates.push(WORLD.root.certificate().clone());
    Setup {
        organisation: Organisation { id: 1, name: "Example".to_owned() },
        authority: WORLD.authority.clone(),
        certificates,
        signer: WORLD.registrar.key.clone(),
        makers: WORLD.makers(),
        masas: WORLD.masas(),
        policy: Policy::parse(&format!("[approve]\nserials = [\"{SERIAL}\"]\n")).expect("a policy"),
        verifier: appraisal::verifier(),
    }
}

fn chain_of() -> Chain {
    Chain {
        chain_id: chain::CHAIN,
        genesis: "{}".to_owned(),
        genesis_hash: Hash::from_bytes(chain::GENESIS),
        checkpoint: None,
        peers: vec![ChainPeer { public_key: [1; 32], address: "10.0.0.1:3000".parse().expect("an address") }],
        organisation_roots: vec![WORLD.root.certificate().clone()],
    }
}

/// A registrar and its journal.
struct Office {
    registrar: Registrar,
    journal: Vec<(u64, Record)>,
}

impl Office {
    fn of(journal: Vec<(u64, Record)>) -> Self {
        let records = journal.iter().map(|(time, record)| (*time, record));
        let (registrar, records) = Registrar::open(setup(), records).expect("its own journal");
        let more = records.into_iter().map(|record| (NOW, record));
        let journal = journal.into_iter().chain(more).collect();
        Self { registrar, journal }
    }

    fn ask(&mut self, call: Call, certificates: &[Vec<u8>], body: &[u8]) -> Answer {
        let (peer, chain) = (Peer { certificates, address: "10.0.0.7:4711" }, chain_of());
        let fresh = Fresh { secret: SECRET.into(), nonce: NONCE, serial: [7; 16] };
        let request = Request { call, peer, body, binding: None, chain: Some(&chain) };
        let outcome = block_on(self.registrar.handle(&request, NOW, fresh));
        if outcome.answer.status >= 400 {
            let is_refusal = matches!(&outcome.records[..], [Record { what: Event::Refused { .. }, .. }]);
            assert!(is_refusal && outcome.effects.is_empty(), "a refusal leaves itself behind and no more");
        }
        self.journal.extend(outcome.records.into_iter().map(|record| (NOW, record)));
        outcome.answer
    }
}

/// A box that is a member.
struct Joined {
    /// The journal up to then.
    journal: Vec<(u64, Record)>,
    ldevid: Certificate,
    /// The hash of its appraisal.
    appraisal: Hash,
}

static JOINED: LazyLock<Joined> = LazyLock::new(|| {
    let mut office = Office::of(Vec::new());
    let idevid = WORLD.machine.ders();
    for (call, body) in [
        (Call::RequestVoucher, voucher::asked()),
        (Call::Enrolment, appraisal::software_enrolment().to_json().expect("a message")),
        (Call::Response, appraisal::software_response().to_json().expect("a message")),
    ] {
        let answer = office.ask(call, &idevid, &body);
        assert!(answer.status < 300, "{call:?}: {}", String::from_utf8_lossy(&answer.body));
    }
    let answer = office.ask(Call::SimpleEnroll, &idevid, &csr());
    let key = PublicKey::of(&*WORLD.member.key).expect("a key");
    let ldevid = est::read_enrolled(&answer.body, &key).expect("a certificate");
    let appraised = office.registrar.state().boxes()[&appraisal::serial()].appraised.clone();
    let appraisal = Hash::from_bytes(*appraised.expect("it was appraised").appraisal.hash().as_bytes());
    Joined { journal: office.journal, ldevid, appraisal }
});

fn csr() -> Vec<u8> {
    let builder = RequestBuilder::new(&Subject::new("Any", "box").expect("a name"), Vec::new()).expect("a request");
    est::write_request(&block_on(builder.sign(&*WORLD.member.key)).expect("a signature")).into_bytes()
}

/// What a box sends. The first byte is the call, the second who asks.
fn calls() -> Vec<Vec<u8>> {
    let body = |call: Call| match call {
        Call::RequestVoucher => voucher::asked(),
        Call::VoucherStatus | Call::EnrollStatus => b"{\"version\":\"1\",\"status\":true}".to_vec(),
        Call::Enrolment => appraisal::software_enrolment().to_json().expect("a message"),
        Call::Response => appraisal::software_response().to_json().expect("a message"),
        Call::SimpleEnroll => csr(),
        Call::SimpleReenroll => {
            let request = block_on(RequestBuilder::renewal(&JOINED.ldevid).sign(&*WORLD.member.key));
            est::write_request(&request.expect("a signature")).into_bytes()
        }
        Call::Admission => {
            let mut admission = chain::admission_of(Some(JOINED.appraisal));
            admission.request = format!("{{\"public_key\":\"{}\"}}", "ab".repeat(32));
            WORLD.member.sign(&admission.to_sign(std::slice::from_ref(&JOINED.ldevid)).expect("an admission"))
        }
        Call::Attestation => appraisal::software_reattestation().to_json().expect("a message"),
        Call::Departure => b"{}".to_vec(),
        Call::CaCerts | Call::Bundle | Call::AskQuote => Vec::new(),
    };
    let is_member = |call| {
        !matches!(
            call,
            Call::CaCerts
                | Call::RequestVoucher
                | Call::VoucherStatus
                | Call::EnrollStatus
                | Call::Enrolment
                | Call::Response
                | Call::SimpleEnroll
        )
    };
    let input = |(number, call): (usize, &Call)| {
        let head = [u8::try_from(number).expect("few"), u8::from(is_member(*call))];
        [&head[..], &body(*call)].concat()
    };
    Call::ALL.iter().enumerate().map(input).collect()
}

/// Whatever comes, the journal has what became of it.
fn call(input: &[u8]) -> bool {
    let [number, who, body @ ..] = input else { return false };
    let call = Call::ALL[usize::from(*number) % Call::ALL.len()];
    let peer = match who % 6 {
        0 => WORLD.machine.ders(),
        1 => vec![JOINED.ldevid.der().to_vec()],
        2 => Vec::new(),
        3 => WORLD.registrar.ders(),
        4 => vec![body.to_vec()],
        _ => WORLD.member.ders(),
    };
    let mut office = Office::of(JOINED.journal.clone());
    // What an answer is to.
    match call {
        Call::Response => {
            let enrolment = appraisal::software_enrolment().to_json().expect("a message");
            assert_eq!(office.ask(Call::Enrolment, &WORLD.machine.ders(), &enrolment).status, 200);
        }
        Call::Attestation => assert_eq!(office.ask(Call::AskQuote, &[JOINED.ldevid.der().to_vec()], b"").status, 200),
        _ => {}
    }
    let answer = office.ask(call, &peer, body);
    assert!((200..600).contains(&answer.status) && !answer.headers().iter().any(|(_, value)| value.contains('\n')));
    let again = Office::of(office.journal);
    assert_eq!(again.registrar.state(), office.registrar.state(), "the journal is the state");
    answer.status < 300
}

fn paths() -> Vec<Vec<u8>> {
    let line = |call: &Call| {
        let media = call.media().unwrap_or_default();
        [call.method(), call.path(), media].join(" ").into_bytes()
    };
    Call::ALL.iter().map(line).collect()
}

fn path(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let mut words = line.splitn(3, ' ');
    let [method, path] = [(); 2].map(|()| words.next().unwrap_or_default());
    let media = words.next();
    let Ok(call) = Call::parse(method, path, media) else { return false };
    assert_eq!((call.method(), call.path()), (method, path));
    true
}

fn policies() -> Vec<Vec<u8>> {
    let all = "retry-seconds = 30\nwaiting-max = 100\nldevid-days = 365\nappraisal-hours-max = 24\n\
               attestation-hours = 24\nattestation-grace-hours = 48\non-drift = \"demote\"\n[approve]\n\
               serials = [\"S4EVNX0M123456\"]\n\
               makers = [\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]\n";
    vec![all.as_bytes().to_vec(), b"ldevid-days = 1".to_vec()]
}

fn policy(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| Policy::parse(text).is_ok())
}

fn records() -> Vec<Vec<u8>> {
    let mut records: Vec<_> = JOINED.journal.iter().map(|(_, record)| record.clone()).collect();
    let serial = appraisal::serial;
    for (who, what) in [
        (Who::Operator("Ada".to_owned()), Event::Revoked { serial: serial(), reason: "lost".to_owned() }),
        (Who::Chain, Event::Retired { serial: serial() }),
        (Who::Registrar, Event::CrlSigned { number: u64::MAX }),
    ] {
        records.push(Record { who, what });
    }
    records.iter().map(|record| serde_json::to_vec(record).expect("JSON")).collect()
}

/// A record that does not follow changes nothing.
fn record(json: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<Record>(json) else { return false };
    let text = serde_json::to_vec(&record).expect("JSON");
    assert_eq!(serde_json::from_slice::<Record>(&text).expect("the same"), record);
    static STATES: LazyLock<[State; 2]> = LazyLock::new(|| {
        let mut state = State::default();
        JOINED.journal.iter().for_each(|(time, record)| state.apply(*time, record).expect("it follows"));
        [State::default(), state]
    });
    for before in STATES.iter() {
        let mut state = before.clone();
        if state.apply(NOW, &record).is_err() {
            assert_eq!(&state, before);
        }
    }
    true
}
