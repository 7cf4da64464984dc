//! A chain of one box for the tests of this crate: a real store, pool and executor, blocks on demand.

use std::{
    net::TcpListener,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, Signature, TxKind, U256, address, hex, keccak256};
use dolmen_accel_api::QueueConfig;
use dolmen_execution::{BlockLimits, Executor, Transactions};
use dolmen_pool::{AccountView, Origin, Pool, PoolConfig, SenderCache, Signatures, StateSource, VerifiedTransaction};
use dolmen_store::{Options, StateReader as _, Store};
use dolmen_types::{
    Block, Certificate, Epochs, Genesis, PublicKey, Transaction,
    block::{BlockRules, Proposal, next_header, timestamp_ms},
    certificate::RankedSignature,
    genesis::{GenesisAccount, GenesisFile, Governance, Organisation, Validator},
};
use prometheus_client::registry::Registry;
use secp256k1::{Message, PublicKey as Secp256k1Key, SECP256K1, SecretKey};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::{Backend, BackendParts, Finalized, RpcLimits, RpcServer, SyncSource, SyncStatus};

pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const BASE_FEE: u64 = 7;
/// Emits one log with the first word of its input as topic.
pub(crate) const LOGGER: Address = address!("00000000000000000000000000000000000000a1");
/// Reverts with its input.
pub(crate) const REVERTER: Address = address!("00000000000000000000000000000000000000a2");
/// Burns all its gas.
pub(crate) const BURNER: Address = address!("00000000000000000000000000000000000000a3");
/// Returns `NUMBER`; slot 1 holds 42.
pub(crate) const NUMBER: Address = address!("00000000000000000000000000000000000000a4");
/// Announcements that a subscriber may fall behind.
pub(crate) const EVENTS: usize = 16;
/// Blocks of an epoch of a chain that is governed.
pub(crate) const EPOCH_BLOCKS: u64 = 20;
/// The only validator's key and fee recipient.
pub(crate) const VALIDATOR: PublicKey = PublicKey([1; 32]);
pub(crate) const FEE_RECIPIENT: Address = Address::repeat_byte(0xfe);

pub(crate) struct Chain {
    pub(crate) backend: Arc<Backend>,
    pub(crate) events: broadcast::Sender<Arc<Finalized>>,
    cache: Arc<SenderCache>,
    executor: Arc<Executor>,
    keys: [SecretKey; 2],
    _folder: TempDir,
}

struct Latest(Arc<Store>);

impl StateSource for Latest {
    fn account(&self, address: &Address) -> AccountView {
        let account = self.0.head().state.account(address).unwrap().unwrap_or_default();
        AccountView { nonce: account.nonce, balance: account.balance, ..AccountView::default() }
    }
}

struct Alone;

impl SyncSource for Alone {
    fn status(&self) -> Option<SyncStatus> {
        None
    }

    fn peers(&self) -> usize {
        3
    }
}

struct List(std::vec::IntoIter<VerifiedTransaction>);

impl Transactions for List {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        self.0.next()
    }

    fn skip_sender(&mut self, _: Address) {}
}

fn genesis(rich: [Address; 2], governance: Governance) -> Genesis {
    let contract = |code: &[u8]| GenesisAccount { nonce: 1, code: Bytes::copy_from_slice(code), ..Default::default() };
    let mut number = contract(&hex!("4360005260206000f3"));
    number.storage.insert(B256::with_last_byte(1), B256::with_last_byte(42));
    let funded = GenesisAccount { balance: U256::from(10).pow(U256::from(24)), ..Default::default() };
    let validator = Validator {
        name: "box".to_owned(),
        public_key: VALIDATOR,
        fee_recipient: FEE_RECIPIENT,
        organisation: governance.organisations.first().map(|organisation| organisation.name.clone()),
        endpoint: None,
    };
    let file = GenesisFile {
        chain_id: CHAIN_ID,
        timestamp_ms: 1_700_000_000_000,
        gas_limit: 16_000_000,
        base_fee_per_gas: BASE_FEE,
        block_interval_min_ms: 10,
        block_interval_max_ms: 1000,
        block_bytes_max: 1 << 20,
        validators: vec![validator],
        governance,
        accounts: [
            (rich[0], funded.clone()),
            (rich[1], funded),
            (LOGGER, contract(&hex!("60003560206000a100"))),
            (REVERTER, contract(&hex!("366000600037366000fd"))),
            (BURNER, contract(&hex!("5b600056"))),
            (NUMBER, number),
        ]
        .into(),
    };
    Genesis::try_from(file).unwrap()
}

