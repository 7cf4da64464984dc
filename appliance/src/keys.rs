//! `dolmen keys`: making, listing and deleting keys.

use std::{io::Write as _, path::PathBuf};

use alloy_primitives::hex;
use anyhow::bail;
use clap::{Args, Subcommand};
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyInfo, KeySpec, KeyStore, KeyUri, Signer};
use dolmen_hsm_soft::SoftStore;
use serde_json::json;

/// Arguments of `dolmen keys`.
#[derive(Args)]
pub(crate) struct KeysArgs {
    /// The directory that holds the keys.
    #[arg(long, global = true, value_name = "DIR", default_value = "keys")]
    dir: PathBuf,
    /// A file of mode 0600 whose first line opens the keys, `passphrase` in the directory if not given; the first key
    /// makes it where it is missing.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a key and print its public half.
    #[command(after_help = "Examples:\n  dolmen keys create soft:page --algorithm p256 --for tls\n  \
        dolmen keys create soft:box --algorithm ed25519 --for vote,transport --json")]
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
    /// List the keys; needs no passphrase.
    #[command(after_help = "Example:\n  dolmen keys list --dir /var/lib/dolmen/keys")]
    List,
    /// Open a key and print what it is: shows that the passphrase opens it and that the file is whole.
    #[command(after_help = "Example:\n  dolmen keys show soft:box")]
    Show {
        /// The key.
        uri: KeyUri,
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
}

/// Runs a subcommand.
pub(crate) fn keys(args: KeysArgs) -> anyhow::Result<()> {
    let KeysArgs { dir, passphrase_file, json, command } = args;
    let passphrase_file = passphrase_file.unwrap_or_else(|| dir.join("passphrase"));
    let store = SoftStore::new(dir, passphrase_file);
    match command {
        KeysCommand::Create { uri, algorithm, domains } => {
            let domains: Domains = domains.into_iter().collect();
            print(&[info(&*store.create(&uri, KeySpec { algorithm, domains })?)], json)
        }
        KeysCommand::List => print(&store.list()?, json),
        KeysCommand::Show { uri } => print(&[info(&*store.open(&uri)?)], json),
        KeysCommand::Delete { uri, yes } => {
            if !yes {
                bail!("{uri} would be gone for good, with all that it signs for; say --yes to delete it");
            }
            Ok(store.delete(&uri)?)
        }
    }
}

fn info(key: &dyn Signer) -> KeyInfo {
    KeyInfo {
        uri: key.uri().clone(),
        algorithm: key.algorithm(),
        domains: key.domains(),
        public_key: key.public_key().to_vec(),
    }
}

fn print(keys: &[KeyInfo], json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    if json {
        let object = |key: &KeyInfo| {
            json!({
                "uri": key.uri.to_string(),
                "algorithm": key.algorithm.name(),
                "for": key.domains.iter().map(Domain::name).collect::<Vec<_>>(),
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
        writeln!(out, "{uri:width$}  {:9}  {:14}  {public_key}", key.algorithm, key.domains)?;
    }
    Ok(())
}
