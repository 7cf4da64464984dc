//! A peer that lies about states: it passes on what a box asks for, and changes what an honest one answers.

use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use dolmen_consensus::{Config, GuestEvent, Peer, visit};
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, Signer};
use dolmen_hsm_memory::MemoryKey;
use dolmen_tests::{PATIENCE, quiet_port};
use dolmen_types::{Block, Genesis, PublicKey};
use tokio::sync::oneshot;

/// Where the kind of a message stands, and from which one on they carry data: see `dolmen_sync`'s messages.
const KIND_AT: usize = 8;
const FIRST_WITH_DATA: u8 = 0x84;
/// As boxes have them: the largest messages of gossip and of states.
const GOSSIP_BYTES_MAX: usize = 262_144;
const SYNC_BYTES_MAX: usize = (512 + 64) << 10;

/// A liar that others may list before it is there.
pub(crate) struct Liar {
    key: Arc<dyn Signer>,
    address: SocketAddr,
}

impl Liar {
    pub(crate) fn new() -> Self {
        let domains = [Domain::Vote, Domain::Transport].into_iter().collect();
        let spec = KeySpec { algorithm: Algorithm::Ed25519, domains };
        let (key, _) = MemoryKey::generate("soft:liar".parse().expect("a name"), spec).expect("Ed25519 is offered");
        let address = quiet_port().local_addr().expect("it is bound");
        Self { key: Arc::new(key), address }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        dolmen_consensus::public_key(&*self.key).expect("an Ed25519 key")
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Enters the network of a chain, beside a box that it asks, to which it is connected when this returns, and one that
    /// it lies to.
    pub(crate) fn lie(self, genesis: &Genesis, block_zero: Block, dir: &Path, honest: Peer, victim: Peer) -> Lying {
        let file = genesis.file();
        let config = Config {
            key: self.key,
            vote_log: dir.join("votes"),
            has_blocks: false,
            vote_counter: None,
            engine: Arc::new(dolmen_accel_library::baseline()),
            genesis: Arc::new(block_zero),
            epoch_blocks: NonZeroU64::new(file.governance.epoch_blocks).expect("epochs have blocks"),
            listen: self.address,
            directory: dir.join("consensus"),
            block_bytes_max: file.block_bytes_max as usize,
            gossip_bytes_max: GOSSIP_BYTES_MAX,
            sync_bytes_max: SYNC_BYTES_MAX,
            threads: NonZeroUsize::MIN.get(),
        };
        let ((stop, stopped), (reached, is_reached)) = (oneshot::channel(), mpsc::channel());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let thread = thread::spawn(move || runtime.block_on(relay(&config, &honest, &victim, stopped, reached)));
        is_reached.recv_timeout(PATIENCE).expect("the liar is let in");
        Lying { stop, thread }
    }
}

/// A liar at work.
pub(crate) struct Lying {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<usize>,
}

impl Lying {
    /// Ends it; how many lies it told.
    pub(crate) fn end(self) -> usize {
        drop(self.stop);
        self.thread.join().expect("it lies in peace")
    }
}

async fn relay(
    config: &Config,
    honest: &Peer,
    victim: &Peer,
    mut stopped: oneshot::Receiver<()>,
    reached: mpsc::Sender<()>,
) -> usize {
    let mut guest = visit(config, &[honest.clone(), victim.clone()]).expect("the network lets it in");
    let mut lies = 0;
    loop {
        let event = tokio::select! {
            _ = &mut stopped => return lies,
            event = guest.next() => event,
        };
        match event {
            Some(GuestEvent::Message { from, message }) if from == victim.public_key => {
                guest.send(honest.public_key, message).await;
            }
            Some(GuestEvent::Message { message, .. }) => {
                let (message, is_lie) = changed(message);
                lies += usize::from(is_lie);
                guest.send(victim.public_key, message).await;
            }
            Some(GuestEvent::Reached(peer)) if peer == honest.public_key => {
                let _ = reached.send(());
            }
            Some(GuestEvent::Reached(_) | GuestEvent::Lost(_)) => {}
            None => return lies,
        }
    }
}

/// Another last bit, where the message says anything.
fn changed(message: Bytes) -> (Bytes, bool) {
    if message.get(KIND_AT).is_none_or(|kind| *kind < FIRST_WITH_DATA) {
        return (message, false);
    }
    let mut bytes = message.to_vec();
    *bytes.last_mut().expect("it has a kind") ^= 1;
    (bytes.into(), true)
}
