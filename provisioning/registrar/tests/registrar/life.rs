//! A box's own machines and the registrar, without anything of a model between them but wires and clocks: from a first
//! boot on, as long as the box lives.

use dolmen_hsm_swtpm::Swtpm;
use dolmen_provisioning_ca::{Certificate, RequestBuilder, Subject, renewal::Standing};
use dolmen_provisioning_pledge::{
    Answer, Client, Discovery, Hint, Identity, Keeper, KeeperPhase, Key, Outcome, Pledge, Record, Source, Step,
};
use dolmen_provisioning_registrar::{Call, Effect, Event, Role, Standing as BoxStanding};
use dolmen_provisioning_voucher::{MasaRoots, OwnershipEpoch};
use futures::executor::block_on;

use crate::{
    machine::Machine,
    measured::{Measured, boot},
    tpm::{office, pledge},
    world::{self, DAY, Office, asks, chain, epoch, maker, organisation, voucher},
};

/// A box, and whoever does its steps.
struct Life {
    office: Office,
    machine: Machine,
    /// Its keys and its maker's certificate.
    factory: world::Pledge,
    disk: Option<Record>,
    epoch: u64,
    /// What TLS shows.
    shown: Vec<Certificate>,
    /// How much the box's clock is ahead of the registrar's, modulo 2^64.
    ahead: u64,
}

impl Life {
    fn new() -> Self {
        let machine = Machine::new(Swtpm::new(), boot());
        let mut office = office("ldevid-days = 9", &[("A", &machine)]);
        let message = maker().sign(&voucher("A", organisation().root(), epoch(1)));
        let change = office.registrar.import(&message, "Ada", office.now);
        office.keep(change);
        let factory = pledge("A", &machine);
        Self { office, machine, factory, disk: None, epoch: 0, shown: Vec::new(), ahead: 0 }
    }

    fn identity(&self) -> Identity {
        Identity::new(vec![self.factory.idevid.clone()], MasaRoots(maker().roots())).expect("an identity")
    }

    /// A first boot, up to the chain.
    fn join(&mut self) {
        let mut pledge = Pledge::resume(None, self.identity()).expect("nothing to resume");
        for _ in 0..60 {
            let step = pledge.next();
            if matches!(step, Step::Joined { .. }) {
                return;
            }
            let outcome = self.perform(&step);
            pledge.done(outcome).expect("an outcome that fits");
        }
        panic!("{:?} {:?}", pledge.last_refusal(), pledge.last_failure());
    }

    /// The box boots, as a member.
    fn keeper(&mut self) -> Keeper {
        Keeper::resume(self.disk.clone().expect("a record"), self.identity()).expect("a member's")
    }

    fn clock(&self) -> u64 {
        self.office.now.wrapping_add(self.ahead)
    }

    fn step(&mut self, keeper: &mut Keeper) {
        let outcome = self.perform(&keeper.next());
        keeper.done(outcome, self.clock()).expect("an outcome that fits");
    }

    /// Does all that there is to do now.
    fn settle(&mut self, keeper: &mut Keeper) {
        for _ in 0..60 {
            if matches!(keeper.phase(), KeeperPhase::Resting | KeeperPhase::Pausing) {
                return;
            }
            self.step(keeper);
        }
        panic!("{:?} {:?}", keeper.last_refusal(), keeper.last_failure());
    }

    /// Has it attest, after so long.
    fn attest(&mut self, keeper: &mut Keeper, after: u64) {
        self.office.now += after;
        keeper.attest_now();
        self.step(keeper);
        self.settle(keeper);
    }

