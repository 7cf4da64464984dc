//! The guard: a log, a key, and the lease that a counter outside the disk gives.

use std::{
    collections::VecDeque,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dolmen_hsm_api::{Domain, Lease, LeaseCounter, Message, Residence, Scope, Signature, Signer};
use futures::executor::block_on;
use sha2::{Digest as _, Sha256};

use crate::{
    GuardError, Kind, Round, Vote,
    disk::{Disk, LockedFile, LockedScope},
    log::{self, Found, Log, RECORDS},
    record::Header,
    vote::{Decision, Signed},
};

/// Views between two tries to take a lease before it is needed.
const EARLY_STEP: u64 = 256;

/// Votes of which certificates are still on their way: some views' worth.
const RECENT: usize = 32;

/// What a guard is for.
pub struct GuardConfig {
    /// The log; made where there is none. Beside the key, not beside the chain's data, which may be fetched again.
    pub path: PathBuf,
    /// The chain: its namespace of votes.
    pub namespace: Vec<u8>,
    /// Whether this box has blocks of the chain. Then it had a log too, and one that has to be made takes a lost one's
    /// place.
    pub has_blocks: bool,
    /// What the disk does not hold; without it old copies of the log are not noticed.
    pub counter: Option<Arc<dyn LeaseCounter>>,
    /// From one step of the counter to the next: longer leases wear the TPM less, and fence a copied disk for longer.
    pub lease: Span,
}

/// How far a lease reaches from the round in which it is taken. Views begin anew in each epoch: a lease of views ends with
/// the epoch, and is for chains that have one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// So many epochs on, to the same view.
    epochs: u64,
    /// So many views on in the same epoch.
    views: u64,
}

impl Span {
    /// A lease of views.
    pub const fn views(views: u64) -> Self {
        Self { epochs: 0, views }
    }

    /// A lease of whole epochs of so many blocks: of some [`GuardConfig::LEASE_VIEWS`] views, and of one epoch at least.
    pub const fn of_epochs(epoch_blocks: u64) -> Self {
        let epochs = GuardConfig::LEASE_VIEWS / if epoch_blocks == 0 { 1 } else { epoch_blocks };
        Self { epochs: if epochs == 0 { 1 } else { epochs }, views: 0 }
    }

    const fn after(self, round: Round) -> Round {
        Round { epoch: round.epoch.saturating_add(self.epochs), view: round.view.saturating_add(self.views) }
    }

    /// From where on the next lease is tried for, of one that ends here.
    const fn early(self, end: Round) -> Round {
        if self.epochs == 0 {
            Round { view: end.view.saturating_sub(self.views / 2), ..end }
        } else {
            Round { epoch: end.epoch.saturating_sub(self.epochs / 2), view: 0 }
        }
    }
}

impl GuardConfig {
    /// Views that a lease is good for, about: 22 minutes at 50 views a second, 24,000 steps of the counter a year.
    pub const LEASE_VIEWS: u64 = 1 << 16;
}

/// What a guard has done since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardStatus {
    /// Votes that it signed, without those that it had signed before.
    pub signed: u64,
    /// Votes that it refused because of an earlier one.
    pub conflicts: u64,
    /// Votes that it did not sign for another reason.
    pub failures: u64,
    /// The last round in which it signs nothing, where there is one.
    pub fence: Option<Round>,
    /// Whether the last vote was not signed because of that.
    pub fenced: bool,
    /// Why the last vote was not signed; none where it was.
    pub failing: Option<String>,
}

/// Signs votes with a key, never two that conflict. Calls block until the disk has the vote.
pub struct Guard {
    core: Mutex<Core<LockedFile>>,
    /// Of its own, so that who asks does not wait for a device.
    status: Arc<Mutex<GuardStatus>>,
    /// Votes that were signed of late, likewise.
    recent: Mutex<VecDeque<(Round, Kind, [u8; 32])>>,
    in_device: bool,
    /// Let go after the log.
    _scope: LockedScope,
}

impl Guard {
    /// Opens the log, or makes it.
    ///
    /// # Errors
    ///
    /// Where the log is another's, in use or unreadable, or the counter fails.
    pub fn open(signer: Arc<dyn Signer>, config: GuardConfig) -> Result<Self, GuardError> {
        let GuardConfig { path, namespace, has_blocks, counter, lease } = config;
        let scope = scope(&*signer, &namespace);
        let in_device = signer.residence() == Residence::Device;
        let (file, locked) = lock(&path, &scope, has_blocks)?;
        let core = Core::open(file, RECORDS, signer, scope, counter, lease, path)?;
        let status = Arc::clone(&core.status);
        Ok(Self { core: Mutex::new(core), status, recent: Mutex::default(), in_device, _scope: locked })
    }

