//! The machine: what is to be done follows from what is known, and what is known from what was done.

mod admit;
mod enrol;
mod seek;
mod talk;

use std::mem;

use dolmen_provisioning_voucher::OwnershipEpoch;

pub use self::seek::OfferRefusal;
use self::{admit::Admitting, enrol::Enrolling, seek::Seeking};
use crate::{
    Client, Connect, Identity, Key, Outcome, Phase, Record, Report, Request, ResumeError, Step, Trust, Unexpected,
    exchange::Exchange,
    fault::Fault,
    owner::{Bundled, Enrolled, Owner},
    route::{Route, backoff_seconds},
    trust::Connection,
};

/// A box on its way to its owner and its chain. See the crate's documentation.
#[derive(Debug)]
pub struct Pledge {
    identity: Identity,
    /// Whose it is; nobody's where there is none.
    owner: Option<Owner>,
    /// Whether the owner's part is not stored yet.
    unsaved: bool,
    /// The TPM's ownership epoch, as far as it is known.
    epoch: Option<OwnershipEpoch>,
    route: Route,
    connection: Option<Connection>,
    /// Seconds to wait before anything else.
    wait: Option<u32>,
    /// How often in a row the box could not do its own part.
    faults: u32,
    /// Whether a voucher was offered that somebody should be asked about at once.
    news: bool,
    seeking: Seeking,
    enrolling: Enrolling,
    admitting: Admitting,
    refusal: Option<Report>,
    failure: Option<Report>,
}

/// What is to be done, without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Discover,
    Connect,
    Send(Exchange),
    ReadEpoch,
    RaiseEpoch(OwnershipEpoch),
    MakeNonce,
    SignAsk,
    Attest,
    Respond,
    MakeRequest,
    MakeAdmission,
    SignAdmission,
    Store,
    Wait(u32),
    Joined,
}

impl Pledge {
    /// A box at its start, with the record that the last one stored; none where there is none.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] where the record does not hold.
    pub fn resume(record: Option<Record>, identity: Identity) -> Result<Self, ResumeError> {
        let owner = record.map(|record| Owner::restore(record, &identity)).transpose()?;
        Ok(Self {
            identity,
            owner,
            unsaved: false,
            epoch: None,
            route: Route::default(),
            connection: None,
            wait: None,
            faults: 0,
            news: false,
            seeking: Seeking::default(),
            enrolling: Enrolling::default(),
            admitting: Admitting::default(),
            refusal: None,
            failure: None,
        })
    }

