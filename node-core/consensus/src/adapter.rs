//! From commonware's application interface to ours.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use commonware_consensus::{marshal::ancestry::Ancestry, simplex::types::Context};
use commonware_cryptography::{Digested, ed25519, sha256::Digest};
use commonware_parallel::Sequential;
use commonware_runtime::Clock;
use dolmen_types::Block;
use futures::StreamExt as _;

use crate::{Application, Lineage, Verdict, block::Payload, key::from_commonware, scheme::Scheme};

/// Encoded bytes of ancestors executed for one proposal or verification. After the whole site lost power, every block
/// that was notarized and not finalized is missing at once; further ones follow in the next views.
const MISSING_BYTES_MAX: usize = if cfg!(test) { 10 << 10 } else { 64 << 20 };

/// Finalized blocks not applied here from which a box counts as catching up: above what a busy disk lags behind.
const CATCH_UP_BLOCKS: u64 = 32;

/// The highest finalized height that this box has a certificate for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tip(Arc<AtomicU64>);

impl Tip {
    pub(crate) fn raise(&self, height: u64) {
        self.0.fetch_max(height, Ordering::Relaxed);
    }

    pub(crate) fn height(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Wraps an [`Application`] for marshal's `Inline`.
#[derive(Clone)]
pub(crate) struct Adapter<A> {
    pub(crate) application: A,
    pub(crate) tip: Tip,
}

impl<A: Application> Adapter<A> {
    /// Collects the ancestors that are not executed, from `parent` back. `None` where this box cannot take part in the
    /// view: it must answer at once then, for while it leads the others wait.
    async fn lineage(&self, mut ancestry: impl Ancestry<Payload>) -> Option<Lineage> {
        // Blocks it lacks arrive through `finalized`, each once. Walking back to them here would fetch and execute them
        // a second time, and beyond a few nothing would come of it within the view.
        if self.tip.height() > self.application.height() + CATCH_UP_BLOCKS {
            return None;
        }
        let mut parent = None;
        let (mut missing, mut bytes, mut complete) = (VecDeque::new(), 0, true);
        while let Some(block) = ancestry.next().await {
            let block: Arc<Block> = block.inner().0.clone();
            let parent = parent.get_or_insert_with(|| block.clone());
            if self.application.is_executed(&block.hash()) {
                let missing = missing.into_iter().rev().collect();
                if complete {
                    return Some(Lineage { parent: parent.clone(), missing });
                }
                // The oldest first: a later view starts from there.
                self.application.execute(missing).await;
                return None;
            }
            if block.number() <= self.application.height() {
                // Another block was finalized at its height, or this one's height passed meanwhile.
                return None;
            }
            bytes += block.encoded_len();
            missing.push_back(block);
            while bytes > MISSING_BYTES_MAX && missing.len() > 1 {
                bytes -= missing.pop_front().map_or(0, |newest| newest.encoded_len());
                complete = false;
            }
        }
        None
    }
}

impl<E: Clock, A: Application> commonware_consensus::Application<E> for Adapter<A> {
    type SigningScheme = Scheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Payload;
    type Input = ();

    async fn propose(
        &mut self,
        (_, context): (E, Self::Context),
        ancestry: impl Ancestry<Payload>,
        (): (),
    ) -> Option<Digested<Payload>> {
        let lineage = self.lineage(ancestry).await?;
        let block = self.application.propose(lineage).await?;
        tracing::debug!(height = block.number(), round = %context.round, "proposed a block");
        Some(Digested::compute(Payload(block), &Sequential).await)
    }

    async fn verify(&mut self, (_, context): (E, Self::Context), mut ancestry: impl Ancestry<Payload>) -> bool {
        let Some(block) = ancestry.next().await else { return false };
        let block = block.inner().0.clone();
        let verdict = match self.lineage(ancestry).await {
            Some(lineage) => self.application.verify(lineage, block, from_commonware(&context.leader)).await,
            None => Verdict::Abstain,
        };
        match verdict {
            Verdict::Valid => true,
            Verdict::Invalid => false,
            // To abstain is to stay silent: an answer of either kind would be final.
            Verdict::Abstain => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