    /// Takes the fence of a log away, and its counter's lease for its own: for when it is certain that no other copy of the
    /// log is in use or has signed more. The box must not run.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn release(signer: &dyn Signer, config: &GuardConfig) -> Result<(), GuardError> {
        let scope = scope(signer, &config.namespace);
        let (file, _locked) = lock(&config.path, &scope, config.has_blocks)?;
        let failed =
            |source| GuardError::Io { path: config.path.clone(), operation: "release the log of votes", source };
        let stamp = config.counter.as_ref().map(|counter| counter.read(&scope)).transpose();
        let stamp = stamp.map_err(GuardError::Counter)?.flatten().unwrap_or_default();
        match Log::open(file, RECORDS).map_err(failed)? {
            Found::Log(log, _) if log.header().scope != scope => Err(GuardError::Foreign { path: config.path.clone() }),
            Found::Log(mut log, _) => log.release(stamp).map_err(failed),
            Found::NoHeader(_) => Err(GuardError::Damaged { path: config.path.clone() }),
        }
    }

    /// Signs a vote, after its record lasts.
    ///
    /// # Errors
    ///
    /// Where it conflicts, is too old or fenced, and where disk, key or counter fail. Nothing is signed then.
    pub fn sign(&self, vote: Vote<'_>) -> Result<Signature, GuardError> {
        let signature = self.core().sign(vote)?;
        let mut recent = self.recent();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((vote.round, vote.kind, Sha256::digest(vote.message).into()));
        Ok(signature)
    }

    /// Whether signatures come from a device, which may take its time.
    pub const fn is_in_device(&self) -> bool {
        self.in_device
    }

    /// Takes note of a vote of this key that others hold and whose signature was checked. One that the log does not
    /// have shows that the log is old, or that somebody else has the key: the guard is then fenced.
    ///
    /// # Errors
    ///
    /// Where the fence cannot be written; it counts all the same, until the process ends.
    pub fn observe(&self, vote: Vote<'_>) -> Result<(), GuardError> {
        // As a rule it is one of these, and does not wait for the vote that is being signed.
        let known = (vote.round, vote.kind, Sha256::digest(vote.message).into());
        if self.recent().contains(&known) { Ok(()) } else { self.core().observe(vote) }
    }

    /// What it has done.
    pub fn status(&self) -> GuardStatus {
        lock_status(&self.status).clone()
    }

    /// Whether the last vote was not signed.
    pub fn is_failing(&self) -> bool {
        lock_status(&self.status).failing.is_some()
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<(Round, Kind, [u8; 32])>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic in the middle leaves the log as it is on the disk or behind it, and a record behind is written again.
    fn core(&self) -> MutexGuard<'_, Core<LockedFile>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_status(status: &Mutex<GuardStatus>) -> MutexGuard<'_, GuardStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log's file and scope, which are then nobody else's.
fn lock(path: &Path, scope: &Scope, has_blocks: bool) -> Result<(LockedFile, LockedScope), GuardError> {
    let failed = |source| GuardError::Io { path: path.to_owned(), operation: "open the log of votes", source };
    let in_use = || GuardError::InUse { path: path.to_owned() };
    let locked = LockedScope::take(scope).map_err(failed)?.ok_or_else(in_use)?;
    let file = LockedFile::open_or_create(path, || log::blank(*scope, RECORDS, has_blocks)).map_err(failed)?;
    Ok((file.ok_or_else(in_use)?, locked))
}

/// An orderly stop.
impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.core().close() {
            tracing::warn!(%error, "the counter could not be advanced at the stop");
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("path", &self.core().path).finish_non_exhaustive()
    }
}

fn scope(signer: &dyn Signer, namespace: &[u8]) -> Scope {
    let mut hash = Sha256::new();
    hash.update((namespace.len() as u64).to_be_bytes());
    hash.update(namespace);
    hash.update(signer.public_key());
    hash.finalize().into()
}

/// A guard without its locks, over any disk.
pub(crate) struct Core<D> {
    log: Log<D>,
    signer: Arc<dyn Signer>,
    counter: Option<Arc<dyn LeaseCounter>>,
    span: Span,
    path: PathBuf,
    /// Whether a lease was taken since the start: a copy of the log from before must not have the same stamp.
    leased: bool,
    /// The round from which on the next lease is tried for early.
    early: Round,
    pub(crate) status: Arc<Mutex<GuardStatus>>,
}

