//! A box in the network that takes no part in consensus: it has no state yet, and fetches one from the others.
//!
//! The transport is the one that consensus uses, with all of its channels, so that nothing that a peer sends is an error.
//! What comes on any but the channel of states is read and dropped; it shows that its sender is there.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::{AddressableManager as _, Blocker, Receiver, Recipients, Sender, authenticated::lookup};
use commonware_runtime::{Clock, Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use dolmen_types::PublicKey;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Config, ConsensusError, Peer, engine,
    key::{TransportKey, from_commonware, to_commonware},
    member::{Identity, Settings},
    network::{self, BACKFILL, BLOCKS, CERTIFICATES, Channel, GOSSIP, RESOLVER, STATUS, SYNC, VOTES},
    status,
    tasks::send_within_quota,
};

/// Messages to peers that wait for their quotas, and those of peers that wait to be read: what boxes have to do with each
/// other in some moments. Who sends waits; beyond that the transport drops what comes.
const QUEUE: usize = 64;
/// A peer not heard for this long cannot be reached: boxes tell each other their heights once a second.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// What happens to a guest.
#[derive(Clone, Debug)]
pub enum GuestEvent {
    /// A peer can be reached.
    Reached(PublicKey),
    /// It cannot be reached any more.
    Lost(PublicKey),
    /// A message of a peer on the channel of states.
    Message {
        /// The peer.
        from: PublicKey,
        /// The message.
        message: Bytes,
    },
}

/// A box in the network. Dropping it ends its connections and frees its port.
pub struct Guest {
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<GuestEvent>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the network is to do.
enum Order {
    Send(ed25519::PublicKey, Bytes),
    Ban(ed25519::PublicKey),
}

impl Guest {
    /// Sends a message of at most [`Config::sync_bytes_max`] on the channel of states. It may get lost. Waits where more
    /// is to be sent than the quotas allow.
    pub async fn send(&mut self, to: PublicKey, message: Bytes) {
        if let Ok(to) = to_commonware(&to) {
            let _ = self.orders.send(Order::Send(to, message)).await;
        }
    }

    /// Waits for the next event; none once the network has ended. May be dropped before it is there, and loses none then.
    pub async fn next(&mut self) -> Option<GuestEvent> {
        self.events.recv().await
    }

    /// Ends the connection with a peer, and lets it make no other for a while.
    pub fn ban(&mut self, peer: PublicKey) {
        if let Ok(peer) = to_commonware(&peer) {
            // Where there is no room the connection stays, and nobody listens to the peer.
            let _ = self.orders.try_send(Order::Ban(peer));
        }
    }

