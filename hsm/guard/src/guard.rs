//! The guard: a log, a key, and the lease that a counter outside the disk gives.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use dolmen_hsm_api::{Domain, Lease, LeaseCounter, Message, Signature, Signer};
use futures::executor::block_on;
use sha2::{Digest as _, Sha256};

use crate::{
    GuardError, Kind, Round, Vote,
    disk::{Disk, LockedFile},
    log::{self, Found, Log, RECORDS},
    vote::{Decision, Signed},
};

/// What a guard is for.
pub struct GuardConfig {
    /// The log; made where there is none. Beside the key, not beside the chain's data, which may be fetched again.
    pub path: PathBuf,
    /// The chain: its namespace of votes.
    pub namespace: Vec<u8>,
    /// What the disk does not hold; without it old copies of the log are not noticed.
    pub counter: Option<Arc<dyn LeaseCounter>>,
    /// Views between two steps of the counter: more of them wear the TPM less, and fence a copied disk for longer.
    pub lease_views: u64,
}

impl GuardConfig {
    /// 22 minutes at 50 views a second: 24,000 steps of the counter a year.
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
    /// Why the last vote was not signed; none where it was.
    pub failing: Option<String>,
}

/// Signs votes with a key, never two that conflict. Calls block until the disk has the vote.
pub struct Guard(Mutex<Core<LockedFile>>);

impl Guard {
    /// Opens the log, or makes it, and advances the counter.
    ///
    /// # Errors
    ///
    /// Where the log is another's, in use or unreadable, or the counter fails.
    pub fn open(signer: Arc<dyn Signer>, config: GuardConfig) -> Result<Self, GuardError> {
        let GuardConfig { path, namespace, counter, lease_views } = config;
        let scope = scope(&*signer, &namespace);
        let failed = |source| GuardError::Io { path: path.clone(), operation: "open the log of votes", source };
        let file = LockedFile::open_or_create(&path, || log::blank(scope, RECORDS)).map_err(failed)?;
        let file = file.ok_or_else(|| GuardError::InUse { path: path.clone() })?;
        Core::open(file, RECORDS, signer, scope, counter, lease_views, path).map(Mutex::new).map(Self)
    }

    /// Signs a vote, after its record lasts.
    ///
    /// # Errors
    ///
    /// Where it conflicts, is too old or fenced, and where disk, key or counter fail. Nothing is signed then.
    pub fn sign(&self, vote: Vote<'_>) -> Result<Signature, GuardError> {
        self.core().sign(vote)
    }

    /// Takes note of a vote of this key that others hold and whose signature was checked. One that the log does not
    /// have shows that the log is old, or that somebody else has the key: the guard is then fenced.
    ///
    /// # Errors
    ///
    /// Where the fence cannot be written.
    pub fn observe(&self, round: Round, kind: Kind) -> Result<(), GuardError> {
        self.core().observe(round, kind)
    }

    /// What it has done.
    pub fn status(&self) -> GuardStatus {
        self.core().status.clone()
    }

    /// A panic in the middle leaves the log as it is on the disk or behind it, and a record behind is written again.
    fn core(&self) -> std::sync::MutexGuard<'_, Core<LockedFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn scope(signer: &dyn Signer, namespace: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((namespace.len() as u64).to_be_bytes());
    hash.update(namespace);
    hash.update(signer.public_key());
    hash.finalize().into()
}

/// A guard without its lock, over any disk.
pub(crate) struct Core<D> {
    log: Log<D>,
    signer: Arc<dyn Signer>,
    counter: Option<Arc<dyn LeaseCounter>>,
    lease_views: u64,
    path: PathBuf,
    status: GuardStatus,
}

