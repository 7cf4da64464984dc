//! Questions to the governance contract: calls that leave no trace, whose answers the node relies on.

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, Log};
use alloy_sol_types::SolCall;
use dolmen_governance::ADDRESS;
use dolmen_store::StateReader;
use revm::handler::SYSTEM_ADDRESS;

use crate::{BlockHashes, Call, CallError, CallResult, CallSite, Executor, StateOverrides};

/// Gas of a question: more than any answer costs with the most boxes that the contract admits.
const GAS: u64 = 200_000_000;

/// Why the contract gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The call could not be made.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It reverted or failed, which it should for no question.
    #[error("the governance contract fails in {call}: {reason}")]
    Failed {
        /// What was asked.
        call: &'static str,
        /// How it ended.
        reason: String,
    },
    /// An answer of another form than its source says.
    #[error("the governance contract's answer to {call} does not decode")]
    Answer {
        /// What was asked.
        call: &'static str,
        /// What is wrong with it.
        #[source]
        source: alloy_sol_types::Error,
    },
}

/// What the end of an epoch would bring.
#[derive(Clone, Debug)]
pub struct EpochPreview {
    /// The record of the epoch that would begin.
    pub record: Bytes,
    /// What the contract would log.
    pub logs: Vec<Log>,
}

impl Executor {
    /// Asks the contract in a block like `header` on a state; `None` where the chain has no contract.
    pub fn ask<C: SolCall>(
        &self,
        state: &dyn StateReader,
        hashes: &dyn BlockHashes,
        header: &Header,
        call: &C,
    ) -> Result<Option<C::Return>, AskError> {
        let site = CallSite { state, hashes, header, gas_cap: GAS, overrides: &StateOverrides::default() };
        let Some((output, _)) = self.put(site, Address::ZERO, C::SIGNATURE, call.abi_encode().into())? else {
            return Ok(None);
        };
        let decoded = C::abi_decode_returns(&output);
        decoded.map(Some).map_err(|source| AskError::Answer { call: C::SIGNATURE, source })
    }

    /// What the end of the epoch would bring if it came now, on a state and in a block like `header`; `None` where the
    /// chain has no contract. The contract itself says it, since stand-by boxes and silent validators count in it.
    pub fn preview_epoch(
        &self,
        state: &dyn StateReader,
        hashes: &dyn BlockHashes,
        header: &Header,
    ) -> Result<Option<EpochPreview>, AskError> {
        const CALL: &str = "endEpoch()";
        let site = CallSite { state, hashes, header, gas_cap: GAS, overrides: &StateOverrides::default() };
        let Some((output, logs)) = self.put(site, SYSTEM_ADDRESS, CALL, dolmen_governance::end_epoch())? else {
            return Ok(None);
        };
        let failed = || AskError::Failed { call: CALL, reason: "it answers with no record".to_owned() };
        let record = dolmen_governance::record_in(&output).ok_or_else(failed)?;
        Ok(Some(EpochPreview { record, logs }))
    }

    fn put(
        &self,
        site: CallSite<'_>,
        from: Address,
        call: &'static str,
        input: Bytes,
    ) -> Result<Option<(Bytes, Vec<Log>)>, AskError> {
        match self.call(site, &Call { from, to: Some(ADDRESS), input, ..Call::default() })? {
            // An account without code takes any call and answers nothing.
            CallResult::Success { output, .. } if output.is_empty() => Ok(None),
            CallResult::Success { output, logs, .. } => Ok(Some((output, logs))),
            CallResult::Revert { output, .. } => {
                Err(AskError::Failed { call, reason: format!("it reverts with {output}") })
            }
            CallResult::Halt { reason, .. } => Err(AskError::Failed { call, reason }),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use dolmen_governance::{EpochRecord, contract};
    use dolmen_store::{Options, Origin, Store};
    use dolmen_types::{
        Epochs, Genesis, GenesisFile, PublicKey, Validator,
        genesis::{Governance, Organisation},
    };

    use super::*;

    fn genesis() -> Genesis {
        let validator = |name: &str, byte: u8| Validator {
            name: name.to_owned(),
            public_key: PublicKey([byte; 32]),
            fee_recipient: Address::repeat_byte(byte),
            organisation: Some("alpha".to_owned()),
            endpoint: None,
        };
        let alpha = Organisation {
            name: "alpha".to_owned(),
            account: Address::repeat_byte(0xa1),
            root_certificate: Bytes::new(),
        };
        let file = GenesisFile {
            chain_id: 7,
            timestamp_ms: 1_700_000_000_000,
            gas_limit: 30_000_000,
            base_fee_per_gas: 7,
            block_interval_min_ms: 10,
            block_interval_max_ms: 1000,
            block_bytes_max: 1 << 20,
            // Of the keys with one byte 32 times over, this is a point of the curve.
            validators: vec![validator("a", 1)],
            governance: Governance { epoch_blocks: 20, organisations: vec![alpha], ..Governance::default() },
            accounts: [].into(),
        };
        Genesis::try_from(file).unwrap()
    }

    fn with_store<T>(origin: &Origin, test: impl FnOnce(&Store, &Executor) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), origin, Options::history(8.try_into().unwrap())).unwrap();
        test(&store, &Executor::new(7, Epochs::new(20.try_into().unwrap())))
    }

    #[test]
    fn the_contract_answers_and_tells_what_the_epochs_end_would_bring() {
        let genesis = genesis();
        with_store(&crate::origin(&genesis).unwrap(), |store, executor| {
            let head = store.head();
            let header = head.block.header();
            let answer = executor.ask(&head.state, store, header, &contract::organisationsCall {}).unwrap().unwrap();
            assert_eq!((answer.len(), answer[0].id, answer[0].name.as_str()), (1, 1, "alpha"));
            let none = executor.ask(&head.state, store, header, &contract::proposalCall { id: U256::from(9) });
            assert_eq!(none.unwrap().unwrap().status, 0);

            let preview = executor.preview_epoch(&head.state, store, header).unwrap().unwrap();
            let record = EpochRecord::decode(&preview.record).unwrap();
            assert_eq!((record.epoch, record.validators.len()), (1, 1));
            assert_eq!(preview.logs.len(), 1, "the epoch starts: {:?}", preview.logs);
            // Nothing of it stays.
            let epoch = executor.ask(&head.state, store, header, &contract::epochCall {}).unwrap();
            assert_eq!(epoch, Some(0));
        });
    }

    #[test]
    fn a_chain_without_the_contract_answers_nothing() {
        with_store(&Origin::of_accounts(&genesis()), |store, executor| {
            let head = store.head();
            let asked = executor.ask(&head.state, store, head.block.header(), &contract::peersCall {}).unwrap();
            assert!(asked.is_none());
            assert!(executor.preview_epoch(&head.state, store, head.block.header()).unwrap().is_none());
        });
    }

    #[test]
    fn what_the_contract_refuses_is_an_error() {
        with_store(&crate::origin(&genesis()).unwrap(), |store, executor| {
            let head = store.head();
            // Only organisations may.
            let call = contract::voteCall { id: U256::from(1), approve: true };
            let error = executor.ask(&head.state, store, head.block.header(), &call).expect_err("refused");
            assert!(error.to_string().contains("vote(uint256,bool): it reverts with 0x"), "{error}");
        });
    }
}
