//! Accounts, and transactions signed before they are needed.

use std::{collections::VecDeque, ops::Range};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use anyhow::Context as _;
use secp256k1::{Message, SECP256K1, SecretKey, ecdsa::RecoveryId};

use super::Workload;

/// An account whose key this program has.
pub(super) struct Account {
    /// Its address.
    pub(super) address: Address,
    key: SecretKey,
}

impl Account {
    /// A fresh account.
    pub(super) fn random() -> Self {
        loop {
            // All but a 2^-128 share of the numbers are keys.
            if let Ok(account) = Self::from_key(B256::random()) {
                return account;
            }
        }
    }

    /// The account of a private key.
    pub(super) fn from_key(key: B256) -> anyhow::Result<Self> {
        let key = SecretKey::from_byte_array(key.0).context("the private key is not a secp256k1 key")?;
        let point = key.public_key(SECP256K1).serialize_uncompressed();
        Ok(Self { address: Address::from_slice(&keccak256(&point[1..])[12..]), key })
    }
}

/// What all transactions of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fees {
    /// EIP-155 chain id.
    pub(super) chain_id: u64,
    /// Price of gas in wei, all of it the chain's constant base fee.
    pub(super) gas_price: u128,
}

/// A transaction without nonce and signature.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Whom it calls, or a creation.
    pub(super) to: TxKind,
    /// Wei.
    pub(super) value: U256,
    /// Call data or creation code.
    pub(super) input: Bytes,
    /// Gas limit.
    pub(super) gas_limit: u64,
}

/// A transaction ready to be sent.
pub(super) struct Signed {
    /// Its hash.
    pub(super) hash: B256,
    /// `0x` and its EIP-2718 encoding in hexadecimal.
    pub(super) raw: Box<str>,
}

/// Signs a transaction as type 2 (EIP-1559).
pub(super) fn sign(account: &Account, nonce: u64, fees: Fees, request: Request) -> Signed {
    let Request { to, value, input, gas_limit } = request;
    let transaction = TxEip1559 {
        chain_id: fees.chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: fees.gas_price,
        max_priority_fee_per_gas: 0,
        to,
        value,
        access_list: Default::default(),
        input,
    };
    let digest = Message::from_digest(transaction.signature_hash().0);
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(digest, &account.key).serialize_compact();
    let odd_y = matches!(id, RecoveryId::One | RecoveryId::Three);
    let signed = transaction.into_signed(Signature::from_bytes_and_parity(&compact, odd_y));
    let mut encoded = Vec::with_capacity(signed.eip2718_encoded_length());
    signed.eip2718_encode(&mut encoded);
    Signed { hash: *signed.hash(), raw: hex::encode_prefixed(encoded).into() }
}

/// The transactions of a run, as a function of their place: which account sends what to whom.
pub(super) struct Plan {
    /// The sending accounts, which are the receiving ones too.
    pub(super) accounts: Vec<Account>,
    /// What the transactions do.
    pub(super) workload: Workload,
    /// The token, for [`Workload::Erc20`].
    pub(super) token: Address,
    /// Chain id and gas price.
    pub(super) fees: Fees,
    /// How many senders there are side by side; each has its own accounts, all of whose transactions it sends.
    pub(super) lanes: usize,
}

/// Gas limit of an ERC-20 transfer between two holders, which uses about 34,000.
const ERC20_TRANSFER_GAS: u64 = 60_000;
/// Gas of a transfer of ether to an account without code.
pub(super) const TRANSFER_GAS: u64 = 21_000;

impl Plan {
    /// Account and nonce of a lane's transaction at `position`: each account in turn, then the next nonce.
    pub(super) fn sender(&self, lane: usize, position: u64) -> (usize, u64) {
        let own = (self.accounts.len() - lane).div_ceil(self.lanes) as u64;
        let index = usize::try_from(position % own).expect("below the number of accounts");
        (lane + index * self.lanes, position / own)
    }

    /// Who receives: every other account in turn, in another order for each sender.
    pub(super) fn recipient(&self, sender: usize, nonce: u64) -> usize {
        let others = self.accounts.len() as u64 - 1;
        // An odd prime above the largest number of accounts, so it has no factor in common with `others`.
        let step = 1 + (nonce % others * 15_485_863 + sender as u64) % others;
        (sender + usize::try_from(step).expect("below the number of accounts")) % self.accounts.len()
    }

    /// The request of `sender` at `nonce`.
    fn request(&self, sender: usize, nonce: u64) -> Request {
        let to = self.accounts[self.recipient(sender, nonce)].address;
        match self.workload {
            Workload::Transfer => {
                Request { to: to.into(), value: U256::ONE, input: Bytes::new(), gas_limit: TRANSFER_GAS }
            }
            Workload::Erc20 => token_transfer(self.token, to, U256::ONE),
        }
    }

