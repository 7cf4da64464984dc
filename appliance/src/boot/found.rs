//! A box that was told nothing: it makes its keys and founds a chain of its own, with itself as the only validator.
//!
//! Its settings are written last. Power lost before that leaves keys and a genesis file, with which the next boot goes
//! on; afterwards nothing of this runs again.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, keccak256};
use anyhow::{Context as _, ensure};
use dolmen_hsm_api::private;
use dolmen_node::public_key;
use dolmen_types::{Genesis, GenesisFile, PublicKey, Validator, genesis::Governance};

use super::{GENESIS, NewBox};
use crate::{
    config::{SyncSettings, load_genesis},
    genesis,
    run::consensus_key,
};

/// Makes a directory a box's.
pub(super) fn found(directory: &Path, new: &NewBox) -> anyhow::Result<()> {
    let key = consensus_key(&new.open_keys(directory)?, &new.keys().consensus)
        .context("this box has no key yet and cannot make one")?;
    let public_key = public_key(&*key)?;
    let name = format!("box-{}", &public_key.to_string().trim_start_matches("0x")[..6]);
    open_or_write_genesis(&directory.join(GENESIS), &name, public_key)?;
    new.write_settings(directory, name, Vec::new(), SyncSettings::default())
}

/// Founds the chain, unless an attempt before this one has.
fn open_or_write_genesis(path: &Path, name: &str, public_key: PublicKey) -> anyhow::Result<()> {
    if path.try_exists().with_context(|| format!("cannot read {}", path.display()))? {
        let genesis = load_genesis(path)?;
        ensure!(
            genesis.file().validators.iter().any(|validator| validator.public_key == public_key),
            "{} is of a chain in which this box's key {public_key} has no vote; move it away and the box founds another, or \
             write a box.toml beside it",
            path.display()
        );
        return Ok(());
    }
    let validator = Validator {
        name: name.to_owned(),
        public_key,
        fee_recipient: Address::from_word(keccak256(public_key.0)),
        organisation: None,
        endpoint: None,
    };
    // 31 bits of the key: wallets keep chain ids apart, and some of them in 32 bits. Nobody owns anything on such a
    // chain, so that transactions are free.
    let [a, b, c, d, ..] = *keccak256(public_key.0);
    let chain_id = u64::from(u32::from_be_bytes([a & 0x7f, b, c, d])) | 1;
    let file = genesis::file(chain_id, vec![validator], Governance::default(), BTreeMap::new())?;
    let genesis = Genesis::try_from(GenesisFile { base_fee_per_gas: 0, ..file })?;
    private::write_new(path, &serde_json::to_vec_pretty(genesis.file())?)
        .with_context(|| format!("cannot write the genesis file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::KeyHome, *};
    use crate::boot::SETTINGS;

    fn new_box() -> NewBox {
        let local = "127.0.0.1:0".parse().unwrap();
        NewBox { keys: KeyHome::Soft, tcti: None, rpc: local, page: local, p2p: local }
    }

    #[test]
    fn power_lost_on_the_way_changes_neither_key_nor_chain() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("box");
        fs::create_dir(&dir).unwrap();
        found(&dir, &new_box()).unwrap();
        let settings = dir.join(SETTINGS);
        let (text, genesis) = (fs::read(&settings).unwrap(), fs::read(dir.join(GENESIS)).unwrap());
        // Before its settings were written, and before its genesis file was.
        fs::remove_file(&settings).unwrap();
        found(&dir, &new_box()).unwrap();
        assert_eq!(fs::read(&settings).unwrap(), text);
        assert_eq!(fs::read(dir.join(GENESIS)).unwrap(), genesis);
        let chain = load_genesis(&dir.join(GENESIS)).unwrap().file().clone();
        for file in [SETTINGS, GENESIS] {
            fs::remove_file(dir.join(file)).unwrap();
        }
        found(&dir, &new_box()).unwrap();
        let again = load_genesis(&dir.join(GENESIS)).unwrap().file().clone();
        assert_eq!((chain.chain_id, chain.validators), (again.chain_id, again.validators));
        assert_eq!(fs::read(&settings).unwrap(), text);
    }

    #[test]
    fn settings_are_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SETTINGS), "whatever").unwrap();
        found(dir.path(), &new_box()).unwrap_err();
        assert_eq!(fs::read(dir.path().join(SETTINGS)).unwrap(), b"whatever");
    }

    #[test]
    fn another_chains_genesis_file_is_not_taken_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let [other, own] = ["other", "own"].map(|name| dir.path().join(name));
        fs::create_dir(&other).unwrap();
        found(&other, &new_box()).unwrap();
        fs::create_dir(&own).unwrap();
        fs::copy(other.join(GENESIS), own.join(GENESIS)).unwrap();
        let error = found(&own, &new_box()).unwrap_err().to_string();
        assert!(error.contains("has no vote") && error.contains("move it away"), "{error}");
        assert!(!own.join(SETTINGS).exists());
    }
}
