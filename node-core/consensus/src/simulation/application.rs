//! An application with the chain's own rules: blocks are executed, and the governance contract says who votes. What it has
//! applied lasts, what it has executed does not. There is no database: states are versions of a trie in memory.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use alloy_consensus::{Header, SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes as Data, Signature, TxKind, U256};
use alloy_sol_types::SolCall as _;
use bytes::Bytes;
use dolmen_accel_api::QueueConfig;
use dolmen_execution::{BlockHashes, BlockLimits, Call, CallResult, CallSite, Executor, StateOverrides, Transactions};
use dolmen_governance::{ADDRESS, Admission, Change, EpochRecord, contract, possession_message};
use dolmen_pool::{SenderCache, Signatures, VerifiedTransaction};
use dolmen_store::{Executed, State, StateReader as _, StoreError};
use dolmen_types::{
    Block, Certificate, PublicKey, Transaction,
    block::{BlockRules, Proposal, check_header, next_header},
};
use ed25519_dalek::Signer as _;
use parking_lot::Mutex;
use secp256k1::{Message, SECP256K1, SecretKey};

use super::plan::EPOCH_BLOCKS;
use crate::{Application, Lineage, Peer, Verdict};

/// Milliseconds from a block to the next: so slow that a validator counts as silent after some blocks.
const STEP_MS: u64 = 1000;
/// Gas of a proposal, and more.
const GAS: u64 = 2_000_000;

/// A block that a box has applied, the state after it, the record that it carries, and the certificate that it had.
#[derive(Clone)]
pub(super) struct Applied {
    pub(super) block: Arc<Block>,
    pub(super) state: State,
    pub(super) record: Option<(u64, Data)>,
    pub(super) certificate: Option<Certificate>,
}

/// A box's disk: the finalized blocks from zero on.
pub(super) type Disk = Arc<Mutex<Vec<Applied>>>;

/// What the boxes of a world have in common.
pub(super) struct Chain {
    pub(super) chain_id: u64,
    pub(super) executor: Executor,
    /// Every box, voting or not.
    pub(super) boxes: Vec<Candidate>,
    /// So many are to vote at least.
    pub(super) seats: usize,
    /// What the organisation of all boxes changes, in this order, and from which height on.
    pub(super) changes: Vec<(u64, Step)>,
    /// Votes for the organisation.
    pub(super) organisation: SecretKey,
}

/// A box as the contract knows it.
pub(super) struct Candidate {
    pub(super) key: PublicKey,
    pub(super) secret: ed25519_dalek::SigningKey,
}

/// A change by places of boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The box follows, and may stand by.
    Admit(usize, bool),
    Promote(usize),
    Demote(usize),
    Retire(usize),
    /// The first one leaves, and the second one, never seen before, votes in its place.
    Replace(usize, usize),
}

impl Chain {
    pub(super) fn fee_recipient(index: usize) -> Address {
        Address::with_last_byte(u8::try_from(index + 1).expect("few boxes"))
    }

    pub(super) fn account(&self) -> Address {
        let public = self.organisation.public_key(SECP256K1).serialize_uncompressed();
        Address::from_word(alloy_primitives::keccak256(&public[1..]))
    }

    fn change(&self, step: Step) -> Change {
        let key = |index: usize| self.boxes[index].key;
        match step {
            Step::Admit(index, standby) => Change::AdmitFollower { admission: self.admission(index), standby },
            Step::Promote(index) => Change::Promote { key: key(index) },
            Step::Demote(index) => Change::Demote { key: key(index) },
            Step::Retire(index) => Change::Retire { key: key(index) },
            Step::Replace(index, by) => Change::Replace { retired: key(index), admission: self.admission(by) },
        }
    }

    /// A box as it asks to be admitted.
    fn admission(&self, index: usize) -> Admission {
        let Candidate { key, secret } = &self.boxes[index];
        let possession = secret.sign(&possession_message(self.chain_id, 1, key)).to_bytes();
        Admission {
            key: *key,
            organisation: 1,
            name: format!("box-{index}"),
            fee_recipient: Self::fee_recipient(index),
            endpoint: String::new(),
            evidence: B256::ZERO,
            possession: possession.to_vec().into(),
        }
    }

    /// A consortium with faulty boxes does not go below the seats that bear them.
    fn bearable(&self, step: Step, state: &State) -> Step {
        match step {
            Step::Demote(index) | Step::Retire(index) if self.wanted(state) <= self.seats => Step::Promote(index),
            step => step,
        }
    }

