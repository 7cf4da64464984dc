//! A box that was told nothing: it makes its keys and founds a chain of its own, with itself as the only validator.
//!
//! Its settings are written last. Power lost before that leaves keys and a genesis file, with which the next boot goes
//! on; afterwards nothing of this runs again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, keccak256};
use anyhow::{Context as _, ensure};
use dolmen_hsm_api::private;
use dolmen_node::public_key;
use dolmen_types::{Genesis, GenesisFile, PublicKey, Validator, genesis::Governance};

use super::{Home, NewBox, claim};
use crate::{
    backends::keys::Keys,
    config::{Admin, BoxConfig, History, KeySettings, Log, P2p, Rpc, SyncSettings, UpdateSettings, load_genesis},
    genesis,
    run::consensus_key,
    update,
};

pub(crate) const SETTINGS: &str = "box.toml";
const GENESIS: &str = "genesis.json";

/// The settings' file of the box in a directory, which becomes a box where it is none.
pub(super) fn open_or_found(directory: &Path, new: &NewBox) -> anyhow::Result<PathBuf> {
    let path = directory.join(SETTINGS);
    if !path.try_exists().with_context(|| format!("cannot read {}", directory.display()))? {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        found(directory, &path, new)?;
    }
    Ok(path)
}

fn found(directory: &Path, path: &Path, new: &NewBox) -> anyhow::Result<()> {
    let scheme = match new.keys {
        Home::Tpm => "tpm",
        Home::Soft => "soft",
    };
    let key = |name: &str| format!("{scheme}:{name}").parse().expect("a name");
    let keys = KeySettings { consensus: key("consensus"), tls: Some(key("page")), ..KeySettings::default() };
    let mut devices = keys.devices.clone();
    devices.resolve(directory);
    let key =
        consensus_key(&Keys::new(devices)?, &keys.consensus).context("this box has no key yet and cannot make one")?;
    let public_key = public_key(&*key)?;
    let name = format!("box-{}", &public_key.to_string().trim_start_matches("0x")[..6]);
    open_or_write_genesis(&directory.join(GENESIS), &name, public_key)?;
    let settings = BoxConfig {
        name,
        genesis: GENESIS.into(),
        data_dir: "data".into(),
        keys,
        p2p: P2p { listen: new.p2p, peers: Vec::new() },
        rpc: Rpc { listen: new.rpc, ..Rpc::default() },
        admin: Admin { listen: new.page, ..Admin::default() },
        sync: SyncSettings::default(),
        history: History::default(),
        update: Path::new(update::RELEASE_KEYS).exists().then(|| UpdateSettings {
            spool: update::SPOOL.into(),
            release_keys: update::RELEASE_KEYS.into(),
            report: update::REPORT.into(),
            claim_code: claim::FILE.into(),
        }),
        log: Log::default(),
    };
    private::write_new(path, toml::to_string(&settings)?.as_bytes())
        .with_context(|| format!("cannot write the settings {}", path.display()))
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
    use super::*;

    fn new_box() -> NewBox {
        let local = "127.0.0.1:0".parse().unwrap();
        NewBox { keys: Home::Soft, rpc: local, page: local, p2p: local }
    }

    #[test]
    fn power_lost_on_the_way_changes_neither_key_nor_chain() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("box");
        let settings = open_or_found(&dir, &new_box()).unwrap();
        let (text, genesis) = (fs::read(&settings).unwrap(), fs::read(dir.join(GENESIS)).unwrap());
        // Before its settings were written, and before its genesis file was.
        fs::remove_file(&settings).unwrap();
        open_or_found(&dir, &new_box()).unwrap();
        assert_eq!(fs::read(&settings).unwrap(), text);
        assert_eq!(fs::read(dir.join(GENESIS)).unwrap(), genesis);
        let chain = load_genesis(&dir.join(GENESIS)).unwrap().file().clone();
        for file in [SETTINGS, GENESIS] {
            fs::remove_file(dir.join(file)).unwrap();
        }
        open_or_found(&dir, &new_box()).unwrap();
        let again = load_genesis(&dir.join(GENESIS)).unwrap().file().clone();
        assert_eq!((chain.chain_id, chain.validators), (again.chain_id, again.validators));
        assert_eq!(fs::read(&settings).unwrap(), text);
    }

    #[test]
    fn a_box_with_settings_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join(SETTINGS);
        fs::write(&settings, "whatever").unwrap();
        assert_eq!(open_or_found(dir.path(), &new_box()).unwrap(), settings);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_chains_genesis_file_is_not_taken_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        open_or_found(&other, &new_box()).unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::copy(other.join(GENESIS), own.join(GENESIS)).unwrap();
        let error = open_or_found(&own, &new_box()).unwrap_err().to_string();
        assert!(error.contains("has no vote") && error.contains("move it away"), "{error}");
        assert!(!own.join(SETTINGS).exists());
    }
}
