//! The machine of a box that has joined: in rounds, each of which begins with looking for its registrars.

mod phase;
mod renew;
mod schedule;
mod talk;

use dolmen_provisioning_bundle::Bundle;
use dolmen_provisioning_ca::{Certificate, renewal::Standing};

pub use self::phase::KeeperPhase;
use self::{
    renew::Round,
    schedule::{Schedule, Task, standing},
};
use crate::{
    Client, Connect, Identity, Key, Outcome, Record, Report, ResumeError, Role, Step, Trust, Unexpected,
    appraising::Showing,
    exchange::Exchange,
    fault::Fault,
    limits::WAIT_SECONDS_MAX,
    member::Member,
    route::{Route, backoff_seconds},
    trust::Connection,
};

/// A box that has joined, as long as it lives. See the crate's documentation.
///
/// It deletes nothing, and takes no refusal for the last word: a box that was cast out says so, and asks again.
#[derive(Debug)]
pub struct Keeper {
    identity: Identity,
    member: Member,
    /// The same with another certificate, which is not stored yet.
    renewed: Option<Member>,
    schedule: Schedule,
    route: Route,
    connection: Option<Connection>,
    /// What is known for this connection.
    round: Round,
    /// What is to be done at present.
    task: Task,
    /// Whether a registrar wants the box to enrol anew: it does not take its certificate, or allows its other firmware.
    disowned: bool,
    /// Whether the box enrolled anew, and nobody has taken the certificate yet.
    unproven: bool,
    /// Whether the box is decommissioned; none where it lives on.
    leaving: Option<Leaving>,
    /// Seconds to wait before anything else.
    wait: u32,
    /// Whether the wait is to end early.
    woken: bool,
    /// How often the box could not do its own part since a registrar was last done with it.
    faults: u32,
    refusal: Option<Report>,
    failure: Option<Report>,
}

/// What is to be done, without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Discover,
    Connect,
    Send(Exchange),
    Reattest,
    Attest,
    Respond,
    MakeRenewal,
    Store,
    Wait(u32),
    Left,
}

/// How far a box is that is decommissioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Its registrar is to be told.
    Wanted,
    /// It knows.
    Told,
}

impl Keeper {
    /// A member at its start, with the record that was stored last. A [`Pledge`](crate::Pledge) with the same record has
    /// looked before whether the record is the present owner's, by the TPM's ownership epoch.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] where the record does not hold, or is not a member's.
    pub fn resume(record: Record, identity: Identity) -> Result<Self, ResumeError> {
        Ok(Self {
            member: Member::restore(record, &identity)?,
            identity,
            renewed: None,
            schedule: Schedule::new(),
            route: Route::default(),
            connection: None,
            round: Round::default(),
            task: Task::Attest,
            disowned: false,
            unproven: false,
            leaving: None,
            wait: 0,
            woken: false,
            faults: 0,
            refusal: None,
            failure: None,
        })
    }

