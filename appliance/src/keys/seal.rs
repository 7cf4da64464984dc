//! Secrets that are sealed to the state of a box, and approvals of software.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use anyhow::{Context as _, ensure};
use clap::Args;
use dolmen_hsm_api::{Authority, KeyError, KeyUri, SealPolicy, private};

use crate::backends::keys::{self, Keys};

/// Files that are read here have no more bytes.
const BYTES_MAX: u64 = 64 << 10;

/// Arguments of `dolmen keys seal`.
#[derive(Args)]
pub(super) struct SealArgs {
    /// The secret, 64 bytes at most; standard input if not given.
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the sealed secret goes; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Registers that must stay as they are, with commas between; 7 is the state of Secure Boot.
    #[arg(long = "pcr", value_name = "N,..", value_delimiter = ',')]
    pcrs: Vec<u8>,
    /// The P-256 public key, hexadecimal, of who approves the software; its approval then counts too.
    #[arg(long, value_name = "HEX", requires = "reference")]
    authority: Option<String>,
    /// What the authority approves, as in dolmen:stable.
    #[arg(long, value_name = "TEXT", requires = "authority")]
    reference: Option<String>,
}

/// Arguments of `dolmen keys unseal`.
#[derive(Args)]
pub(super) struct UnsealArgs {
    /// The sealed secret.
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// The approval of the software that runs.
    #[arg(long, value_name = "FILE")]
    approval: Option<PathBuf>,
    /// Where the secret goes, mode 0600; must not exist. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `dolmen keys approve`.
#[derive(Args)]
pub(super) struct ApproveArgs {
    /// The authority's key: p256, may sign certificates.
    #[arg(long, value_name = "URI")]
    key: KeyUri,
    /// What is approved, as in dolmen:stable.
    #[arg(long, value_name = "TEXT")]
    reference: String,
    /// The number of the version; boxes whose floor is above it take no notice of the approval.
    #[arg(long, value_name = "N")]
    release: u64,
    /// A register of the SHA-256 bank and its value, hexadecimal; once for each.
    #[arg(long = "pcr", value_name = "N=HEX", required = true, value_parser = register)]
    pcrs: Vec<(u8, [u8; 32])>,
    /// Where the approval goes; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn register(text: &str) -> Result<(u8, [u8; 32]), String> {
    let written = || format!("{text:?} is no register; write it as 11= and 64 hexadecimal digits");
    let (number, value) = text.split_once('=').ok_or_else(written)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(value, &mut bytes).map_err(|_| written())?;
    Ok((number.parse().map_err(|_| written())?, bytes))
}

pub(super) fn seal(keys: &Keys, args: SealArgs) -> anyhow::Result<()> {
    let authority = match (args.authority, args.reference) {
        (Some(key), Some(reference)) => {
            // Some write the point with its leading 04.
            let key = key.strip_prefix("04").filter(|rest| rest.len() == 128).unwrap_or(&key);
            let mut public_key = [0; 64];
            hex::decode_to_slice(key, &mut public_key).context("the authority is not a P-256 key of 128 digits")?;
            Some(Authority { public_key, reference: reference.into_bytes() })
        }
        _ => None,
    };
    let secret = zeroize::Zeroizing::new(match &args.input {
        Some(path) => read(path)?,
        None => {
            let mut bytes = Vec::with_capacity(1024);
            std::io::stdin().take(BYTES_MAX).read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        }
    });
    let sealed = keys.sealer()?.seal(&secret, &SealPolicy { pcrs: args.pcrs, authority })?;
    write(&args.out, &sealed)
}

pub(super) fn unseal(keys: &Keys, args: UnsealArgs) -> anyhow::Result<()> {
    let approval = args.approval.as_deref().map(read).transpose()?;
    let secret = keys.sealer()?.unseal(&read(&args.input)?, approval.as_deref())?;
    if args.out == Path::new("-") {
        let mut out = std::io::stdout();
        return out.write_all(&secret).and_then(|()| out.flush()).context("cannot write to standard output");
    }
    write(&args.out, &secret)
}

pub(super) fn approve(keys: &Keys, args: ApproveArgs) -> anyhow::Result<()> {
    let key = keys.store(&args.key)?.open(&args.key)?;
    let count = args.pcrs.len();
    let pcrs: BTreeMap<_, _> = args.pcrs.into_iter().collect();
    ensure!(pcrs.len() == count, "a register is named twice; give each once");
    write(&args.out, &keys::approve(&*key, &args.reference, args.release, pcrs)?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::with_capacity(1024);
    file.take(BYTES_MAX).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    private::write_new(path, bytes).map_err(private::failed(path, "write a new file")).map_err(|error| match error {
        KeyError::Io { source, .. } => anyhow::Error::new(source).context(format!("cannot write {}", path.display())),
        other => other.into(),
    })
}
