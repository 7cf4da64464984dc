//! Random changes through commits and restarts, against plain maps.

use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};

use super::*;

const ADDRESSES: [Address; 4] = [ALICE, TOKEN, Address::repeat_byte(1), Address::repeat_byte(2)];

/// Accounts with their slots, of which none is zero.
type Model = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

#[derive(Clone, Debug)]
enum Action {
    Set { balance: u64, slots: BTreeMap<u64, u64> },
    Remove { slots_listed: bool },
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0..3_u64, btree_map(1..4_u64, 0..3_u64, 0..4))
            .prop_map(|(balance, slots)| Action::Set { balance, slots }),
        1 => any::<bool>().prop_map(|slots_listed| Action::Remove { slots_listed }),
    ]
}

/// For each block the accounts that it changes, and whether the box restarts after it.
fn any_blocks() -> impl Strategy<Value = Vec<(BTreeMap<usize, Action>, bool)>> {
    vec((btree_map(0..ADDRESSES.len(), any_action(), 0..4), prop::bool::weighted(0.2)), 1..14)
}

fn genesis_model() -> Model {
    let known = |account: &GenesisAccount| {
        let GenesisAccount { balance, nonce, code, storage } = account;
        let slots: BTreeMap<U256, U256> =
            storage.iter().map(|(slot, value)| ((*slot).into(), (*value).into())).collect();
        (Account { nonce: *nonce, balance: *balance, code_hash: keccak256(code) }, slots)
    };
    genesis(1).file().accounts.iter().map(|(address, account)| (*address, known(account))).collect()
}

/// Acts on one account of the model, and says how it changed.
fn act(model: &mut Model, address: Address, action: &Action) -> Option<AccountChange> {
    let old = model.remove(&address);
    let before = old.as_ref().map(|(account, _)| *account);
    let mut held = old.map(|(_, slots)| slots).unwrap_or_default();
    let mut slots = Vec::new();
    match action {
        Action::Remove { slots_listed } => {
            if *slots_listed {
                slots.extend(held.into_iter().map(|(slot, before)| SlotChange { slot, before, after: U256::ZERO }));
            }
            before.is_some().then_some(AccountChange { address, before, after: None, slots })
        }
        Action::Set { balance, slots: set } => {
            for (slot, after) in set {
                let (slot, after) = (U256::from(*slot), U256::from(*after));
                let replaced = if after.is_zero() { held.remove(&slot) } else { held.insert(slot, after) };
                let before = replaced.unwrap_or_default();
                if before != after {
                    slots.push(SlotChange { slot, before, after });
                }
            }
            let account = Account { balance: U256::from(*balance), ..before.unwrap_or_default() };
            model.insert(address, (account, held));
            let changed = before != Some(account) || !slots.is_empty();
            changed.then_some(AccountChange { address, before, after: Some(account), slots })
        }
    }
}

/// Compares every kept height's state with its model, and what is kept with what should be.
fn check(store: &Arc<Store>, models: &[Model], depth: u64) {
    let head = store.head().block.number();
    let floor = head.saturating_sub(depth);
    assert_eq!((models.len() as u64, store.history_floor()), (head + 1, floor));
    for (number, model) in (0..).zip(models) {
        if number < floor {
            assert!(matches!(store.state_at(number), Err(StoreError::Pruned { .. })));
            assert!(matches!(store.trie_at(number), Err(StoreError::Pruned { .. })));
            continue;
        }
        let state = store.state_at(number).unwrap();
        for address in ADDRESSES {
            let known = model.get(&address);
            let place = format!("{address} at {number}");
            assert_eq!(state.account(&address).unwrap(), known.map(|(account, _)| *account), "{place}");
            for slot in 1..4_u64 {
                let slot = U256::from(slot);
                let value = known.and_then(|(_, slots)| slots.get(&slot)).copied().unwrap_or_default();
                assert_eq!(state.storage(&address, &slot).unwrap(), value, "slot {slot} of {place}");
            }
        }
        assert_eq!(store.trie_at(number).unwrap().root(), store.header(number).unwrap().unwrap().state_root);
    }
    assert_eq!(store.db.scan(cf::CHANGES, &[]).count() as u64, head - floor);
    for family in [cf::ACCOUNT_HISTORY, cf::SLOT_HISTORY] {
        for entry in store.db.scan(family, &[]) {
            let (key, _) = entry.unwrap();
            let height = db::read_height(&key[key.len() - 8..], family).unwrap();
            assert!(height > floor, "{family} still holds what block {height} replaced");
        }
    }
}

proptest! {
    // A case takes some synced commits and starts.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_kept_state_is_the_models(blocks in any_blocks(), depth in 1..6_u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), depth);
        let mut models = vec![genesis_model()];
        for (actions, restarts) in blocks {
            let mut model = models.last().unwrap().clone();
            let accounts =
                actions.iter().filter_map(|(index, action)| act(&mut model, ADDRESSES[*index], action)).collect();
            store.commit(&executed(&store, StateDiff { accounts, codes: vec![] }, vec![]), None).unwrap();
            models.push(model);
            if restarts {
                drop(store);
                store = open(dir.path(), depth);
                check(&store, &models, depth);
            }
        }
        check(&store, &models, depth);
    }
}