    /// Signs a lane's transactions.
    fn sign_lane(&self, lane: usize, positions: Range<u64>) -> VecDeque<Signed> {
        positions
            .map(|position| {
                let (sender, nonce) = self.sender(lane, position);
                sign(&self.accounts[sender], nonce, self.fees, self.request(sender, nonce))
            })
            .collect()
    }

    /// Signs transactions of every lane on all processors. `from` has each lane's first position, `count` how many
    /// for each.
    pub(super) fn sign_all(&self, from: &[u64], count: u64) -> Vec<VecDeque<Signed>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(from.len());
        let mut signed: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    scope.spawn(move || {
                        let lanes = (thread..from.len()).step_by(threads);
                        lanes.map(|lane| (lane, self.sign_lane(lane, from[lane]..from[lane] + count))).collect()
                    })
                })
                .collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<_>>| worker.join().expect("signing cannot panic");
            workers.into_iter().flat_map(join).collect()
        });
        signed.sort_by_key(|(lane, _)| *lane);
        signed.into_iter().map(|(_, signed)| signed).collect()
    }
}

/// A call of ERC-20's `transfer(address,uint256)`.
pub(super) fn token_transfer(token: Address, to: Address, amount: U256) -> Request {
    let mut input = Vec::with_capacity(68);
    input.extend_from_slice(&hex!("a9059cbb"));
    input.extend_from_slice(to.into_word().as_slice());
    input.extend_from_slice(&amount.to_be_bytes::<32>());
    Request { to: token.into(), value: U256::ZERO, input: input.into(), gas_limit: ERC20_TRANSFER_GAS }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dolmen_types::Transaction;
    use secp256k1::ecdsa::RecoverableSignature;

    use super::*;

    fn signer(transaction: &Transaction) -> Address {
        let signature = transaction.signature();
        let id = RecoveryId::try_from(i32::from(signature.v())).unwrap();
        let compact = [signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>()].concat();
        let signature = RecoverableSignature::from_compact(&compact, id).unwrap();
        let digest = Message::from_digest(transaction.signature_hash().0);
        let key = SECP256K1.recover_ecdsa(digest, &signature).unwrap();
        Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
    }

    fn plan(accounts: usize, lanes: usize) -> Plan {
        let key = |n: usize| B256::from(U256::from(n + 1));
        Plan {
            accounts: (0..accounts).map(|n| Account::from_key(key(n)).unwrap()).collect(),
            workload: Workload::Erc20,
            token: Address::repeat_byte(7),
            fees: Fees { chain_id: 1337, gas_price: 9 },
            lanes,
        }
    }

    #[test]
    fn lanes_share_no_account_and_leave_no_gap() {
        let plan = plan(11, 4);
        let mut nonces: BTreeMap<usize, (usize, Vec<u64>)> = BTreeMap::new();
        for lane in 0..4 {
            for position in 0..9 {
                let (sender, nonce) = plan.sender(lane, position);
                let entry = nonces.entry(sender).or_insert_with(|| (lane, Vec::new()));
                assert_eq!(entry.0, lane);
                entry.1.push(nonce);
            }
        }
        assert_eq!(nonces.len(), 11);
        for (_, sent) in nonces.values() {
            assert!(sent.iter().copied().eq(0..sent.len() as u64));
        }
    }

    #[test]
    fn every_account_receives_from_every_other_one() {
        let plan = plan(7, 2);
        for sender in 0..7 {
            let mut recipients: Vec<_> = (0..6).map(|nonce| plan.recipient(sender, nonce)).collect();
            recipients.sort_unstable();
            assert!(recipients.into_iter().eq((0..7).filter(|account| *account != sender)));
        }
    }

    #[test]
    fn what_is_signed_is_what_the_chain_reads() {
        let plan = plan(5, 2);
        // The address of the private key 1.
        let first: Address = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap();
        assert_eq!(plan.accounts[0].address, first);
        let signed = plan.sign_all(&[0, 3], 6);
        for (lane, from) in [(0, 0), (1, 3)] {
            assert_eq!(signed[lane].len(), 6);
            for (position, signed) in (from..).zip(&signed[lane]) {
                let transaction = dolmen_types::transaction::decode(&hex::decode(&*signed.raw).unwrap()).unwrap();
                let (sender, nonce) = plan.sender(lane, position);
                assert_eq!(*transaction.hash(), signed.hash);
                assert_eq!(signer(&transaction), plan.accounts[sender].address);
                assert_eq!(alloy_consensus::Transaction::nonce(&transaction), nonce);
                assert_eq!(alloy_consensus::Transaction::to(&transaction), Some(plan.token));
            }
        }
    }
}
