//! The genesis file: what every box of a chain must agree on, and the block zero that follows from it.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    num::NonZeroU64,
};

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use crate::{
    Epochs, PublicKey,
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

/// Bounds of `governance.epoch_blocks`: more than the finalized blocks that a box may have waiting, and a day at ten blocks
/// a second.
pub const EPOCH_BLOCKS: std::ops::RangeInclusive<u64> = 20..=864_000;
/// Least `governance.silent_after_s` but for 0: a box that restarts is not silent.
pub const SILENT_AFTER_S_MIN: u64 = 5;
/// Most organisations.
pub const ORGANISATIONS_MAX: usize = 64;
/// Largest root certificate.
const ROOT_CERTIFICATE_BYTES_MAX: usize = 4096;
/// Accounts from here on, 2^32 of them, are the chain's own: contracts that are part of every chain.
const RESERVED: Address = address!("d01e000000000000000000000000000000000000");

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
    /// Who may change that, and how soon it takes effect.
    #[serde(default)]
    pub governance: Governance,
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
    /// Receives the priority fees of the blocks that it proposes; its own, because it tells who proposed a block.
    pub fee_recipient: Address,
    /// Name of the organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Where other boxes reach it; boxes may know better from their own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
}

/// How a chain is governed from the start. Without organisations nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Governance {
    /// Blocks of an epoch: validators and parameters change at its end.
    pub epoch_blocks: u64,
    /// Seconds without a block of its own after which a validator counts as silent, and a box that stands by takes its
    /// place; 0 for never.
    pub silent_after_s: u64,
    /// The members of the consortium.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organisations: Vec<Organisation>,
}

impl Default for Governance {
    fn default() -> Self {
        Self { epoch_blocks: 600, silent_after_s: 60, organisations: Vec::new() }
    }
}

/// A member of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// For people, unique on the chain: 1 to 128 bytes without control characters.
    pub name: String,
    /// The account that proposes changes and votes on them.
    pub account: Address,
    /// Its root certificate (X.509, DER), at most 4,096 bytes; none where it is empty.
    #[serde(default, skip_serializing_if = "is_no_code")]
    pub root_certificate: Bytes,
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
    /// A validator's fee recipient is nobody's, or another's too.
    #[error(
        "genesis field `validators[{index}].fee_recipient`: `{value}` must be an account of this validator alone, because it \
         tells who proposed a block"
    )]
    FeeRecipient {
        /// Place in the list, from 0.
        index: usize,
        /// The value.
        value: Address,
    },
    /// A validator belongs to an organisation that there is none of.
    #[error("genesis field `validators[{index}].organisation`: `{name}` is not among `governance.organisations`")]
    NoSuchOrganisation {
        /// Place in the list, from 0.
        index: usize,
        /// The name.
        name: String,
    },
    /// `governance.epoch_blocks` is out of bounds.
    #[error("genesis field `governance.epoch_blocks`: {0} is not between {min} and {max}", min = EPOCH_BLOCKS.start(), max = EPOCH_BLOCKS.end())]
    EpochBlocks(u64),
    /// `governance.silent_after_s` is too short.
    #[error("genesis field `governance.silent_after_s`: {0} s is below {SILENT_AFTER_S_MIN} s; 0 switches it off")]
    SilentAfter(u64),
    /// Too many organisations.
    #[error("genesis field `governance.organisations`: {0} organisations, the most is {ORGANISATIONS_MAX}")]
    OrganisationCount(usize),
    /// A field of an organisation is not usable.
    #[error("genesis field `governance.organisations[{index}].{field}`: {rule}")]
    Organisation {
        /// Place in the list, from 0.
        index: usize,
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// An account in the chain's own range.
    #[error(
        "genesis field `accounts.{0}`: addresses that begin with 0xd01e and 14 zero bytes are the chain's own; choose another"
    )]
    Reserved(Address),
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

    /// How its blocks are divided into epochs.
    pub fn epochs(&self) -> Epochs {
        // A file with no blocks in an epoch is refused, so this is never the one instead.
        Epochs::new(NonZeroU64::new(self.file.governance.epoch_blocks).unwrap_or(NonZeroU64::MIN))
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
        check_governance(&file.governance, &file.validators)?;
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
    let (mut keys, mut names, mut recipients) = (HashSet::new(), HashSet::new(), HashSet::from([Address::ZERO]));
    for (index, Validator { name, public_key, fee_recipient, .. }) in validators.iter().enumerate() {
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
        if !recipients.insert(*fee_recipient) {
            return Err(GenesisError::FeeRecipient { index, value: *fee_recipient });
        }
    }
    Ok(())
}

/// The bounds of the contract that takes these over.
fn check_governance(governance: &Governance, validators: &[Validator]) -> Result<(), GenesisError> {
    let Governance { epoch_blocks, silent_after_s, organisations } = governance;
    if !EPOCH_BLOCKS.contains(epoch_blocks) {
        return Err(GenesisError::EpochBlocks(*epoch_blocks));
    }
    if (1..SILENT_AFTER_S_MIN).contains(silent_after_s) {
        return Err(GenesisError::SilentAfter(*silent_after_s));
    }
    if organisations.len() > ORGANISATIONS_MAX {
        return Err(GenesisError::OrganisationCount(organisations.len()));
    }
    let (mut names, mut accounts) = (HashSet::new(), HashSet::from([Address::ZERO]));
    for (index, Organisation { name, account, root_certificate }) in organisations.iter().enumerate() {
        let wrong = |field, rule| Err(GenesisError::Organisation { index, field, rule });
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return wrong("name", "must be 1 to 128 bytes without control characters");
        }
        if !names.insert(name) {
            return wrong("name", "is already used by another organisation");
        }
        if !accounts.insert(*account) {
            return wrong("account", "must be an account of this organisation alone");
        }
        if root_certificate.len() > ROOT_CERTIFICATE_BYTES_MAX {
            return wrong("root_certificate", "has more than 4096 bytes");
        }
    }
    for (index, validator) in validators.iter().enumerate() {
        if let Some(name) = validator.organisation.as_ref().filter(|name| !names.contains(name)) {
            return Err(GenesisError::NoSuchOrganisation { index, name: name.clone() });
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
        if address[..16] == RESERVED[..16] {
            return Err(GenesisError::Reserved(address));
        }
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
