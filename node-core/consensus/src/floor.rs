//! Where consensus goes on from when the application is ahead of what it stored: the application's state was fetched from
//! other boxes, its database is a restored one, or the directory of consensus was lost.
//!
//! Marshal would begin at block zero, and fetch every block that it lacks. Instead it is told of the last block that the
//! application has a certificate of, its floor: with the block at hand it needs nobody for that. Blocks from there to the
//! application's head are fetched and delivered once more, which changes nothing.
//!
//! Where marshal has all blocks that the application has, as after every other start, nothing is told.

use commonware_consensus::{
    marshal::{core::Mailbox as Marshal, standard::Standard},
    types::Epoch,
};
use commonware_cryptography::{Digested, certificate::Scheme as _};
use commonware_parallel::Sequential;
use rand::CryptoRng;

use crate::{
    Application,
    block::{Payload, to_digest},
    finality::to_finalization,
    scheme::Scheme,
    sets::Sets,
};

/// Tells marshal where to go on from, where that is not where it stopped. `held` are the heights of the blocks that it
/// stored. `false` where this box cannot go on.
pub(crate) async fn settle<A: Application>(
    mut random: impl CryptoRng,
    marshal: &Marshal<Scheme, Standard<Payload>>,
    application: &A,
    sets: &Sets<A>,
    held: &[(u64, u64)],
) -> bool {
    let head = application.height();
    let next = marshal.get_processed().await.map_or(0, |processed| processed.height().get() + 1);
    let has_all = held.iter().any(|(first, last)| *first <= next && head <= *last);
    if head == 0 || next > head || has_all {
        return true;
    }
    // Without one marshal fetches all, and the application finds that it has them.
    let Some((block, certificate)) = application.certified().filter(|(block, _)| block.number() >= next) else {
        return true;
    };
    let (height, epoch) = (block.number(), certificate.epoch);
    let scheme = sets.scheme(Epoch::new(epoch));
    let finalization = scheme.as_ref().and_then(|scheme| to_finalization(&certificate, scheme.participants().len()));
    let proven = finalization.zip(scheme).filter(|(finalization, scheme)| {
        finalization.proposal.payload == to_digest(block.hash())
            && finalization.verify(&mut random, &**scheme, &Sequential)
    });
    let Some((finalization, _)) = proven else {
        tracing::error!(height, epoch, "the certificate of a block in the database does not hold; run `dolmen verify`");
        return false;
    };
    let round = finalization.round();
    let block = Digested::compute(Payload(block), &Sequential).await;
    // Marshal looks there before it asks others.
    if !marshal.verified(round, block).await {
        return false;
    }
    marshal.set_floor(finalization);
    tracing::info!(height, head, "consensus goes on from a block that the database has");
    true
}
