//! A model of a box's hardware, of its network, and of what goes wrong with them.

use dolmen_provisioning_appraisal::{
    Claim, Enrolment, Fixed, Logs, QuoteRequest, Reattestation, Response, SignedQuote, SignedStatement,
    activation_proof,
};
use dolmen_provisioning_ca::{Certificate, RequestBuilder, Subject};
use dolmen_provisioning_pledge::{
    Answer, Client, Connect, Discovery, Hint, Key, Outcome, Phase, Pledge, Record, Request, Step, Trust,
};
use dolmen_provisioning_voucher::OwnershipEpoch;
use futures::executor::block_on;

use crate::{
    registrar::{APPRAISAL, CHAIN, Registrar, SECRET, bytes, image_hash, public_key},
    support::{IDEVID, LDEVID, resume, signer},
};

/// What the consensus key asks for.
pub(crate) const REQUEST: &str = "{\"chain_id\":7}\n";

/// What goes wrong with a step.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// It is not done.
    Undone,
    /// It is done, and nobody says so: the answer gets lost.
    Unsaid,
    /// It is done twice.
    Twice,
    /// An answer of before comes once more, instead of the one to this request.
    Old(usize),
    /// The answer is this, whatever it should be.
    Answer(Answer),
    /// The answer's body is changed.
    Changed(usize, u8),
    /// The answer ends early.
    Cut(usize),
    /// Power goes before it is done.
    CrashBefore,
    /// Power goes when it is done.
    CrashAfter,
}

/// The box, without its program.
pub(crate) struct Machine {
    pub(crate) registrars: Vec<(Hint, Registrar)>,
    pub(crate) disk: Option<Vec<u8>>,
    pub(crate) epoch: u64,
    /// To what the TPM's epoch was raised, where it was lower.
    pub(crate) raised: Vec<u64>,
    nonces: u8,
    connection: Option<(usize, Certificate)>,
    answers: Vec<Answer>,
    /// The voucher that counts since the epoch was raised to it.
    owned: Option<Vec<u8>>,
    pub(crate) steps: Vec<&'static str>,
    pub(crate) waited: u64,
    pub(crate) crashes: usize,
}

impl Machine {
    pub(crate) fn new(registrars: Vec<(Hint, Registrar)>) -> Self {
        Self {
            registrars,
            disk: None,
            epoch: 0,
            raised: Vec::new(),
            nonces: 0,
            connection: None,
            answers: Vec::new(),
            owned: None,
            steps: Vec::new(),
            waited: 0,
            crashes: 0,
        }
    }

    /// Power comes.
    pub(crate) fn start(&mut self) -> Pledge {
        self.connection = None;
        resume(self.disk.as_deref())
    }

    /// Power goes, and comes again.
    pub(crate) fn crash(&mut self) -> Pledge {
        self.crashes += 1;
        self.start()
    }

    /// Does steps until the box is one of its chain's, or so many are done.
    pub(crate) fn run(&mut self, pledge: &mut Pledge, steps_max: usize) -> bool {
        for _ in 0..steps_max {
            if matches!(pledge.next(), Step::Joined { .. }) {
                return true;
            }
            self.step(pledge, None);
        }
        false
    }

    /// Does one step, with what goes wrong.
    pub(crate) fn step(&mut self, pledge: &mut Pledge, trouble: Option<&Trouble>) {
        let phase = pledge.phase();
        let step = pledge.next();
        assert_eq!(pledge.next().name(), step.name(), "asking changes nothing");
        if matches!(step, Step::Joined { .. }) {
            return;
        }
        match self.attempt(&step, trouble) {
            Some(outcome) => {
                pledge.done(outcome).expect("an outcome that fits");
                self.check(pledge, phase);
            }
            None => *pledge = self.crash(),
        }
    }

    /// Does a step, with what goes wrong. Nothing comes of it where power goes.
    pub(crate) fn attempt(&mut self, step: &Step<'_>, trouble: Option<&Trouble>) -> Option<Outcome> {
        self.steps.push(step.name());
        let is_wait = matches!(step, Step::Wait { .. });
        let is_send = matches!(step, Step::Send(_));
        let outcome = match trouble {
            Some(Trouble::CrashBefore) => return None,
            Some(Trouble::Undone) if !is_wait => Outcome::Failed("it is not done".to_owned()),
            Some(Trouble::Unsaid) if !is_wait => {
                self.perform(step);
                Outcome::Failed("nobody knows".to_owned())
            }
            Some(Trouble::CrashAfter) => {
                self.perform(step);
                return None;
            }
            Some(Trouble::Twice) => {
                self.perform(step);
                self.perform(step)
            }
            Some(trouble) if is_send => {
                let Outcome::Answered(answer) = self.perform(step) else { panic!("no answer") };
                Outcome::Answered(self.spoil(answer, trouble))
            }
            _ => self.perform(step),
        };
        // Whoever lost a connection has none.
        if matches!(outcome, Outcome::Failed(_)) {
            self.connection = None;
        }
        Some(outcome)
    }

