//! What transactions of each kind leave behind, as the store gets it, and what the forks' rules refuse.

use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
    eip7825::MAX_TX_GAS_LIMIT_OSAKA,
};
use alloy_primitives::KECCAK256_EMPTY;
use dolmen_store::{Account, AccountChange, SlotChange};
use revm::context_interface::either::Either;

use super::*;

const TARGET: Address = Address::repeat_byte(0xaa);

/// A block of these transactions, which every voter gets the same results from.
fn built(chain: &Chain, transactions: Vec<VerifiedTransaction>) -> Built {
    let count = transactions.len();
    let built = chain.build(transactions, 1 << 20);
    assert_eq!(built.transactions.len(), count);
    assert!(built.executed.receipts.iter().all(Receipt::status));
    let executed = chain.execute((*built.executed.block).clone(), &built.transactions).unwrap();
    assert_eq!(executed.diff, built.executed.diff);
    built
}

fn change(built: &Built, address: Address) -> Option<AccountChange> {
    built.executed.diff.accounts.iter().find(|change| change.address == address).cloned()
}

fn contract(code: Bytes) -> GenesisAccount {
    GenesisAccount { nonce: 1, code, ..Default::default() }
}

fn prefunded(balance: u64) -> (GenesisAccount, Account) {
    let balance = U256::from(balance);
    (GenesisAccount { balance, ..Default::default() }, Account { nonce: 0, balance, code_hash: KECCAK256_EMPTY })
}

fn slot(slot: u64, before: u64, after: u64) -> SlotChange {
    SlotChange { slot: U256::from(slot), before: U256::from(before), after: U256::from(after) }
}

#[test]
fn an_account_created_and_destroyed_in_one_transaction_is_removed() {
    let created = address(&key(1)).create(0);
    let (genesis, before) = prefunded(7);
    let chain = Chain::with([(created, genesis)]);
    // sstore(0, 1), selfdestruct(caller)
    let built = built(&chain, vec![transfer(1, 0, TxKind::Create, 0, bytes!("60015f5533ff"))]);
    let expected = AccountChange { address: created, before: Some(before), after: None, slots: vec![] };
    assert_eq!(change(&built, created), Some(expected));
    assert_eq!(built.executed.state.account(&created).unwrap(), None);
    chain.store.commit(&built.executed, None).unwrap();
    assert_eq!(chain.store.head().state.account(&created).unwrap(), None);
}

#[test]
fn a_slot_set_to_zero_is_a_change_and_one_set_to_its_value_is_none() {
    let storage = [(B256::ZERO, B256::with_last_byte(5)), (B256::with_last_byte(1), B256::with_last_byte(9))].into();
    // sstore(0, 0), sstore(1, 9)
    let chain = Chain::with([(TARGET, GenesisAccount { storage, ..contract(bytes!("5f5f556009600155")) })]);
    let built = built(&chain, vec![transfer(1, 0, TxKind::Call(TARGET), 0, Bytes::new())]);
    let change = change(&built, TARGET).unwrap();
    assert_eq!(change.before, change.after);
    assert_eq!(change.slots, [slot(0, 5, 0)]);
    assert_eq!(built.executed.state.storage(&TARGET, &U256::ZERO).unwrap(), U256::ZERO);
}

/// EIP-161.
#[test]
fn touching_an_account_that_is_not_there_leaves_nothing() {
    let chain = Chain::new();
    let built = built(&chain, vec![transfer(1, 0, TxKind::Call(TARGET), 0, Bytes::new())]);
    assert_eq!(change(&built, TARGET), None);
    assert_eq!(built.executed.state.account(&TARGET).unwrap(), None);
}