/// Keys of accounts with funds; the first one is [`Chain::sender`]'s.
fn keys() -> [SecretKey; 2] {
    [0x42, 0x43].map(|byte| SecretKey::from_byte_array([byte; 32]).unwrap())
}

impl Chain {
    /// A chain that nobody governs.
    pub(crate) fn new(limits: RpcLimits) -> Self {
        let genesis = genesis(keys().each_ref().map(address_of), Governance::default());
        Self::open(limits, &genesis, &dolmen_store::Origin::of_accounts(&genesis), Epochs::ENDLESS)
    }

    /// A chain with the governance contract and two organisations, `alpha` and `beta`, for which the two keys vote.
    pub(crate) fn governed(limits: RpcLimits) -> Self {
        let addresses = keys().each_ref().map(address_of);
        let organisation = |(name, account): (&str, Address)| Organisation {
            name: name.to_owned(),
            account,
            root_certificate: Bytes::new(),
        };
        let organisations = ["alpha", "beta"].into_iter().zip(addresses).map(organisation).collect();
        let governance = Governance { epoch_blocks: EPOCH_BLOCKS, organisations, ..Governance::default() };
        let genesis = genesis(addresses, governance);
        Self::open(limits, &genesis, &dolmen_execution::origin(&genesis).unwrap(), genesis.epochs())
    }

