//! `dolmen keys`: making, listing, rotating and deleting keys, and what their devices say and seal.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyInfo, KeySpec, KeyUri};
use futures::executor::block_on;
use serde_json::json;

use crate::{
    backends::keys::{self, Devices, Keys},
    config::BoxConfig,
};

mod idevid;
mod seal;

/// Each step is a write to the TPM's memory.
const FLOOR_STEPS_MAX: u64 = 1000;

/// Arguments of `dolmen keys`.
#[derive(Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    devices: DeviceArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: KeysCommand,
}

/// Where keys are: what a box's settings say, or what is given here, which wins.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeviceArgs {
    /// A box.toml whose devices are used.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory that holds the files of keys; `keys` if neither this nor --config is given.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A file of mode 0600 whose first line opens `soft:` keys, `passphrase` in the directory if not given; the first
    /// key makes it where it is missing.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The TPM, as in swtpm:host=127.0.0.1,port=2321; what the environment's TCTI says, or device:/dev/tpmrm0.
    #[arg(long, global = true, value_name = "TCTI")]
    tcti: Option<String>,
}

impl DeviceArgs {
    /// The box.toml that was named.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The same for an authority with a directory of its own: there its keys are, if nothing else is said.
    pub(crate) fn devices_of(mut self, directory: &Path) -> anyhow::Result<Devices> {
        if self.config.is_none() && self.dir.is_none() {
            self.dir = Some(directory.join("keys"));
        }
        self.devices()
    }

    /// The devices that these arguments mean.
    pub(crate) fn devices(self) -> anyhow::Result<Devices> {
        let mut devices = match &self.config {
            Some(path) => BoxConfig::load(path)?.keys.devices,
            None => Devices::default(),
        };
        if let Some(dir) = self.dir {
            devices.dir = dir;
        }
        devices.passphrase_file = self.passphrase_file.or(devices.passphrase_file);
        devices.tcti = self.tcti.or(devices.tcti);
        Ok(devices)
    }
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a key and print its public half.
    #[command(after_help = "Examples:\n  dolmen keys create soft:page --algorithm p256 --for tls,certificate\n  \
        dolmen keys create tpm:consensus --algorithm ed25519 --for vote,transport --json")]
    Create {
        /// What it is to be called, as in soft:box.
        uri: KeyUri,
        /// How it signs: ed25519, p256, secp256k1 or sm2.
        #[arg(long, value_name = "NAME")]
        algorithm: Algorithm,
        /// What it may sign for, with commas between: vote, transport, tls, certificate, api.
        #[arg(long = "for", value_name = "USE,..", value_delimiter = ',', required = true)]
        domains: Vec<Domain>,
    },
    /// List the keys, without opening them; a device that cannot be reached is named.
    #[command(after_help = "Example:\n  dolmen keys list --config /etc/dolmen/box.toml")]
    List,
    /// Open a key and print what it is: shows that its device is there and that it signs.
    #[command(after_help = "Example:\n  dolmen keys show soft:box")]
    Show {
        /// The key.
        uri: KeyUri,
    },
    /// Make a new key under this name. The old one stays as NAME.old, the one before that goes.
    #[command(after_help = "Example:\n  dolmen keys rotate soft:page --yes")]
    Rotate {
        /// The key.
        uri: KeyUri,
        /// Do it: who trusts the old public key must be told of the new one.
        #[arg(long)]
        yes: bool,
    },
    /// Delete a key for good. There is no way back.
    #[command(after_help = "Example:\n  dolmen keys delete soft:page --yes")]
    Delete {
        /// The key.
        uri: KeyUri,
        /// Do it: what this key signs for ends with it.
        #[arg(long)]
        yes: bool,
    },
    /// Have a key's device state that it holds the key and does not give it away.
    #[command(after_help = "Example:\n  dolmen keys attest tpm:page --nonce 00112233445566778899aabbccddeeff")]
    Attest {
        /// The key.
        uri: KeyUri,
        /// What whoever asks chose, hexadecimal, 32 bytes at most: shows that the statement is new.
        #[arg(long, value_name = "HEX")]
        nonce: String,
    },
    /// Show the box's identity by its maker (IDevID), which its TPM keeps; or make it one, at the factory.
    #[command(after_help = "Examples:\n  dolmen keys idevid\n  \
        dolmen keys idevid --birth birth.json --serial BOX-0001\n  dolmen keys idevid --install idevid.pem")]
    Idevid(idevid::IdevidArgs),
    /// Seal a secret to the state of this box: a TPM gives it back only while the state is the same.
    #[command(after_help = "Examples:\n  dolmen keys seal --in data.key --out data.sealed --pcr 7\n  \
        dolmen keys seal --in data.key --out data.sealed --pcr 7 --authority 04ab... --reference dolmen:stable")]
    Seal(seal::SealArgs),
    /// Give a sealed secret back.
    #[command(after_help = "Examples:\n  dolmen keys unseal --in data.sealed --out data.key\n  \
        dolmen keys unseal --in data.sealed --approval approval.json --out data.key")]
    Unseal(seal::UnsealArgs),
    /// Approve software by the registers that it leaves and its version, with an authority's key.
    #[command(
        after_help = "Example:\n  dolmen keys approve --key soft:vendor --reference dolmen:stable --release 3 \\\n    \
        --pcr 11=<64 digits> --out approval.json"
    )]
    Approve(seal::ApproveArgs),
    /// Show the TPM's version floor, or raise it: software approved for less is then refused for good.
    #[command(after_help = "Examples:\n  dolmen keys floor\n  dolmen keys floor --raise 3 --yes")]
    Floor {
        /// The lowest number of a version that may still have secrets.
        #[arg(long, value_name = "N", requires = "yes")]
        raise: Option<u64>,
        /// Do it: it never goes down again.
        #[arg(long)]
        yes: bool,
    },
    /// Take away what keeps a stopped box from voting: the fence of its log of votes.
    #[command(after_help = "Example:\n  dolmen keys release-votes --config /etc/dolmen/box.toml --yes")]
    ReleaseVotes {
        /// Do it: no other copy of this box's keys is in use, and none has voted further than this one. Two that did can
        /// be proven to have voted twice.
        #[arg(long)]
        yes: bool,
    },
    /// Measure how fast a key signs; the same as `dolmen bench sign --key`.
    #[command(after_help = "Example:\n  dolmen keys bench tpm:page --threads 1,4")]
    Bench {
        /// The key.
        uri: KeyUri,
        #[command(flatten)]
        load: crate::bench::KeyLoad,
    },
}

