//! Who votes in which epoch: the signing scheme of each, made when it is first asked for.
//!
//! The namespace of votes binds the chain, the epoch and the set. A certificate names its signers by their ranks, so
//! without the set in the namespace those who keep their rank could make a certificate that verifies under another set.

use std::sync::Arc;

use alloy_primitives::B256;
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    certificate::{self, Scoped},
    ed25519,
};
use commonware_utils::{TryCollect as _, ordered::Set};
use dolmen_accel_api::BatchVerifier;
use dolmen_hsm_guard::Guard;
use dolmen_types::certificate::namespace;
use parking_lot::Mutex;

use crate::{Application, key::to_commonware, scheme::Scheme};

/// Epochs whose scheme is kept; others are made again. Certificates come from this epoch and those around it, and while
/// a box catches up from one epoch after the other.
const KEPT: usize = 8;

/// Schemes by epoch, the one that was made last at the end.
type Kept = Vec<(Epoch, Arc<Scheme>)>;

/// The validator sets of a chain as one box sees them.
pub(crate) struct Sets<A> {
    application: A,
    genesis: B256,
    own: ed25519::PublicKey,
    guard: Arc<Guard>,
    engine: Arc<dyn BatchVerifier>,
    kept: Arc<Mutex<Kept>>,
}

impl<A: Application> Sets<A> {
    pub(crate) fn new(
        application: A,
        genesis: B256,
        own: ed25519::PublicKey,
        guard: Arc<Guard>,
        engine: Arc<dyn BatchVerifier>,
    ) -> Self {
        Self { application, genesis, own, guard, engine, kept: Arc::default() }
    }

    /// The key of this box.
    pub(crate) const fn own(&self) -> &ed25519::PublicKey {
        &self.own
    }

    /// The scheme of an epoch; `None` where this box does not know yet who votes in it.
    pub(crate) fn scheme(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        let known = |kept: &Kept| kept.iter().find(|(of, _)| *of == epoch).map(|(_, scheme)| scheme.clone());
        if let Some(scheme) = known(&self.kept.lock()) {
            return Some(scheme);
        }
        let keys = self.application.validators(epoch.get())?;
        let set = keys.iter().map(to_commonware).collect::<Result<Vec<_>, _>>();
        let set: Option<Set<_>> = set.ok().and_then(|keys| keys.into_iter().try_collect().ok());
        let Some(set) = set else {
            // The chain's rules admit no such set: this box's database says what the chain does not.
            tracing::error!(epoch = epoch.get(), "the validators of an epoch cannot be read; run `dolmen verify`");
            return None;
        };
        let namespace = namespace(&self.genesis, epoch.get(), &keys);
        let scheme = Arc::new(Scheme::new(&namespace, &set, &self.own, self.guard.clone(), self.engine.clone()));
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((epoch, scheme.clone()));
        Some(scheme)
    }
}

impl<A: Clone> Clone for Sets<A> {
    fn clone(&self) -> Self {
        Self {
            application: self.application.clone(),
            genesis: self.genesis,
            own: self.own.clone(),
            guard: self.guard.clone(),
            engine: self.engine.clone(),
            kept: self.kept.clone(),
        }
    }
}

impl<A: Application> certificate::Provider for Sets<A> {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.scheme(epoch).map(Scoped::scheme)
    }
}
