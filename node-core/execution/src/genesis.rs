//! Block zero: the genesis file's accounts, and the contracts that are part of every chain.

use alloy_eips::eip4788::SYSTEM_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256, keccak256};
use dolmen_governance::{EpochRecord, RecordError};
use dolmen_store::{Account, Origin, StateReader, StoreError};
use dolmen_types::Genesis;
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _,
    context::{TxEnv, result::ExecutionResult},
    database::{State as EvmState, states::bundle_state::BundleRetention},
};

use crate::{
    BlockHashes, diff, env, precompiles,
    state_db::{CodeCache, StateDb},
};

/// Gas of the contract's first call: the most validators and organisations that a genesis file may have take 57 million,
/// nearly twice of what a system call has (EIP-4788).
const GAS: u64 = 1_000_000_000;

/// Why a genesis file gives no chain.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The contract refused what the file says.
    #[error("the governance contract refuses the genesis file: {0}; check `validators` and `governance`")]
    Refused(String),
    /// The contract's answer.
    #[error("the governance contract's record of epoch 0")]
    Record(#[from] RecordError),
}

/// What the chain of a genesis file starts from: its accounts, the governance contract with what it keeps, and the record
/// of epoch zero.
pub fn origin(genesis: &Genesis) -> Result<Origin, OriginError> {
    let refused = |reason: String| OriginError::Refused(reason);
    let (reader, codes) = (Bare(keccak256(dolmen_governance::code())), CodeCache::default());
    let db = StateDb { reader: &reader, hashes: &reader, codes: &codes };
    let mut state = EvmState::builder().with_database_ref(db).with_bundle_update().build();
    let block = genesis.block(B256::ZERO);
    let mut cfg = env::cfg(genesis.file().chain_id);
    cfg.disable_block_gas_limit = true;
    cfg.disable_base_fee = true;
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    let mut evm = Context::mainnet()
        .with_db(&mut state)
        .with_cfg(cfg)
        .with_block(env::block(block.header()))
        .build_mainnet()
        .with_precompiles(precompiles::precompiles());
    let call = TxEnv {
        caller: SYSTEM_ADDRESS,
        kind: TxKind::Call(dolmen_governance::ADDRESS),
        data: dolmen_governance::initialize(genesis.file()),
        gas_limit: GAS,
        gas_price: 0,
        chain_id: Some(genesis.file().chain_id),
        ..Default::default()
    };
    let answer = evm.transact_commit(call).map_err(|error| refused(error.to_string()))?;
    let ExecutionResult::Success { output, .. } = answer else { return Err(refused(format!("{answer:?}"))) };
    let record = dolmen_governance::record_in(&output.into_data());
    let record = record.ok_or_else(|| refused("it answers with no record".to_owned()))?;
    EpochRecord::decode(&record)?;
    drop(evm);
    state.merge_transitions(BundleRetention::PlainState);
    let mut diff = diff::state_diff(state.take_bundle());
    diff.accounts.retain(|change| change.address == dolmen_governance::ADDRESS);
    for change in &mut diff.accounts {
        // There was nothing before block zero.
        change.before = None;
    }
    diff.codes = vec![(keccak256(dolmen_governance::code()), dolmen_governance::code().clone())];
    Ok(Origin::new(genesis, diff, record))
}

/// A state that has the contract's code, by this hash, and nothing else.
struct Bare(B256);

impl StateReader for Bare {
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        let contract = Account { nonce: 1, balance: U256::ZERO, code_hash: self.0 };
        Ok((*address == dolmen_governance::ADDRESS).then_some(contract))
    }

    fn storage(&self, _: &Address, _: &U256) -> Result<U256, StoreError> {
        Ok(U256::ZERO)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        Ok((*hash != KECCAK256_EMPTY).then(|| dolmen_governance::code().clone()))
    }
}

impl BlockHashes for Bare {
    fn block_hash(&self, _: u64) -> Result<Option<B256>, StoreError> {
        Ok(None)
    }
}
