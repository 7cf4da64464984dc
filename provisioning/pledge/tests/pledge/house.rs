//! A box that has joined, with its clock, and what time does to it and to its registrars.

use std::sync::OnceLock;

use dolmen_provisioning_bundle::ChainBundle;
use dolmen_provisioning_ca::{Certificate, renewal::Standing};
use dolmen_provisioning_pledge::{Keeper, KeeperPhase, Outcome, Record, Role, Step};
use dolmen_provisioning_voucher::OwnershipEpoch;

use crate::{
    machine::{Machine, Trouble},
    registrar::{Registrar, START, Stock, public_key},
    support::{self, LDEVID, hint, identity},
};

pub(crate) const DAY: u64 = 24 * 60 * 60;
/// How long certificates hold in these tests.
pub(crate) const LIFE: u64 = 9 * DAY;

/// A member of its chain.
pub(crate) struct House {
    pub(crate) machine: Machine,
    pub(crate) keeper: Keeper,
    /// How late it is by the box's clock.
    pub(crate) clock: u64,
    /// Which stays.
    chain: (ChainBundle, Role),
    /// The certificate that was looked at last.
    checked: Option<Certificate>,
}

impl House {
    /// One that has joined at [`START`], and whose keeper has done nothing yet.
    pub(crate) fn new() -> Self {
        static JOINED: OnceLock<(Vec<u8>, Registrar)> = OnceLock::new();
        Self::of(JOINED.get_or_init(|| joined(Stock::Epoch(8), Some(LIFE))).clone())
    }

    /// With this voucher, and certificates that hold so long; none for ever.
    pub(crate) fn with(stock: Stock, life: Option<u64>) -> Self {
        Self::of(joined(stock, life))
    }

    fn of((disk, registrar): (Vec<u8>, Registrar)) -> Self {
        let mut machine = Machine::new(vec![(hint("a"), registrar)]);
        (machine.epoch, machine.raised, machine.disk) = (8, vec![8], Some(disk));
        let keeper = resume(&machine);
        let chain = chain(&keeper);
        Self { machine, keeper, clock: START, chain, checked: None }
    }

    pub(crate) fn registrar(&mut self) -> &mut Registrar {
        &mut self.machine.registrars[0].1
    }

    /// Power goes, and comes again.
    pub(crate) fn crash(&mut self) {
        self.machine.power_off();
        self.keeper = resume(&self.machine);
    }