impl<D: Disk> Core<D> {
    pub(crate) fn open(
        disk: D,
        records: u64,
        signer: Arc<dyn Signer>,
        scope: [u8; 32],
        counter: Option<Arc<dyn LeaseCounter>>,
        lease_views: u64,
        path: PathBuf,
    ) -> Result<Self, GuardError> {
        let failed = |source| GuardError::Io { path: path.clone(), operation: "read the log of votes", source };
        let stamp = counter.as_ref().map(|counter| counter.read()).transpose().map_err(GuardError::Counter)?.flatten();
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
        if counter.is_some() && stamp.is_none() && header.lease.counter > 0 {
            return Err(GuardError::CounterGone { path });
        }
        // Before the counter moves: the next start would find the stamp in order.
        let fence = match stamp {
            Some(stamp) if stamp != header.lease => Some(end(stamp).max(end(header.lease))),
            _ if !whole => Some(end(header.lease)),
            _ => None,
        };
        if let Some(until) = fence {
            tracing::error!(
                log = %path.display(), %until, damaged = !whole,
                "the log of votes is not the last that was written with this counter, or is damaged: no vote is signed until the chain has passed the lease"
            );
            log.fence(until).map_err(failed)?;
        }
        let status = GuardStatus { fence: log.header().fence, ..GuardStatus::default() };
        let mut core = Self { log, signer, counter, lease_views, path, status };
        core.renew(core.log.reached(), stamp)?;
        Ok(core)
    }

    pub(crate) fn sign(&mut self, vote: Vote<'_>) -> Result<Signature, GuardError> {
        let signed = self.decide(vote);
        match &signed {
            Ok(_) => self.status.failing = None,
            Err(error) => {
                let conflict = matches!(error, GuardError::Conflict { .. });
                *(if conflict { &mut self.status.conflicts } else { &mut self.status.failures }) += 1;
                self.status.failing = Some(error.to_string());
            }
        }
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
        if let Some(until) = self.log.header().fence.filter(|until| round <= *until) {
            return Err(GuardError::Fenced { until });
        }
        if round > end(self.log.header().lease) {
            self.renew(round, None)?;
        }
        let signature = block_on(self.signer.sign(Domain::Vote, Message::Bytes(message))).map_err(GuardError::Key)?;
        let record = Signed { round, kind, digest, signature };
        self.log.append(record).map_err(|source| self.failed("write the vote", source))?;
        self.status.signed += 1;
        Ok(signature)
    }

    /// Takes a lease for the views after a round. No lease ends before an earlier one, of this log or another's: who
    /// finds itself behind trusts the last one to end where nobody can have signed.
    fn renew(&mut self, from: Round, stamp: Option<Lease>) -> Result<(), GuardError> {
        let to = Round { view: from.view.saturating_add(self.lease_views), ..from };
        let Round { epoch, view } = to.max(end(self.log.header().lease)).max(end(stamp.unwrap_or_default()));
        let lease = match &self.counter {
            Some(counter) => counter.advance(epoch, view).map_err(GuardError::Counter)?,
            None => Lease { counter: 0, epoch, view },
        };
        self.log.lease(lease).map_err(|source| self.failed("write the lease", source))
    }

    /// See [`Guard::observe`].
    pub(crate) fn observe(&mut self, round: Round, kind: Kind) -> Result<(), GuardError> {
        let known = self.log.votes().contains(round, kind);
        if known || self.log.floor().max(self.log.header().fence).is_some_and(|passed| round <= passed) {
            return Ok(());
        }
        let lease = Round { view: round.view.saturating_add(self.lease_views), ..round };
        let until = lease.max(end(self.log.header().lease));
        tracing::error!(
            log = %self.path.display(), %round, %kind, %until,
            "this key has signed a vote that the log of votes does not have: the log is an old copy, or another box has the key; no vote is signed until the chain has passed the lease"
        );
        self.log.fence(until).map_err(|source| self.failed("write the fence", source))?;
        self.status.fence = self.log.header().fence;
        Ok(())
    }

    /// Leaves the counter ahead of every copy of the disk that was made until now.
    pub(crate) fn close(&mut self) -> Result<(), GuardError> {
        if self.counter.is_some() { self.renew(self.log.reached(), None) } else { Ok(()) }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> GuardError {
        GuardError::Io { path: self.path.clone(), operation, source }
    }
}

const fn end(lease: Lease) -> Round {
    Round { epoch: lease.epoch, view: lease.view }
}

#[cfg(test)]
mod tests;