    /// How many boxes are to vote.
    fn wanted(&self, state: &State) -> usize {
        let call = contract::wantedValidatorsCall {}.abi_encode();
        let call = Call { to: Some(ADDRESS), input: call.into(), ..Call::default() };
        let (header, overrides) = (Header::default(), StateOverrides::default());
        let site = CallSite { state, hashes: &NoHashes, header: &header, gas_cap: GAS, overrides: &overrides };
        match self.executor.call(site, &call) {
            Ok(CallResult::Success { output, .. }) => {
                contract::wantedValidatorsCall::abi_decode_returns(&output).expect("a list").len()
            }
            other => panic!("the contract answers, not {other:?}"),
        }
    }

    /// The organisation's next transaction, where one is due; whoever proposes knows it. Refused changes use their nonce
    /// all the same.
    fn next_transaction(&self, state: &State, height: u64) -> Option<VerifiedTransaction> {
        let nonce = state.account(&self.account()).ok()?.unwrap_or_default().nonce;
        let (_, step) = self.changes.get(usize::try_from(nonce).ok()?).filter(|(from, _)| height >= *from)?;
        let unsigned = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: 1,
            to: TxKind::Call(ADDRESS),
            input: self.change(self.bearable(*step, state)).propose(),
            ..Default::default()
        };
        let digest = Message::from_digest(unsigned.signature_hash().0);
        let (recovery, bytes) = SECP256K1.sign_ecdsa_recoverable(digest, &self.organisation).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1);
        let transaction: Transaction = unsigned.into_signed(signature).into();
        self.verified(&[transaction]).pop()
    }

    fn verified(&self, transactions: &[Transaction]) -> Vec<VerifiedTransaction> {
        static SIGNATURES: LazyLock<Arc<Signatures>> = LazyLock::new(|| {
            Arc::new(Signatures::start(Arc::new(dolmen_accel_library::baseline()), QueueConfig::default()))
        });
        let one = std::num::NonZeroUsize::MIN;
        let cache = SenderCache::new(self.chain_id, SIGNATURES.clone(), one, 1 << 20);
        cache.verify_all(transactions, &[]).unwrap_or_default()
    }
}

/// A box's application.
#[derive(Clone)]
pub(super) struct Node {
    chain: Arc<Chain>,
    index: usize,
    disk: Disk,
    executed: Arc<Mutex<BTreeMap<B256, Applied>>>,
    peers: Arc<[Peer]>,
}

struct One(Option<VerifiedTransaction>);

impl Transactions for One {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        self.0.take()
    }

    fn skip_sender(&mut self, _: Address) {}
}

struct NoHashes;

impl BlockHashes for NoHashes {
    fn block_hash(&self, _: u64) -> Result<Option<B256>, StoreError> {
        Ok(None)
    }
}

impl Node {
    /// As a start finds it.
    pub(super) fn new(chain: Arc<Chain>, disk: Disk, index: usize) -> Self {
        let executed = disk.lock().iter().map(|applied| (applied.block.hash(), applied.clone())).collect();
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let others = chain.boxes.iter().enumerate().filter(|(other, _)| *other != index);
        let peers = others.map(|(_, candidate)| Peer { public_key: candidate.key, address: nowhere }).collect();
        Self { chain, index, disk, executed: Arc::new(Mutex::new(executed)), peers }
    }

    fn record(&self, epoch: u64) -> Option<EpochRecord> {
        let records = self.disk.lock().iter().filter_map(|applied| applied.record.clone()).collect::<Vec<_>>();
        let (_, bytes) = records.into_iter().find(|(of, _)| *of == epoch)?;
        Some(EpochRecord::decode(&bytes).expect("the contract's own"))
    }

    fn rules(&self, height: u64) -> Option<BlockRules> {
        let parameters = self.record(height / EPOCH_BLOCKS)?.parameters;
        let (gas_limit, base_fee_per_gas) = (parameters.gas_limit, parameters.base_fee_per_gas);
        Some(BlockRules { gas_limit, base_fee_per_gas })
    }

    fn state(&self, hash: &B256) -> Option<State> {
        self.executed.lock().get(hash).map(|applied| applied.state.clone())
    }

    /// Executes a block on its parent; `false` where it breaks a rule.
    fn run(&self, parent: &Block, block: &Arc<Block>) -> bool {
        let (Some(state), Some(rules)) = (self.state(&parent.hash()), self.rules(block.number())) else { return false };
        if check_header(block, parent.header(), parent.hash(), rules).is_err() {
            return false;
        }
        let transactions = self.chain.verified(block.transactions());
        let executed = self.chain.executor.execute(&state, &NoHashes, block.clone(), &transactions, &|| false);
        let Ok(executed) = executed else { return false };
        self.keep(executed);
        true
    }

    fn keep(&self, executed: Executed) {
        let Executed { block, state, record, .. } = executed;
        self.executed.lock().insert(block.hash(), Applied { block, state, record, certificate: None });
    }

