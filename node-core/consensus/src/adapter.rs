//! From commonware's application interface to ours.

use std::sync::Arc;

use commonware_consensus::{marshal::ancestry::Ancestry, simplex::scheme::ed25519::Scheme, simplex::types::Context};
use commonware_cryptography::{Digested, ed25519, sha256::Digest};
use commonware_parallel::Sequential;
use commonware_runtime::Clock;
use dolmen_types::Block;
use futures::StreamExt as _;

use crate::{Application, Lineage, Verdict, block::Payload, identity::from_commonware};

/// Encoded bytes of ancestors gathered for one proposal or verification. After the whole site lost power, every block
/// that was notarized and not finalized is missing at once; a box that is just behind is fed through `finalized`.
const MISSING_BYTES_MAX: usize = 64 << 20;

/// Wraps an [`Application`] for marshal's `Inline`.
#[derive(Clone)]
pub(crate) struct Adapter<A>(pub(crate) A);

impl<A: Application> Adapter<A> {
    /// Collects the ancestors that are not executed, from `parent` back; `None` where there are too many or the
    /// stream ends before an executed one.
    async fn lineage(&self, mut ancestry: impl Ancestry<Payload>) -> Option<Lineage> {
        let mut parent = None;
        let (mut missing, mut bytes) = (Vec::new(), 0);
        while let Some(block) = ancestry.next().await {
            let block: Arc<Block> = block.inner().0.clone();
            let parent = parent.get_or_insert_with(|| block.clone());
            if self.0.is_executed(&block.hash()) {
                missing.reverse();
                return Some(Lineage { parent: parent.clone(), missing });
            }
            bytes += block.encoded_len();
            missing.push(block);
            if bytes > MISSING_BYTES_MAX {
                return None;
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
        let block = self.0.propose(lineage).await?;
        tracing::debug!(height = block.number(), round = %context.round, "proposed a block");
        Some(Digested::compute(Payload(block), &Sequential).await)
    }

    async fn verify(&mut self, (_, context): (E, Self::Context), mut ancestry: impl Ancestry<Payload>) -> bool {
        let Some(block) = ancestry.next().await else { return false };
        let block = block.inner().0.clone();
        let verdict = match self.lineage(ancestry).await {
            Some(lineage) => self.0.verify(lineage, block, from_commonware(&context.leader)).await,
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
