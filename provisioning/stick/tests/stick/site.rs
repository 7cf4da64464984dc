//! Two sites: a box with its disk and its TPM, a registrar with its journal; and a stick.

use std::collections::{BTreeMap, BTreeSet};

use dolmen_hsm_evidence::Public;
use dolmen_hsm_swtpm::Swtpm;
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Verifier;
use dolmen_provisioning_ca::{Certificate, RequestBuilder, Subject};
use dolmen_provisioning_pledge::{Discovery, Identity, Key, Outcome, Pledge, Record, Role as PledgeRole, Step};
use dolmen_provisioning_registrar::{Call, Fresh, Peer, Request, Role};
use dolmen_provisioning_stick::{
    Answer, Arrived, Body, Carrier, Finished, LetterRefusal, Name, Office, Reply, Standing, Task, directory,
};
use dolmen_provisioning_voucher::{MasaRoots, OwnershipEpoch};
use futures::executor::block_on;

use crate::{
    machine::Machine,
    measured::boot,
    support::{policy, released},
    world::{self, chain, epoch, key, maker, organisation, setup, voucher},
};

pub(crate) const SERIAL: &str = "A";

/// Files, by the box's directory and their names.
pub(crate) type Stick = BTreeMap<(String, Name), Vec<u8>>;

/// The place of a file.
pub(crate) fn place(serial: &str, name: Name) -> (String, Name) {
    (directory(&serial.parse().expect("a serial number")), name)
}

pub(crate) fn machine() -> Machine {
    Machine::new(Swtpm::new(), boot())
}

/// What of a box outlives a loss of power.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) record: Option<Vec<u8>>,
    pub(crate) letters: Option<Vec<u8>>,
    pub(crate) epoch: u64,
}

/// How far the box came with a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Went,
    /// It waits for the stick.
    Posted,
    Joined,
}

/// A box that is switched on.
pub(crate) struct Site<'a> {
    machine: &'a Machine,
    pub(crate) own: world::Pledge,
    pub(crate) disk: Disk,
    pub(crate) pledge: Pledge,
    pub(crate) carrier: Carrier,
    offers: Vec<Vec<u8>>,
    /// Replies that were read since it was switched on.
    read: BTreeSet<Vec<u8>>,
    /// Why replies were not taken.
    pub(crate) refused: Vec<&'static str>,
    /// What the box did itself.
    pub(crate) steps: Vec<&'static str>,
    made: u32,
}

impl<'a> Site<'a> {
    pub(crate) fn new(machine: &'a Machine, serial: &str) -> Self {
        Self::on(machine, serial, Disk::default())
    }

    /// Power comes.
    pub(crate) fn on(machine: &'a Machine, serial: &str, disk: Disk) -> Self {
        let own = world::Pledge { ldevid: machine.ldevid(), ..maker().build(serial, "") };
        let identity = Identity::new(vec![own.idevid.clone()], MasaRoots(maker().roots())).expect("an identity");
        let record = disk.record.as_deref().map(|bytes| Record::from_bytes(bytes).expect("a record"));
        let serial = identity.serial_number().clone();
        let carrier = disk.letters.as_deref().map(|bytes| Carrier::resume(bytes, serial.clone()).expect("a record"));
        let carrier = carrier.unwrap_or_else(|| Carrier::new(serial));
        let pledge = Pledge::resume(record, identity).expect("a record that holds");
        let (offers, read, refused, steps) = (Vec::new(), BTreeSet::new(), Vec::new(), Vec::new());
        Self { machine, own, disk, pledge, carrier, offers, read, refused, steps, made: 0 }
    }

    /// Power goes, and comes again.
    pub(crate) fn restart(&mut self) {
        let serial = self.own.serial.to_string();
        *self = Self::on(self.machine, &serial, self.disk.clone());
    }

    /// Somebody puts the stick in: what was written ahead is looked at.
    pub(crate) fn plug(&mut self, stick: &Stick) {
        if self.disk.record.is_none()
            && let Some(message) = stick.get(&place(self.own.serial.as_str(), Name::AHEAD))
        {
            for voucher in self.carrier.receive(message).expect("it is for this box") {
                // Those that are none are told by the machine.
                let _ = self.pledge.offer_voucher(&voucher);
            }
        }
    }

