//! `eth_call` and its kin: from JSON to a [`CallRequest`].

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{
    AccessListResult, BlockOverrides, TransactionRequest,
    state::{AccountOverride as AccountOverrideJson, StateOverride},
};
use dolmen_execution::{AccountOverride, Call};

use crate::{
    Backend, RpcError,
    backend::{CallRequest, HeaderOverrides},
    methods::Methods,
    params::Args,
};

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_call", 4, async |backend: Arc<Backend>, args| {
        let request = call_request(&args, backend.chain_id())?;
        backend.compute(move |backend| backend.call(&request)).await
    });
    methods.add("eth_estimateGas", 4, async |backend: Arc<Backend>, args| {
        let request = call_request(&args, backend.chain_id())?;
        backend.compute(move |backend| Ok(U64::from(backend.estimate_gas(&request)?))).await
    });
    methods.add("eth_createAccessList", 3, async |backend: Arc<Backend>, args| {
        let request = call_request(&args, backend.chain_id())?;
        let query = move |backend: &Backend| {
            let (access_list, gas_used, error) = backend.access_list(&request)?;
            Ok(AccessListResult { access_list, gas_used: U256::from(gas_used), error })
        };
        backend.compute(query).await
    });
}

/// Reads the arguments `(call, block, state overrides, block overrides)`.
fn call_request(args: &Args, chain_id: u64) -> Result<CallRequest, RpcError> {
    let state: StateOverride = args.optional(2)?.unwrap_or_default();
    let block: BlockOverrides = args.optional(3)?.unwrap_or_default();
    let mut accounts = dolmen_execution::StateOverrides::default();
    for (address, account) in state {
        accounts.insert(address, account_override(account)?);
    }
    Ok(CallRequest {
        call: call(args.required(0)?, chain_id)?,
        block: args.optional::<BlockId>(1)?.unwrap_or_default(),
        state: accounts,
        header: header_overrides(&block)?,
        hashes: block.block_hash.unwrap_or_default(),
    })
}

/// Reads a call by Geth's rules.
fn call(request: TransactionRequest, chain_id: u64) -> Result<Call, RpcError> {
    let refuse = |reason: &str| Err(RpcError::Call(reason.to_owned()));
    if let Some(have) = request.chain_id
        && have != chain_id
    {
        return refuse(&format!("chainId does not match node's (have={have}, want={chain_id})"));
    }
    if request.max_fee_per_blob_gas.is_some() || request.blob_versioned_hashes.is_some() || request.sidecar.is_some() {
        return refuse("blob transactions are not supported on this chain");
    }
    let dynamic_fee = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic_fee {
        return refuse("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified");
    }
    let Ok(input) = request.input.try_into_unique_input() else {
        let reason =
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data";
        return refuse(reason);
    };
    let fee_cap = request.max_fee_per_gas.unwrap_or(0);
    let priority_fee = request.max_priority_fee_per_gas.unwrap_or(0);
    Ok(Call {
        from: request.from.unwrap_or_default(),
        to: request.to.and_then(|to| to.to().copied()),
        gas: request.gas,
        gas_price: request.gas_price.unwrap_or(fee_cap),
        // Fees of zero are no fees, whatever the type.
        priority_fee: (fee_cap > 0 || priority_fee > 0).then_some(priority_fee),
        value: request.value.unwrap_or_default(),
        input: input.unwrap_or_default(),
        access_list: request.access_list.unwrap_or_default(),
        authorization_list: request.authorization_list.unwrap_or_default(),
    })
}

fn account_override(account: AccountOverrideJson) -> Result<AccountOverride, RpcError> {
    let AccountOverrideJson { balance, nonce, code, state, state_diff, move_precompile_to } = account;
    if move_precompile_to.is_some() {
        return Err(RpcError::InvalidParams("state override `movePrecompileToAddress` is not supported".to_owned()));
    }
    Ok(AccountOverride {
        balance,
        nonce,
        code,
        state: state.map(|slots| slots.into_iter().collect()),
        state_diff: state_diff.map(|slots| slots.into_iter().collect()),
    })
}

