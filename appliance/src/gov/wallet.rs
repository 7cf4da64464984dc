//! Who signs for an organisation: a key of this machine's stores, an account of a development chain, or another wallet.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{Address, B256, Signature, keccak256};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use dolmen_hsm_api::{Algorithm, Domain, KeyUri, Message, Signer};
use secp256k1::{
    SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde::Deserialize;

use super::{chain::Chain, members::Members};
use crate::{backends::keys::Keys, keys::DeviceArgs};

/// Who signs.
#[derive(Args, Clone, Debug)]
pub(super) struct WalletArgs {
    /// Sign with this key, a secp256k1 key for `api` whose account is the organisation's.
    #[arg(long, global = true, value_name = "URI")]
    key: Option<KeyUri>,
    /// Sign with an account of the development chain in this directory; --as says which.
    #[arg(long, global = true, value_name = "DIR")]
    devnet: Option<PathBuf>,
    /// The organisation to act for, by name or number.
    #[arg(long = "as", global = true, value_name = "ORGANISATION")]
    acting: Option<String>,
    /// Sign and send nothing: print the transaction for another wallet.
    #[arg(long, global = true)]
    print: bool,
    #[command(flatten)]
    devices: DeviceArgs,
}

/// What signs transactions.
pub(super) enum Wallet {
    /// A key wherever it lives.
    Key { address: Address, key: Arc<dyn Signer> },
    /// A key of a development chain.
    Account { address: Address, secret: SecretKey },
    /// Nothing here.
    Elsewhere,
}

/// An account of `accounts.json`.
#[derive(Deserialize)]
struct DevAccount {
    address: Address,
    private_key: B256,
}

impl WalletArgs {
    /// What these arguments mean; they must mean one thing.
    pub(super) async fn open(self, chain: &Chain) -> anyhow::Result<Wallet> {
        match (self.key, self.devnet, self.print) {
            (Some(uri), None, false) => open_key(&uri, self.devices),
            (None, Some(dir), false) => {
                let organisation = self.acting.context("--as says for which organisation of the devnet")?;
                let members = Members::load(chain).await?;
                open_account(&dir, &members.organisation(&organisation)?.account)
            }
            (None, None, true) => Ok(Wallet::Elsewhere),
            _ => bail!(
                "say who signs: --key URI for a key of this machine, --devnet DIR --as ORGANISATION on a development \
                 chain, or --print for another wallet"
            ),
        }
    }
}

fn open_key(uri: &KeyUri, devices: DeviceArgs) -> anyhow::Result<Wallet> {
    of_key(Keys::new(devices.devices()?)?.store(uri)?.open(uri)?)
}

/// An account whose key is open.
pub(super) fn of_key(key: Arc<dyn Signer>) -> anyhow::Result<Wallet> {
    ensure!(
        key.algorithm() == Algorithm::EcdsaSecp256k1,
        "the key {} is of {}; accounts sign with secp256k1: name one that `dolmen keys create NAME --algorithm \
         secp256k1 --for api` made",
        key.uri(),
        key.algorithm()
    );
    Ok(Wallet::Key { address: address_of(key.public_key()), key })
}

fn open_account(dir: &Path, address: &Address) -> anyhow::Result<Wallet> {
    let path = dir.join("accounts.json");
    let json = fs::read(&path)
        .with_context(|| format!("cannot read {}; give the directory of a devnet with --devnet", path.display()))?;
    let accounts: Vec<DevAccount> =
        serde_json::from_slice(&json).with_context(|| format!("{} is not a devnet's", path.display()))?;
    let account = accounts.iter().find(|account| account.address == *address);
    let account = account
        .with_context(|| format!("{} has no key of the account {address}; is it this chain's?", path.display()))?;
    let secret = SecretKey::from_byte_array(account.private_key.0)
        .with_context(|| format!("{} holds a number that is no key", path.display()))?;
    Ok(Wallet::Account { address: *address, secret })
}

impl Wallet {
    /// The account that it signs for.
    pub(super) const fn address(&self) -> Option<Address> {
        match self {
            Self::Key { address, .. } | Self::Account { address, .. } => Some(*address),
            Self::Elsewhere => None,
        }
    }

    /// Signs a transaction's hash.
    pub(super) async fn sign(&self, hash: &B256) -> anyhow::Result<Signature> {
        match self {
            Self::Key { address, key } => {
                let signature = key.sign(Domain::Api, Message::Digest(&hash.0)).await?;
                with_parity(hash, &signature.0, address)
                    .with_context(|| format!("the signature of {} is not that of its public key", key.uri()))
            }
            Self::Account { secret, .. } => {
                let message = secp256k1::Message::from_digest(hash.0);
                let (id, compact) = SECP256K1.sign_ecdsa_recoverable(message, secret).serialize_compact();
                let odd = matches!(id, RecoveryId::One | RecoveryId::Three);
                Ok(Signature::from_bytes_and_parity(&compact, odd))
            }
            Self::Elsewhere => bail!("nothing here signs; give --key or --devnet"),
        }
    }
}

/// A signature with the parity that Ethereum wants beside it: keys in devices do not tell, so it is the one with which
/// the signature gives the key's own address.
fn with_parity(hash: &B256, compact: &[u8; 64], address: &Address) -> Option<Signature> {
    let message = secp256k1::Message::from_digest(hash.0);
    [(RecoveryId::Zero, false), (RecoveryId::One, true)].into_iter().find_map(|(id, odd)| {
        let signature = RecoverableSignature::from_compact(compact, id).ok()?;
        let signer = SECP256K1.recover_ecdsa(message, &signature).ok()?;
        let is_own = address_of(&signer.serialize_uncompressed()[1..]) == *address;
        is_own.then(|| Signature::from_bytes_and_parity(compact, odd))
    })
}

/// The account of a public key, both coordinates.
fn address_of(point: &[u8]) -> Address {
    Address::from_slice(&keccak256(point)[12..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parity_is_found() {
        let secret = SecretKey::from_byte_array([7; 32]).unwrap();
        let address = address_of(&secret.public_key(SECP256K1).serialize_uncompressed()[1..]);
        let mut seen = [false; 2];
        for number in 0..16 {
            let hash = B256::repeat_byte(number);
            let message = secp256k1::Message::from_digest(hash.0);
            let (id, compact) = SECP256K1.sign_ecdsa_recoverable(message, &secret).serialize_compact();
            let signature = with_parity(&hash, &compact, &address).unwrap();
            assert_eq!(signature.v(), id == RecoveryId::One);
            seen[usize::from(signature.v())] = true;
            assert!(with_parity(&hash, &compact, &Address::ZERO).is_none(), "another's key");
        }
        assert_eq!(seen, [true; 2]);
    }
}