impl<D: Disk> Core<D> {
    pub(crate) fn open(
        disk: D,
        records: u64,
        signer: Arc<dyn Signer>,
        scope: Scope,
        counter: Option<Arc<dyn LeaseCounter>>,
        span: Span,
        path: PathBuf,
    ) -> Result<Self, GuardError> {
        let failed = |source| GuardError::Io { path: path.clone(), operation: "read the log of votes", source };
        let stamp = counter.as_ref().map(|counter| counter.read(&scope)).transpose();
        let stamp = stamp.map_err(GuardError::Counter)?.flatten();
        let (mut log, whole) = match Log::open(disk, records).map_err(failed)? {
            Found::Log(log, whole) => (*log, whole),
            Found::NoHeader(disk) => {
                let fence = end(stamp.ok_or_else(|| GuardError::Damaged { path: path.clone() })?);
                (Log::renew(disk, records, scope, fence).map_err(failed)?, true)
            }
        };
        let header = *log.header();
        if header.scope != scope {
            return Err(GuardError::Foreign { path });
        }
        match (&counter, stamp) {
            (Some(_), None) if header.lease.counter > 0 => return Err(GuardError::CounterGone { path }),
            (None, _) if header.lease.counter > 0 => return Err(GuardError::Uncounted { path }),
            _ => {}
        }
        log.settle().map_err(failed)?;
        let status = Arc::new(Mutex::new(GuardStatus { fence: header.fence, ..GuardStatus::default() }));
        let mut core =
            Self { log, signer, counter, span, path, leased: false, early: Round { epoch: 0, view: 0 }, status };
        match stamp {
            Some(stamp) if !is_fresh(stamp, &header) => {
                core.fence(end(stamp).max(end(header.lease)), Some(stamp))?;
            }
            _ if !whole => core.fence(end(header.lease), None)?,
            _ => {}
        }
        Ok(core)
    }

