use std::{collections::HashSet, time::Duration};

use alloy_primitives::{Address, B256};
use bytes::Bytes;
use commonware_consensus::marshal::ancestry::from_iter;
use dolmen_types::{
    Certificate, Genesis, PublicKey, Validator,
    block::{BlockRules, Proposal, next_header},
    genesis::GenesisFile,
};
use parking_lot::Mutex;

use super::*;
use crate::Peer;

/// An application that has executed some blocks and notes what else it is asked to execute.
#[derive(Clone, Default)]
struct Fake {
    height: u64,
    executed: Arc<Mutex<HashSet<B256>>>,
    asked: Arc<Mutex<Vec<u64>>>,
}

impl Application for Fake {
    fn is_executed(&self, hash: &B256) -> bool {
        self.executed.lock().contains(hash)
    }

    async fn execute(&self, blocks: Vec<Arc<Block>>) {
        self.asked.lock().extend(blocks.iter().map(|block| block.number()));
        self.executed.lock().extend(blocks.iter().map(|block| block.hash()));
    }

    async fn propose(&self, _: Lineage) -> Option<Arc<Block>> {
        None
    }

    async fn verify(&self, _: Lineage, _: Arc<Block>, _: PublicKey) -> Verdict {
        Verdict::Abstain
    }

    async fn finalized(&self, _: Arc<Block>, _: Option<Certificate>) -> bool {
        true
    }

    fn gossip(&self, _: PublicKey, _: Bytes) {}

    fn sync(&self, _: PublicKey, _: Bytes) {}

    fn height(&self) -> u64 {
        self.height
    }

    fn block(&self, _: u64) -> Option<Arc<Block>> {
        None
    }

    fn height_of(&self, _: &B256) -> Option<u64> {
        None
    }

    fn certificate(&self, _: u64) -> Option<Certificate> {
        None
    }

    fn certified(&self) -> Option<(Arc<Block>, Certificate)> {
        None
    }

    fn leader_timeout(&self, _: u64) -> Duration {
        Duration::ZERO
    }

    fn validators(&self, _: u64) -> Option<Vec<PublicKey>> {
        None
    }

    fn peers(&self) -> Arc<[Peer]> {
        Arc::default()
    }
}

/// Block zero and `count` empty blocks on it, oldest first.
fn chain(count: usize) -> Vec<Arc<Block>> {
    // RFC 8032, section 7.1, test 1.
    let public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap();
    let genesis: Genesis = GenesisFile {
        chain_id: 1,
        timestamp_ms: 1_790_000_000_000,
        gas_limit: 30_000_000,
        base_fee_per_gas: 1,
        block_interval_min_ms: 1,
        block_interval_max_ms: 10,
        block_bytes_max: 1 << 20,
        validators: vec![Validator {
            name: "a".into(),
            public_key,
            fee_recipient: Address::repeat_byte(0xfe),
            organisation: None,
            endpoint: None,
        }],
        governance: Default::default(),
        accounts: Default::default(),
    }
    .try_into()
    .unwrap();
    let mut blocks = vec![Arc::new(genesis.block(B256::ZERO))];
    for parent in 0..count {
        let parent = &blocks[parent];
        let timestamp_ms = parent.timestamp_ms().unwrap() + 1;
        let header = next_header(
            parent.header(),
            parent.hash(),
            Proposal { timestamp_ms, beneficiary: Address::ZERO },
            BlockRules::of(parent.header()),
        );
        blocks.push(Arc::new(Block::seal(header, vec![])));
    }
    blocks
}

/// The stream that marshal would hand over for a child of the chain's last block.
async fn ancestry(chain: &[Arc<Block>]) -> impl Ancestry<Payload> + use<> {
    let mut blocks = Vec::new();
    for block in chain.iter().rev() {
        blocks.push(Digested::compute(Payload(block.clone()), &Sequential).await);
    }
    from_iter(blocks)
}

fn adapter(application: &Fake, tip: u64) -> Adapter<Fake> {
    let adapter = Adapter { application: application.clone(), tip: Tip::default() };
    adapter.tip.raise(tip);
    adapter
}

#[tokio::test]
async fn missing_ancestors_are_listed_oldest_first() {
    let chain = chain(5);
    let fake = Fake { height: 2, ..Fake::default() };
    fake.executed.lock().insert(chain[2].hash());
    let lineage = adapter(&fake, 2).lineage(ancestry(&chain).await).await.unwrap();
    assert_eq!(lineage.parent, chain[5]);
    assert_eq!(lineage.missing, chain[3..]);
}

/// A box that lags must neither walk its whole gap nor keep the others waiting in its turns.
#[tokio::test]
async fn a_box_that_catches_up_gives_its_turn_away_at_once() {
    let chain = chain(3);
    let fake = Fake { height: 0, ..Fake::default() };
    fake.executed.lock().insert(chain[0].hash());
    assert!(adapter(&fake, CATCH_UP_BLOCKS).lineage(ancestry(&chain).await).await.is_some());
    assert!(adapter(&fake, CATCH_UP_BLOCKS + 1).lineage(ancestry(&chain).await).await.is_none());
}

#[tokio::test]
async fn ancestors_beside_the_finalized_chain_end_the_walk() {
    let chain = chain(4);
    let fake = Fake { height: 2, ..Fake::default() };
    // Nothing of this chain is executed, and its blocks at heights 1 and 2 never will be.
    assert!(adapter(&fake, 2).lineage(ancestry(&chain).await).await.is_none());
    assert!(fake.asked.lock().is_empty());
}

/// More than fits in one view after a power cut: the oldest are executed first, and a later view gets through.
#[tokio::test]
async fn too_many_missing_ancestors_are_executed_over_several_views() {
    let chain = chain(40);
    let fake = Fake::default();
    fake.executed.lock().insert(chain[0].hash());
    let mut views = 0;
    let lineage = loop {
        views += 1;
        if let Some(lineage) = adapter(&fake, 0).lineage(ancestry(&chain).await).await {
            break lineage;
        }
    };
    assert!(views > 2, "the blocks of this test fit in one view");
    assert_eq!(lineage.parent, chain[40]);
    let asked = fake.asked.lock().clone();
    assert!(asked.iter().copied().eq(1..=asked.len() as u64), "each once, in order: {asked:?}");
}