    /// The one thing to do now. It stays the same until [`done`](Self::done) or [`offer_voucher`](Self::offer_voucher).
    #[must_use]
    pub fn next(&self) -> Step<'_> {
        match self.at() {
            At::Discover => Step::Discover,
            At::Connect => self.connect().map_or(Step::Discover, Step::Connect),
            At::Send(exchange) => Step::Send(self.request(exchange)),
            At::ReadEpoch => Step::ReadEpoch,
            At::RaiseEpoch(to) => Step::RaiseEpoch(to),
            At::MakeNonce => Step::MakeNonce,
            At::SignAsk => {
                self.unsigned_ask().map_or(Step::MakeNonce, |unsigned| Step::Sign { key: Key::IDevId, unsigned })
            }
            At::Attest => Step::Attest,
            At::Respond => self.enrolling.appraising.challenge().map_or(Step::Attest, Step::Respond),
            At::MakeRequest => Step::MakeRequest,
            At::MakeAdmission => {
                self.bundled().map_or(Step::Discover, |bundled| Step::MakeAdmission(bundled.bundle.content()))
            }
            At::SignAdmission => {
                let unsigned = self.admitting.unsigned.as_ref();
                unsigned.map_or(Step::Discover, |unsigned| Step::Sign { key: Key::LDevId, unsigned })
            }
            At::Store => self.owner.as_ref().map_or(Step::Discover, |owner| Step::Store(owner.record())),
            At::Wait(seconds) => Step::Wait { seconds },
            At::Joined => self.joined().unwrap_or(Step::Discover),
        }
    }

    /// Says what came of the step that [`next`](Self::next) gave.
    ///
    /// # Errors
    ///
    /// [`Unexpected`] for what cannot come of it. Then nothing has changed.
    pub fn done(&mut self, outcome: Outcome) -> Result<(), Unexpected> {
        let (at, faults) = (self.at(), self.faults);
        match (at, outcome) {
            (At::Wait(seconds), Outcome::Waited) => {
                self.wait = None;
                self.route.waited(seconds);
            }
            (At::Discover, Outcome::Discovered(found)) => self.route.discovered(found.hints, found.chance),
            (At::Discover, Outcome::Failed(text)) => {
                self.failure = Some(Report::text(Fault::Discovery.code(), &text, None));
                self.route.discovered(Vec::new(), self.route.chance());
            }
            (At::Connect, Outcome::Connected(chain)) => self.connected(&chain),
            (At::Send(exchange), Outcome::Answered(answer)) => self.answered(exchange, answer),
            (At::Connect | At::Send(_), Outcome::Failed(text)) => self.lost(at, &text),
            (At::ReadEpoch | At::RaiseEpoch(_), Outcome::Epoch(epoch)) => self.epoch_is(at, epoch),
            (At::MakeNonce, Outcome::Nonce(nonce)) => self.nonce_is(nonce),
            (At::SignAsk, Outcome::Signed(message)) => self.ask_is(message),
            (At::Attest, Outcome::Enrolment(enrolment)) => self.enrolment_is(&enrolment),
            (At::Respond, Outcome::Response(response)) => self.response_is(&response),
            (At::MakeRequest, Outcome::Request(request)) => self.request_is(request),
            (At::MakeAdmission, Outcome::AdmissionRequest(text)) => self.admission_is(text),
            (At::SignAdmission, Outcome::Signed(message)) => self.signed_admission_is(message),
            (At::Store, Outcome::Stored) => self.unsaved = false,
            (at, Outcome::Failed(text)) if at.is_local() => self.fault(at.fault(), &text),
            (_, outcome) => return Err(Unexpected { step: self.next().name(), outcome: outcome.name() }),
        }
        if at.is_local() && self.faults == faults {
            self.faults = 0;
        }
        if mem::take(&mut self.news) {
            self.route.wake();
        }
        Ok(())
    }

    /// How far the box is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let at = self.at();
        let Some(owner) = &self.owner else {
            return match at {
                At::Discover => Phase::Discovering,
                At::Wait(_) => Phase::Pausing,
                At::Connect => Phase::Connecting,
                _ => Phase::Asking,
            };
        };
        match &owner.enrolled {
            None if self.unsaved || self.epoch.is_none_or(|epoch| epoch < owner.accepted.epoch()) => {
                Phase::TakingOwnership
            }
            None if self.enrolling.appraising.is_done() => Phase::Enrolling,
            None => Phase::Attesting,
            Some(Enrolled { bundled: None, .. }) => Phase::FetchingBundle,
            Some(_) if at == At::Joined => Phase::Member,
            Some(_) => Phase::AwaitingAdmission,
        }
    }

    /// What the box, or its registrar, refused last; none where nothing was refused since the start.
    #[must_use]
    pub const fn last_refusal(&self) -> Option<&Report> {
        self.refusal.as_ref()
    }

    /// What could not be done last: nobody answered, or a part of the box failed.
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
        if let Some(seconds) = self.wait {
            return At::Wait(seconds);
        }
        if self.unsaved {
            return At::Store;
        }
        if let Some(owner) = &self.owner {
            let target = owner.accepted.epoch();
            match self.epoch {
                None => return At::ReadEpoch,
                Some(epoch) if epoch < target => return At::RaiseEpoch(target),
                Some(_) => {}
            }
            if self.bundled().is_some_and(|bundled| bundled.role.is_some()) {
                return At::Joined;
            }
        }
        let Some(connection) = &self.connection else {
            return match self.route.next() {
                Some(_) => At::Connect,
                None if self.route.is_stale() => At::Discover,
                None => At::Wait(self.route.pause_seconds()),
            };
        };
        match self.owner.as_ref().map(|owner| &owner.enrolled) {
            None => self.seeking.at(&connection.server, self.epoch),
            Some(None) => self.enrolling.at(),
            // The connection by which the certificate came has one use left.
            Some(Some(_)) if connection.key == Key::IDevId => At::Send(Exchange::EnrollStatus),
            Some(Some(enrolled)) => self.admitting.at(enrolled),
        }
    }

    fn bundled(&self) -> Option<&Bundled> {
        self.owner.as_ref()?.enrolled.as_ref()?.bundled.as_ref()
    }

    fn joined(&self) -> Option<Step<'_>> {
        let enrolled = self.owner.as_ref()?.enrolled.as_ref()?;
        let bundled = enrolled.bundled.as_ref()?;
        Some(Step::Joined { bundle: &bundled.bundle, role: bundled.role?, ldevid: &enrolled.chain })
    }

    fn connect(&self) -> Option<Connect<'_>> {
        let hint = self.route.next()?;
        let trust = self.owner.as_ref().map_or(Trust::Provisional, |owner| Trust::Owner(owner.anchor()));
        let enrolled = self.owner.as_ref().and_then(|owner| owner.enrolled.as_ref());
        let client =
            enrolled.map_or_else(|| Client::IDevId(self.identity.chain()), |enrolled| Client::LDevId(&enrolled.chain));
        Some(Connect { hint, client, trust })
    }

    fn request(&self, exchange: Exchange) -> Request<'_> {
        match exchange {
            Exchange::RequestVoucher => exchange.request(self.ask_message()),
            Exchange::VoucherStatus | Exchange::EnrollStatus => exchange.request(self.telemetry()),
            Exchange::Enrolment | Exchange::Response | Exchange::SimpleEnroll => {
                exchange.request(self.enrolling.body(exchange))
            }
            Exchange::Admission => exchange.request(self.admitting.message.as_deref().unwrap_or_default()),
            // The last three are a keeper's.
            Exchange::CaCerts
            | Exchange::Bundle
            | Exchange::AskQuote
            | Exchange::Attestation
            | Exchange::SimpleReenroll
            | Exchange::Departure => exchange.request(&b""[..]),
        }
    }

    /// What is to be told: of a voucher or a certificate, that it is taken, or why not.
    fn telemetry(&self) -> Vec<u8> {
        let refused = if self.owner.is_none() { self.seeking.refused } else { self.enrolling.refused };
        crate::status::telemetry(refused)
    }

    /// The box could not do its own part.
    fn fault(&mut self, fault: Fault, text: &str) {
        let hint = self.disconnect();
        self.failure = Some(Report::text(fault.code(), text, hint.as_ref()));
        self.faults = self.faults.saturating_add(1);
        self.wait = Some(backoff_seconds(self.faults, self.route.chance()));
    }

    fn epoch_is(&mut self, at: At, epoch: OwnershipEpoch) {
        self.epoch = Some(epoch);
        let Some(owner) = &self.owner else { return self.try_offers(epoch) };
        let target = owner.accepted.epoch();
        if epoch > target {
            self.supersede(epoch, target);
        } else if matches!(at, At::RaiseEpoch(_)) && epoch < target {
            let text = format!("the TPM's ownership epoch is {epoch} after it was raised to {target}; look at the TPM");
            self.fault(Fault::EpochNotRaised, &text);
        }
    }

    /// The box has followed another voucher since: this owner's is a former one.
    fn supersede(&mut self, epoch: OwnershipEpoch, former: OwnershipEpoch) {
        let text = format!(
            "the box's record is of the ownership epoch {former}, its TPM's is {epoch}: the record is a former owner's \
             and is passed over; ask the maker for a voucher with a greater epoch"
        );
        self.disconnect();
        self.refusal = Some(Report::text(Fault::RecordSuperseded.code(), &text, None));
        (self.owner, self.unsaved) = (None, false);
        (self.enrolling, self.admitting) = (Enrolling::default(), Admitting::default());
    }
}

impl At {
    /// Whether it is for the box alone to do.
    const fn is_local(self) -> bool {
        !matches!(self, Self::Discover | Self::Connect | Self::Send(_) | Self::Wait(_) | Self::Joined)
    }

    /// What it is called when it fails.
    const fn fault(self) -> Fault {
        match self {
            Self::ReadEpoch => Fault::EpochUnread,
            Self::RaiseEpoch(_) => Fault::EpochNotRaised,
            Self::MakeNonce => Fault::Nonce,
            Self::SignAsk | Self::SignAdmission => Fault::Signature,
            Self::Attest => Fault::Attestation,
            Self::Respond => Fault::Response,
            Self::MakeRequest => Fault::Request,
            Self::MakeAdmission => Fault::AdmissionRequest,
            Self::Store => Fault::Record,
            Self::Discover | Self::Connect | Self::Send(_) | Self::Wait(_) | Self::Joined => Fault::Step,
        }
    }
}
