//! What a box reads of its registrar on its first boot and later, and what it keeps.

use std::{collections::BTreeMap, sync::LazyLock};

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Acknowledgement, Fixed, Message as _, QuoteRequest};
use dolmen_provisioning_ca::{Request, RequestBuilder, Subject, est};
use dolmen_provisioning_pledge::{
    Answer, Discovery, Hint, Identity, Keeper, Key, Outcome, Pledge, Record, Report, Source, Step,
};
use dolmen_provisioning_voucher::{Freshness, JSON_VOUCHER, OwnershipEpoch};
use futures::executor::block_on;

use crate::{
    Target, appraisal, chain, voucher,
    world::{NOW, WORLD},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("pledge_answer", answers, answer).cases(80),
    Target::new("pledge_keeper", keeper_answers, keeper_answer).cases(150),
    Target::new("pledge_record", records, record).cases(600),
];

/// What a box's TPM has counted before, and the epoch of the voucher.
const HELD: u64 = 7;
const EPOCH: u64 = 8;
/// Steps of a first boot, also of one that went wrong once and begins anew.
const STEPS_MAX: usize = 400;
/// How far a member's clock is ahead after each wait.
const WAIT_SECONDS: u64 = 2 * 60 * 60;
/// In the first byte of a member's input: it has to enrol anew.
const ANEW: u8 = 0x80;
const ENROL_ANEW: &[u8] = br#"{"title":"No.","status":409,"code":"enrol-anew","retry":false}"#;
const REFUSED: &[u8] = br#"{"title":"No.","status":403,"code":"voucher-none","retry":true}"#;
/// What a registrar may answer besides what was asked for.
const STATUSES: [u16; 9] = [200, 202, 204, 301, 400, 403, 409, 429, 503];

fn identity() -> Identity {
    Identity::new(WORLD.machine.chain.clone(), WORLD.masas()).expect("an identity")
}

const ATTESTATION: &str = "/.well-known/dolmen/attestation";

/// What the registrar answers to each path: its type and body. No body has a status of its own.
static ANSWERS: LazyLock<BTreeMap<&str, (&str, Vec<u8>)>> = LazyLock::new(|| {
    const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";
    const JSON: &str = "application/json";
    let voucher = voucher::voucher_of(Freshness::Epoch(OwnershipEpoch::new(EPOCH))).to_json().expect("JSON");
    let voucher = WORLD.masa.message(JSON_VOUCHER, &voucher).expect("a message");
    let bundle = chain::chain_bundle().to_sign(&WORLD.registrar.chain).expect("a bundle");
    let enrolled = est::write_enrolled(WORLD.member.certificate()).expect("certificates").into_bytes();
    let quote = QuoteRequest { nonce: Fixed([5; 32]), registers: [4, 11].into() };
    let again = Acknowledgement { again_seconds: 86_400 };
    [
        ("/.well-known/brski/requestvoucher", "application/voucher-cms+json", voucher),
        ("/.well-known/brski/voucher_status", "", Vec::new()),
        ("/.well-known/est/cacerts", CERTIFICATES, est::cacerts(&WORLD.authority).expect("certificates").into_bytes()),
        ("/.well-known/dolmen/enrolment", JSON, appraisal::software_challenge().to_json().expect("a message")),
        ("/.well-known/dolmen/response", "", Vec::new()),
        ("/.well-known/est/simpleenroll", CERTIFICATES, enrolled.clone()),
        ("/.well-known/brski/enrollstatus", "", Vec::new()),
        ("/.well-known/dolmen/bundle", "application/cms", WORLD.registrar.sign(&bundle)),
        ("/.well-known/dolmen/admission", JSON, b"{\"role\":\"follower\"}".to_vec()),
        ("GET /.well-known/dolmen/attestation", JSON, quote.to_json().expect("a message")),
        ("POST /.well-known/dolmen/attestation", JSON, again.to_json().expect("a message")),
        ("/.well-known/est/simplereenroll", CERTIFICATES, enrolled),
    ]
    .map(|(path, media, body)| (path, (media, body)))
    .into()
});

static REQUEST: LazyLock<Request> = LazyLock::new(|| {
    let builder = RequestBuilder::new(&Subject::new("Example", "box").expect("a name"), Vec::new());
    block_on(builder.expect("a request").sign(&*WORLD.member.key)).expect("a signature")
});

/// The box without its program, and the registrar that it calls. One of the exchanges is not as it should be.
struct Machine<'a> {
    epoch: u64,
    record: Option<Record>,
    /// Exchanges that there were: connections and requests.
    exchanges: u8,
    /// Whether the registrar has the box enrol anew when it attests next.
    anew: bool,
    spoiled: Option<(u8, Spoiled<'a>)>,
}