    /// The one thing to do now. It stays the same until [`done`](Self::done), but for what [`Step::Wait`] says.
    #[must_use]
    pub fn next(&self) -> Step<'_> {
        match self.at() {
            At::Discover => Step::Discover,
            At::Connect => self.connect().map_or(Step::Discover, Step::Connect),
            At::Send(exchange) => Step::Send(exchange.request(self.round.body(exchange))),
            At::Reattest => self.round.quote().map_or(Step::Discover, Step::Reattest),
            At::Attest => Step::Attest,
            At::Respond => self.round.challenge().map_or(Step::Attest, Step::Respond),
            At::MakeRenewal => Step::MakeRenewal(self.member.certificate()),
            At::Store => self.renewed.as_ref().map_or(Step::Discover, |member| Step::Store(member.record())),
            At::Wait(seconds) => Step::Wait { seconds },
            At::Left => Step::Left,
        }
    }

    /// Says what came of the step that [`next`](Self::next) gave, and how late it is: seconds since 1970, by the clock
    /// that the box has. It says *when* something is to be done, and never whom to trust.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] for what cannot come of it. Then nothing has changed.
    pub fn done(&mut self, outcome: Outcome, now: u64) -> Result<(), Unexpected> {
        match (self.at(), outcome) {
            (At::Wait(seconds), Outcome::Waited) => self.waited(seconds),
            (At::Discover, Outcome::Discovered(found)) => self.route.discovered(found.hints, found.chance),
            (At::Discover, Outcome::Failed(text)) => {
                self.failure = Some(Report::text(Fault::Discovery.code(), &text, None));
                self.route.discovered(Vec::new(), self.route.chance());
            }
            (At::Connect, Outcome::Connected(chain)) => self.connected(&chain),
            (At::Send(exchange), Outcome::Answered(answer)) => self.answered(exchange, answer, now),
            (At::Connect | At::Send(_), Outcome::Failed(text)) => self.lost(&text),
            (At::Reattest, Outcome::Reattestation(reattestation)) => self.reattestation_is(&reattestation),
            (At::Attest, Outcome::Enrolment(enrolment)) => self.enrolment_is(&enrolment),
            (At::Respond, Outcome::Response(response)) => self.response_is(&response),
            (At::MakeRenewal, Outcome::Request(request)) => self.request_is(&request),
            (At::Store, Outcome::Stored) => self.stored(),
            (at, Outcome::Failed(text)) if at.is_local() => self.fault(at.fault(), &text),
            (_, outcome) => return Err(Unexpected { step: self.next().name(), outcome: outcome.name() }),
        }
        self.settle(now);
        Ok(())
    }

    /// Has the box attest as soon as it can, as when its chain was caught up. A [`Step::Wait`] goes on, and is the last:
    /// it takes 60 seconds at most, and a driver may end it early, as [`Outcome::Waited`].
    pub fn attest_now(&mut self) {
        self.schedule.want();
        self.woken |= self.wait > 0;
        if self.at() == At::Send(Exchange::Attestation) {
            // That one may have been taken already.
            self.round.again = true;
        }
    }

    /// Has the box ask for another certificate as soon as it can, before its time and until it has one. A
    /// [`Step::Wait`] goes on as in [`attest_now`](Self::attest_now).
    pub fn renew_now(&mut self) {
        self.schedule.want_renewal();
        self.woken |= self.wait > 0;
    }

    /// Has the box tell its registrar that it is decommissioned, and do nothing else: [`Step::Left`] is the last step.
    pub fn leave(&mut self) {
        (self.leaving, self.task) = (Some(Leaving::Wanted), Task::Attest);
        (self.connection, self.round) = (None, Round::default());
        (self.wait, self.woken) = (0, false);
        self.route.wake();
    }

    /// What the keeper does.
    #[must_use]
    pub fn phase(&self) -> KeeperPhase {
        match self.at() {
            At::Wait(_) if matches!(self.task, Task::Rest(_)) => KeeperPhase::Resting,
            At::Wait(_) => KeeperPhase::Pausing,
            At::Discover => KeeperPhase::Discovering,
            At::Connect => KeeperPhase::Connecting,
            At::Left | At::Send(Exchange::Departure) => KeeperPhase::Leaving,
            At::Attest | At::Respond => KeeperPhase::Enrolling,
            _ if self.task == Task::Enrol => KeeperPhase::Enrolling,
            At::Store | At::MakeRenewal | At::Send(Exchange::SimpleReenroll | Exchange::CaCerts) => {
                KeeperPhase::Renewing
            }
            At::Send(_) | At::Reattest => KeeperPhase::Attesting,
        }
    }

    /// How the box's certificate stands at a time, in seconds since 1970. Alarms come from it.
    #[must_use]
    pub fn standing(&self, now: u64) -> Standing {
        standing(self.member.certificate().validity(), now)
    }

    /// The box's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        self.member.certificate()
    }

    /// The box's certificate, and those that vouch for it, but for the root.
    #[must_use]
    pub fn ldevid(&self) -> &[Certificate] {
        self.member.ldevid()
    }

    /// What the box's chain is, and as what the box was admitted.
    #[must_use]
    pub const fn chain(&self) -> (&Bundle, Role) {
        self.member.chain()
    }

    /// When a registrar last found that the box is as it was, by the box's clock; none since the start.
    #[must_use]
    pub fn attested(&self) -> Option<u64> {
        self.schedule.last_attested()
    }

    /// What the box, or its registrar, refused last; none where nothing was since the last attestation that was accepted.
    #[must_use]
    pub const fn last_refusal(&self) -> Option<&Report> {
        self.refusal.as_ref()
    }

    /// What could not be done last, since then: nobody answered, or a part of the box failed.
    #[must_use]
    pub const fn last_failure(&self) -> Option<&Report> {
        self.failure.as_ref()
    }

    /// Who the box is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    fn at(&self) -> At {
        if self.leaving == Some(Leaving::Told) {
            return At::Left;
        }
        if self.wait > 0 {
            return At::Wait(self.wait.min(WAIT_SECONDS_MAX));
        }
        if self.renewed.is_some() {
            return At::Store;
        }
        match &self.connection {
            None if self.route.is_stale() => At::Discover,
            None => At::Connect,
            Some(_) if self.leaving.is_some() => At::Send(Exchange::Departure),
            Some(connection) => self.round.at(connection.key),
        }
    }

    /// Decides what comes next, where nothing is under way.
    fn settle(&mut self, now: u64) {
        if self.wait > 0 || self.renewed.is_some() || self.connection.is_some() {
            return;
        }
        let task = self.schedule.task(self.member.certificate().validity(), now);
        self.task = match self.leaving {
            Some(_) => Task::Attest,
            None if self.disowned => Task::Enrol,
            None => task,
        };
        if let Task::Rest(seconds) = self.task {
            self.wait = seconds;
        } else if !self.route.is_stale() && self.route.next().is_none() {
            self.wait = self.route.pause_seconds();
        }
    }

    fn waited(&mut self, seconds: u32) {
        self.wait = self.wait.saturating_sub(seconds);
        self.schedule.waited(seconds);
        // The next round looks around anew.
        self.route.waited(seconds);
        if self.woken {
            (self.wait, self.woken) = (0, false);
            self.route.wake();
        }
    }

    fn connect(&self) -> Option<Connect<'_>> {
        let client = match self.client() {
            Key::IDevId => Client::IDevId(self.identity.chain()),
            Key::LDevId => Client::LDevId(self.member.ldevid()),
        };
        Some(Connect { hint: self.route.next()?, client, trust: Trust::Owner(self.member.root()) })
    }

    /// As whom the box connects.
    const fn client(&self) -> Key {
        if matches!(self.task, Task::Enrol) { Key::IDevId } else { Key::LDevId }
    }

    /// The box could not do its own part.
    fn fault(&mut self, fault: Fault, text: &str) {
        let hint = self.disconnect();
        self.failure = Some(Report::text(fault.code(), text, hint.as_ref()));
        self.faults = self.faults.saturating_add(1);
        self.wait = backoff_seconds(self.faults, self.route.chance());
    }
}

impl At {
    /// Whether it is for the box alone to do.
    const fn is_local(self) -> bool {
        !matches!(self, Self::Discover | Self::Connect | Self::Send(_) | Self::Wait(_) | Self::Left)
    }

    /// What it is called when it fails.
    const fn fault(self) -> Fault {
        match self {
            Self::Reattest | Self::Attest => Fault::Attestation,
            Self::Respond => Fault::Response,
            Self::MakeRenewal => Fault::Request,
            Self::Store => Fault::Record,
            Self::Discover | Self::Connect | Self::Send(_) | Self::Wait(_) | Self::Left => Fault::Step,
        }
    }
}

impl From<Showing> for At {
    fn from(showing: Showing) -> Self {
        match showing {
            Showing::Attest => Self::Attest,
            Showing::Respond => Self::Respond,
            Showing::Send(exchange) => Self::Send(exchange),
        }
    }
}