    fn perform(&mut self, step: &Step<'_>) -> Outcome {
        match step {
            Step::Discover => {
                let hints = vec![Hint::new(Source::DnsSd, "registrar", 8443).expect("a hint")];
                Outcome::Discovered(Discovery { hints, chance: 0 })
            }
            Step::Connect(connect) => {
                let (Client::IDevId(shown) | Client::LDevId(shown)) = connect.client;
                self.shown = shown.to_vec();
                let certificates = organisation().certificates();
                Outcome::Connected(certificates.iter().map(|certificate| certificate.der().to_vec()).collect())
            }
            Step::Send(request) => {
                let call = Call::parse(request.method.name(), request.path, request.content_type);
                let shown = std::mem::take(&mut self.shown);
                let answer = self.office.request(
                    call.expect("a request that there is"),
                    &shown.iter().collect::<Vec<_>>(),
                    &request.body,
                    Some(&chain()),
                );
                self.shown = shown;
                assert!(answer.body.len() <= request.answer_bytes_max);
                self.on_chain();
                let (content_type, retry_after) = (answer.media, answer.retry_after);
                Outcome::Answered(Answer {
                    status: answer.status,
                    content_type: content_type.map(str::to_owned),
                    retry_after: retry_after.map(|seconds| seconds.to_string()),
                    body: answer.body,
                })
            }
            Step::ReadEpoch => Outcome::Epoch(OwnershipEpoch::new(self.epoch)),
            Step::RaiseEpoch(to) => {
                self.epoch = self.epoch.max(to.get());
                Outcome::Epoch(OwnershipEpoch::new(self.epoch))
            }
            Step::MakeNonce => Outcome::Nonce([7; 32]),
            Step::Sign { key, unsigned } => {
                let signer = if *key == Key::IDevId { self.factory.key.clone() } else { self.machine.ldevid() };
                Outcome::Signed(block_on(unsigned.sign(&*signer)).expect("a signature"))
            }
            Step::Attest => Outcome::Enrolment(Box::new(self.machine.enrolment(&self.factory.serial))),
            Step::Respond(challenge) => Outcome::Response(Box::new(self.machine.respond(challenge))),
            Step::Reattest(request) => Outcome::Reattestation(Box::new(self.machine.attest(request))),
            Step::MakeRequest => {
                let subject = Subject::new("Any", "box").expect("a name");
                self.request(&RequestBuilder::new(&subject, Vec::new()).expect("a request"))
            }
            Step::MakeRenewal(present) => self.request(&RequestBuilder::renewal(present)),
            Step::MakeAdmission(_) => Outcome::AdmissionRequest(asks("A")),
            Step::Store(record) => {
                self.disk = Some(record.clone());
                Outcome::Stored
            }
            Step::Wait { seconds } => {
                self.office.now += u64::from(*seconds);
                Outcome::Waited
            }
            Step::Joined { .. } | Step::Left => panic!("nothing is to be done"),
        }
    }

    fn request(&self, builder: &RequestBuilder) -> Outcome {
        Outcome::Request(block_on(builder.sign(&*self.machine.ldevid())).expect("a signature"))
    }

    /// The chain takes whoever asks.
    fn on_chain(&mut self) {
        for effect in std::mem::take(&mut self.office.effects) {
            if let Effect::Admit { serial, request, .. } = effect {
                let change = self.office.registrar.admitted(&serial, &request, Role::Follower, self.office.now);
                self.office.keep(change);
            }
        }
    }

    /// How many certificates were issued, and whether the box has the last of them.
    fn issued(&self, keeper: &Keeper) -> (usize, bool) {
        let issued = self.office.journal.iter().filter_map(|(_, record)| match &record.what {
            Event::Issued { certificate, .. } => Some(certificate),
            _ => None,
        });
        let issued: Vec<_> = issued.collect();
        (issued.len(), issued.last() == Some(&keeper.certificate()))
    }

    fn check(&mut self, keeper: &Keeper, issued: usize) {
        assert_eq!(keeper.phase(), KeeperPhase::Resting, "{:?}", keeper.last_refusal());
        assert_eq!(keeper.standing(self.office.now), Standing::Good);
        assert_eq!(self.issued(keeper), (issued, true));
        let one = &self.office.registrar.state().boxes()[&self.factory.serial];
        let appraised = one.appraised.as_ref().expect("it was appraised");
        assert_eq!((appraised.at, one.alarm.as_deref()), (self.office.now, None));
        self.office.restart();
    }
}

#[test]
fn a_box_lives_on() {
    let mut life = Life::new();
    life.join();
    let mut keeper = life.keeper();
    life.settle(&mut keeper);
    assert_eq!(keeper.attested(), Some(life.office.now));
    life.check(&keeper, 1);
    // After some days, and a boot.
    life.machine.reboot(boot());
    life.attest(&mut keeper, 5 * DAY);
    life.check(&keeper, 1);
    // It renews by the certificate that it has.
    life.attest(&mut keeper, 2 * DAY);
    life.check(&keeper, 2);
    assert!(keeper.last_refusal().is_none() && keeper.last_failure().is_none());
    // It was off for a month.
    life.machine.reboot(boot());
    life.office.now += 30 * DAY;
    keeper = life.keeper();
    life.settle(&mut keeper);
    assert!(keeper.last_refusal().is_none());
    life.check(&keeper, 3);
    // And once more, by a clock that has lost the time: the registrar says that its certificate is over.
    life.office.now += 30 * DAY;
    life.ahead = life.office.now.wrapping_neg();
    keeper = life.keeper();
    life.settle(&mut keeper);
    assert!(keeper.last_refusal().is_none());
    life.check(&keeper, 4);
}

