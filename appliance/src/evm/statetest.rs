//! Executing one case and judging its outcome.

use std::panic::{AssertUnwindSafe, catch_unwind};

use alloy_primitives::{Address, B256, U256};
use revm::{
    Context, DatabaseCommit as _, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::{CacheState, EmptyDB, State},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};
use revm_statetest_types::Env;

use super::{
    fixture::{BlobSchedule, Case, spec_of},
    report::CaseResult,
    root,
    transaction::{self, TxError},
};

/// Base fee of a London block where the fixture states none: what the filling tools assume.
const DEFAULT_BASE_FEE: U256 = U256::from_limbs([10, 0, 0, 0]);

/// Blobs that one Cancun block, and so one transaction, can carry (EIP-4844).
const CANCUN_BLOBS_MAX: u64 = 6;
/// Blobs that one Prague block, and so one transaction, can carry (EIP-7691).
const PRAGUE_BLOBS_MAX: u64 = 9;
/// Blobs that one transaction can carry since Osaka, whatever the block can (EIP-7594).
const OSAKA_BLOBS_MAX: u64 = 6;

/// Why a case failed. The first five have Geth's words.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("post state root mismatch: got {got:x}, want {want:x}{hint}")]
    Root { got: B256, want: B256, hint: String },
    /// After a transaction that was rejected as the fixture expects.
    #[error(
        "post-state root does not match the pre-state root, indicates an error in the test: got {got:x}, want {want:x}"
    )]
    RejectedRoot { got: B256, want: B256 },
    #[error("post state logs hash mismatch: got {got:x}, want {want:x}")]
    Logs { got: B256, want: B256 },
    #[error("unexpected error: {0}")]
    Rejected(String),
    #[error("expected error {0:?}, got no error")]
    Accepted(String),
    #[error("unsupported fork {0:?}: revm has no rules for it, leave it out with --fork")]
    Fork(String),
    #[error(transparent)]
    Fixture(TxError),
    #[error("inconsistent fixture: {0} is out of range")]
    Environment(&'static str),
    #[error("unsupported environment: a blob base fee of e^({excess} / {fraction}) is beyond revm's 128 bits")]
    BlobFee { excess: u64, fraction: u64 },
    #[error("the EVM panicked, see standard error")]
    Panic,
}

/// What the transaction left behind.
struct Outcome {
    state_root: B256,
    /// Hash of the logs, or why the transaction was rejected.
    logs_hash: Result<B256, String>,
}

/// Runs one case.
pub(super) fn run(case: &Case<'_>) -> CaseResult {
    // A fixture is untrusted: one that makes the EVM panic fails, and the others still run.
    let executed = catch_unwind(AssertUnwindSafe(|| execute(case))).unwrap_or(Err(Failure::Panic));
    match executed {
        Ok(outcome) => {
            let failure = judge(case, &outcome).err().map(|failure| failure.to_string());
            CaseResult::new(case, Some(outcome.state_root), failure)
        }
        Err(failure) => CaseResult::new(case, None, Some(failure.to_string())),
    }
}

/// Compares an outcome with the fixture's. A rejected transaction must leave the expected state too.
fn judge(case: &Case<'_>, outcome: &Outcome) -> Result<(), Failure> {
    let test = case.test;
    let expected_error = test.expect_exception.as_deref().filter(|exception| !exception.is_empty());
    match (&outcome.logs_hash, expected_error) {
        (Err(reason), None) => return Err(Failure::Rejected(reason.clone())),
        (Ok(_), Some(exception)) => return Err(Failure::Accepted(exception.to_owned())),
        _ => {}
    }
    if outcome.state_root != test.hash {
        let (got, want) = (outcome.state_root, test.hash);
        return Err(match outcome.logs_hash {
            Ok(_) => Failure::Root { got, want, hint: collision_hint(case) },
            Err(_) => Failure::RejectedRoot { got, want },
        });
    }
    match outcome.logs_hash {
        Ok(got) if got != test.logs => Err(Failure::Logs { got, want: test.logs }),
        _ => Ok(()),
    }
}