    fn run_missing(&self, lineage: &Lineage) {
        for block in &lineage.missing {
            let parent = self.executed.lock().get(&block.header().parent_hash).map(|applied| applied.block.clone());
            assert!(self.run(&parent.expect("ancestors come oldest first"), block), "a quorum notarized it");
        }
        assert!(self.is_executed(&lineage.parent.hash()), "the parent is executed, or the last of what is missing");
    }
}

impl Application for Node {
    fn is_executed(&self, hash: &B256) -> bool {
        self.executed.lock().contains_key(hash)
    }

    async fn execute(&self, blocks: Vec<Arc<Block>>) {
        for block in blocks {
            let parent = self.executed.lock().get(&block.header().parent_hash).map(|applied| applied.block.clone());
            let executed = parent.is_some_and(|parent| self.run(&parent, &block));
            assert!(executed, "they are a quorum's, and come oldest first");
        }
    }

    async fn propose(&self, lineage: Lineage) -> Option<Arc<Block>> {
        self.run_missing(&lineage);
        let parent = &lineage.parent;
        let (state, height) = (self.state(&parent.hash())?, parent.number() + 1);
        let beneficiary = Chain::fee_recipient(self.index);
        let proposal = Proposal { timestamp_ms: parent.timestamp_ms()? + STEP_MS, beneficiary };
        let header = next_header(parent.header(), parent.hash(), proposal, self.rules(height)?);
        let limits = BlockLimits { bytes_max: 1 << 17, deadline: Instant::now() + Duration::from_secs(3600) };
        let mut source = One(self.chain.next_transaction(&state, height));
        let built = self.chain.executor.build(&state, &NoHashes, header, &mut source, limits).ok()?;
        let block = built.executed.block.clone();
        self.keep(built.executed);
        Some(block)
    }

    async fn verify(&self, lineage: Lineage, block: Arc<Block>, proposer: PublicKey) -> Verdict {
        self.run_missing(&lineage);
        let record = self.record(block.number() / EPOCH_BLOCKS).expect("its epoch is entered");
        let expected = record.validator(&proposer).map(|validator| validator.fee_recipient);
        let valid = expected == Some(block.header().beneficiary) && self.run(&lineage.parent, &block);
        if valid { Verdict::Valid } else { Verdict::Invalid }
    }

    async fn finalized(&self, block: Arc<Block>, certificate: Option<Certificate>) -> bool {
        let ends = (block.number() + 1).is_multiple_of(EPOCH_BLOCKS);
        assert!(!ends || certificate.is_some(), "an epoch's last block has a certificate of its own");
        let place = usize::try_from(block.number()).expect("few blocks");
        let known = self.disk.lock().get(place).map(|applied| applied.block.clone());
        if let Some(known) = known {
            // Delivered again after a restart.
            assert_eq!(known.hash(), block.hash(), "two blocks of one height were finalized");
            return true;
        }
        let parent = self.disk.lock().last().expect("block zero").block.clone();
        assert_eq!(parent.hash(), block.header().parent_hash, "heights come in order");
        let executed = self.is_executed(&block.hash()) || self.run(&parent, &block);
        assert!(executed, "a quorum finalized it");
        let applied = self.executed.lock().get(&block.hash()).cloned().expect("just executed");
        self.disk.lock().push(Applied { certificate, ..applied });
        true
    }

    fn gossip(&self, _: PublicKey, _: Bytes) {}

    fn sync(&self, _: PublicKey, _: Bytes) {}

    fn height(&self) -> u64 {
        self.disk.lock().len() as u64 - 1
    }

    fn block(&self, height: u64) -> Option<Arc<Block>> {
        self.disk.lock().get(usize::try_from(height).ok()?).map(|applied| applied.block.clone())
    }

    fn height_of(&self, hash: &B256) -> Option<u64> {
        let place = self.disk.lock().iter().position(|applied| applied.block.hash() == *hash)?;
        u64::try_from(place).ok()
    }

    fn certificate(&self, height: u64) -> Option<Certificate> {
        self.disk.lock().get(usize::try_from(height).ok()?)?.certificate.clone()
    }

    fn certified(&self) -> Option<(Arc<Block>, Certificate)> {
        let disk = self.disk.lock();
        disk.iter().rev().find_map(|applied| Some((applied.block.clone(), applied.certificate.clone()?)))
    }

    fn leader_timeout(&self, _: u64) -> Duration {
        Duration::from_millis(500)
    }

    fn validators(&self, epoch: u64) -> Option<Vec<PublicKey>> {
        Some(self.record(epoch)?.keys().collect())
    }

    fn peers(&self) -> Arc<[Peer]> {
        self.peers.clone()
    }
}

/// Wei of the organisation, to pay its fees.
pub(super) const BALANCE: U256 = U256::MAX.wrapping_shr(128);