#[test]
fn an_account_destroyed_and_created_again_in_one_block_has_its_second_life_only() {
    // create2(callvalue, the input as initcode, salt 0)
    let factory = contract(bytes!("365f5f375f365f34f500"));
    // Without value: sstore(5, 1), selfdestruct(caller). With value: sstore(0, 1), and a byte of code.
    let initcode = bytes!("34600b57600160055533ff5b60015f5560015ff3");
    let created = TARGET.create2_from_code(B256::ZERO, &initcode);
    let (genesis, before) = prefunded(7);
    let chain = Chain::with([(TARGET, factory), (created, genesis)]);
    let create = |nonce, value| transfer(1, nonce, TxKind::Call(TARGET), value, initcode.clone());
    let built = built(&chain, vec![create(0, 0), create(1, 3)]);
    let after = Account { nonce: 1, balance: U256::from(3), code_hash: keccak256([0_u8]) };
    let expected =
        AccountChange { address: created, before: Some(before), after: Some(after), slots: vec![slot(0, 0, 1)] };
    assert_eq!(change(&built, created), Some(expected));
    // The factory got the 7 wei of the first life.
    assert_eq!(change(&built, TARGET).unwrap().after.unwrap().balance, U256::from(7));
    assert_eq!(built.executed.diff.codes, [(keccak256([0_u8]), bytes!("00"))]);
}

/// Key 2 delegates.
fn delegation(to: Address, nonce: u64) -> SignedAuthorization {
    let tuple = Authorization { chain_id: U256::from(CHAIN_ID), address: to, nonce };
    let signature = sign_hash(tuple.signature_hash(), 2);
    tuple.into_signed(signature)
}

fn set_code(nonce: u64, authorization_list: Vec<SignedAuthorization>) -> TxEip7702 {
    TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: GAS_PRICE + 1,
        max_priority_fee_per_gas: 1,
        to: TARGET,
        authorization_list,
        ..Default::default()
    }
}

/// EIP-7702.
#[test]
fn a_delegation_is_code_until_it_is_cleared() {
    let chain = Chain::new();
    let authority = address(&key(2));
    let designator: Bytes = [&[0xef, 0x01, 0x00], COUNTER.as_slice()].concat().into();
    let first = built(&chain, vec![sign(set_code(0, vec![delegation(COUNTER, 0)]), 1)]);
    let AccountChange { before, after, .. } = change(&first, authority).unwrap();
    let before = before.unwrap();
    assert_eq!((before.nonce, before.code_hash), (0, KECCAK256_EMPTY));
    assert_eq!(after, Some(Account { nonce: 1, code_hash: keccak256(&designator), ..before }));
    assert_eq!(first.executed.diff.codes, [(keccak256(&designator), designator)]);
    chain.store.commit(&first.executed, None).unwrap();

    let second = built(&chain, vec![sign(set_code(1, vec![delegation(Address::ZERO, 1)]), 1)]);
    let after = Account { nonce: 2, ..before };
    assert_eq!(change(&second, authority).unwrap().after, Some(after));
    assert!(second.executed.diff.codes.is_empty());
}

/// EIP-4788: the time at its place in a ring of 8,191, the root as far behind it.
#[test]
fn the_parent_root_is_in_the_beacon_roots_contract() {
    let chain = Chain::new();
    let Built { executed, .. } = built(&chain, vec![]);
    let header = executed.block.header();
    let at = U256::from(header.timestamp % 8191);
    assert_eq!(executed.state.storage(&BEACON_ROOTS_ADDRESS, &at).unwrap(), U256::from(header.timestamp));
    let root = executed.state.storage(&BEACON_ROOTS_ADDRESS, &(at + U256::from(8191))).unwrap();
    assert_eq!(Some(B256::from(root)), header.parent_beacon_block_root);
}

