//! The GeneralStateTests file format, as far as running a test needs it.
//!
//! The types of account, environment, transaction and expected outcome are those of `revm-statetest-types`. The file
//! around them is parsed here, because a report names forks as the fixture does, and because one undecodable value in
//! a transaction is a rejected transaction (the ValueOverflow tests), not a broken file.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    path::Path,
};

use alloy_primitives::U256;
use revm::primitives::{AddressMap, hardfork::SpecId};
use revm_statetest_types::{AccountInfo, Env, Test, TestUnit, TransactionParts};
use serde::Deserialize;
use serde_json::Value;

/// A larger file is refused; the largest published state test fixture is about 100 MiB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a file is not a state test fixture.
#[derive(Debug, thiserror::Error)]
pub(super) enum FixtureError {
    /// The file system refused.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// The file is over [`FILE_BYTES_MAX`].
    #[error("the file has {0} bytes; at most {max} are read", max = FILE_BYTES_MAX)]
    TooLarge(u64),
    /// Not JSON, or not an object of state tests.
    #[error("not a state test file")]
    Json(#[source] serde_json::Error),
    /// A test's transaction has a field of another form.
    #[error("not a state test file: transaction of {name:?}")]
    Transaction {
        /// The test's name.
        name: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

/// One test as it stands in the file.
#[derive(Debug, Deserialize)]
struct RawUnit {
    env: Env,
    pre: AddressMap<AccountInfo>,
    post: BTreeMap<String, Vec<Test>>,
    transaction: Value,
    #[serde(default)]
    config: Config,
}

/// The `config` object that newer execution-spec-tests fixtures have.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default, alias = "chainId")]
    chainid: Option<U256>,
    #[serde(default, rename = "blobSchedule")]
    blob_schedule: BTreeMap<String, BlobSchedule>,
}

/// Blob parameters of a fork (EIP-7840), where a fixture states them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlobSchedule {
    /// Blobs that one block can carry.
    pub(super) max: U256,
    /// Divisor in the exponent of the blob base fee.
    pub(super) base_fee_update_fraction: U256,
}

/// One test: a pre-state, an environment, a transaction with alternatives, and the expected outcomes per fork.
#[derive(Debug)]
pub(super) struct Unit {
    /// Environment, pre-state and transaction. Its `post` is empty, see [`Unit::post`].
    pub(super) parts: TestUnit,
    /// Expected outcomes by the fork's name in the file.
    post: BTreeMap<String, Vec<Test>>,
    /// Chain id: `currentChainID` of the environment, else that of `config`, else 1.
    pub(super) chain_id: U256,
    /// By fork name.
    blob_schedule: BTreeMap<String, BlobSchedule>,
    /// Entries of the transaction's `value` list that are no 256-bit number, by index; their text.
    pub(super) bad_values: HashMap<usize, String>,
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct Fixture {
    units: BTreeMap<String, Unit>,
}

/// One transaction to execute, with the outcome that the fixture expects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Name of the test in its file.
    pub(super) name: &'a str,
    /// The fork's name in the file.
    pub(super) fork: &'a str,
    /// The test.
    pub(super) unit: &'a Unit,
    /// Indexes into the transaction's lists, and the expected outcome.
    pub(super) test: &'a Test,
    /// Blob parameters of the fork, where the fixture states them.
    pub(super) blob_schedule: Option<BlobSchedule>,
}

/// Which cases of a file to run.
#[derive(Debug)]
pub(super) struct Selection {
    forks: Vec<String>,
    name_contains: Option<String>,
}

impl Fixture {
    /// Reads and parses a file.
    pub(super) fn read(path: &Path) -> Result<Self, FixtureError> {
        let length = fs::metadata(path).map_err(FixtureError::Read)?.len();
        if length > FILE_BYTES_MAX {
            return Err(FixtureError::TooLarge(length));
        }
        Self::parse(&fs::read(path).map_err(FixtureError::Read)?)
    }

