//! A box without a chain: where its first state comes from.
//!
//! Either it begins at block zero and executes every block, or it fetches the state of a late block from the others
//! (`dolmen_sync`), which takes minutes however long the chain is. Then it has no blocks before that one but the 256 that
//! the EVM may ask for. Consensus does not run meanwhile, nor does JSON-RPC: there is nothing yet that they could say.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use dolmen_consensus::{Guest, GuestEvent, Peer};
use dolmen_store::{
    Origin,
    snapshot::{Contents, Filling, RangeLimits},
};
use dolmen_sync::{Client, DriveError, Fault, NetworkEvent, Phase, Report, Settings, SyncNetwork, Trust, drive};
use dolmen_types::PublicKey;

use crate::{
    NodeConfig, NodeError,
    limits::{JOIN_REPORT, PIVOT_PATIENCE},
    node::consensus_config,
};

/// How a box without a chain gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// It fetches the state of a late block from other boxes, and begins at block zero where none of them offers one.
    Snapshot,
    /// It begins at block zero and executes all blocks: it then has them all.
    Blocks,
}

/// Fetches a state into the database, where there is no chain yet and the box is to start from one. When this returns the
/// database has a chain, or nothing.
pub(crate) async fn fill(config: &NodeConfig, origin: &Origin) -> Result<(), NodeError> {
    let path = config.data_dir.join("db");
    let contents = Contents::of(&path)?;
    if contents == Contents::Chain || config.start_from == StartFrom::Blocks {
        // A database that is half filled is refused where it is opened, with what to do.
        return Ok(());
    }
    let peers = peers(config)?;
    if peers.is_empty() && contents == Contents::Nothing {
        tracing::info!("there is no other box to fetch a state from: beginning at block zero");
        return Ok(());
    }
    tracing::info!(
        peers = peers.len(),
        is_begun = contents == Contents::Filling,
        "fetching the state from other boxes"
    );
    let filling = Arc::new(Filling::open(&path, origin)?);
    let progress = filling.progress()?;
    let mut watch = Watch::new(progress.pivot().is_none());
    let genesis = config.genesis.file();
    let validators = genesis.validators.iter().map(|validator| validator.public_key).collect();
    let trust =
        Trust::new(filling.clone(), origin.block.hash(), config.genesis.epochs(), validators, config.engine.clone())?;
    let settings = Settings {
        first_id: unix_us(),
        block_bytes_max: genesis.block_bytes_max as usize,
        limits: RangeLimits::STANDARD,
    };
    let client = Client::new(progress, settings);
    let mut network = Network(dolmen_consensus::visit(&consensus_config(config, origin, false), &peers)?);
    let driven = drive(client, filling.clone(), &mut network, trust, |report| watch.see(report)).await;
    // Its port is consensus' next. To leave waits for a thread.
    if let Err(error) = tokio::task::spawn_blocking(move || drop(network)).await {
        tracing::error!(%error, "leaving the network failed; please report this");
    }
    drop(filling);
    match driven {
        Ok(()) => {
            let Watch { began, height, bytes, .. } = watch;
            tracing::info!(elapsed_s = began.elapsed().as_secs(), height, bytes, "the state is there");
            Ok(())
        }
        Err(DriveError::Ended) => {
            // Nothing but the way to a state is in it.
            fs::remove_dir_all(&path)?;
            tracing::warn!(
                waited_s = PIVOT_PATIENCE.as_secs(),
                "no other box offers a state: executing all blocks instead; see that the others run, list this box as a \
                 peer and are past their first epoch, or set sync.from = \"blocks\""
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The boxes to ask: those of the settings, and the validators of the genesis file, as far as it says where they are.
fn peers(config: &NodeConfig) -> Result<Vec<Peer>, NodeError> {
    let own = dolmen_consensus::public_key(&*config.key)?;
    let validators = config.genesis.file().validators.iter();
    let mut peers: BTreeMap<PublicKey, Peer> = validators
        .filter_map(|validator| {
            let (public_key, address) = (validator.public_key, validator.endpoint?);
            Some((public_key, Peer { public_key, address }))
        })
        .collect();
    // The settings know better.
    peers.extend(config.peers.iter().map(|peer| (peer.public_key, peer.clone())));
    peers.remove(&own);
    Ok(peers.into_values().collect())
}

/// Ids of requests: none is that of one before a restart, whose answer may still be on its way.
fn unix_us() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

/// The network as fetching a state sees it.
struct Network(Guest);

impl SyncNetwork for Network {
    async fn send(&mut self, to: PublicKey, message: Bytes) {
        self.0.send(to, message).await;
    }

    async fn next(&mut self) -> NetworkEvent {
        match self.0.next().await {
            Some(GuestEvent::Reached(peer)) => {
                tracing::info!(%peer, "connected");
                NetworkEvent::Connected(peer)
            }
            Some(GuestEvent::Lost(peer)) => {
                tracing::info!(%peer, "a peer is gone");
                NetworkEvent::Gone(peer)
            }
            Some(GuestEvent::Message { from, message }) => NetworkEvent::Message { from, message },
            None => NetworkEvent::Closed,
        }
    }

    fn peers(&self) -> Vec<PublicKey> {
        // Each is an event.
        Vec::new()
    }

    fn ban(&mut self, peer: PublicKey, _: &Fault) {
        self.0.ban(peer);
    }
}

/// Says how far it is, and ends it where nobody offers a state.
struct Watch {
    began: Instant,
    told: Instant,
    phase: Phase,
    /// The block whose state is fetched, and the bytes of answers since the start.
    height: u64,
    bytes: u64,
    /// Since when nobody offers anything; and the epoch that was reached by then.
    waiting_since: Instant,
    epoch: u64,
    /// Whether the box may begin at block zero instead: nothing of a state was written yet.
    may_end: bool,
}

impl Watch {
    fn new(may_end: bool) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            told: now,
            phase: Phase::Waiting,
            height: 0,
            bytes: 0,
            waiting_since: now,
            epoch: 0,
            may_end,
        }
    }

    fn see(&mut self, report: &Report) -> ControlFlow<()> {
        let is_due = self.told.elapsed() >= JOIN_REPORT;
        if is_due || report.phase != self.phase {
            self.told = Instant::now();
            tell(report);
        }
        if report.phase != Phase::Waiting || report.epoch != self.epoch {
            self.waiting_since = Instant::now();
        }
        (self.phase, self.epoch) = (report.phase, report.epoch);
        (self.height, self.bytes) = (report.height, report.bytes);
        // Once there is a block whose state is fetched, some of it is.
        self.may_end &= matches!(report.phase, Phase::Waiting | Phase::Links);
        self.verdict(self.waiting_since.elapsed())
    }

    fn verdict(&self, waited: Duration) -> ControlFlow<()> {
        if self.may_end && self.phase == Phase::Waiting && waited >= PIVOT_PATIENCE {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn tell(report: &Report) {
    let Report { phase, height, epoch, accounts, storages_open, codes_missing, blocks_missing, bytes, .. } = report;
    let serving = report.peers.iter().filter(|peer| peer.serves).count();
    tracing::info!(
        ?phase,
        height,
        epoch,
        peers = report.peers.len(),
        serving,
        accounts_percent = format_args!("{:.1}", accounts * 100.0),
        storages_open,
        codes_missing,
        blocks_missing,
        bytes,
        "fetching the state"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(phase: Phase, epoch: u64) -> Report {
        Report {
            phase,
            height: 0,
            epoch,
            accounts: 0.0,
            storages_open: 0,
            codes_missing: 0,
            blocks_missing: 0,
            parts: 0,
            bytes: 0,
            peers: vec![],
        }
    }

    #[test]
    fn a_box_that_nobody_offers_a_state_gives_up_and_no_other_does() {
        let mut watch = Watch::new(true);
        assert!(watch.see(&report(Phase::Waiting, 0)).is_continue());
        assert!(watch.verdict(PIVOT_PATIENCE).is_break());
        // Links are something.
        assert!(watch.see(&report(Phase::Links, 3)).is_continue());
        assert!(watch.verdict(PIVOT_PATIENCE).is_continue());
        assert!(watch.see(&report(Phase::Waiting, 3)).is_continue());
        assert!(watch.verdict(PIVOT_PATIENCE).is_break());
        // With a part of a state it goes on for as long as it takes, also when all peers are gone.
        assert!(watch.see(&report(Phase::State, 3)).is_continue());
        assert!(watch.see(&report(Phase::Waiting, 3)).is_continue());
        assert!(watch.verdict(PIVOT_PATIENCE).is_continue());
        let mut again = Watch::new(false);
        assert!(again.see(&report(Phase::Waiting, 0)).is_continue());
        assert!(again.verdict(PIVOT_PATIENCE).is_continue());
    }
}
