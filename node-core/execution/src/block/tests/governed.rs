//! Blocks of a chain with the governance contract.

use alloy_sol_types::SolCall as _;
use dolmen_governance::{ADDRESS, Admission, Change, EpochRecord, Modes, Parameters, contract};

use super::*;

fn governed() -> Chain {
    let genesis = Chain::genesis([]);
    Chain::of(&genesis, genesis.epochs(), |genesis| crate::origin(genesis).unwrap())
}

impl Chain {
    /// Commits a block of these transactions, and says how many of them are in it.
    fn next(&self, transactions: Vec<VerifiedTransaction>) -> (usize, Executed) {
        let Built { executed, transactions } = self.build(transactions, 1 << 20);
        let checked = self.execute((*executed.block).clone(), &transactions).unwrap();
        assert_eq!((checked.record.clone(), checked.state.root()), (executed.record.clone(), executed.state.root()));
        self.store.commit(&checked, None).unwrap();
        (transactions.len(), checked)
    }
}

/// A proposal of the only organisation, which takes effect at once.
fn propose(nonce: u64, change: &Change) -> VerifiedTransaction {
    signed(1, nonce, TxKind::Call(ADDRESS), 0, change.propose(), 900_000)
}

#[test]
fn an_epochs_last_block_carries_the_next_ones_record() {
    let chain = governed();
    let zero = EpochRecord::decode(&chain.store.epoch_record(0).unwrap().unwrap()).unwrap();
    assert_eq!((zero.epoch, zero.validators.len(), zero.validators[0].name.as_str()), (0, 1, "a"));
    let parameters = Parameters {
        gas_limit: 2_000_000,
        base_fee_per_gas: 9,
        block_interval_min_ms: 2,
        block_interval_max_ms: 20,
        silent_after_s: 0,
    };
    let (taken, executed) = chain.next(vec![propose(0, &Change::SetParameters(parameters))]);
    assert_eq!((taken, executed.receipts[0].status()), (1, true), "{:?}", executed.receipts);
    for height in 2..=19 {
        let (_, executed) = chain.next(vec![]);
        assert_eq!(executed.record.is_some(), height == 19, "block {height}");
    }
    let bytes = chain.store.epoch_record(1).unwrap().unwrap();
    let head = chain.store.head();
    assert_eq!(head.block.header().requests_hash, Some(requests_hash(&bytes)));
    let record = EpochRecord::decode(&bytes).unwrap();
    assert_eq!((record.epoch, record.parameters), (1, parameters));
    assert_eq!(record.validators, zero.validators);
    let (_, executed) = chain.next(vec![]);
    assert_eq!(executed.block.header().requests_hash, Some(EMPTY_REQUESTS_HASH));
}

#[test]
fn a_block_that_carries_another_record_is_refused() {
    let chain = governed();
    for _ in 1..19 {
        chain.next(vec![]);
    }
    let last = chain.build(vec![], 1 << 20).executed.block;
    for hash in [EMPTY_REQUESTS_HASH, requests_hash(&[1])] {
        let header = Header { requests_hash: Some(hash), ..last.header().clone() };
        let error = chain.execute(Block::seal(header, vec![]), &[]).err().expect("it is refused");
        assert!(error.is_invalid_block() && error.to_string().contains("requestsHash"), "{error}");
    }
}