    /// Power goes: there is no connection any more.
    pub(crate) fn power_off(&mut self) {
        self.connection = None;
        self.crashes += 1;
    }

    /// What always holds.
    fn check(&self, pledge: &Pledge, before: Phase) {
        assert!(self.raised.len() <= 1, "raised more than once: {:?}", self.raised);
        let superseded = pledge.last_refusal().is_some_and(|report| report.code() == "record-superseded");
        let (nobodys, now) = (before <= Phase::Asking, pledge.phase());
        assert!(now >= before || nobodys || superseded || now >= Phase::Attesting, "from {before:?} to {now:?}");
        for report in [pledge.last_refusal(), pledge.last_failure()].into_iter().flatten() {
            assert!(!report.code().is_empty() && !report.message().chars().any(char::is_control));
        }
    }

    fn spoil(&self, answer: Answer, trouble: &Trouble) -> Answer {
        match trouble {
            Trouble::Old(at) if !self.answers.is_empty() => self.answers[at % self.answers.len()].clone(),
            Trouble::Answer(other) => other.clone(),
            Trouble::Changed(at, byte) if !answer.body.is_empty() => {
                let (mut body, at) = (answer.body.clone(), at % answer.body.len());
                body[at] ^= (*byte).max(1);
                Answer { body, ..answer }
            }
            Trouble::Cut(length) => {
                let body = answer.body[..length % (answer.body.len() + 1)].to_vec();
                Answer { body, ..answer }
            }
            _ => answer,
        }
    }

