//! The genesis file: what every box of a chain must agree on, and the block zero that follows from it.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    fmt,
    marker::PhantomData,
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use crate::{
    PublicKey,
    block::{self, Block},
};

/// Most validators a chain may have: a quorum certificate carries a signature of 64 bytes from two thirds of them.
pub const VALIDATORS_MAX: usize = 128;
/// Most accounts a genesis file may list: it is read and hashed in memory at every start.
pub const ACCOUNTS_MAX: usize = 1_000_000;
/// Least gas in a block: below it, ordinary contracts cannot be deployed (EIP-7825 allows 16.7M gas a transaction).
pub const GAS_LIMIT_MIN: u64 = 1_000_000;
/// Most gas in a block: executing one takes some seconds at worst, which a leader's turn must cover.
pub const GAS_LIMIT_MAX: u64 = 1_000_000_000;
/// Bounds of `block_bytes_max`: room for one largest transaction, and EIP-7934's limit of 10 MiB less 2 MiB.
pub const BLOCK_BYTES: std::ops::RangeInclusive<u32> = 262_144..=8_388_608;
/// Bounds of the two block intervals, in milliseconds.
pub const BLOCK_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// Bounds of `timestamp_ms`, the years 2001 to 2200: a time in seconds or microseconds is outside of them.
pub const TIMESTAMP_MS: std::ops::RangeInclusive<u64> = 978_307_200_000..=7_258_118_400_000;

/// The genesis file as written: JSON, unknown fields refused. [`Genesis::try_from`] checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisFile {
    /// EIP-155 chain id, 1 to 2^53 - 1 (the largest that JavaScript tools hold exactly).
    pub chain_id: u64,
    /// Time of block zero, Unix milliseconds.
    pub timestamp_ms: u64,
    /// Gas a block may use.
    pub gas_limit: u64,
    /// Constant base fee in wei per gas; zero makes transactions free of charge.
    pub base_fee_per_gas: u64,
    /// Least time between two blocks, milliseconds.
    pub block_interval_min_ms: u64,
    /// Most time that a proposer waits for a transaction before it proposes an empty block, milliseconds.
    pub block_interval_max_ms: u64,
    /// Largest encoded block in bytes.
    pub block_bytes_max: u32,
    /// The boxes that vote.
    pub validators: Vec<Validator>,
    /// Accounts and contracts that exist from the start.
    #[serde(default, deserialize_with = "unique_keys")]
    pub accounts: BTreeMap<Address, GenesisAccount>,
}

/// A box that proposes and votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// A short name for people, unique on the chain: letters, digits, `-`, `_`, `.`, at most 32 bytes.
    pub name: String,
    /// Its consensus key.
    pub public_key: PublicKey,
    /// Receives the priority fees of the blocks that it proposes.
    pub fee_recipient: Address,
}

/// An account that exists from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Wei.
    #[serde(default)]
    pub balance: U256,
    /// Transactions sent; contracts start at 1 (EIP-161).
    #[serde(default)]
    pub nonce: u64,
    /// Runtime bytecode.
    #[serde(default, skip_serializing_if = "is_no_code")]
    pub code: Bytes,
    /// Storage slots of a contract; zero values are refused, since a zero slot is an absent one.
    #[serde(default, deserialize_with = "unique_keys", skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<B256, B256>,
}

