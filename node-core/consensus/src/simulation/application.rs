//! An application whose blocks are empty: what it has applied lasts, what it has executed does not.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, B256};
use bytes::Bytes;
use dolmen_types::{
    Block, Certificate, PublicKey,
    block::{BlockRules, Proposal, next_header},
};
use parking_lot::Mutex;

use crate::{Application, Lineage, Peer, Verdict};

/// A box's disk: the finalized blocks from zero on.
pub(super) type Disk = Arc<Mutex<Vec<Arc<Block>>>>;

#[derive(Clone)]
pub(super) struct Chain {
    disk: Disk,
    executed: Arc<Mutex<BTreeSet<B256>>>,
    /// Tells the proposers' blocks apart.
    beneficiary: Address,
    sets: Arc<Sets>,
    peers: Arc<[Peer]>,
}

/// Who votes in which epoch.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    pub(super) epoch_blocks: u64,
    pub(super) keys: Vec<PublicKey>,
    /// Places in `keys`, by epoch; the last one stays.
    pub(super) seats: Vec<Vec<usize>>,
}

impl Sets {
    pub(super) fn of(&self, epoch: u64) -> Vec<PublicKey> {
        let place = usize::try_from(epoch).expect("few epochs").min(self.seats.len() - 1);
        let mut set: Vec<_> = self.seats[place].iter().map(|&index| self.keys[index]).collect();
        set.sort_unstable();
        set
    }
}

impl Chain {
    /// As a start finds it.
    pub(super) fn new(disk: Disk, index: usize, sets: Arc<Sets>) -> Self {
        let executed = disk.lock().iter().map(|block| block.hash()).collect();
        let beneficiary = Address::with_last_byte(u8::try_from(index).expect("few boxes"));
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let others = sets.keys.iter().enumerate().filter(|(other, _)| *other != index);
        let peers = others.map(|(_, &public_key)| Peer { public_key, address: nowhere }).collect();
        Self { disk, executed: Arc::new(Mutex::new(executed)), beneficiary, sets, peers }
    }

    fn execute_missing(&self, lineage: &Lineage) {
        let mut executed = self.executed.lock();
        for block in &lineage.missing {
            assert!(executed.contains(&block.header().parent_hash), "ancestors come oldest first");
            executed.insert(block.hash());
        }
        assert!(executed.contains(&lineage.parent.hash()), "the parent is executed, or the last of what is missing");
    }
}

impl Application for Chain {
    fn is_executed(&self, hash: &B256) -> bool {
        self.executed.lock().contains(hash)
    }

    async fn execute(&self, blocks: Vec<Arc<Block>>) {
        self.executed.lock().extend(blocks.iter().map(|block| block.hash()));
    }

    async fn propose(&self, lineage: Lineage) -> Option<Arc<Block>> {
        self.execute_missing(&lineage);
        let timestamp_ms = lineage.parent.timestamp_ms()? + 1;
        let proposal = Proposal { timestamp_ms, beneficiary: self.beneficiary };
        let block = Block::seal(
            next_header(
                lineage.parent.header(),
                lineage.parent.hash(),
                proposal,
                BlockRules::of(lineage.parent.header()),
            ),
            Vec::new(),
        );
        self.executed.lock().insert(block.hash());
        Some(Arc::new(block))
    }

    async fn verify(&self, lineage: Lineage, block: Arc<Block>, _: PublicKey) -> Verdict {
        self.execute_missing(&lineage);
        if block.header().parent_hash != lineage.parent.hash() || block.number() != lineage.parent.number() + 1 {
            return Verdict::Invalid;
        }
        self.executed.lock().insert(block.hash());
        Verdict::Valid
    }

    async fn finalized(&self, block: Arc<Block>, _: Option<Certificate>) -> bool {
        let mut disk = self.disk.lock();
        let place = usize::try_from(block.number()).expect("few blocks");
        match disk.get(place) {
            // Delivered again after a restart.
            Some(known) => assert_eq!(known.hash(), block.hash(), "two blocks of one height were finalized"),
            None => {
                assert_eq!(place, disk.len(), "heights come in order");
                assert_eq!(disk[place - 1].hash(), block.header().parent_hash, "each on the one before it");
                disk.push(block.clone());
            }
        }
        self.executed.lock().insert(block.hash());
        true
    }

    fn gossip(&self, _: PublicKey, _: Bytes) {}

    fn height(&self) -> u64 {
        self.disk.lock().len() as u64 - 1
    }

    fn leader_timeout(&self, _: u64) -> Duration {
        Duration::from_millis(500)
    }

    fn validators(&self, epoch: u64) -> Option<Vec<PublicKey>> {
        // As a box that reads them from its state.
        (epoch == 0 || self.height() + 1 >= epoch * self.sets.epoch_blocks).then(|| self.sets.of(epoch))
    }

    fn peers(&self) -> Arc<[Peer]> {
        self.peers.clone()
    }
}