    /// Does what a step says.
    pub(crate) fn perform(&mut self, step: &Step<'_>) -> Outcome {
        match step {
            Step::Discover => {
                let hints = self.registrars.iter().map(|(hint, _)| hint.clone()).collect();
                Outcome::Discovered(Discovery { hints, chance: 0x80 })
            }
            Step::Connect(connect) => self.connect(connect),
            Step::Send(request) => self.send(request),
            Step::ReadEpoch => Outcome::Epoch(OwnershipEpoch::new(self.epoch)),
            Step::RaiseEpoch(to) => {
                self.raise(to.get());
                Outcome::Epoch(OwnershipEpoch::new(self.epoch))
            }
            Step::MakeNonce => {
                self.nonces += 1;
                Outcome::Nonce([self.nonces; 32])
            }
            Step::Sign { key, unsigned } => {
                let key = if *key == Key::IDevId { IDEVID } else { LDEVID };
                Outcome::Signed(block_on(unsigned.sign(&*signer(key))).expect("a signature"))
            }
            Step::Attest => Outcome::Enrolment(Box::new(enrolment())),
            Step::Respond(challenge) => {
                if challenge.id_object.as_slice() != enrolment().ak_public.as_slice() {
                    return Outcome::Failed("the credential is not this TPM's".to_owned());
                }
                let registers = challenge.registers.iter().map(|register| (*register, image_hash(*register))).collect();
                let quote = SignedQuote { quote: statement(0x60), registers };
                Outcome::Response(Box::new(Response { proof: activation_proof(&SECRET, &challenge.nonce), quote }))
            }
            Step::Reattest(request) => Outcome::Reattestation(Box::new(reattestation(request))),
            Step::MakeRenewal(present) => {
                let request = RequestBuilder::renewal(present);
                Outcome::Request(block_on(request.sign(&*signer(LDEVID))).expect("a signature"))
            }
            Step::MakeRequest => {
                let subject = Subject::new("Example", "box").expect("a name");
                let request = RequestBuilder::new(&subject, Vec::new()).expect("a request");
                Outcome::Request(block_on(request.sign(&*signer(LDEVID))).expect("a signature"))
            }
            Step::MakeAdmission(bundle) => {
                assert_eq!((bundle.chain_id, bundle.organisation.id), (CHAIN, 3));
                assert_eq!(bundle.appraisal.map(|hash| *hash.as_bytes()), Some(APPRAISAL));
                Outcome::AdmissionRequest(REQUEST.to_owned())
            }
            Step::Store(record) => {
                self.store(record);
                Outcome::Stored
            }
            Step::Wait { seconds } => {
                assert!((1..=3600).contains(seconds), "{seconds}");
                self.waited += u64::from(*seconds);
                self.connection = None;
                Outcome::Waited
            }
            Step::Joined { .. } | Step::Left => panic!("nothing is to be done"),
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) -> Outcome {
        let owned = self.disk.is_some();
        assert_eq!(matches!(connect.trust, Trust::Owner(_)), owned, "provisional until there is an owner");
        let (Client::IDevId(chain) | Client::LDevId(chain)) = connect.client;
        let key = if matches!(connect.client, Client::IDevId(_)) { IDEVID } else { LDEVID };
        assert_eq!(chain[0].public_key().expect("a P-256 key"), public_key(key));
        let found = self.registrars.iter().position(|(hint, _)| hint == connect.hint);
        let Some(found) = found else { return Outcome::Failed("nobody is there".to_owned()) };
        self.connection = Some((found, chain[0].clone()));
        Outcome::Connected(self.registrars[found].1.party().ders())
    }

    fn send(&mut self, request: &Request<'_>) -> Outcome {
        let Some((found, client)) = self.connection.clone() else { panic!("no connection for {}", request.path) };
        let answer = self.registrars[found].1.answer(&client, request);
        assert!(answer.body.len() <= request.answer_bytes_max);
        self.answers.push(answer.clone());
        Outcome::Answered(answer)
    }

    /// The TPM's counter: the record that it is raised for is on the disk.
    fn raise(&mut self, to: u64) {
        let disk = self.disk.clone().expect("a record before the epoch is raised");
        let record = Record::from_bytes(&disk).expect("a record");
        assert!(record.phase() >= Phase::TakingOwnership);
        if to > self.epoch {
            self.epoch = to;
            self.raised.push(to);
            self.owned = Some(voucher(&disk));
        }
    }

    /// Once the epoch is raised, the voucher stays the same.
    fn store(&mut self, record: &Record) {
        let bytes = record.to_bytes();
        assert_eq!(&Record::from_bytes(&bytes).expect("a record"), record);
        if let Some(owned) = &self.owned {
            assert_eq!(owned, &voucher(&bytes), "another owner");
        }
        self.disk = Some(bytes);
    }

    /// That the box is one of its chain's, and whose.
    pub(crate) fn check_joined(&self, pledge: &Pledge, organisation: usize) {
        let Step::Joined { bundle, ldevid, .. } = pledge.next() else { panic!("{:?}", pledge.next()) };
        let (_, registrar) =
            self.registrars.iter().find(|(_, one)| one.organisation == organisation).expect("a registrar");
        assert_eq!(bundle.content(), &registrar.content());
        assert_eq!(ldevid[0].public_key().expect("a key"), public_key(LDEVID));
        assert_eq!(pledge.phase(), Phase::Member);
        assert_eq!(self.raised, [self.epoch]);
        let admitted = self.registrars.iter().filter(|(_, one)| one.organisation == organisation);
        assert!(admitted.flat_map(|(_, one)| &one.admissions).any(|request| request == REQUEST));
        let others = self.registrars.iter().filter(|(_, one)| one.organisation != organisation);
        assert!(others.flat_map(|(_, one)| &one.admissions).next().is_none());
        assert_eq!(
            Record::from_bytes(self.disk.as_deref().expect("a record")).expect("a record").phase(),
            Phase::Member
        );
    }
}

/// The voucher in a record.
pub(crate) fn voucher(record: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(record).expect("text");
    let json: serde_json::Value = serde_json::from_str(text.lines().nth(2).expect("JSON")).expect("JSON");
    json["voucher"].as_str().expect("a voucher").as_bytes().to_vec()
}

fn statement(byte: u8) -> SignedStatement {
    SignedStatement { statement: bytes(&[byte; 4]), signature: bytes(&[byte + 1; 3]) }
}

/// A TPM's keys and logs.
pub(crate) fn enrolment() -> Enrolment {
    Enrolment {
        ek_certificate: None,
        ek_chain: Vec::new(),
        ek_public: bytes(&[0x30; 3]),
        ak_public: bytes(&[0x31; 3]),
        ldevid_public: bytes(&[0x32; 3]),
        certification: statement(0x50),
        logs: Logs { firmware: bytes(&[0x70; 2]), userspace: None },
        claim: Claim { version: "1.2.0".parse().expect("a version"), root_hash: image_hash(0xab) },
    }
}

/// A TPM's quote. The model of a registrar looks for the nonce in it.
pub(crate) fn reattestation(request: &QuoteRequest) -> Reattestation {
    let registers = request.registers.iter().map(|register| (*register, image_hash(*register))).collect();
    let quote = SignedStatement { statement: bytes(&request.nonce.0), signature: bytes(&[1; 3]) };
    let Enrolment { ak_public, logs, claim, .. } = enrolment();
    Reattestation { ak_public, quote: SignedQuote { quote, registers }, logs, claim }
}

/// A TPM's answer to a challenge with this nonce.
pub(crate) fn response(nonce: [u8; 32]) -> Response {
    let quote = SignedQuote { quote: statement(0x60), registers: [(4, image_hash(4))].into() };
    Response { proof: activation_proof(&SECRET, &Fixed(nonce)), quote }
}