fn execute(case: &Case<'_>) -> Result<Outcome, Failure> {
    let spec = spec_of(case.fork).ok_or_else(|| Failure::Fork(case.fork.to_owned()))?;
    let cfg = cfg(case, spec)?;
    let block = block(&case.unit.parts.env, spec, &cfg)?;
    let beneficiary = block.beneficiary;
    let mut state = State::builder().with_cached_prestate(case.unit.parts.state()).build();

    let logs_hash = match transaction::build(case, spec) {
        Ok(tx) => transact(&mut state, cfg, block, tx),
        Err(TxError::Invalid(reason)) => Err(reason),
        Err(error) => return Err(Failure::Fixture(error)),
    };
    touch(&mut state.cache, beneficiary, spec);
    Ok(Outcome { state_root: root::state_root(state.cache.trie_account()), logs_hash })
}

/// Executes and commits. A transaction that is rejected leaves the state as it was; the error says why.
fn transact(state: &mut State<EmptyDB>, cfg: CfgEnv, block: BlockEnv, tx: TxEnv) -> Result<B256, String> {
    let context = Context::mainnet().with_db(&mut *state).with_block(block).with_cfg(cfg);
    let done = context.build_mainnet().transact(tx).map_err(|error| error.to_string())?;
    let logs_hash = root::logs_hash(done.result.logs());
    state.commit(done.state);
    Ok(logs_hash)
}

/// Gives the beneficiary the block reward of zero that a state test has by definition.
///
/// This shows only where the fee did not already do it: after a rejected transaction, and where the beneficiary
/// destroyed itself. Before EIP-161 it creates an empty account; since then it deletes one.
fn touch(cache: &mut CacheState, beneficiary: Address, spec: SpecId) {
    let clears_empty = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    let present = cache.accounts.get(&beneficiary).and_then(|known| known.account.as_ref());
    match present.map(|account| account.info.is_empty()) {
        None if !clears_empty => cache.insert_account(beneficiary, AccountInfo::default()),
        Some(true) if clears_empty => cache.insert_not_existing(beneficiary),
        _ => {}
    }
}

/// Rules of the fork and the chain.
fn cfg(case: &Case<'_>, spec: SpecId) -> Result<CfgEnv, Failure> {
    let mut cfg = CfgEnv::new_with_spec(spec);
    cfg.chain_id = case.unit.chain_id.try_into().map_err(|_| Failure::Environment("the chain id"))?;
    let mut blobs_max = if spec.is_enabled_in(SpecId::PRAGUE) { PRAGUE_BLOBS_MAX } else { CANCUN_BLOBS_MAX };
    if let Some(BlobSchedule { max, base_fee_update_fraction }) = case.blob_schedule {
        blobs_max = max.try_into().map_err(|_| Failure::Environment("blobSchedule.max"))?;
        let fraction = u64::try_from(base_fee_update_fraction).ok().filter(|fraction| *fraction > 0);
        let fraction = fraction.ok_or(Failure::Environment("blobSchedule.baseFeeUpdateFraction"))?;
        cfg.blob_base_fee_update_fraction = Some(fraction);
    }
    if spec.is_enabled_in(SpecId::OSAKA) {
        blobs_max = blobs_max.min(OSAKA_BLOBS_MAX);
    }
    cfg.set_max_blobs_per_tx(blobs_max);
    Ok(cfg)
}

