//! A chain for the tests of this crate: four validators, a real store and executor, blocks and certificates on demand.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, Signature, TxKind, U256, bytes, keccak256};
use dolmen_accel_api::{Algorithm, Message, QueueConfig};
use dolmen_accel_library::{Library, Signs};
use dolmen_execution::{BlockLimits, Executor, Transactions};
use dolmen_pool::{SenderCache, Signatures, VerifiedTransaction};
use dolmen_store::{Options, Store};
use dolmen_types::{
    Block, Certificate, Genesis, PublicKey, Transaction, Validator,
    block::{BlockRules, Proposal, next_header},
    certificate::{RankedSignature, quorum},
    genesis::{GenesisAccount, GenesisFile, Governance},
};
use secp256k1::{Message as Digest, SECP256K1, SecretKey};
use tempfile::TempDir;

use crate::{Chain, Progress};

/// The least that a genesis file allows.
pub(crate) const EPOCH_BLOCKS: u64 = 20;
const CHAIN_ID: u64 = 1337;
/// Adds the first word of the input to slot 0.
const COUNTER: Address = Address::repeat_byte(0xc0);
/// Emits one log with the first word of its input as topic.
const LOGGER: Address = Address::repeat_byte(0x10);

/// A validator's key.
pub(crate) fn signer(seed: u8) -> Box<dyn Signs> {
    Library::Ed25519Dalek.signer(Algorithm::Ed25519, &[seed; 32]).expect("every secret is an Ed25519 key")
}

pub(crate) fn public_key(signer: &dyn Signs) -> PublicKey {
    PublicKey(signer.public_key().try_into().expect("32 bytes"))
}

/// What `signers` of a set sign to finalize a block.
pub(crate) fn certify(
    genesis: &B256,
    epoch: u64,
    block: B256,
    validators: &[PublicKey],
    signers: &[&dyn Signs],
) -> Certificate {
    let mut keys = validators.to_vec();
    keys.sort_unstable();
    let mut ranked: Vec<_> = signers
        .iter()
        .map(|signer| (keys.iter().position(|key| *key == public_key(*signer)).expect("of the set"), *signer))
        .collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    let signature =
        |rank: usize| RankedSignature { rank: u32::try_from(rank).expect("a small set"), signature: FixedBytes::ZERO };
    let mut certificate = Certificate {
        epoch,
        view: 9,
        parent_view: 8,
        block,
        signatures: ranked.iter().map(|(rank, _)| signature(*rank)).collect(),
    };
    let message = certificate.signed(&block, genesis, validators).expect("a quorum").message;
    for (signed, (_, signer)) in certificate.signatures.iter_mut().zip(ranked) {
        signed.signature = FixedBytes::from_slice(&signer.sign(Message::Bytes(&message)));
    }
    certificate
}

/// Nobody watches.
pub(crate) fn unwatched(_: Progress) {}

pub(crate) struct TestChain {
    pub(crate) chain: Chain,
    pub(crate) dir: TempDir,
    /// `None` while the box is stopped.
    store: Option<Arc<Store>>,
    executor: Executor,
    senders: SenderCache,
    signers: Vec<Box<dyn Signs>>,
    key: SecretKey,
    depth: u64,
}

struct List(std::vec::IntoIter<VerifiedTransaction>);

impl Transactions for List {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        self.0.next()
    }

    fn skip_sender(&mut self, _: Address) {}
}

impl TestChain {
    /// A chain with this many blocks above block zero, whose box keeps the states of `depth` of them.
    pub(crate) fn new(blocks: u64, depth: u64) -> Self {
        Self::with_time(blocks, depth, 1_790_000_000_000)
    }

    /// Another time makes another chain.
    pub(crate) fn with_time(blocks: u64, depth: u64, timestamp_ms: u64) -> Self {
        let key = SecretKey::from_byte_array([0x42; 32]).unwrap();
        let signers: Vec<_> = (1..=4).map(signer).collect();
        let genesis = genesis(&key, &signers, timestamp_ms);
        let verifier = Arc::new(dolmen_accel_library::baseline());
        let signatures = Arc::new(Signatures::start(verifier.clone(), QueueConfig::default()));
        let origin = dolmen_execution::origin(&genesis).unwrap();
        let executor = Executor::new(CHAIN_ID, genesis.epochs());
        let mut chain = Self {
            chain: Chain::new(genesis, origin, verifier),
            dir: tempfile::tempdir().unwrap(),
            store: None,
            executor,
            senders: SenderCache::new(CHAIN_ID, signatures, NonZeroUsize::MIN, 1),
            signers,
            key,
            depth,
        };
        chain.start();
        (0..blocks).for_each(|_| chain.extend());
        chain
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        self.store.as_ref().expect("the box runs")
    }

    pub(crate) fn open(&self, path: &Path) -> Arc<Store> {
        let options = Options::history(self.depth.try_into().unwrap());
        Arc::new(Store::open(path, self.chain.origin(), options).unwrap())
    }

    pub(crate) fn start(&mut self) {
        self.store = Some(self.open(&self.database()));
    }