#[test]
fn the_evm_gets_every_field_of_every_type() {
    let (to, input) = (TxKind::Call(TARGET), bytes!("0102"));
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: 3,
        gas_price: 9,
        gas_limit: 50_000,
        to,
        value: U256::from(4),
        input: input.clone(),
    };
    let env = env::transaction(&sign(legacy, 1));
    assert_eq!((env.tx_type, env.caller, env.nonce), (0, address(&key(1)), 3));
    assert_eq!((env.gas_limit, env.gas_price, env.gas_priority_fee), (50_000, 9, None));
    assert_eq!((env.kind, env.value, env.data, env.chain_id), (to, U256::from(4), input, Some(CHAIN_ID)));
    assert!(env.access_list.is_empty() && env.authorization_list.is_empty());

    let access_list = AccessList(vec![AccessListItem { address: COUNTER, storage_keys: vec![B256::ZERO] }]);
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        gas_price: 9,
        gas_limit: 50_000,
        to,
        access_list: access_list.clone(),
        ..Default::default()
    };
    let env = env::transaction(&sign(listed, 1));
    assert_eq!((env.tx_type, env.gas_price, env.gas_priority_fee, env.access_list), (1, 9, None, access_list));

    let unsigned = SignedAuthorization::new_unchecked(delegation(TARGET, 0).inner().clone(), 0, U256::ZERO, U256::ZERO);
    let env = env::transaction(&sign(set_code(0, vec![delegation(COUNTER, 0), unsigned]), 1));
    assert_eq!((env.tx_type, env.gas_price, env.gas_priority_fee), (4, GAS_PRICE + 1, Some(1)));
    let authorities: Vec<_> = env
        .authorization_list
        .iter()
        .map(|authorization| match authorization {
            Either::Right(recovered) => recovered.authority(),
            Either::Left(_) => panic!("recovered by the pool already"),
        })
        .collect();
    assert_eq!(authorities, [Some(address(&key(2))), None]);
}

#[test]
fn every_type_runs() {
    let chain = Chain::new();
    let (to, gas_price) = (TxKind::Call(COUNTER), GAS_PRICE + 1);
    let legacy =
        TxLegacy { chain_id: Some(CHAIN_ID), gas_price, gas_limit: 100_000, to, input: word(1), ..Default::default() };
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_price,
        gas_limit: 100_000,
        to,
        input: word(2),
        ..Default::default()
    };
    let transactions = vec![
        sign(legacy, 1),
        sign(listed, 1),
        transfer(1, 2, to, 0, word(4)),
        sign(TxEip7702 { to: COUNTER, input: word(8), ..set_code(3, vec![delegation(COUNTER, 0)]) }, 1),
    ];
    let built = built(&chain, transactions);
    assert_eq!(built.executed.state.storage(&COUNTER, &U256::ZERO).unwrap(), U256::from(15));
}

#[test]
fn a_gas_limit_above_the_cap_or_below_the_floor_makes_a_block_invalid() {
    let chain = Chain::new();
    let unsigned = |gas_limit, input: usize| TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit,
        max_fee_per_gas: GAS_PRICE,
        to: TxKind::Call(TARGET),
        input: vec![1; input].into(),
        ..Default::default()
    };
    // The claimed results are wrong, which shows only once every transaction ran.
    let execute = |unsigned: TxEip1559| {
        let header = Header { gas_limit: 30_000_000, ..chain.header() };
        chain.execute(Block::seal(header, vec![]), &[sign(unsigned, 1)]).err().unwrap()
    };
    let cap = MAX_TX_GAS_LIMIT_OSAKA;
    let refused = |error: ExecutionError| match error {
        ExecutionError::Transaction { index: 0, source } => Some(source),
        ExecutionError::Result { .. } => None,
        other => panic!("{other}"),
    };
    // EIP-7825.
    let above = refused(execute(unsigned(cap + 1, 0)));
    assert!(matches!(above, Some(InvalidTransaction::TxGasLimitGreaterThanCap { .. })), "{above:?}");
    assert_eq!(refused(execute(unsigned(cap, 0))), None);
    // EIP-7623: 160 bytes that are not zero cost 23,560 gas in advance, and 27,400 in the end.
    let below = refused(execute(unsigned(27_399, 160)));
    assert!(matches!(below, Some(InvalidTransaction::GasFloorMoreThanGasLimit { .. })), "{below:?}");
    assert_eq!(refused(execute(unsigned(27_400, 160))), None);
}