    /// Goes on until the box waits for the stick, or has joined.
    pub(crate) fn run(&mut self, stick: &mut Stick) -> Progress {
        self.plug(stick);
        for _ in 0..500 {
            match self.tick(stick) {
                Progress::Went => {}
                end => return end,
            }
        }
        panic!("no end: {:?}, {:?}, {:?}", self.steps, self.pledge.last_refusal(), self.pledge.last_failure());
    }

    /// Does one thing.
    pub(crate) fn tick(&mut self, stick: &mut Stick) -> Progress {
        let step = self.pledge.next();
        if matches!(step, Step::Joined { .. }) {
            return Progress::Joined;
        }
        let hands = Hands { machine: self.machine, own: &self.own, made: &mut self.made };
        let outcome = match self.carrier.take(&step) {
            Task::Yours => {
                self.steps.push(step.name());
                hands.perform(&step, &mut self.disk)
            }
            Task::Done(outcome) => outcome,
            Task::Perform(other) => {
                self.steps.push(other.name());
                let outcome = hands.perform(&other, &mut self.disk);
                self.carrier.performed(outcome).expect("an outcome that fits");
                return Progress::Went;
            }
            Task::Sign { key, unsigned } => {
                let outcome = hands.perform(&Step::Sign { key, unsigned: &unsigned }, &mut self.disk);
                self.carrier.performed(outcome).expect("an outcome that fits");
                return Progress::Went;
            }
            Task::Store(record) => {
                self.disk.letters = Some(record);
                self.carrier.performed(Outcome::Stored).expect("an outcome that fits");
                return Progress::Went;
            }
            Task::Post(post) => {
                let serial = self.own.serial.as_str();
                stick.insert(place(serial, post.letter), post.message.0);
                let found = stick.get(&place(serial, post.reply)).cloned();
                let Some(reply) = found.filter(|reply| self.read.insert(reply.clone())) else {
                    return Progress::Posted;
                };
                match self.carrier.receive(&reply) {
                    Ok(vouchers) => self.offers.extend(vouchers),
                    Err(refusal) => self.refused.push(refusal.code()),
                }
                return Progress::Went;
            }
        };
        self.pledge.done(outcome).expect("an outcome that fits");
        for voucher in std::mem::take(&mut self.offers) {
            let _ = self.pledge.offer_voucher(&voucher);
        }
        Progress::Went
    }

    /// What the box joined as, and by which certificate.
    pub(crate) fn joined(&self) -> (PledgeRole, Certificate) {
        match self.pledge.next() {
            Step::Joined { role, ldevid, bundle } => {
                assert_eq!(bundle.content().chain_id, chain().chain_id);
                (role, ldevid[0].clone())
            }
            step => panic!("{step:?}"),
        }
    }
}

/// What a box does itself.
struct Hands<'a> {
    machine: &'a Machine,
    own: &'a world::Pledge,
    made: &'a mut u32,
}