    /// Parses a file's content.
    pub(super) fn parse(content: &[u8]) -> Result<Self, FixtureError> {
        let raw: BTreeMap<String, RawUnit> = serde_json::from_slice(content).map_err(FixtureError::Json)?;
        let units = raw
            .into_iter()
            .map(|(name, unit)| match Unit::new(unit) {
                Ok(unit) => Ok((name, unit)),
                Err(source) => Err(FixtureError::Transaction { name, source }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { units })
    }

    /// The cases that `selection` picks, in the order of test name, fork name, position in the file.
    pub(super) fn cases(&self, selection: &Selection) -> impl Iterator<Item = Case<'_>> {
        self.units.iter().filter(move |(name, _)| selection.has_name(name)).flat_map(move |(name, unit)| {
            let forks = unit.post.iter().filter(move |(fork, _)| selection.has_fork(fork));
            forks.flat_map(move |(fork, tests)| {
                let blob_schedule = unit.blob_schedule.get(fork).copied();
                tests.iter().map(move |test| Case { name, fork, unit, test, blob_schedule })
            })
        })
    }
}

impl Unit {
    fn new(mut raw: RawUnit) -> Result<Self, serde_json::Error> {
        let bad_values = take_bad_values(&mut raw.transaction);
        let transaction: TransactionParts = serde_json::from_value(raw.transaction)?;
        let chain_id = raw.env.current_chain_id.or(raw.config.chainid).unwrap_or(U256::ONE);
        Ok(Self {
            parts: TestUnit { info: None, env: raw.env, pre: raw.pre, post: BTreeMap::new(), transaction, out: None },
            post: raw.post,
            chain_id,
            blob_schedule: raw.config.blob_schedule,
            bad_values,
        })
    }
}

/// Takes entries that are no 256-bit number out of a transaction's `value` list, leaving zero in their place.
fn take_bad_values(transaction: &mut Value) -> HashMap<usize, String> {
    let mut bad = HashMap::new();
    let Some(values) = transaction.get_mut("value").and_then(Value::as_array_mut) else { return bad };
    for (index, value) in values.iter_mut().enumerate() {
        if let Value::String(text) = value
            && serde_json::from_value::<U256>(Value::String(text.clone())).is_err()
        {
            bad.insert(index, std::mem::replace(text, "0x0".to_owned()));
        }
    }
    bad
}

impl Selection {
    /// No fork selects every fork; no text selects every name.
    pub(super) fn new(forks: Vec<String>, name_contains: Option<String>) -> Self {
        Self { forks, name_contains }
    }

    fn has_fork(&self, fork: &str) -> bool {
        self.forks.is_empty() || self.forks.iter().any(|wanted| wanted == fork)
    }

    fn has_name(&self, name: &str) -> bool {
        self.name_contains.as_ref().is_none_or(|text| name.contains(text))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.forks.as_slice() {
            [] => write!(f, "any fork")?,
            forks => write!(f, "fork {}", forks.join(" or "))?,
        }
        match &self.name_contains {
            None => write!(f, " and any name"),
            Some(text) => write!(f, " and a name that contains {text:?}"),
        }
    }
}

/// The rules that revm has for a fork, or `None` for a fork that it cannot execute.
///
/// Forks that changed only the difficulty bomb or moved balances by decree share the rules of the fork before. Of the
/// published forks, `Constantinople` is missing: revm has the later `ConstantinopleFix`, without EIP-1283.
pub(super) fn spec_of(fork: &str) -> Option<SpecId> {
    Some(match fork {
        "Frontier" => SpecId::FRONTIER,
        "Homestead" | "DAOFork" => SpecId::HOMESTEAD,
        "EIP150" | "TangerineWhistle" => SpecId::TANGERINE,
        "EIP158" | "SpuriousDragon" => SpecId::SPURIOUS_DRAGON,
        "Byzantium" => SpecId::BYZANTIUM,
        "ConstantinopleFix" | "Petersburg" => SpecId::PETERSBURG,
        "Istanbul" | "MuirGlacier" => SpecId::ISTANBUL,
        "Berlin" => SpecId::BERLIN,
        "London" | "ArrowGlacier" | "GrayGlacier" => SpecId::LONDON,
        "Merge" | "Paris" => SpecId::MERGE,
        "Shanghai" => SpecId::SHANGHAI,
        "Cancun" => SpecId::CANCUN,
        "Prague" => SpecId::PRAGUE,
        "Osaka" => SpecId::OSAKA,
        "Amsterdam" => SpecId::AMSTERDAM,
        _ => return None,
    })
}