    /// Leaves the network, and waits until its port is free.
    pub fn leave(&mut self) {
        // The thread may be waiting for room.
        self.events.close();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the network's thread ended in a panic; see the log above for the cause");
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Enters the network beside these peers, without a part in consensus, on threads of its own.
///
/// Also makes the box's log of votes where there is none: the box may come to vote, and once it has blocks a log that has
/// to be made takes a lost one's place.
pub fn visit(config: &Config, peers: &[Peer]) -> Result<Guest, ConsensusError> {
    let listen = |source| ConsensusError::Listen { address: config.listen, source };
    drop(TcpListener::bind(config.listen).map_err(listen)?);
    let key = Identity::new(config)?.key;
    let visit = Visit {
        namespace: network::namespace(&config.genesis.hash()),
        listen: config.listen,
        message_size: Settings::new(config, String::new()).message_size(),
        sync_bytes_max: config.sync_bytes_max,
        key,
        peers: peers.to_vec(),
    };
    let (orders, orders_out) = mpsc::channel(QUEUE);
    let (events_in, events) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let runner = engine::runner(config);
    let thread = thread::Builder::new()
        .name("guest".to_owned())
        .spawn(move || runner.start(|context| visit.run(context, orders_out, events_in, stopped)))
        .map_err(ConsensusError::Thread)?;
    Ok(Guest { orders, events, stop: Some(stop), thread: Some(thread) })
}

/// What the thread needs.
struct Visit {
    namespace: Vec<u8>,
    listen: SocketAddr,
    message_size: u32,
    sync_bytes_max: usize,
    key: TransportKey,
    peers: Vec<Peer>,
}

/// Who sent something, and what, where it is on the channel of states.
type Heard = (ed25519::PublicKey, Option<Bytes>);

impl Visit {
    async fn run(
        self,
        context: runtime::Context,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<GuestEvent>,
        stopped: oneshot::Receiver<()>,
    ) {
        let Self { namespace, listen, message_size, sync_bytes_max, key, peers } = self;
        let own = key.public_key();
        let room = network::room(peers.len());
        let (mut network, mut oracle) = lookup::Network::new(
            context.child("network"),
            network::config(key, &namespace, listen, message_size, room),
        );
        let mut register = |channel: Channel| network.register(channel.id, channel.quota());
        let others = [VOTES, CERTIFICATES, RESOLVER, BLOCKS, BACKFILL, GOSSIP].map(&mut register);
        let (status_out, status_in) = register(STATUS);
        let (sync_out, sync_in) = register(SYNC);
        let (heard, hearing) = mpsc::channel(QUEUE);
        let unread = others.into_iter().map(|(_, receiver)| receiver).chain(std::iter::once(status_in));
        for receiver in unread {
            let heard = heard.clone();
            context.child("unread").spawn(move |_| drop_all(receiver, heard));
        }
        context.child("sync_in").spawn(move |_| take_all(sync_in, heard, sync_bytes_max));
        context.child("sync_out").spawn({
            let oracle = oracle.clone();
            move |context| obey(context, sync_out, oracle, orders)
        });
        context.child("status_out").spawn(move |context| show(context, status_out));
        let _ = oracle.track(0, network::peers(&own, listen, &peers, room));
        let running = network.start();
        tokio::select! {
            biased;
            _ = stopped => {}
            () = watch(hearing, events) => {}
            result = running => tracing::error!(?result, "the network ended"),
        }
    }
}

/// Tells what happens, until nobody listens any more.
async fn watch(mut hearing: mpsc::Receiver<Heard>, events: mpsc::Sender<GuestEvent>) {
    let mut last_heard: BTreeMap<PublicKey, Instant> = BTreeMap::new();
    let mut sweep = tokio::time::interval(status::INTERVAL);
    loop {
        let mut happened = Vec::new();
        tokio::select! {
            Some((from, message)) = hearing.recv() => {
                let from = from_commonware(&from);
                if last_heard.insert(from, Instant::now()).is_none() {
                    happened.push(GuestEvent::Reached(from));
                }
                happened.extend(message.map(|message| GuestEvent::Message { from, message }));
            }
            _ = sweep.tick() => {
                last_heard.retain(|peer, at| {
                    let is_there = at.elapsed() < SILENT_AFTER;
                    if !is_there {
                        happened.push(GuestEvent::Lost(*peer));
                    }
                    is_there
                });
            }
        }
        for event in happened {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Reads a channel that a guest has no use for.
async fn drop_all<R: Receiver<PublicKey = ed25519::PublicKey>>(mut receiver: R, heard: mpsc::Sender<Heard>) {
    while let Ok((from, _)) = receiver.recv().await {
        // Another message will show it as well.
        let _ = heard.try_send((from, None));
    }
}

/// Reads the channel of states. Where nobody takes what comes, the transport drops it.
async fn take_all<R: Receiver<PublicKey = ed25519::PublicKey>>(
    mut receiver: R,
    heard: mpsc::Sender<Heard>,
    bytes_max: usize,
) {
    while let Ok((from, message)) = receiver.recv().await {
        let message = (message.len() <= bytes_max).then(|| Bytes::from(message));
        if heard.send((from, message)).await.is_err() {
            return;
        }
    }
}

/// Sends and bans.
async fn obey<S, B>(context: impl Clock, mut sender: S, mut blocker: B, mut orders: mpsc::Receiver<Order>)
where
    S: Sender<PublicKey = ed25519::PublicKey>,
    B: Blocker<PublicKey = ed25519::PublicKey>,
{
    while let Some(order) = orders.recv().await {
        match order {
            Order::Send(to, message) => send_within_quota(&context, &mut sender, to, message).await,
            Order::Ban(peer) => {
                let _ = blocker.block(peer);
            }
        }
    }
}

/// Tells the others once a second that this box is there, at block zero, as operators see it on their pages.
async fn show<S: Sender>(context: impl Clock, mut sender: S) {
    loop {
        let message = Bytes::copy_from_slice(&status::message(0));
        let _ = sender.send(Recipients::All, message, false);
        context.sleep(status::INTERVAL).await;
    }
}
