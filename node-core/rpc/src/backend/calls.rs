//! Calls that leave no trace.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_eips::{BlockId, eip2930::AccessList};
use alloy_primitives::{B256, Bytes};
use dolmen_execution::{BlockHashes, Call, CallError, CallResult, CallSite, Executor, StateOverrides};
use dolmen_store::{Store, StoreError};

use crate::{Backend, RpcError};

/// A call, where to run it and what to pretend.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// The call.
    pub call: Call,
    /// On the state after which block, and in a block like it.
    pub block: BlockId,
    /// Accounts pretended.
    pub state: StateOverrides,
    /// The block pretended: changes the header that the call sees.
    pub header: HeaderOverrides,
    /// Hashes that `BLOCKHASH` gives instead of the chain's.
    pub hashes: BTreeMap<u64, B256>,
}

/// Fields of the header that a call sees instead of the block's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderOverrides {
    /// `NUMBER`.
    pub number: Option<u64>,
    /// `TIMESTAMP`, seconds.
    pub timestamp: Option<u64>,
    /// `GASLIMIT`.
    pub gas_limit: Option<u64>,
    /// `COINBASE`.
    pub beneficiary: Option<alloy_primitives::Address>,
    /// `PREVRANDAO`.
    pub prev_randao: Option<B256>,
    /// `BASEFEE`, wei per gas.
    pub base_fee: Option<u64>,
}

impl HeaderOverrides {
    fn apply(&self, header: &mut Header) {
        header.number = self.number.unwrap_or(header.number);
        header.timestamp = self.timestamp.unwrap_or(header.timestamp);
        header.gas_limit = self.gas_limit.unwrap_or(header.gas_limit);
        header.beneficiary = self.beneficiary.unwrap_or(header.beneficiary);
        header.mix_hash = self.prev_randao.unwrap_or(header.mix_hash);
        header.base_fee_per_gas = self.base_fee.or(header.base_fee_per_gas);
    }
}

/// The chain's block hashes, some of them pretended.
struct Hashes<'a> {
    store: &'a Store,
    overrides: &'a BTreeMap<u64, B256>,
}

impl BlockHashes for Hashes<'_> {
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        match self.overrides.get(&number) {
            Some(hash) => Ok(Some(*hash)),
            None => self.store.block_hash(number),
        }
    }
}

impl Backend {
    /// The output of a call. Reverts and exceptions are errors.
    pub fn call(&self, request: &CallRequest) -> Result<Bytes, RpcError> {
        match self.at_block(request, Executor::call)? {
            CallResult::Success { output, .. } => Ok(output),
            CallResult::Revert { output, .. } => Err(RpcError::Reverted(output)),
            CallResult::Halt { reason, .. } => Err(RpcError::Call(reason)),
        }
    }

    /// A gas limit with which a call succeeds, at most 1.5 % above the least; exact for a plain transfer, as Geth's.
    pub fn estimate_gas(&self, request: &CallRequest) -> Result<u64, RpcError> {
        self.at_block(request, Executor::estimate_gas)
    }

    /// The EIP-2930 list that a call would use, its gas with that list, and why it fails where it does.
    pub fn access_list(&self, request: &CallRequest) -> Result<(AccessList, u64, Option<String>), RpcError> {
        self.at_block(request, Executor::access_list)
    }

    fn at_block<T>(
        &self,
        request: &CallRequest,
        run: impl FnOnce(&Executor, CallSite<'_>, &Call) -> Result<T, CallError>,
    ) -> Result<T, RpcError> {
        let (mut header, state) = self.state(request.block)?;
        request.header.apply(&mut header);
        let site = CallSite {
            state: &*state,
            hashes: &self.hashes(request),
            header: &header,
            gas_cap: self.limits().call_gas_max,
            overrides: &request.state,
        };
        Ok(run(&self.parts.executor, site, &request.call)?)
    }

    fn hashes<'a>(&'a self, request: &'a CallRequest) -> Hashes<'a> {
        Hashes { store: self.store(), overrides: &request.hashes }
    }
}