impl Hands<'_> {
    fn perform(self, step: &Step<'_>, disk: &mut Disk) -> Outcome {
        match step {
            Step::Discover => {
                let hints = vec![Carrier::hint().expect("a hint")];
                Outcome::Discovered(Discovery { hints, chance: 0 })
            }
            Step::Connect(_) | Step::Send(_) => Outcome::Failed("there is no network".to_owned()),
            Step::ReadEpoch => Outcome::Epoch(OwnershipEpoch::new(disk.epoch)),
            Step::RaiseEpoch(to) => {
                disk.epoch = disk.epoch.max(to.get());
                Outcome::Epoch(OwnershipEpoch::new(disk.epoch))
            }
            Step::MakeNonce => Outcome::Nonce([7; 32]),
            Step::Sign { key: Key::IDevId, unsigned } => {
                Outcome::Signed(block_on(unsigned.sign(&*self.own.key)).expect("a signature"))
            }
            Step::Sign { key: Key::LDevId, unsigned } => {
                Outcome::Signed(block_on(unsigned.sign(&*self.own.ldevid)).expect("a signature"))
            }
            Step::Attest => Outcome::Enrolment(Box::new(self.machine.enrolment(&self.own.serial))),
            Step::Respond(challenge) => Outcome::Response(Box::new(self.machine.respond(challenge))),
            Step::MakeRequest => {
                let subject = Subject::new("box", self.own.serial.as_str()).expect("a name");
                let request = RequestBuilder::new(&subject, Vec::new()).expect("a request");
                Outcome::Request(block_on(request.sign(&*self.own.ldevid)).expect("a signature"))
            }
            // Another one each time: what is on its way has to be the same.
            Step::MakeAdmission(_) => {
                *self.made += 1;
                let request = world::asks(self.own.serial.as_str());
                Outcome::AdmissionRequest(request.replacen('{', &format!("{{\"made\":{},", self.made), 1))
            }
            Step::Store(record) => {
                disk.record = Some(record.to_bytes());
                Outcome::Stored
            }
            Step::Wait { .. } => Outcome::Waited,
            step => panic!("{step:?} is not for a pledge"),
        }
    }
}

/// A registrar, its keeper, and the replies that were kept.
pub(crate) struct Desk {
    pub(crate) office: world::Office,
    pub(crate) kept: BTreeMap<[u8; 32], Vec<u8>>,
    /// How each letter stood.
    pub(crate) standings: Vec<Standing>,
    authorities: Vec<Certificate>,
    drawn: u64,
}

impl Desk {
    /// One that knows this TPM, of boxes with these serial numbers, and approves all.
    pub(crate) fn new(machine: &Machine, serials: &[&str]) -> Self {
        let root = Hash::from_bytes(maker().root.certificate().fingerprint());
        Self::by(machine, serials, &format!("[approve]\nmakers = [\"{root}\"]"))
    }

    /// The same, with this policy.
    pub(crate) fn by(machine: &Machine, serials: &[&str], text: &str) -> Self {
        let area = machine.enrolment(&"A".parse().expect("a serial number")).ek_public;
        let ek = Hash::of(&Public::from_tpm2b(area.as_slice()).expect("a key").key().to_spki().expect("a key"));
        let lines: Vec<_> = serials.iter().map(|serial| format!("\"{serial}\" = \"{ek}\"")).collect();
        let registered = format!("{{ {} }}", lines.join(", "));
        let verifier = Verifier::new(policy(&[("registered-eks", &registered)]), released());
        let office = world::Office::with(setup(text, verifier));
        let authority = &office.registrar.setup().authority;
        let authorities = [std::slice::from_ref(authority.certificate()), authority.chain()].concat();
        Self { office, kept: BTreeMap::new(), standings: Vec::new(), authorities, drawn: 0 }
    }

    /// A stick for a box that is to come.
    pub(crate) fn prepare(&self, serial: &str) -> Stick {
        let serial_number = serial.parse().expect("a serial number");
        let message = maker().sign(&voucher(serial, organisation().root(), epoch(1)));
        let reply = Reply::ahead(serial_number, vec![message]);
        Stick::from([(place(serial, Name::AHEAD), sign(&reply))])
    }

    /// Somebody puts the stick in: the latest letter of each box is answered.
    pub(crate) fn plug(&mut self, stick: &mut Stick) {
        assert_eq!(self.try_plug(stick), [""; 0]);
    }