/// The block around the transaction. Fields that the fork does not know are left at their neutral value.
fn block(env: &Env, spec: SpecId, cfg: &CfgEnv) -> Result<BlockEnv, Failure> {
    let number = |value: U256, field| u64::try_from(value).map_err(|_| Failure::Environment(field));
    let base_fee = match env.current_base_fee {
        _ if !spec.is_enabled_in(SpecId::LONDON) => U256::ZERO,
        stated => stated.unwrap_or(DEFAULT_BASE_FEE),
    };
    let mut block = BlockEnv {
        number: env.current_number,
        beneficiary: env.current_coinbase,
        timestamp: env.current_timestamp,
        // The cap is above every gas limit that a transaction can have, so it rejects the same ones.
        gas_limit: env.current_gas_limit.saturating_to(),
        basefee: number(base_fee, "currentBaseFee")?,
        difficulty: env.current_difficulty,
        prevrandao: spec.is_enabled_in(SpecId::MERGE).then(|| env.current_random.unwrap_or_default()),
        slot_num: number(env.slot_number.unwrap_or_default(), "slotNumber")?,
        ..BlockEnv::default()
    };
    if spec.is_enabled_in(SpecId::CANCUN) {
        let excess = number(env.current_excess_blob_gas.unwrap_or_default(), "currentExcessBlobGas")?;
        let fraction = cfg.blob_base_fee_update_fraction();
        if !fits_128_bits(excess, fraction) {
            return Err(Failure::BlobFee { excess, fraction });
        }
        block.set_blob_excess_gas_and_price(excess, fraction);
    }
    Ok(block)
}

/// Whether every intermediate of EIP-4844's `fake_exponential(1, excess, fraction)` fits 128 bits.
///
/// revm computes it with 128-bit numbers: beyond them it panics, or wraps and need not end. A term is at most
/// `fraction * e^(excess / fraction)` and is multiplied by `excess`; e^x has fewer than 1.5 x + 1 bits.
fn fits_128_bits(excess: u64, fraction: u64) -> bool {
    let bits = |number: u64| u128::from(u64::BITS - number.leading_zeros());
    let exponent_max = u128::from(excess / fraction) + 1;
    exponent_max * 3 / 2 + bits(fraction) + bits(excess) < 128
}

/// Names the one rule that revm is known not to check, where the pre-state makes it matter.
///
/// EIP-7610 forbids creating a contract at an address that has storage but neither code nor nonce. No such account can
/// come about on a chain that started after EIP-161, so revm leaves the check out.
fn collision_hint(case: &Case<'_>) -> String {
    let has_storage_only = |account: &revm_statetest_types::AccountInfo| {
        account.nonce == 0 && account.code.is_empty() && account.storage.values().any(|value| !value.is_zero())
    };
    let of_storage_only = case.unit.parts.pre.iter().filter(|(_, account)| has_storage_only(account));
    match of_storage_only.map(|(address, _)| address).min() {
        Some(address) => format!(" (account {address} has only storage: revm does not check EIP-7610)"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::fixture::{Fixture, Selection};

    /// The third London case of the fixture expects a rejection.
    #[test]
    fn another_root_after_an_expected_rejection_has_words_of_its_own() {
        let content = include_bytes!("../../../tests/fixtures/statetests/fail/failing.json");
        let fixture = Fixture::parse(content).unwrap();
        let selection = Selection::new(vec!["London".to_owned()], None);
        let case = fixture.cases(&selection).nth(2).unwrap();
        let rejected = |state_root| judge(&case, &Outcome { state_root, logs_hash: Err("nonce too low".to_owned()) });
        assert!(rejected(case.test.hash).is_ok());
        let message = rejected(B256::with_last_byte(1)).unwrap_err().to_string();
        let expected = "post-state root does not match the pre-state root, indicates an error in the test: got 0";
        assert!(message.starts_with(expected), "{message}");
        assert!(message.ends_with(&format!("01, want {:x}", case.test.hash)), "{message}");
    }

    #[test]
    fn the_blob_fee_is_computed_up_to_128_bits() {
        // 2^64 wei, far above any supply of ether, at the fractions of Cancun and Prague.
        assert!(fits_128_bits(148_000_000, 3_338_477));
        assert!(fits_128_bits(222_000_000, 5_007_716));
        assert!(fits_128_bits(0, 1));
        assert!(!fits_128_bits(90 * 5_007_716, 5_007_716));
        assert!(!fits_128_bits(1 << 25, 1));
        assert!(!fits_128_bits(u64::MAX, 5_007_716));
        assert!(!fits_128_bits(u64::MAX, 1));
    }
}
