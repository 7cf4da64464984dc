//! Running calls: once, by bisection for an estimate, and repeatedly for an access list.

use alloy_consensus::Header;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256, keccak256};
use dolmen_store::{Account, StateReader, StoreError};
use revm::{
    Context, ExecuteEvm as _, InspectEvm as _, MainBuilder as _, MainContext as _,
    context::{
        TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError},
    },
    context_interface::either::Either,
    database::State as EvmState,
    database_interface::bal::EvmDatabaseError,
    primitives::eip7825::TX_GAS_LIMIT_CAP,
};
use revm_inspectors::access_list::AccessListInspector;

use crate::{
    AccountOverride, BlockHashes, Call, CallError, CallResult, Executor, StateOverrides, env, precompiles,
    state_db::{EvmError, StateDb, StateError},
};

/// An estimate may be this many thousandths above the least gas that suffices, as in Geth: fewer runs.
const ESTIMATE_ERROR_PERMILLE: u64 = 15;
/// Gas of a transfer between accounts without code.
const TRANSFER_GAS: u64 = 21_000;
/// Runs until an access list no longer changes; a call whose list never settles gets the last one.
const ACCESS_LIST_ROUNDS: usize = 8;

/// Where a call runs.
#[derive(Clone, Copy)]
pub struct CallSite<'a> {
    /// The state that it reads.
    pub state: &'a dyn StateReader,
    /// Earlier blocks for the `BLOCKHASH` instruction.
    pub hashes: &'a dyn BlockHashes,
    /// The block that it believes to be in.
    pub header: &'a Header,
    /// Most gas it may use, whatever it asks for.
    pub gas_cap: u64,
    /// Accounts to pretend.
    pub overrides: &'a StateOverrides,
}

impl Executor {
    /// Runs `call` once.
    pub fn call(&self, site: CallSite<'_>, call: &Call) -> Result<CallResult, CallError> {
        let reader = OverrideReader::new(site)?;
        let gas = call.gas.unwrap_or(site.gas_cap).min(site.gas_cap);
        Simulation { executor: self, reader: &reader, site, call }.run(gas).map(into_call_result)
    }

    /// The least gas with which `call` succeeds, within 1.5 %.
    pub fn estimate_gas(&self, site: CallSite<'_>, call: &Call) -> Result<u64, CallError> {
        let reader = OverrideReader::new(site)?;
        Simulation { executor: self, reader: &reader, site, call }.estimate()
    }

    /// The access list that `call` would use, the gas it uses with it, and why it fails where it does.
    pub fn access_list(&self, site: CallSite<'_>, call: &Call) -> Result<(AccessList, u64, Option<String>), CallError> {
        let reader = OverrideReader::new(site)?;
        let gas = call.gas.unwrap_or(site.gas_cap).min(site.gas_cap);
        let mut call = call.clone();
        let mut outcome = None;
        for _ in 0..ACCESS_LIST_ROUNDS {
            let (result, list) = Simulation { executor: self, reader: &reader, site, call: &call }.trace_access(gas)?;
            let settled = list == call.access_list;
            outcome = Some(into_call_result(result));
            call.access_list = list;
            if settled {
                break;
            }
        }
        let (gas_used, error) = match outcome {
            Some(CallResult::Success { gas_used, .. }) => (gas_used, None),
            Some(CallResult::Revert { gas_used, .. }) => (gas_used, Some("execution reverted".to_owned())),
            Some(CallResult::Halt { gas_used, reason }) => (gas_used, Some(reason)),
            None => (0, None),
        };
        Ok((call.access_list, gas_used, error))
    }
}

/// One call on one state.
struct Simulation<'a> {
    executor: &'a Executor,
    reader: &'a OverrideReader<'a>,
    site: CallSite<'a>,
    call: &'a Call,
}

macro_rules! evm_context {
    ($simulation:expr, $state:expr) => {{
        let simulation: &Simulation<'_> = $simulation;
        let mut cfg = env::cfg(simulation.executor.chain_id);
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true;
        cfg.disable_block_gas_limit = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        let mut block = env::block(simulation.site.header);
        if simulation.call.gas_price == 0 {
            cfg.disable_base_fee = true;
            block.basefee = 0;
        }
        Context::mainnet().with_db($state).with_cfg(cfg).with_block(block)
    }};
}