/// Runs a subcommand; `false` where a device could not be reached.
pub(crate) fn keys(args: KeysArgs) -> anyhow::Result<bool> {
    let KeysArgs { devices, json, command } = args;
    let config = devices.config.clone();
    let keys = Keys::new(devices.devices()?)?;
    match command {
        KeysCommand::Create { uri, algorithm, domains } => {
            keys::create_dir(keys.dir())?;
            let domains: Domains = domains.into_iter().collect();
            let key = keys.store(&uri)?.create(&uri, KeySpec { algorithm, domains })?;
            print(&[KeyInfo::of(&*key)], json)?;
        }
        KeysCommand::List => {
            let (found, errors) = keys.list();
            let all = errors.is_empty();
            print(&found, json)?;
            for error in errors {
                let error = anyhow::Error::new(error);
                anstream::eprintln!("error: {error}");
                error.chain().skip(1).for_each(|cause| anstream::eprintln!("  because: {cause}"));
            }
            return Ok(all);
        }
        KeysCommand::Show { uri } => print(&[KeyInfo::of(&*keys.store(&uri)?.open(&uri)?)], json)?,
        KeysCommand::Rotate { uri, yes } => {
            if !yes {
                bail!("who trusts the public key of {uri} would have to be told of a new one; say --yes to rotate it");
            }
            print(&[KeyInfo::of(&*keys.store(&uri)?.rotate(&uri)?)], json)?;
        }
        KeysCommand::Delete { uri, yes } => {
            if !yes {
                bail!("{uri} would be gone for good, with all that it signs for; say --yes to delete it");
            }
            keys.store(&uri)?.delete(&uri)?;
        }
        KeysCommand::Attest { uri, nonce } => attest(&keys, &uri, &nonce)?,
        KeysCommand::Idevid(args) => idevid::idevid(&keys, &args, json)?,
        KeysCommand::Floor { raise, .. } => {
            if let Some(version) = raise {
                let now = keys.floor(None)?;
                let steps = version.saturating_sub(now);
                anyhow::ensure!(
                    steps <= FLOOR_STEPS_MAX,
                    "the floor is {now}; one call raises it by {FLOOR_STEPS_MAX} at most"
                );
            }
            anstream::println!("{}", keys.floor(raise)?);
        }
        KeysCommand::ReleaseVotes { yes } => {
            let config = config.context("--config names the box whose log of votes is meant")?;
            if !yes {
                bail!("the box might vote twice if another copy of its keys has voted; say --yes if none can have");
            }
            crate::run::release_votes(&BoxConfig::load(&config)?)?;
        }
        KeysCommand::Seal(args) => seal::seal(&keys, args)?,
        KeysCommand::Unseal(args) => seal::unseal(&keys, args)?,
        KeysCommand::Approve(args) => seal::approve(&keys, args)?,
        KeysCommand::Bench { uri, load } => crate::bench::key(&keys, &uri, &load, json.then_some(Path::new("-")))?,
    }
    Ok(true)
}

fn attest(keys: &Keys, uri: &KeyUri, nonce: &str) -> anyhow::Result<()> {
    let nonce = hex::decode(nonce).context("the nonce is not hexadecimal")?;
    anyhow::ensure!(nonce.len() <= 32, "the nonce has {} bytes; devices take 32 at most", nonce.len());
    let key = keys.store(uri)?.open(uri)?;
    let Some(statement) = block_on(key.attest(&nonce))? else {
        bail!("nothing can state that {uri} does not leave its device: it is in {}", key.residence().name());
    };
    let json = json!({
        "format": statement.format,
        "statement": hex::encode(&statement.statement),
        "signature": hex::encode(&statement.signature),
        "subject": hex::encode(&statement.subject),
        "attester": hex::encode(&statement.attester),
        "certificate": statement.certificate.as_ref().map(hex::encode),
    });
    anstream::println!("{}", serde_json::to_string_pretty(&json)?);
    Ok(())
}

fn print(keys: &[KeyInfo], json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    if json {
        let object = |key: &KeyInfo| {
            json!({
                "uri": key.uri.to_string(),
                "algorithm": key.algorithm.name(),
                "for": key.domains.iter().map(Domain::name).collect::<Vec<_>>(),
                "in": key.residence.name(),
                "public_key": hex::encode(&key.public_key),
            })
        };
        let keys: Vec<_> = keys.iter().map(object).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&keys)?)?;
        return Ok(());
    }
    let width = keys.iter().map(|key| key.uri.to_string().len()).max().unwrap_or(0);
    for key in keys {
        let (uri, public_key) = (key.uri.to_string(), hex::encode(&key.public_key));
        let place = key.residence.name();
        writeln!(out, "{uri:width$}  {:9}  {:14}  {place:6}  {public_key}", key.algorithm, key.domains)?;
    }
    Ok(())
}
