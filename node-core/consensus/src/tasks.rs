//! The tasks beside the engine: handing finalized blocks to the application, gossip and status in and out.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_consensus::{
    Heightable as _, Reporter,
    marshal::{Update, core::Mailbox as Marshal, standard::Standard},
    types::{Epocher as _, FixedEpocher, Height},
};
use commonware_cryptography::{Digested, ed25519};
use commonware_p2p::{CheckedSender as _, Recipients};
use commonware_runtime::Clock;
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Peer,
    adapter::Tip,
    block::Payload,
    epochs::Ended,
    finality::Finality,
    finalized,
    key::{from_commonware, to_commonware},
    scheme::Scheme,
    status::{self, Peers},
};

/// Hands marshal's deliveries to [`deliver`], and keeps the [`Tip`].
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) blocks: mpsc::UnboundedSender<(Digested<Payload>, Exact)>,
    pub(crate) tip: Tip,
}

impl Reporter for Deliveries {
    type Activity = Update<Payload>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        match update {
            Update::Tip(_, height, _) => self.tip.raise(height.get()),
            // Bounded by marshal: at most PENDING_ACKS deliveries are out at a time.
            Update::Block(block, acknowledge) => {
                let _ = self.blocks.send((block, acknowledge));
            }
        }
        Feedback::Ok
    }
}

/// Applies finalized blocks in order. Acknowledging one tells marshal that it need not be delivered again: that waits at
/// an epoch's last block until the next is entered. Those up to `applied`, which marshal may have delivered before it was
/// told of a later beginning, are passed over.
pub(crate) async fn deliver<A: Application>(
    mut deliveries: mpsc::UnboundedReceiver<(Digested<Payload>, Exact)>,
    applied: Height,
    epocher: FixedEpocher,
    ended: mpsc::Sender<Ended>,
    application: A,
    finality: Finality,
    mut connect: impl FnMut(Arc<[Peer]>),
) {
    let mut connected = application.peers();
    while let Some((block, acknowledge)) = deliveries.recv().await {
        if block.height() <= applied {
            acknowledge.acknowledge();
            continue;
        }
        let certificate = finality.certificate(block.height().get()).await;
        if !application.finalized(block.inner().0.clone(), certificate).await {
            return;
        }
        let peers = application.peers();
        if !Arc::ptr_eq(&peers, &connected) {
            connected = peers.clone();
            connect(peers);
        }
        if let Some(info) = epocher.containing(block.height()).filter(|info| info.last() == block.height()) {
            let (entered, answer) = oneshot::channel();
            let told = ended.send(Ended { epoch: info.epoch(), entered }).await;
            if told.is_err() || answer.await.is_err() {
                return;
            }
        }
        let height = block.height();
        acknowledge.acknowledge();
        if let Some(below) = finalized::prune_below(height) {
            finality.prune(below);
        }
    }
}

/// Applies the blocks up to `height` that the application lacks, because its database is a restored one or was lost;
/// `false` where it cannot go on.
pub(crate) async fn replay<A: Application>(
    marshal: &Marshal<Scheme, Standard<Payload>>,
    finality: &Finality,
    application: &A,
    height: u64,
) -> bool {
    for height in (application.height() + 1..=height).map(Height::new) {
        let Some(block) = marshal.get_block(height).await else {
            tracing::error!(
                height = height.get(),
                "a finalized block is missing; move the consensus directory away, and the box goes on from its database"
            );
            return false;
        };
        let certificate = finality.certificate(height.get()).await;
        if !application.finalized(block.inner().0.clone(), certificate).await {
            return false;
        }
    }
    true
}

pub(crate) async fn send_gossip<S: commonware_p2p::Sender>(mut sender: S, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(message) = queue.recv().await {
        let _ = sender.send(Recipients::All, message, false);
    }
}

/// Hands on gossip of at most `bytes_max`; the transport admits what is as large as a block.
pub(crate) async fn receive_gossip<R, A>(mut receiver: R, application: A, bytes_max: usize)
where
    R: commonware_p2p::Receiver<PublicKey = ed25519::PublicKey>,
    A: Application,
{
    while let Ok((from, message)) = receiver.recv().await {
        if message.len() <= bytes_max {
            application.gossip(from_commonware(&from), Bytes::from(message));
        }
    }
}

/// Sends answers to boxes that join, each when its peer's quota allows: they come no faster than they were asked for.
pub(crate) async fn send_sync<S>(
    context: impl Clock,
    mut sender: S,
    mut queue: mpsc::Receiver<(dolmen_types::PublicKey, Bytes)>,
) where
    S: commonware_p2p::Sender<PublicKey = ed25519::PublicKey>,
{
    while let Some((to, message)) = queue.recv().await {
        // The transport knows no other keys.
        let Ok(to) = to_commonware(&to) else { continue };
        send_within_quota(&context, &mut sender, to, message).await;
    }
}

/// Sends a message to a peer as soon as the quota allows.
pub(crate) async fn send_within_quota<S>(context: &impl Clock, sender: &mut S, to: ed25519::PublicKey, message: Bytes)
where
    S: commonware_p2p::Sender<PublicKey = ed25519::PublicKey>,
{
    loop {
        let until = match sender.check(Recipients::One(to.clone())) {
            Ok(checked) => {
                let _ = checked.send(message, false);
                return;
            }
            Err(until) => until,
        };
        context.sleep_until(until).await;
    }
}

/// Hands on what boxes that join ask for, of at most `bytes_max`.
pub(crate) async fn receive_sync<R, A>(mut receiver: R, application: A, bytes_max: usize)
where
    R: commonware_p2p::Receiver<PublicKey = ed25519::PublicKey>,
    A: Application,
{
    while let Ok((from, message)) = receiver.recv().await {
        if message.len() <= bytes_max {
            application.sync(from_commonware(&from), Bytes::from(message));
        }
    }
}

pub(crate) async fn send_status<S: commonware_p2p::Sender, A: Application>(
    context: impl Clock,
    mut sender: S,
    application: A,
) {
    loop {
        let message = Bytes::copy_from_slice(&status::message(application.height()));
        let _ = sender.send(Recipients::All, message, false);
        context.sleep(status::INTERVAL).await;
    }
}

pub(crate) async fn receive_status<R>(mut receiver: R, heard: Peers)
where
    R: commonware_p2p::Receiver<PublicKey = ed25519::PublicKey>,
{
    while let Ok((from, message)) = receiver.recv().await {
        heard.heard(from_commonware(&from), message.as_ref(), Instant::now());
    }
}