    /// Time passes for all.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.clock += seconds;
        for (_, registrar) in &mut self.machine.registrars {
            registrar.now += seconds;
        }
    }

    /// Does one step, with what goes wrong.
    pub(crate) fn step(&mut self, trouble: Option<&Trouble>) {
        let before = self.keeper.certificate().clone();
        let step = self.keeper.next();
        let (name, is_store) = (step.name(), matches!(step, Step::Store(_)));
        assert_eq!(self.keeper.next().name(), name, "asking changes nothing");
        let wait = if let Step::Wait { seconds } = step { Some(seconds) } else { None };
        assert!(wait.is_none_or(|seconds| (1..=60).contains(&seconds)), "{wait:?}");
        let outcome = self.machine.attempt(&step, trouble);
        self.pass(wait.unwrap_or_default().into());
        let stored = is_store && matches!(outcome, Some(Outcome::Stored));
        match outcome {
            Some(outcome) => self.keeper.done(outcome, self.clock).expect("an outcome that fits"),
            None => self.crash(),
        }
        let crashed = matches!(trouble, Some(Trouble::CrashBefore | Trouble::CrashAfter));
        assert!(stored || crashed || *self.keeper.certificate() == before, "another certificate before it is stored");
        self.check();
        if stored || crashed {
            self.check_stored();
        }
    }

    /// What always holds.
    fn check(&mut self) {
        let keeper = &self.keeper;
        if self.checked.as_ref() != Some(keeper.certificate()) {
            self.checked = Some(keeper.certificate().clone());
            assert_eq!(keeper.certificate().public_key().expect("a key"), public_key(LDEVID));
            assert_eq!(keeper.ldevid()[0], *keeper.certificate());
            assert_eq!(keeper.certificate().box_serial(), Some(keeper.identity().serial_number().as_str()));
        }
        assert_eq!(matches!(keeper.next(), Step::Wait { .. }), {
            matches!(keeper.phase(), KeeperPhase::Resting | KeeperPhase::Pausing)
        });
        for report in [keeper.last_refusal(), keeper.last_failure()].into_iter().flatten() {
            assert!(!report.code().is_empty() && !report.message().chars().any(char::is_control));
        }
        assert!(self.machine.raised.len() == 1, "the ownership epoch is no keeper's");
    }

    /// The certificate in use is the one that outlives a loss of power, and so does all else.
    fn check_stored(&self) {
        let next = resume(&self.machine);
        assert_eq!(next.certificate(), self.keeper.certificate());
        assert_eq!(chain(&next), self.chain);
        let mut pledge = support::resume(self.machine.disk.as_deref());
        pledge.done(Outcome::Epoch(OwnershipEpoch::new(self.machine.epoch))).expect("it asks for that");
        self.machine.check_joined(&pledge, 0);
    }

    /// Does steps until there is nothing to do.
    pub(crate) fn rest(&mut self) {
        for _ in 0..300 {
            if self.keeper.phase() == KeeperPhase::Resting {
                return;
            }
            self.step(None);
        }
        panic!("no rest: {:?} {:?}", &self.machine.steps, self.keeper.last_failure());
    }

    /// Does steps until this one is next.
    pub(crate) fn run_to(&mut self, wanted: impl Fn(&Step<'_>) -> bool) {
        for _ in 0..3000 {
            if wanted(&self.keeper.next()) {
                return;
            }
            self.step(None);
        }
        panic!("it does not come: {:?}", &self.machine.steps[self.machine.steps.len() - 60..]);
    }

    /// Does steps until this is asked.
    pub(crate) fn run_to_path(&mut self, method: &str, path: &str) {
        let wanted = |step: &Step<'_>| match step {
            Step::Send(request) => request.method.name() == method && request.path.ends_with(path),
            _ => false,
        };
        self.run_to(wanted);
    }

    /// Has the box attest, and does steps until there is nothing to do.
    pub(crate) fn attest(&mut self) {
        self.keeper.attest_now();
        if self.keeper.phase() == KeeperPhase::Resting {
            self.step(None);
        }
        self.rest();
    }

    /// Does steps until so much time has passed.
    pub(crate) fn live(&mut self, seconds: u64) {
        let until = self.machine.waited + seconds;
        while self.machine.waited < until {
            self.step(None);
        }
    }

    /// Rests until so much time has passed, in one piece as far as the box can tell: it was not asked in between.
    pub(crate) fn sleep(&mut self, seconds: u64) {
        assert_eq!(self.keeper.phase(), KeeperPhase::Resting);
        self.pass(seconds);
        self.step(None);
    }

    /// That the box is well: it rests, has attested, and has a certificate that holds.
    pub(crate) fn check_well(&mut self) {
        assert_eq!(self.keeper.phase(), KeeperPhase::Resting);
        assert!(matches!(self.keeper.standing(self.machine.registrars[0].1.now), Standing::Good));
        let used = self.keeper.certificate().clone();
        assert!(self.registrar().certificates.contains(&used));
        self.check_stored();
    }

    pub(crate) fn steps(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.machine.steps)
    }

    /// What was asked.
    pub(crate) fn paths(&mut self) -> Vec<&'static str> {
        let log = std::mem::take(&mut self.registrar().log);
        log.into_iter().map(|(path, _)| path.rsplit('/').next().expect("a path")).collect()
    }
}

/// A box that joins: what its disk and its registrar have then.
fn joined(stock: Stock, life: Option<u64>) -> (Vec<u8>, Registrar) {
    let mut registrar = Registrar::new(0, 0, stock);
    registrar.life = life;
    let mut machine = Machine::new(vec![(hint("a"), registrar)]);
    machine.epoch = 7;
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    let (_, mut registrar) = machine.registrars.remove(0);
    registrar.log.clear();
    (machine.disk.expect("a record"), registrar)
}

/// The keeper of the record on the disk.
pub(crate) fn resume(machine: &Machine) -> Keeper {
    let record = Record::from_bytes(machine.disk.as_deref().expect("a record")).expect("a record");
    Keeper::resume(record, identity()).expect("a member's record that holds")
}

/// What is known of the chain.
fn chain(keeper: &Keeper) -> (ChainBundle, Role) {
    let (bundle, role) = keeper.chain();
    (bundle.content().clone(), role)
}