    pub(crate) fn sign(&mut self, vote: Vote<'_>) -> Result<Signature, GuardError> {
        let signed = self.decide(vote);
        let mut status = lock_status(&self.status);
        status.fenced = matches!(signed, Err(GuardError::Fenced { .. }));
        match &signed {
            Ok(_) => status.failing = None,
            Err(error) => {
                let conflict = matches!(error, GuardError::Conflict { .. });
                *(if conflict { &mut status.conflicts } else { &mut status.failures }) += 1;
                let cause = std::error::Error::source(error);
                status.failing = Some(cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")));
            }
        }
        drop(status);
        signed
    }

    fn decide(&mut self, vote: Vote<'_>) -> Result<Signature, GuardError> {
        let Vote { round, kind, message } = vote;
        let digest = Sha256::digest(message).into();
        match self.log.votes().decide(round, kind, &digest) {
            Decision::Known(signature) => return Ok(signature),
            Decision::Conflict(earlier) => return Err(GuardError::Conflict { round, kind, earlier }),
            Decision::Sign => {}
        }
        if let Some(floor) = self.log.floor().filter(|floor| round <= *floor) {
            return Err(GuardError::Forgotten { round, floor });
        }
        if self.log.header().lost {
            // What the lost log has signed is not far behind.
            self.fence(self.after(round), None)?;
        }
        if let Some(until) = self.log.header().fence.filter(|until| round <= *until) {
            return Err(GuardError::Fenced { until });
        }
        if !self.leased || round > end(self.log.header().lease) {
            self.renew(round)?;
        } else if self.counter.is_some() && round >= self.early {
            self.renew_early(round)?;
        }
        let signature = block_on(self.signer.sign(Domain::Vote, Message::Bytes(message))).map_err(GuardError::Key)?;
        let record = Signed { round, kind, digest, signature };
        self.log.append(record).map_err(|source| self.failed("write the vote", source))?;
        lock_status(&self.status).signed += 1;
        Ok(signature)
    }

    /// Takes a lease for the views after a round. Each ends after all earlier ones, of this log or another's: who finds
    /// itself behind trusts the last one to end where nobody can have signed, and an end is never tried for twice.
    fn renew(&mut self, from: Round) -> Result<(), GuardError> {
        let header = *self.log.header();
        let Some(counter) = self.counter.clone() else {
            let Round { epoch, view } = self.after(from).max(end(header.lease));
            self.leased = true;
            let lease = Lease { counter: 0, epoch, view };
            return self.log.lease(lease).map_err(|source| self.failed("write the lease", source));
        };
        let stamp = counter.read(&header.scope).map_err(GuardError::Counter)?;
        let behind = stamp.unwrap_or_default();
        // Another copy of the log may have taken one since this one was opened.
        if stamp.is_some_and(|stamp| !is_fresh(stamp, &header)) {
            return self.fenced(end(behind).max(end(header.lease)), behind);
        }
        // Also after a try in vain: a copy of the log from then must not have the stamp of the one that succeeds.
        let tried = end(behind).max(end(header.lease)).max(end(header.intent));
        let Round { epoch, view } = self.after(from).max(Round { view: tried.view.saturating_add(1), ..tried });
        let intent = Lease { counter: behind.counter + 1, epoch, view };
        self.log.intend(stamp, intent).map_err(|source| self.failed("write the lease", source))?;
        let lease = counter.advance(&header.scope, epoch, view).map_err(GuardError::Counter)?;
        if stamp.is_some() && lease != intent {
            // Between the two; its lease is overwritten, and ends as long after a round like ours.
            return self.fenced(self.after(end(lease)), lease);
        }
        self.log.lease(lease).map_err(|source| self.failed("write the lease", source))?;
        self.leased = true;
        self.early = self.span.early(Round { epoch, view });
        Ok(())
    }

    /// Takes a lease while there is still one, so that a device may be gone for a while.
    fn renew_early(&mut self, from: Round) -> Result<(), GuardError> {
        self.early = Round { view: from.view.saturating_add(EARLY_STEP), ..from };
        match self.renew(from) {
            Err(GuardError::Counter(error)) => {
                let until = end(self.log.header().lease);
                tracing::warn!(%error, %until, "the counter of the log of votes does not answer; votes end with the lease");
                Ok(())
            }
            renewed => renewed,
        }
    }

    /// See [`Guard::observe`].
    pub(crate) fn observe(&mut self, vote: Vote<'_>) -> Result<(), GuardError> {
        let Vote { round, kind, message } = vote;
        let digest = Sha256::digest(message).into();
        let known = matches!(self.log.votes().decide(round, kind, &digest), Decision::Known(_));
        if known || self.log.floor().max(self.log.header().fence).is_some_and(|passed| round <= passed) {
            return Ok(());
        }
        tracing::error!(
            log = %self.path.display(), %round, %kind,
            "this key has signed a vote that the log of votes does not have: the log is an old copy, or another box has the key"
        );
        self.fence(self.after(round).max(end(self.log.header().lease)), None)
    }

    /// Leaves the counter ahead of every copy of the disk that was made while votes were signed; and of those that are
    /// like this one was before others showed that it is old.
    pub(crate) fn close(&mut self) -> Result<(), GuardError> {
        let copies_pass = self.log.has_used_lease() || self.log.header().fence.is_some();
        if self.counter.is_some() && copies_pass { self.renew(self.log.reached()) } else { Ok(()) }
    }

    fn fenced(&mut self, until: Round, stamp: Lease) -> Result<(), GuardError> {
        self.fence(until, Some(stamp))?;
        Err(GuardError::Fenced { until })
    }

    fn fence(&mut self, until: Round, stamp: Option<Lease>) -> Result<(), GuardError> {
        tracing::error!(
            log = %self.path.display(), %until,
            "the log of votes is not the last one, or is damaged: no vote is signed until the chain has passed this"
        );
        let written = self.log.fence(until, stamp);
        lock_status(&self.status).fence = self.log.header().fence;
        written.map_err(|source| self.failed("write the fence", source))
    }

    /// The end of a lease that begins at a round.
    const fn after(&self, round: Round) -> Round {
        self.span.after(round)
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> GuardError {
        GuardError::Io { path: self.path.clone(), operation, source }
    }
}

const fn end(lease: Lease) -> Round {
    Round { epoch: lease.epoch, view: lease.view }
}

/// Whether a log has the counter's last lease: as its own, or as the one that it was about to take when it stopped, all of
/// it or the counter's step alone.
fn is_fresh(stamp: Lease, header: &Header) -> bool {
    let stepped = stamp.counter == header.intent.counter && end(stamp) == end(header.lease);
    stamp == header.lease || stamp == header.intent || stepped
}

#[cfg(test)]
mod tests;