    /// The same, for letters that may be damaged: why they are refused.
    pub(crate) fn try_plug(&mut self, stick: &mut Stick) -> Vec<&'static str> {
        let mut refused = Vec::new();
        let directories: BTreeSet<_> = stick.keys().map(|(directory, _)| directory.clone()).collect();
        for directory in directories {
            let names: Vec<_> = stick.keys().filter(|(other, _)| *other == directory).map(|(_, name)| *name).collect();
            let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
            let Some(name) = Name::latest_letter(texts.iter().map(String::as_str)) else { continue };
            match self.answer(&stick[&(directory.clone(), name)]) {
                Ok(reply) => drop(stick.insert((directory, Name::reply(name.number)), reply)),
                Err(refusal) => refused.push(refusal.code()),
            }
        }
        refused
    }

    pub(crate) fn answer(&mut self, letter: &[u8]) -> Result<Vec<u8>, LetterRefusal> {
        let (reply, keep) = self.try_answer(letter, vec![])?;
        if let Some(signer) = keep {
            self.kept.insert(signer, reply.clone());
        }
        Ok(reply)
    }

    /// The reply, and for which certificate if it is to be kept.
    pub(crate) fn try_answer(
        &mut self,
        letter: &[u8],
        vouchers: Vec<Vec<u8>>,
    ) -> Result<(Vec<u8>, Option<[u8; 32]>), LetterRefusal> {
        let setup = self.office.registrar.setup().clone();
        let (authorities, certificates) = (self.authorities.clone(), setup.certificates);
        let office = Office { makers: &setup.makers, authorities: &authorities, certificates: &certificates };
        let arrived = Arrived::verify(letter, &office)?;
        let signer = *arrived.signer().as_bytes();
        let mut visit = arrived.visit(self.kept.get(&signer).map(Vec::as_slice), &office)?;
        self.standings.push(visit.standing());
        while let Some(asked) = visit.next() {
            let request = asked.request;
            let call = Call::parse(request.method.name(), &request.path, request.content_type.as_deref());
            let answer = self.handle(call.expect("a call"), asked.certificates, &request.body.0);
            visit.answered(answer);
        }
        match visit.finish(vouchers, &office).expect("a reply") {
            Finished::Kept(reply) => Ok((reply, None)),
            Finished::Unsigned { unsigned, keep } => {
                let reply = block_on(unsigned.sign(&*key("registrar"))).expect("a signature");
                Ok((reply, keep.then_some(signer)))
            }
        }
    }

    fn handle(&mut self, call: Call, certificates: &[Vec<u8>], body: &[u8]) -> Answer {
        self.drawn += 1;
        let random = *Hash::of(&self.drawn.to_le_bytes()).as_bytes();
        let serial = random[..16].try_into().expect("16 bytes");
        let fresh = Fresh { secret: random.into(), nonce: random, serial };
        let (peer, chain) = (Peer { certificates, address: "stick" }, chain());
        let request = Request { call, peer, body, binding: None, chain: Some(&chain) };
        let office = &mut self.office;
        let outcome = block_on(office.registrar.handle_carried(&request, office.now, fresh));
        office.journal.extend(outcome.records.into_iter().map(|record| (office.now, record)));
        office.effects.extend(outcome.effects);
        let answer = outcome.answer;
        Answer {
            status: answer.status,
            content_type: answer.media.map(str::to_owned),
            retry_after: answer.retry_after.map(|seconds| seconds.to_string()),
            body: Body(answer.body),
        }
    }

    /// The chain takes the box, if it asked.
    pub(crate) fn decide(&mut self, serial: &str) {
        let serial = serial.parse().expect("a serial number");
        let one = self.office.registrar.state().boxes().get(&serial);
        let Some((request, _)) = one.and_then(|one| one.membership.clone()) else { return };
        let change = self.office.registrar.admitted(&serial, &request, Role::Validator, self.office.now);
        self.office.keep(change);
    }
}

/// What the registrar signs.
pub(crate) fn sign(reply: &Reply) -> Vec<u8> {
    let unsigned = reply.to_sign(&organisation().certificates()).expect("a message");
    block_on(unsigned.sign(&*key("registrar"))).expect("a signature")
}

/// Carries the stick to and fro until the box has joined; how often it was at the registrar.
pub(crate) fn carry(site: &mut Site<'_>, desk: &mut Desk, stick: &mut Stick, trips_max: u32) -> u32 {
    let serial = site.own.serial.to_string();
    for trips in 0..=trips_max {
        if site.run(stick) == Progress::Joined {
            return trips;
        }
        desk.plug(stick);
        // It is put in again once the chain has decided.
        desk.decide(&serial);
        desk.plug(stick);
    }
    panic!("not after {trips_max} trips: {:?} {:?}", site.pledge.last_refusal(), site.pledge.last_failure());
}