    pub(crate) fn stop(&mut self) {
        self.store = None;
    }

    /// Finalizes a block with a transaction or two. Every third one has a certificate, and an epoch's last.
    pub(crate) fn extend(&mut self) {
        let number = self.store().head().block.number() + 1;
        self.extend_with(number.is_multiple_of(3) || number % EPOCH_BLOCKS == EPOCH_BLOCKS - 1);
    }

    pub(crate) fn extend_with(&mut self, certified: bool) {
        let store = self.store().clone();
        let head = store.head();
        let (parent, number) = (head.block.header(), head.block.number() + 1);
        let proposer = usize::try_from(number % 4).unwrap();
        let proposal = Proposal {
            timestamp_ms: head.block.timestamp_ms().unwrap() + 1000,
            beneficiary: self.chain.genesis().file().validators[proposer].fee_recipient,
        };
        let header = next_header(parent, head.block.hash(), proposal, BlockRules::of(parent));
        let transactions: Vec<Transaction> = self.transactions(number).into_iter().map(Into::into).collect();
        let count = transactions.len();
        let verified = self.senders.verify_all(&transactions, &[]).unwrap();
        let limits = BlockLimits { bytes_max: 1 << 20, deadline: Instant::now() + Duration::from_secs(60) };
        let mut source = List(verified.into_iter());
        let built = self.executor.build(&head.state, &*store, header, &mut source, limits).unwrap();
        assert_eq!(built.transactions.len(), count, "some transaction is not valid");
        let certificate = certified.then(|| self.certify(&built.executed.block));
        store.commit(&built.executed, certificate.as_ref()).unwrap();
    }

    fn certify(&self, block: &Block) -> Certificate {
        let keys: Vec<_> = self.signers.iter().map(|signer| public_key(&**signer)).collect();
        let signers: Vec<_> = self.signers.iter().take(quorum(keys.len())).map(|signer| &**signer).collect();
        certify(&self.chain.hash(), block.number() / EPOCH_BLOCKS, block.hash(), &keys, &signers)
    }

    /// One that counts, with one that logs in every other block and one that deploys in every fifth.
    fn transactions(&self, number: u64) -> Vec<alloy_consensus::Signed<TxEip1559>> {
        let word = |value: u64| Bytes::from(U256::from(value).to_be_bytes_vec());
        let mut wanted = vec![(TxKind::Call(COUNTER), word(number))];
        if number.is_multiple_of(2) {
            wanted.push((TxKind::Call(LOGGER), word(number)));
        }
        if number.is_multiple_of(5) {
            // Returns one byte of memory, which is zero: code that stops.
            wanted.push((TxKind::Create, bytes!("60016000f3")));
        }
        let sender = address_of(&self.key);
        let head = self.store().head();
        let nonce = dolmen_store::StateReader::account(&head.state, &sender).unwrap().unwrap().nonce;
        let signed = (nonce..).zip(wanted).map(|(nonce, (to, input))| {
            let unsigned = TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 200_000,
                max_fee_per_gas: 10,
                max_priority_fee_per_gas: 1,
                to,
                input,
                ..Default::default()
            };
            let digest = Digest::from_digest(unsigned.signature_hash().0);
            let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(digest, &self.key).serialize_compact();
            unsigned.into_signed(Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1))
        });
        signed.collect()
    }
}

fn genesis(key: &SecretKey, signers: &[Box<dyn Signs>], timestamp_ms: u64) -> Genesis {
    let contract = |code| GenesisAccount { nonce: 1, code, ..Default::default() };
    let rich = GenesisAccount { balance: U256::from(10).pow(U256::from(24)), ..Default::default() };
    let validators = (1_u8..).zip(signers).map(|(seed, signer)| Validator {
        name: format!("box-{seed}"),
        public_key: public_key(&**signer),
        fee_recipient: Address::repeat_byte(0xf0 + seed),
        organisation: None,
        endpoint: None,
    });
    GenesisFile {
        chain_id: CHAIN_ID,
        timestamp_ms,
        gas_limit: 30_000_000,
        base_fee_per_gas: 7,
        block_interval_min_ms: 1,
        block_interval_max_ms: 10,
        block_bytes_max: 1 << 20,
        validators: validators.collect(),
        // Nobody is silent, so that nobody is replaced.
        governance: Governance { epoch_blocks: EPOCH_BLOCKS, silent_after_s: 0, organisations: vec![] },
        accounts: [
            (address_of(key), rich),
            // sload(0) + calldataload(0) to slot 0
            (COUNTER, contract(bytes!("5f54805f35015f555f5260205ff3"))),
            (LOGGER, contract(bytes!("60003560206000a100"))),
        ]
        .into(),
    }
    .try_into()
    .unwrap()
}

fn address_of(key: &SecretKey) -> Address {
    Address::from_word(keccak256(&key.public_key(SECP256K1).serialize_uncompressed()[1..]))
}

/// Copies a directory of a database that nobody has open.
pub(crate) fn copy_database(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap();
        if name != "LOCK" {
            fs::copy(&file, to.join(name)).unwrap();
        }
    }
}