impl Simulation<'_> {
    fn database(&self) -> EvmState<revm::database_interface::WrapDatabaseRef<StateDb<'_>>> {
        let db = StateDb { reader: self.reader, hashes: self.site.hashes, codes: &self.executor.codes };
        EvmState::builder().with_database_ref(db).build()
    }

    fn run(&self, gas_limit: u64) -> Result<ExecutionResult, CallError> {
        let mut state = self.database();
        let mut evm = evm_context!(self, &mut state).build_mainnet().with_precompiles(precompiles::precompiles());
        evm.transact_one(self.transaction(gas_limit)?).map_err(|error| self.error(error))
    }

    fn trace_access(&self, gas_limit: u64) -> Result<(ExecutionResult, AccessList), CallError> {
        let mut state = self.database();
        let inspector = AccessListInspector::new(self.call.access_list.clone());
        let mut evm = evm_context!(self, &mut state)
            .build_mainnet_with_inspector(inspector)
            .with_precompiles(precompiles::precompiles());
        let result = evm.inspect_one_tx(self.transaction(gas_limit)?).map_err(|error| self.error(error))?;
        Ok((result, evm.inspector.into_access_list()))
    }

    fn transaction(&self, gas_limit: u64) -> Result<TxEnv, CallError> {
        let Call { from, to, gas_price, priority_fee, value, input, access_list, authorization_list, .. } = self.call;
        let tx_type = if !authorization_list.is_empty() {
            4
        } else if priority_fee.is_some() {
            2
        } else {
            u8::from(!access_list.is_empty())
        };
        Ok(TxEnv {
            tx_type,
            caller: *from,
            gas_limit,
            gas_price: *gas_price,
            kind: to.map_or(TxKind::Create, TxKind::Call),
            value: *value,
            data: input.clone(),
            nonce: self.reader.account(from)?.unwrap_or_default().nonce,
            chain_id: Some(self.executor.chain_id),
            access_list: access_list.clone(),
            gas_priority_fee: *priority_fee,
            authorization_list: authorization_list.iter().cloned().map(Either::Left).collect(),
            ..Default::default()
        })
    }

    /// The most gas worth trying: what the call asks for, the block, the protocol and the sender's balance allow.
    fn highest_gas(&self) -> Result<u64, CallError> {
        // Less than the least that a transaction costs is no limit, as in Geth.
        let asked = self.call.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(self.site.header.gas_limit);
        let asked = asked.min(self.site.gas_cap).min(TX_GAS_LIMIT_CAP);
        if self.call.gas_price == 0 {
            return Ok(asked);
        }
        let balance = self.reader.account(&self.call.from)?.unwrap_or_default().balance;
        // Nothing left for gas is as good as too little, as in Geth.
        if !self.call.value.is_zero() && self.call.value >= balance {
            return Err(CallError::Invalid("insufficient funds for transfer".to_owned()));
        }
        let left = balance - self.call.value;
        Ok(u64::try_from(left / U256::from(self.call.gas_price)).unwrap_or(u64::MAX).min(asked))
    }

    fn estimate(&self) -> Result<u64, CallError> {
        let mut high = self.highest_gas()?;
        // A plain transfer costs this to the unit, and is most of what wallets estimate.
        if self.is_plain_transfer()? && high >= TRANSFER_GAS && self.succeeds(TRANSFER_GAS)? {
            return Ok(TRANSFER_GAS);
        }
        let (used, refunded) = match self.run(high) {
            Ok(ExecutionResult::Success { gas, .. }) => (gas.tx_gas_used(), gas.final_refunded()),
            Ok(ExecutionResult::Revert { output, .. }) => return Err(CallError::Reverted(output)),
            Ok(ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. }) | Err(CallError::IntrinsicGas { .. }) => {
                return Err(CallError::GasExceedsAllowance(high));
            }
            Ok(ExecutionResult::Halt { reason, .. }) => return Err(CallError::Invalid(halt_reason(&reason))),
            Err(error) => return Err(error),
        };
        // A call forwards at most 63/64 of its gas, so the first guess leaves that and the call stipend on top.
        let mut low = used.saturating_sub(1);
        let mut guess = (used + refunded + 2300).saturating_mul(64) / 63;
        while low + 1 < high && (high - low) * 1000 > high * ESTIMATE_ERROR_PERMILLE {
            let middle = if guess > low && guess < high { guess } else { low + (high - low) / 2 };
            guess = 0;
            // Most estimates are near the low end: halving from there takes fewer runs.
            let middle = middle.min(low.saturating_mul(2).max(low + 1));
            if self.succeeds(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }

    fn is_plain_transfer(&self) -> Result<bool, CallError> {
        let Call { to: Some(to), input, access_list, authorization_list, .. } = self.call else { return Ok(false) };
        let code_hash = self.reader.account(to)?.unwrap_or_default().code_hash;
        Ok(input.is_empty() && access_list.is_empty() && authorization_list.is_empty() && code_hash == KECCAK256_EMPTY)
    }

    fn succeeds(&self, gas_limit: u64) -> Result<bool, CallError> {
        match self.run(gas_limit) {
            Ok(result) => Ok(result.is_success()),
            // Too little for the intrinsic cost.
            Err(CallError::Invalid(_) | CallError::IntrinsicGas { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn error(&self, error: EvmError) -> CallError {
        match error {
            EVMError::Database(EvmDatabaseError::Database(StateError(error))) => CallError::State(error),
            EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
                CallError::Invalid(format!(
                    "insufficient funds for gas * price + value: address {} have {balance} want {fee}",
                    self.call.from
                ))
            }
            EVMError::Transaction(InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit }) => {
                CallError::IntrinsicGas { have: gas_limit, want: initial_gas }
            }
            EVMError::Transaction(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }) => {
                CallError::IntrinsicGas { have: gas_limit, want: gas_floor }
            }
            EVMError::Transaction(InvalidTransaction::GasPriceLessThanBasefee) => CallError::Invalid(format!(
                "max fee per gas less than block base fee: address {}, maxFeePerGas: {}, baseFee: {}",
                self.call.from,
                self.call.gas_price,
                self.site.header.base_fee_per_gas.unwrap_or(0)
            )),
            EVMError::Transaction(InvalidTransaction::PriorityFeeGreaterThanMaxFee) => {
                CallError::Invalid("max priority fee per gas higher than max fee per gas".to_owned())
            }
            error => CallError::Invalid(error.to_string()),
        }
    }
}

fn into_call_result(result: ExecutionResult) -> CallResult {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { output, logs, .. } => {
            CallResult::Success { gas_used, output: output.into_data(), logs }
        }
        ExecutionResult::Revert { output, .. } => CallResult::Revert { gas_used, output },
        ExecutionResult::Halt { reason, .. } => CallResult::Halt { gas_used, reason: halt_reason(&reason) },
    }
}