    fn open(limits: RpcLimits, genesis: &Genesis, origin: &dolmen_store::Origin, epochs: Epochs) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options::history(8.try_into().unwrap());
        let store = Arc::new(Store::open(folder.path(), origin, options).unwrap());
        let engine = Arc::new(dolmen_accel_library::baseline());
        let signatures = Arc::new(Signatures::start(engine, QueueConfig::default()));
        let cache = Arc::new(SenderCache::new(CHAIN_ID, signatures, NonZeroUsize::new(1000).unwrap(), 1 << 20));
        let config = PoolConfig::for_chain(CHAIN_ID, BASE_FEE, genesis.file().gas_limit);
        let pool = Pool::new(config, Arc::new(Latest(store.clone())), cache.clone()).unwrap();
        let executor = Arc::new(Executor::new(CHAIN_ID, epochs));
        let (events, _) = broadcast::channel(EVENTS);
        let backend = Backend::start(BackendParts {
            store,
            pool: Arc::new(pool),
            executor: executor.clone(),
            chain_id: CHAIN_ID,
            epochs,
            client_version: "dolmen/test".to_owned(),
            events: events.clone(),
            sync: Arc::new(Alone),
            now_ms: Arc::new(|| 0),
            limits,
        });
        Self { backend, events, cache, executor, keys: keys(), _folder: folder }
    }

    pub(crate) fn sender(&self) -> Address {
        address_of(&self.keys[0])
    }

    pub(crate) fn transfer(&self, nonce: u64, value: u64) -> Transaction {
        self.transfer_with_tip(nonce, value, 1)
    }

    pub(crate) fn transfer_with_tip(&self, nonce: u64, value: u64, tip: u128) -> Transaction {
        let to = TxKind::Call(Address::repeat_byte(0xbb));
        self.sign(
            0,
            TxEip1559 {
                nonce,
                to,
                value: U256::from(value),
                gas_limit: 21_000,
                max_priority_fee_per_gas: tip,
                ..Default::default()
            },
        )
    }

    /// A call of [`LOGGER`].
    pub(crate) fn log(&self, nonce: u64, topic: B256) -> Transaction {
        let (to, input) = (TxKind::Call(LOGGER), topic.into());
        self.sign(0, TxEip1559 { nonce, to, input, gas_limit: 50_000, ..Default::default() })
    }

    /// A call of [`BURNER`] that fills a block.
    pub(crate) fn burn_gas(&self, nonce: u64, tip: u128) -> Transaction {
        let to = TxKind::Call(BURNER);
        self.sign(
            0,
            TxEip1559 { nonce, to, gas_limit: 15_000_000, max_priority_fee_per_gas: tip, ..Default::default() },
        )
    }

    /// A call of the governance contract by the account of an organisation, 0 for `alpha`.
    pub(crate) fn govern(&self, organisation: usize, nonce: u64, input: Bytes) -> Transaction {
        let to = TxKind::Call(dolmen_governance::ADDRESS);
        self.sign(organisation, TxEip1559 { nonce, to, input, gas_limit: 3_000_000, ..Default::default() })
    }

    fn sign(&self, key: usize, mut unsigned: TxEip1559) -> Transaction {
        unsigned.chain_id = CHAIN_ID;
        unsigned.max_fee_per_gas = u128::from(BASE_FEE) + 1000;
        let message = Message::from_digest(unsigned.signature_hash().0);
        let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(message, &self.keys[key]).serialize_compact();
        let odd = i32::from(id) == 1;
        unsigned.into_signed(Signature::from_bytes_and_parity(&bytes, odd)).into()
    }

    pub(crate) fn pool_add(&self, transaction: Transaction) {
        self.backend.pool().add(transaction, Origin::Local, 0).unwrap();
    }

    /// Finalizes a block with these transactions.
    pub(crate) fn commit(&self, transactions: &[Transaction]) -> Arc<Block> {
        self.finalize(transactions, false)
    }

    /// The same with a certificate of its own, whose signature is none.
    pub(crate) fn commit_certified(&self, transactions: &[Transaction]) -> Arc<Block> {
        self.finalize(transactions, true)
    }

    fn finalize(&self, transactions: &[Transaction], certified: bool) -> Arc<Block> {
        let store = self.backend.store();
        let verified = self.cache.verify_all(transactions, &[]).unwrap();
        let head = store.head();
        let proposal =
            Proposal { timestamp_ms: timestamp_ms(head.block.header()).unwrap() + 1000, beneficiary: FEE_RECIPIENT };
        let header = next_header(head.block.header(), head.block.hash(), proposal, BlockRules::of(head.block.header()));
        let limits = BlockLimits { bytes_max: 1 << 20, deadline: Instant::now() + Duration::from_secs(60) };
        let mut source = List(verified.into_iter());
        let built = self.executor.build(&head.state, &**store, header, &mut source, limits).unwrap();
        assert_eq!(built.transactions.len(), transactions.len(), "some transaction is not valid");
        let number = built.executed.block.number();
        let certificate = certified.then(|| Certificate {
            epoch: self.backend.epochs().of(number),
            view: number,
            parent_view: number - 1,
            block: built.executed.block.hash(),
            signatures: vec![RankedSignature { rank: 0, signature: FixedBytes::repeat_byte(7) }],
        });
        store.commit(&built.executed, certificate.as_ref()).unwrap();
        self.backend.pool().finalized(&built.transactions, [], 0);
        let senders = built.transactions.iter().map(VerifiedTransaction::sender).collect();
        let finalized = Finalized {
            block: built.executed.block.clone(),
            receipts: Arc::new(built.executed.receipts),
            senders: Arc::new(senders),
        };
        self.events.send(Arc::new(finalized)).unwrap();
        built.executed.block
    }

    pub(crate) fn serve(&self) -> (RpcServer, Registry) {
        let mut registry = Registry::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = RpcServer::start(listener, self.backend.clone(), &mut registry).unwrap();
        (server, registry)
    }
}

fn address_of(key: &SecretKey) -> Address {
    let point = Secp256k1Key::from_secret_key(SECP256K1, key).serialize_uncompressed();
    Address::from_slice(&keccak256(&point[1..])[12..])
}