/// What is wrong with a genesis file: the field, and what it must be.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON, or a field is missing, unknown, there twice or of the wrong type.
    #[error("{place} does not have the required form", place = place(.path))]
    Json {
        /// The field as far as it is known, such as `validators[2].public_key`; `.` for the whole file.
        path: String,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// `chain_id` is zero or above 2^53 - 1.
    #[error("genesis field `chain_id`: {0} is not between 1 and 2^53 - 1; choose another")]
    ChainId(u64),
    /// `timestamp_ms` cannot be a block time.
    #[error("genesis field `timestamp_ms`: {0} ms is not in the years 2001 to 2200; {hint}", hint = timestamp_hint(.0))]
    Timestamp(u64),
    /// `gas_limit` is out of bounds.
    #[error("genesis field `gas_limit`: {0} is not between {GAS_LIMIT_MIN} and {GAS_LIMIT_MAX}")]
    GasLimit(u64),
    /// `block_bytes_max` is out of bounds.
    #[error("genesis field `block_bytes_max`: {0} is not between {min} and {max}", min = BLOCK_BYTES.start(), max = BLOCK_BYTES.end())]
    BlockBytes(u32),
    /// A block interval is out of bounds.
    #[error("genesis field `{field}`: {value} ms is not between {min} and {max} ms", min = BLOCK_INTERVAL_MS.start(), max = BLOCK_INTERVAL_MS.end())]
    Interval {
        /// Which of the two.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// The least interval is above the most.
    #[error("genesis field `block_interval_min_ms`: {min} ms is above `block_interval_max_ms`, {max} ms")]
    IntervalOrder {
        /// `block_interval_min_ms`.
        min: u64,
        /// `block_interval_max_ms`.
        max: u64,
    },
    /// Too few or too many validators.
    #[error("genesis field `validators`: {0} boxes, but a chain has 1 to {VALIDATORS_MAX}")]
    ValidatorCount(usize),
    /// Two validators share a key or a name.
    #[error("genesis field `validators[{index}].{field}`: `{value}` is already used by another validator")]
    DuplicateValidator {
        /// Place in the list, from 0.
        index: usize,
        /// `public_key` or `name`.
        field: &'static str,
        /// The repeated value.
        value: String,
    },
    /// A validator's key is not one that can sign.
    #[error(
        "genesis field `validators[{index}].public_key`: `{value}` is not an Ed25519 public key; copy it from `dolmen keys show`"
    )]
    PublicKey {
        /// Place in the list, from 0.
        index: usize,
        /// The value.
        value: PublicKey,
    },
    /// A validator's name is empty, too long or has other characters.
    #[error("genesis field `validators[{index}].name`: `{name}` must be 1 to 32 letters, digits, `-`, `_` or `.`")]
    ValidatorName {
        /// Place in the list, from 0.
        index: usize,
        /// The name.
        name: String,
    },
    /// Too many accounts.
    #[error("genesis field `accounts`: {0} accounts, the most is {ACCOUNTS_MAX}; deploy the rest after the start")]
    AccountCount(usize),
    /// The balances add up to more than 2^256 - 1 wei.
    #[error("genesis field `accounts`: the balances add up to more than 2^256 - 1 wei")]
    Supply,
    /// An account that has nothing at all.
    #[error("genesis field `accounts.{0}`: the account is empty (no balance, nonce or code); leave it out")]
    EmptyAccount(Address),
    /// Storage of an account that a contract could still be created at: its slots would become the contract's.
    #[error("genesis field `accounts.{0}.storage`: storage needs `code`, or a `nonce` of 1 or more; add one of them")]
    StorageWithoutCode(Address),
    /// A storage slot holds zero.
    #[error("genesis field `accounts.{address}.storage.{slot}`: the value is zero; leave the slot out")]
    ZeroSlot {
        /// The account.
        address: Address,
        /// The slot.
        slot: B256,
    },
}

/// A checked genesis: holding one proves that every rule of [`GenesisError`] was met.
#[derive(Clone, Debug)]
pub struct Genesis {
    file: GenesisFile,
}

impl Genesis {
    /// Reads and checks a genesis file.
    pub fn from_json(json: &[u8]) -> Result<Self, GenesisError> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let file: GenesisFile = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            GenesisError::Json { path, source: error.into_inner() }
        })?;
        json.end().map_err(|source| GenesisError::Json { path: ".".to_owned(), source })?;
        file.try_into()
    }

    /// The settings and accounts.
    pub const fn file(&self) -> &GenesisFile {
        &self.file
    }

    /// Block zero, whose hash names the chain: it commits to the accounts through `state_root` and to every other
    /// setting through `mixHash`.
    pub fn block(&self, state_root: B256) -> Block {
        let GenesisFile { timestamp_ms, gas_limit, base_fee_per_gas, .. } = self.file;
        let mut header = block::template(B256::ZERO, timestamp_ms, gas_limit, base_fee_per_gas);
        header.state_root = state_root;
        header.receipts_root = alloy_trie::EMPTY_ROOT_HASH;
        header.mix_hash = self.settings_hash();
        Block::seal(header, vec![])
    }

    /// keccak256 over the JSON of every setting but the accounts, fields in the order of [`GenesisFile`].
    fn settings_hash(&self) -> B256 {
        let settings = GenesisFile { accounts: BTreeMap::new(), ..self.file.clone() };
        keccak256(serde_json::to_vec(&settings).expect("a struct of integers and strings always serialises"))
    }
}

impl TryFrom<GenesisFile> for Genesis {
    type Error = GenesisError;