fn header_overrides(block: &BlockOverrides) -> Result<HeaderOverrides, RpcError> {
    // `difficulty` has had no meaning since the merge: what reads it gets `PREVRANDAO`. Tools set it to zero.
    let unsupported = [(block.blob_base_fee.is_some(), "blobBaseFee"), (block.beacon_root.is_some(), "beaconRoot")];
    if let Some((_, name)) = unsupported.iter().find(|(given, _)| *given) {
        return Err(RpcError::InvalidParams(format!("block override `{name}` is not supported")));
    }
    let u64_of = |value: Option<U256>, name: &str| {
        let too_large = |_| RpcError::InvalidParams(format!("block override `{name}` is above 2^64 - 1"));
        value.map(|value| u64::try_from(value).map_err(too_large)).transpose()
    };
    Ok(HeaderOverrides {
        number: u64_of(block.number, "number")?,
        timestamp: block.time,
        gas_limit: block.gas_limit,
        beneficiary: block.coinbase,
        prev_randao: block.random,
        base_fee: u64_of(block.base_fee, "baseFeePerGas")?,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, Bytes};
    use jsonrpsee::types::Params;
    use serde_json::{Value, json};

    use super::*;

    fn read(params: Value) -> Result<CallRequest, RpcError> {
        call_request(&Args::parse(&Params::new(Some(&params.to_string())), 4)?, 1337)
    }

    fn reason(params: Value) -> (i32, String) {
        let error = read(params).expect_err("refused");
        (error.code(), error.to_string())
    }

    #[test]
    fn calls_as_libraries_send_them() {
        let to = Address::repeat_byte(2);
        let ethers = read(json!([{"to": to, "data": "0x0102"}, "latest"])).unwrap();
        assert_eq!((ethers.call.to, ethers.call.input, ethers.call.gas_price), (Some(to), Bytes::from(vec![1, 2]), 0));
        assert_eq!((ethers.call.gas, ethers.call.priority_fee, ethers.block), (None, None, BlockId::latest()));
        let both = read(json!([{"to": to, "data": "0x01", "input": "0x01", "value": "0x5", "from": to, "gas": "0x6"}]))
            .unwrap();
        assert_eq!((both.call.value, both.call.from, both.call.gas), (U256::from(5), to, Some(6)));
        let create = read(json!([{"input": "0x6000", "to": null, "chainId": "0x539"}, "0x1"])).unwrap();
        assert_eq!((create.call.to, create.block), (None, BlockId::number(1)));
        let fees = read(json!([{"maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x0"}])).unwrap();
        assert_eq!((fees.call.gas_price, fees.call.priority_fee), (9, Some(0)));
        let no_fees = read(json!([{"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0"}])).unwrap();
        assert_eq!((no_fees.call.gas_price, no_fees.call.priority_fee), (0, None));
        let list = json!([{"address": to, "storageKeys": [B256::ZERO]}]);
        assert_eq!(read(json!([{"accessList": list}])).unwrap().call.access_list.len(), 1);
    }

    #[test]
    fn calls_that_contradict_themselves() {
        assert_eq!(reason(json!([])), (-32602, "missing value for required argument 0".to_owned()));
        assert_eq!(
            reason(json!([{"gasPrice": "0x1", "maxFeePerGas": "0x1"}])),
            (-32000, "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned())
        );
        assert!(
            reason(json!([{"data": "0x01", "input": "0x02"}])).1.starts_with("both \"data\" and \"input\" are set")
        );
        assert_eq!(
            reason(json!([{"chainId": "0x1"}])),
            (-32000, "chainId does not match node's (have=1, want=1337)".to_owned())
        );
        assert!(reason(json!([{"blobVersionedHashes": [B256::ZERO]}])).1.contains("blob"));
        assert_eq!(reason(json!([{"to": "0x12"}])).0, -32602);
    }

    #[test]
    fn overrides() {
        let address = Address::repeat_byte(1);
        let slots = json!({B256::ZERO.to_string(): B256::with_last_byte(1)});
        let state = json!({address.to_string(): {"balance": "0x7", "nonce": "0x2", "stateDiff": slots}});
        let block = json!({"number": "0x10", "time": "0x20", "gasLimit": "0x30", "feeRecipient": address,
            "prevRandao": B256::with_last_byte(9), "baseFeePerGas": "0x8", "difficulty": "0x1",
            "blockHash": {"1": B256::with_last_byte(5)}});
        let request = read(json!([{}, "latest", state, block])).unwrap();
        let account = &request.state[&address];
        assert_eq!((account.balance, account.nonce), (Some(U256::from(7)), Some(2)));
        assert_eq!(account.state_diff.as_ref().unwrap()[&B256::ZERO], B256::with_last_byte(1));
        let expected = HeaderOverrides {
            number: Some(16),
            timestamp: Some(32),
            gas_limit: Some(48),
            beneficiary: Some(address),
            prev_randao: Some(B256::with_last_byte(9)),
            base_fee: Some(8),
        };
        assert_eq!(request.header, expected);
        assert_eq!(request.hashes[&1], B256::with_last_byte(5));
        assert_eq!(
            reason(json!([{}, null, null, {"blobBaseFee": "0x1"}])),
            (-32602, "block override `blobBaseFee` is not supported".to_owned())
        );
        let moved = json!({address.to_string(): {"movePrecompileToAddress": address}});
        assert_eq!(reason(json!([{}, null, moved])).0, -32602);
        let unknown = json!({address.to_string(): {"ballance": "0x1"}});
        assert!(reason(json!([{}, null, unknown])).1.starts_with("invalid argument 2: unknown field"));
    }
}