/// What comes instead of what should.
#[derive(Clone, Copy)]
struct Spoiled<'a> {
    /// Which of [`STATUSES`], or the one that should be.
    status: u8,
    body: &'a [u8],
}

impl<'a> Machine<'a> {
    /// The first byte of an input is the exchange, the second the status.
    fn new(input: &'a [u8]) -> Self {
        let spoiled = match input {
            [exchange, status, body @ ..] => Some((exchange & !ANEW, Spoiled { status: *status, body })),
            _ => None,
        };
        let anew = input.first().is_some_and(|exchange| exchange & ANEW != 0);
        Self { epoch: HELD, record: None, exchanges: 0, anew, spoiled }
    }

    fn spoiled(&mut self) -> Option<Spoiled<'a>> {
        let now = self.exchanges;
        self.exchanges = now.saturating_add(1);
        self.spoiled.filter(|(exchange, _)| *exchange == now).map(|(_, spoiled)| spoiled)
    }

    fn perform(&mut self, step: &Step<'_>) -> Outcome {
        match step {
            Step::Discover => {
                let hint = Hint::new(Source::DnsSd, "registrar.local", 8443).expect("a hint");
                Outcome::Discovered(Discovery { hints: vec![hint], chance: 0x80 })
            }
            Step::Connect(_) => Outcome::Connected(match self.spoiled() {
                Some(spoiled) => vec![spoiled.body.to_vec(), WORLD.authority.certificate().der().to_vec()],
                None => WORLD.registrar.ders(),
            }),
            Step::Send(request) => {
                let (path, method) = (request.path, request.method.name());
                let (media, body) = ANSWERS.get(path).cloned().unwrap_or_else(|| {
                    ANSWERS.get(&*format!("{method} {path}")).cloned().expect("a path that there is")
                });
                let answer = Answer {
                    status: if body.is_empty() { 204 } else { 200 },
                    content_type: Some(media.to_owned()).filter(|media| !media.is_empty()),
                    retry_after: None,
                    body,
                };
                let answer = if method == "POST" && path == ATTESTATION && std::mem::take(&mut self.anew) {
                    Spoiled { status: 6, body: ENROL_ANEW }.answer(answer)
                } else {
                    answer
                };
                Outcome::Answered(match self.spoiled() {
                    Some(spoiled) => spoiled.answer(answer),
                    None => answer,
                })
            }
            Step::ReadEpoch => Outcome::Epoch(OwnershipEpoch::new(self.epoch)),
            Step::RaiseEpoch(to) => {
                assert_eq!(to.get(), EPOCH, "an epoch that nobody signed");
                self.epoch = to.get();
                Outcome::Epoch(*to)
            }
            Step::MakeNonce => Outcome::Nonce([9; 32]),
            Step::Sign { key: Key::IDevId, unsigned } => Outcome::Signed(WORLD.machine.sign(unsigned)),
            Step::Sign { key: Key::LDevId, unsigned } => Outcome::Signed(WORLD.member.sign(unsigned)),
            Step::Attest => Outcome::Enrolment(Box::new(appraisal::software_enrolment())),
            Step::Respond(_) => Outcome::Response(Box::new(appraisal::software_response())),
            Step::Reattest(_) => Outcome::Reattestation(Box::new(appraisal::software_reattestation())),
            Step::MakeRequest | Step::MakeRenewal(_) => Outcome::Request(REQUEST.clone()),
            Step::MakeAdmission(bundle) => {
                assert_eq!(*bundle, &chain::chain_bundle(), "a bundle that nobody signed");
                Outcome::AdmissionRequest("{\"chain_id\":7}\n".to_owned())
            }
            Step::Store(record) => {
                assert_eq!(&Record::from_bytes(&record.to_bytes()).expect("its own record"), record);
                self.record = Some(record.clone());
                Outcome::Stored
            }
            Step::Wait { seconds } => {
                assert!((1..=86_400).contains(seconds), "{seconds}");
                Outcome::Waited
            }
            Step::Joined { .. } | Step::Left => unreachable!("nothing is to be done"),
        }
    }
}

impl Spoiled<'_> {
    fn answer(self, right: Answer) -> Answer {
        let status = STATUSES.get(usize::from(self.status)).copied().unwrap_or(right.status);
        let content_type = if status < 300 { right.content_type } else { Some("application/problem+json".to_owned()) };
        // The head of a body is as good as a header.
        let retry_after = String::from_utf8_lossy(&self.body[..self.body.len().min(8)]).into_owned();
        let retry_after = Some(retry_after).filter(|_| status != right.status);
        Answer { status, content_type, retry_after, body: self.body.to_vec() }
    }
}

/// Of a first boot: what the registrar shows and answers, in its order.
fn answers() -> Vec<Vec<u8>> {
    inputs(0, join)
}