/// An operator has seen that its firmware was updated: it enrols anew, be he told before or after.
#[test]
fn a_box_with_other_firmware_waits_for_somebody() {
    let flashed = |firmware: &'static str| -> Measured {
        let mut flashed = boot();
        flashed.firmware[0] = (0, firmware);
        flashed
    };
    let mut life = Life::new();
    life.join();
    let mut keeper = life.keeper();
    life.settle(&mut keeper);
    life.machine.reboot(flashed("other firmware"));
    for _ in 0..3 {
        life.attest(&mut keeper, 3600);
        assert_eq!(keeper.phase(), KeeperPhase::Pausing);
        assert_eq!(keeper.last_refusal().map(|report| report.code()), Some("drift-register"));
    }
    let serial = life.factory.serial.clone();
    assert_eq!(life.office.registrar.metrics(life.office.now).alarms, 1);
    let change = life.office.registrar.allow_change(&serial, "Ada", life.office.now);
    life.office.keep(change);
    life.attest(&mut keeper, 3600);
    life.check(&keeper, 2);
    // The next one is announced: there is no alarm.
    let change = life.office.registrar.allow_change(&serial, "Ada", life.office.now);
    life.office.keep(change);
    life.machine.reboot(flashed("firmware 3"));
    let alarms = |life: &Life| {
        life.office.journal.iter().filter(|(_, record)| matches!(record.what, Event::Alarm { .. })).count()
    };
    let before = alarms(&life);
    keeper = life.keeper();
    life.settle(&mut keeper);
    life.check(&keeper, 3);
    assert_eq!(alarms(&life), before);
}

#[test]
fn a_box_that_was_cast_out_says_so() {
    let mut life = Life::new();
    life.join();
    let mut keeper = life.keeper();
    life.settle(&mut keeper);
    let change = life.office.registrar.revoke(&life.factory.serial, "Ada", "stolen", life.office.now);
    life.office.keep(change);
    let record = life.disk.clone();
    for _ in 0..3 {
        life.attest(&mut keeper, 3600);
        let report = keeper.last_refusal().expect("a refusal");
        assert_eq!((report.code(), keeper.phase()), ("box-revoked", KeeperPhase::Pausing));
    }
    assert_eq!((life.issued(&keeper), life.disk), ((1, true), record));
}

/// Its certificates count no more and its key leaves the chain, even if it has to say so twice. Somebody has to let it in
/// before it comes back.
#[test]
fn a_box_that_is_decommissioned_leaves() {
    let mut life = Life::new();
    life.join();
    let mut keeper = life.keeper();
    life.settle(&mut keeper);
    let serial = life.factory.serial.clone();
    let retire = Effect::Retire { serial: serial.clone(), request: asks("A"), code: "left".to_owned() };
    for _ in 0..2 {
        let mut leaving = life.keeper();
        leaving.leave();
        for _ in 0..10 {
            if !matches!(leaving.next(), Step::Left) {
                life.step(&mut leaving);
            }
        }
        assert!(matches!(leaving.next(), Step::Left), "{:?}", leaving.last_refusal());
        let one = &life.office.registrar.state().boxes()[&serial];
        assert_eq!((&one.standing, one.certificates.len(), &one.membership), (&BoxStanding::Waiting, 0, &None));
        let revoked = life.office.registrar.state().revoked();
        assert!(revoked.contains_key(keeper.certificate().serial()));
        life.office.restart();
        assert_eq!(life.office.registrar.effects(), std::slice::from_ref(&retire));
    }
    let left = life.office.journal.iter().filter(|(_, record)| matches!(record.what, Event::Left { .. }));
    assert_eq!(left.count(), 1);
    let change = life.office.registrar.retired(&serial, &asks("A"), life.office.now);
    life.office.keep(change);
    life.office.restart();
    assert!(life.office.registrar.effects().is_empty());
    // It has no certificate to attest by, and waits for somebody to let it in.
    life.attest(&mut keeper, 3600);
    assert!(keeper.last_refusal().is_some());
    assert_eq!(life.office.registrar.state().waiting().collect::<Vec<_>>(), [&serial]);
}
