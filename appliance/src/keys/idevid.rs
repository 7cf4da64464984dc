//! `dolmen keys idevid`: a box's identity by its maker, at the factory and later.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use anyhow::{Context as _, ensure};
use clap::Args;
use dolmen_hsm_evidence::Public;
use dolmen_provisioning_ca::{Certificate, PublicKey, RequestBuilder, Subject};
use dolmen_provisioning_ceremony::{Birth, read_certificates};
use dolmen_provisioning_voucher::{OwnershipEpoch, SerialNumber};
use futures::executor::block_on;
use openssl::sha::sha256;
use serde_json::json;

use crate::{backends::keys::Keys, ceremony::fingerprint};

/// Arguments of `dolmen keys idevid`.
#[derive(Args)]
pub(super) struct IdevidArgs {
    /// At the factory: write what `dolmen masa certify` needs to know of this box.
    #[arg(long, value_name = "FILE", requires = "serial", conflicts_with = "install")]
    birth: Option<PathBuf>,
    /// The serial number on the box's label.
    #[arg(long, value_name = "SERIAL", requires = "birth")]
    serial: Option<SerialNumber>,
    /// At the factory: have the TPM keep the certificate that `dolmen masa certify` wrote.
    #[arg(long, value_name = "FILE")]
    install: Option<PathBuf>,
}

/// Shows the identity, or makes it one.
pub(super) fn idevid(keys: &Keys, args: &IdevidArgs, json: bool) -> anyhow::Result<()> {
    match (&args.birth, &args.serial, &args.install) {
        (Some(path), Some(serial), _) => birth(keys, path, serial),
        (_, _, Some(path)) => install(keys, path),
        _ => show(keys, json),
    }
}

fn birth(keys: &Keys, path: &Path, serial_number: &SerialNumber) -> anyhow::Result<()> {
    let key = keys.idevid()?;
    let subject = Subject::new("box", serial_number.as_str())?.with_machine_serial(serial_number.as_str())?;
    let request = block_on(RequestBuilder::new(&subject, Vec::new())?.sign(&*key))?;
    let birth = Birth {
        serial_number: serial_number.clone(),
        request,
        endorsement_key: endorsement_key(keys)?,
        ownership_epoch: OwnershipEpoch::new(keys.ownership_epoch(None)?),
    };
    fs::write(path, birth.to_json()?).with_context(|| format!("cannot write {}", path.display()))?;
    anstream::println!("{}: {serial_number}, for `dolmen masa certify`", path.display());
    Ok(())
}

/// SHA-256 of the endorsement key, as policies of appraisals have it.
fn endorsement_key(keys: &Keys) -> anyhow::Result<[u8; 32]> {
    let endorsement = keys.attesting_tpm()?.endorsement()?;
    let key = Public::from_tpmt(&endorsement.public).context("the TPM's endorsement key cannot be read")?;
    Ok(sha256(&key.key().to_spki()?))
}

fn install(keys: &Keys, path: &Path) -> anyhow::Result<()> {
    let certificates = read_certificates(path)?;
    let key = keys.idevid()?;
    let own = certificates.first().context("the file has no certificate")?;
    ensure!(
        own.public_key().ok() == Some(PublicKey::of(&*key)?),
        "{} is another box's certificate; take the one that was made from this box's birth",
        path.display()
    );
    let ders: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
    keys.write_idevid(&ders)?;
    anstream::println!("the TPM keeps the certificate of {}", own.subject());
    Ok(())
}

fn show(keys: &Keys, json: bool) -> anyhow::Result<()> {
    let (key, certificates) = (keys.idevid()?, keys.idevid_certificates()?);
    let epoch = keys.ownership_epoch(None)?;
    let own = certificates.first().map(|der| Certificate::from_der(der)).transpose()?;
    let endorsement_key = hex::encode(endorsement_key(keys)?);
    if json {
        let object = json!({
            "public_key": hex::encode(key.public_key()),
            "serial_number": own.as_ref().and_then(Certificate::machine_serial),
            "certificate": own.as_ref().map(fingerprint),
            "endorsement_key": endorsement_key,
            "ownership_epoch": epoch.to_string(),
        });
        anstream::println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    match &own {
        Some(own) => anstream::println!("{} ({})", own.subject(), fingerprint(own)),
        None => anstream::println!("no certificate: this box was not certified by a maker"),
    }
    anstream::println!("  endorsement key  {endorsement_key}");
    anstream::println!("  ownership epoch  {epoch}");
    Ok(())
}
