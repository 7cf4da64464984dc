//! The contract that governs a chain, as a node sees it: where it is, how it is called, and what it answers.
//!
//! The contract is `contract/Governance.sol`, with everything that it decides; its runtime code in `contract/` is part of
//! every chain's genesis. A node calls it three times: once for block zero, before the transactions of each block, and
//! after those of an epoch's last block. The last call answers with the [`EpochRecord`] of the next epoch, and the block's
//! `requestsHash` commits to it ([`requests_hash`]). So who knows the genesis file can follow who votes, and with that
//! which blocks are final, without executing anything: [`LightClient`].

mod abi;
mod change;
mod light;
mod names;
mod permissions;
mod record;

use std::sync::OnceLock;

use alloy_primitives::{Address, Bytes, address};
use alloy_sol_types::SolCall as _;
use dolmen_types::{GenesisFile, PublicKey};

pub use abi::Governance as contract;
pub use change::{Admission, Change, ChangeError, Kind, Policy};
pub use light::{LightClient, LightError};
pub use names::{Role, Status};
pub use permissions::{MODES_SLOT, Modes, Permission, permission_slot};
pub use record::{EpochRecord, EpochValidator, Parameters, RecordError, requests_hash};

/// Where the contract is, on every chain.
pub const ADDRESS: Address = address!("d01e000000000000000000000000000000000001");
/// The precompiled contract that checks Ed25519 signatures, see `dolmen_execution`.
pub const ED25519_VERIFY: Address = address!("d01e000000000000000000000000000000000011");

/// The contract's runtime code.
pub fn code() -> &'static Bytes {
    static CODE: OnceLock<Bytes> = OnceLock::new();
    CODE.get_or_init(|| {
        let artefact: serde_json::Value =
            serde_json::from_str(include_str!("../contract/Governance.json")).expect("the artefact is JSON");
        let code = artefact["deployedBytecode"].as_str().and_then(|code| code.parse().ok());
        code.expect("the artefact has the code in hexadecimal digits")
    })
}

/// The call for block zero. It answers with the record of epoch zero.
pub fn initialize(genesis: &GenesisFile) -> Bytes {
    let settings = &genesis.governance;
    let organisations: Vec<_> = settings
        .organisations
        .iter()
        .map(|organisation| abi::Governance::InitOrganisation {
            name: organisation.name.clone(),
            account: organisation.account,
            rootCertificate: organisation.root_certificate.clone(),
        })
        .collect();
    let place = |name: &String| settings.organisations.iter().position(|organisation| organisation.name == *name);
    let boxes = genesis.validators.iter().map(|validator| abi::Governance::InitBox {
        key: validator.public_key.0.into(),
        organisation: validator
            .organisation
            .as_ref()
            .and_then(place)
            .and_then(|place| u32::try_from(place + 1).ok())
            .unwrap_or(0),
        name: validator.name.clone(),
        feeRecipient: validator.fee_recipient,
        endpoint: validator.endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default(),
    });
    let call = abi::Governance::initializeCall {
        boxes_: boxes.collect(),
        organisations_: organisations,
        parameters_: abi::Governance::Parameters {
            gasLimit: genesis.gas_limit,
            baseFeePerGas: genesis.base_fee_per_gas,
            blockIntervalMinMs: genesis.block_interval_min_ms,
            blockIntervalMaxMs: genesis.block_interval_max_ms,
            silentAfterSeconds: settings.silent_after_s,
        },
        epochBlocks_: settings.epoch_blocks,
    };
    call.abi_encode().into()
}

/// The call before a block's transactions.
pub fn before_block() -> Bytes {
    abi::Governance::beforeBlockCall {}.abi_encode().into()
}

/// The call after the transactions of an epoch's last block.
pub fn end_epoch() -> Bytes {
    abi::Governance::endEpochCall {}.abi_encode().into()
}

/// The bytes in an answer of [`end_epoch`] or [`initialize`].
pub fn record_in(answer: &[u8]) -> Option<Bytes> {
    abi::Governance::endEpochCall::abi_decode_returns(answer).ok()
}

/// What a box signs with its consensus key to show that it has it, before an organisation, by its number, admits it to a
/// chain. No other organisation can use the signature.
pub fn possession_message(chain_id: u64, organisation: u32, key: &PublicKey) -> Vec<u8> {
    let mut chain = [0; 32];
    chain[24..].copy_from_slice(&chain_id.to_be_bytes());
    // Votes and sessions begin with the lengths of other names.
    let organisation = organisation.to_be_bytes();
    [b"\x11dolmen-possession".as_slice(), &chain, ADDRESS.as_slice(), &key.0, &organisation].concat()
}

#[cfg(test)]
mod tests;