#[test]
fn accounts_without_a_permission_are_left_out() {
    let chain = governed();
    let modes = Modes { restrict_deploy: true, restrict_send: true };
    let create = |of, nonce| transfer(of, nonce, TxKind::Create, 0, bytes!("60015f5360015ff3"));
    let pay = |of, nonce| transfer(of, nonce, TxKind::Call(address(&key(9))), 1, Bytes::new());
    let (_, executed) = chain.next(vec![
        propose(0, &Change::SetPermissionModes(modes)),
        // The rules of a block are those before it.
        pay(2, 0),
    ]);
    assert_eq!(executed.receipts.iter().map(|receipt| receipt.status()).collect::<Vec<_>>(), [true, true]);
    assert_eq!(chain.next(vec![pay(2, 1), create(1, 1)]).0, 1, "an organisation's account may do everything");
    let block = {
        let unchecked = chain.build(vec![pay(1, 2)], 1 << 20).executed.block;
        Block::seal(unchecked.header().clone(), vec![pay(2, 1).transaction().clone()])
    };
    let refused = chain.execute(block, &[pay(2, 1)]).err().expect("it is refused");
    assert!(matches!(refused, ExecutionError::NotPermitted { index: 0, lacking: Permission::Send }), "{refused}");
    assert!(refused.is_invalid_block());
    let allow = |nonce, bits| propose(nonce, &Change::SetPermission { account: address(&key(2)), bits });
    assert_eq!(chain.next(vec![allow(2, 2)]).0, 1);
    assert_eq!(chain.next(vec![pay(2, 1)]).0, 1);
    assert_eq!(chain.next(vec![create(2, 2)]).0, 0, "it may send, not deploy");
    assert_eq!(chain.next(vec![allow(3, 3)]).0, 1);
    assert_eq!(chain.next(vec![create(2, 2)]).0, 1);
}

/// The contract checks possession by the precompile, which calls of users can reach too.
#[test]
fn a_box_is_admitted_that_shows_possession() {
    let chain = governed();
    let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = dolmen_types::PublicKey(secret.verifying_key().to_bytes());
    let possession = |chain_id| {
        let message = dolmen_governance::possession_message(chain_id, 1, &public);
        ed25519_dalek::Signer::sign(&secret, &message).to_bytes().to_vec()
    };
    let admission = |possession: Vec<u8>| Admission {
        key: public,
        organisation: 1,
        name: "b".into(),
        fee_recipient: Address::repeat_byte(0xfd),
        endpoint: "10.0.0.2:30303".into(),
        evidence: B256::ZERO,
        possession: possession.into(),
    };
    let admit = |nonce, chain_id| {
        propose(nonce, &Change::AdmitFollower { admission: admission(possession(chain_id)), standby: true })
    };
    let (_, forged) = chain.next(vec![admit(0, CHAIN_ID + 1)]);
    assert!(!forged.receipts[0].status(), "signed for another chain");
    let (_, admitted) = chain.next(vec![admit(1, CHAIN_ID)]);
    assert!(admitted.receipts[0].status());
    let peers = contract::peersCall {}.abi_encode();
    let call = Call { to: Some(ADDRESS), input: peers.into(), ..Call::default() };
    let Ok(CallResult::Success { output, .. }) = chain.simulate(&call, &StateOverrides::default()) else {
        panic!("the contract answers")
    };
    let peers = contract::peersCall::abi_decode_returns(&output).unwrap();
    assert_eq!(peers.iter().map(|peer| peer.endpoint.as_str()).collect::<Vec<_>>(), ["", "10.0.0.2:30303"]);
}

/// The largest genesis that is taken: more gas than a system call has.
#[test]
fn the_most_validators_and_organisations_begin_a_chain() {
    let mut file = Chain::genesis([]).file().clone();
    let name = |index: usize| format!("organisation-{index}");
    file.governance.organisations = (0..64)
        .map(|index| Organisation {
            name: name(index),
            account: Address::left_padding_from(&(index + 1).to_be_bytes()),
            root_certificate: vec![0x30; 4096].into(),
        })
        .collect();
    file.validators = (0..128_u8)
        .map(|index| Validator {
            name: format!("box-{index}"),
            public_key: dolmen_types::PublicKey(
                ed25519_dalek::SigningKey::from_bytes(&[index; 32]).verifying_key().to_bytes(),
            ),
            fee_recipient: Address::with_last_byte(index + 1),
            organisation: Some(name(usize::from(index) / 2)),
            endpoint: None,
        })
        .collect();
    let genesis = Genesis::try_from(file).unwrap();
    let chain = Chain::of(&genesis, genesis.epochs(), |genesis| crate::origin(genesis).unwrap());
    for _ in 1..20 {
        chain.next(vec![]);
    }
    let record = EpochRecord::decode(&chain.store.epoch_record(1).unwrap().unwrap()).unwrap();
    assert_eq!(record.validators.len(), 128);
}