    fn try_from(file: GenesisFile) -> Result<Self, GenesisError> {
        const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;
        if !(1..=SAFE_INTEGER_MAX).contains(&file.chain_id) {
            return Err(GenesisError::ChainId(file.chain_id));
        }
        if !TIMESTAMP_MS.contains(&file.timestamp_ms) {
            return Err(GenesisError::Timestamp(file.timestamp_ms));
        }
        if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&file.gas_limit) {
            return Err(GenesisError::GasLimit(file.gas_limit));
        }
        if !BLOCK_BYTES.contains(&file.block_bytes_max) {
            return Err(GenesisError::BlockBytes(file.block_bytes_max));
        }
        check_intervals(file.block_interval_min_ms, file.block_interval_max_ms)?;
        check_validators(&file.validators)?;
        check_accounts(&file.accounts)?;
        Ok(Self { file })
    }
}

fn check_intervals(min: u64, max: u64) -> Result<(), GenesisError> {
    for (field, value) in [("block_interval_min_ms", min), ("block_interval_max_ms", max)] {
        if !BLOCK_INTERVAL_MS.contains(&value) {
            return Err(GenesisError::Interval { field, value });
        }
    }
    if min > max { Err(GenesisError::IntervalOrder { min, max }) } else { Ok(()) }
}

fn check_validators(validators: &[Validator]) -> Result<(), GenesisError> {
    if validators.is_empty() || validators.len() > VALIDATORS_MAX {
        return Err(GenesisError::ValidatorCount(validators.len()));
    }
    let (mut keys, mut names) = (HashSet::new(), HashSet::new());
    for (index, Validator { name, public_key, .. }) in validators.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 32 || !name.chars().all(allowed) {
            return Err(GenesisError::ValidatorName { index, name: name.clone() });
        }
        if !names.insert(name) {
            return Err(GenesisError::DuplicateValidator { index, field: "name", value: name.clone() });
        }
        if CompressedEdwardsY(public_key.0).decompress().is_none() {
            return Err(GenesisError::PublicKey { index, value: *public_key });
        }
        if !keys.insert(public_key) {
            return Err(GenesisError::DuplicateValidator { index, field: "public_key", value: public_key.to_string() });
        }
    }
    Ok(())
}

fn check_accounts(accounts: &BTreeMap<Address, GenesisAccount>) -> Result<(), GenesisError> {
    if accounts.len() > ACCOUNTS_MAX {
        return Err(GenesisError::AccountCount(accounts.len()));
    }
    let mut supply = U256::ZERO;
    for (&address, account) in accounts {
        if account.balance.is_zero() && account.nonce == 0 && account.code.is_empty() {
            return Err(GenesisError::EmptyAccount(address));
        }
        // The EVM asks only for code and nonce before it creates a contract somewhere (EIP-684).
        if !account.storage.is_empty() && account.nonce == 0 && account.code.is_empty() {
            return Err(GenesisError::StorageWithoutCode(address));
        }
        if let Some((&slot, _)) = account.storage.iter().find(|(_, value)| value.is_zero()) {
            return Err(GenesisError::ZeroSlot { address, slot });
        }
        supply = supply.checked_add(account.balance).ok_or(GenesisError::Supply)?;
    }
    Ok(())
}

/// How an error names a place in the file.
fn place(path: &str) -> String {
    if path == "." { "the genesis file".to_owned() } else { format!("genesis field `{path}`") }
}

/// What to do about a time out of bounds.
fn timestamp_hint(value: &u64) -> &'static str {
    let fits = |value: Option<u64>| value.is_some_and(|value| TIMESTAMP_MS.contains(&value));
    if fits(value.checked_mul(1000)) {
        "it looks like seconds: use milliseconds"
    } else if fits(Some(value / 1000)) {
        "it looks like microseconds: use milliseconds"
    } else {
        "use the current Unix time in milliseconds"
    }
}

/// Reads a map and refuses a key that comes twice: of its values, all but the last would be lost without a word.
fn unique_keys<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueKeys(PhantomData))
}

struct UniqueKeys<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Visitor<'de> for UniqueKeys<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            match map.entry(key) {
                Entry::Occupied(entry) => {
                    return Err(A::Error::custom(format_args!("`{}` is listed twice", entry.key())));
                }
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
            }
        }
        Ok(map)
    }
}

/// Serde's condition for leaving `code` out; a method of `Bytes` reached by deref cannot be named there.
fn is_no_code(code: &Bytes) -> bool {
    code.is_empty()
}

#[cfg(test)]
mod tests;