/// Each of the registrar's answers, and refusals, in the place of each of the exchanges: once where it belongs.
fn inputs(head: u8, run: fn(&mut Machine<'_>) -> bool) -> Vec<Vec<u8>> {
    let mut machine = Machine { anew: head & ANEW != 0, ..Machine::new(&[]) };
    run(&mut machine);
    let bodies = ANSWERS.values().map(|(_, body)| (u8::MAX, &body[..])).filter(|(_, body)| !body.is_empty());
    let bodies: Vec<_> = bodies.chain([(5, REFUSED), (6, ENROL_ANEW)]).collect();
    let of = |exchange| {
        bodies.iter().map(move |(status, body)| [&[head | exchange, *status][..], body].concat()).collect::<Vec<_>>()
    };
    (0..machine.exchanges).flat_map(of).collect()
}

/// Whatever one answer is, the box joins its own chain in the end.
fn answer(input: &[u8]) -> bool {
    join(&mut Machine::new(input))
}

fn join(machine: &mut Machine<'_>) -> bool {
    let mut pledge = Pledge::resume(None, identity()).expect("no record");
    for _ in 0..STEPS_MAX {
        let step = pledge.next();
        if let Step::Joined { bundle, ldevid, .. } = &step {
            assert_eq!(bundle.content(), &chain::chain_bundle());
            assert_eq!(ldevid.first(), Some(WORLD.member.certificate()));
            assert_eq!(machine.epoch, EPOCH);
            return true;
        }
        let outcome = machine.perform(&step);
        pledge.done(outcome).expect("an outcome that fits");
        check([pledge.last_refusal(), pledge.last_failure()]);
    }
    panic!("the box does not join: {:?}, {:?}", pledge.phase(), pledge.last_failure());
}

/// What is said to people has no control characters.
fn check(reports: [Option<&Report>; 2]) {
    for report in reports.into_iter().flatten() {
        assert!(!report.code().is_empty() && !report.message().chars().any(char::is_control));
    }
}

/// The record of a box that joined.
static MEMBER: LazyLock<Record> = LazyLock::new(|| {
    let mut machine = Machine::new(&[]);
    join(&mut machine);
    machine.record.expect("a record")
});

/// Rounds of a member: it attests, and renews its certificate.
fn keeper_answers() -> Vec<Vec<u8>> {
    [inputs(0, keep), inputs(ANEW, keep)].concat()
}

fn keeper_answer(input: &[u8]) -> bool {
    keep(&mut Machine::new(input))
}

/// Whatever one answer is, the box attests in the end, and its certificate is one of its owner's.
fn keep(machine: &mut Machine<'_>) -> bool {
    let mut keeper = Keeper::resume(MEMBER.clone(), identity()).expect("a member's record");
    let mut now = NOW;
    for _ in 0..STEPS_MAX {
        if keeper.attested().is_some_and(|at| at > NOW) && !machine.anew {
            return true;
        }
        let step = keeper.next();
        if matches!(step, Step::Wait { .. }) {
            now += WAIT_SECONDS;
        }
        let outcome = machine.perform(&step);
        keeper.done(outcome, now).expect("an outcome that fits");
        check([keeper.last_refusal(), keeper.last_failure()]);
        assert_eq!(keeper.certificate(), WORLD.member.certificate(), "there is no other");
    }
    panic!("the box does not attest: {:?}, {:?}", keeper.phase(), keeper.last_failure());
}

/// The third line of each record of a first boot.
fn records() -> Vec<Vec<u8>> {
    let mut pledge = Pledge::resume(None, identity()).expect("no record");
    let (mut machine, mut records) = (Machine::new(&[]), Vec::new());
    while !matches!(pledge.next(), Step::Joined { .. }) {
        let step = pledge.next();
        if let Step::Store(record) = &step {
            let bytes = record.to_bytes();
            records.push(bytes.split(|byte| *byte == b'\n').nth(2).expect("three lines").to_vec());
        }
        let outcome = machine.perform(&step);
        pledge.done(outcome).expect("an outcome that fits");
    }
    records
}

/// A record whose checksum fits leads to the owner that its voucher names, or nowhere.
fn record(json: &[u8]) -> bool {
    let _ = Record::from_bytes(json);
    let bytes = [b"dolmen-pledge-record-v1\n", Hash::of(json).to_string().as_bytes(), b"\n", json, b"\n"].concat();
    let Ok(record) = Record::from_bytes(&bytes) else { return false };
    assert_eq!(Record::from_bytes(&record.to_bytes()).expect("its own record"), record);
    if let Ok(keeper) = Keeper::resume(record.clone(), identity()) {
        assert_eq!(keeper.certificate(), WORLD.member.certificate());
        let _ = keeper.next();
    }
    let Ok(pledge) = Pledge::resume(Some(record), identity()) else { return false };
    assert!(matches!(pledge.next(), Step::ReadEpoch));
    true
}