/// Geth's words for an exception.
fn halt_reason(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "gas uint64 overflow".to_owned(),
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        HaltReason::InvalidJump => "invalid jump destination".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode | HaltReason::NotActivated => {
            "invalid opcode".to_owned()
        }
        HaltReason::StackUnderflow => "stack underflow".to_owned(),
        HaltReason::StackOverflow => "stack limit reached 1024 (1024)".to_owned(),
        HaltReason::OutOfOffset => "return data out of bounds".to_owned(),
        HaltReason::CreateCollision => "contract address collision".to_owned(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".to_owned(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection".to_owned()
        }
        HaltReason::CallTooDeep => "max call depth exceeded".to_owned(),
        HaltReason::OutOfFunds => "insufficient balance for transfer".to_owned(),
        other => other.to_string(),
    }
}

/// A state with some accounts pretended.
struct OverrideReader<'a> {
    inner: &'a dyn StateReader,
    overrides: &'a StateOverrides,
    codes: Vec<(B256, Bytes)>,
}

impl<'a> OverrideReader<'a> {
    fn new(CallSite { state: inner, overrides, .. }: CallSite<'a>) -> Result<Self, CallError> {
        for (address, account) in overrides {
            if account.state.is_some() && account.state_diff.is_some() {
                return Err(CallError::BothStateAndDiff(*address));
            }
            // The EVM asks for a precompile before it looks at code.
            if account.code.is_some() && precompiles::all().contains(address) {
                return Err(CallError::PrecompileCode(*address));
            }
        }
        let codes = overrides.values().filter_map(|account| account.code.clone()).map(|code| (keccak256(&code), code));
        Ok(Self { inner, overrides, codes: codes.collect() })
    }
}

impl StateReader for OverrideReader<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        let account = self.inner.account(address)?;
        let Some(AccountOverride { balance, nonce, code, .. }) = self.overrides.get(address) else {
            return Ok(account);
        };
        let account = account.unwrap_or_default();
        Ok(Some(Account {
            nonce: nonce.unwrap_or(account.nonce),
            balance: balance.unwrap_or(account.balance),
            code_hash: match code {
                Some(code) if code.is_empty() => KECCAK256_EMPTY,
                Some(code) => keccak256(code),
                None => account.code_hash,
            },
        }))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        let Some(account) = self.overrides.get(address) else { return self.inner.storage(address, slot) };
        let key = B256::from(*slot);
        if let Some(state) = &account.state {
            return Ok(state.get(&key).copied().unwrap_or_default().into());
        }
        match account.state_diff.as_ref().and_then(|diff| diff.get(&key)) {
            Some(value) => Ok((*value).into()),
            None => self.inner.storage(address, slot),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        match self.codes.iter().find(|(own, _)| own == hash) {
            Some((_, code)) => Ok(Some(code.clone())),
            None => self.inner.code(hash),
        }
    }
}
