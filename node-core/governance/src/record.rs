//! What holds for one epoch: who votes, and what blocks obey.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolValue as _;
use dolmen_types::{
    PublicKey,
    genesis::{BLOCK_INTERVAL_MS, GAS_LIMIT_MAX, GAS_LIMIT_MIN, VALIDATORS_MAX},
};
use sha2::{Digest as _, Sha256};

use crate::abi;

/// The type of the request in an epoch's last block that carries the next one's record (EIP-7685). Ethereum uses small
/// numbers.
const REQUEST_TYPE: u8 = 0xd0;

/// Who votes in an epoch, and what its blocks obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// From 0.
    pub epoch: u64,
    /// Those who vote, by key ascending.
    pub validators: Vec<EpochValidator>,
    /// What blocks obey.
    pub parameters: Parameters,
}

/// A box that votes in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochValidator {
    /// Its consensus key.
    pub key: PublicKey,
    /// The beneficiary of the blocks that it proposes.
    pub fee_recipient: Address,
    /// Its name, for people.
    pub name: String,
}

/// Chain parameters that organisations may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Gas a block may use.
    pub gas_limit: u64,
    /// Wei per gas.
    pub base_fee_per_gas: u64,
    /// Least time between two blocks, milliseconds.
    pub block_interval_min_ms: u64,
    /// Most time that a proposer waits for a transaction, milliseconds.
    pub block_interval_max_ms: u64,
    /// Seconds without a block of its own after which a validator counts as silent; 0 for never.
    pub silent_after_s: u64,
}

impl From<abi::RecordParameters> for Parameters {
    fn from(parameters: abi::RecordParameters) -> Self {
        Self {
            gas_limit: parameters.gasLimit,
            base_fee_per_gas: parameters.baseFeePerGas,
            block_interval_min_ms: parameters.blockIntervalMinMs,
            block_interval_max_ms: parameters.blockIntervalMaxMs,
            silent_after_s: parameters.silentAfterSeconds,
        }
    }
}

impl From<Parameters> for abi::RecordParameters {
    fn from(parameters: Parameters) -> Self {
        Self {
            gasLimit: parameters.gas_limit,
            baseFeePerGas: parameters.base_fee_per_gas,
            blockIntervalMinMs: parameters.block_interval_min_ms,
            blockIntervalMaxMs: parameters.block_interval_max_ms,
            silentAfterSeconds: parameters.silent_after_s,
        }
    }
}

/// Why bytes are not the record of an epoch.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not the ABI encoding.
    #[error("the record of an epoch does not decode")]
    Abi(#[from] alloy_sol_types::Error),
    /// A value that the contract does not let pass.
    #[error("the record of epoch {epoch} has an impossible {field}")]
    Impossible {
        /// The record's epoch.
        epoch: u64,
        /// What is wrong.
        field: &'static str,
    },
}

impl EpochRecord {
    /// Decodes what the contract answered.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = abi::EpochRecord::abi_decode_validate(bytes)?;
        let abi::EpochRecord { epoch, validators, parameters } = record;
        let validators: Vec<_> = validators
            .into_iter()
            .map(|validator| EpochValidator {
                key: PublicKey(validator.key.0),
                fee_recipient: validator.feeRecipient,
                name: validator.name,
            })
            .collect();
        let parameters = Parameters::from(parameters);
        let impossible = |field| RecordError::Impossible { epoch, field };
        if validators.is_empty() || validators.len() > VALIDATORS_MAX {
            return Err(impossible("number of validators"));
        }
        if !validators.windows(2).all(|pair| pair[0].key < pair[1].key) {
            return Err(impossible("order of validators"));
        }
        if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&parameters.gas_limit) {
            return Err(impossible("gas limit"));
        }
        let (min, max) = (parameters.block_interval_min_ms, parameters.block_interval_max_ms);
        if min > max || !BLOCK_INTERVAL_MS.contains(&min) || !BLOCK_INTERVAL_MS.contains(&max) {
            return Err(impossible("block interval"));
        }
        Ok(Self { epoch, validators, parameters })
    }

    /// What the contract would answer.
    pub fn encode(&self) -> Bytes {
        let validators = self.validators.iter().map(|validator| abi::RecordValidator {
            key: validator.key.0.into(),
            feeRecipient: validator.fee_recipient,
            name: validator.name.clone(),
        });
        let parameters = self.parameters.into();
        abi::EpochRecord { epoch: self.epoch, validators: validators.collect(), parameters }.abi_encode().into()
    }

    /// The voters' keys.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.validators.iter().map(|validator| validator.key)
    }

    /// The validator with a key.
    pub fn validator(&self, key: &PublicKey) -> Option<&EpochValidator> {
        let place = self.validators.binary_search_by(|validator| validator.key.cmp(key)).ok()?;
        self.validators.get(place)
    }
}

/// `requestsHash` of an epoch's last block, with the next one's record as its only request (EIP-7685).
pub fn requests_hash(record: &[u8]) -> B256 {
    let mut request = Sha256::new();
    request.update([REQUEST_TYPE]);
    request.update(record);
    B256::from_slice(&Sha256::digest(request.finalize()))
}
