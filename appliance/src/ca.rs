//! `dolmen ca`: an organisation's root, which certifies its registrars.

use std::{io::Write as _, net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_provisioning_ca::{Certificate, GeneralName, Profile, Revocation, Serial, alt_name, register::Reason};
use dolmen_provisioning_ceremony::{Organisation, Wanted, read_request, write_certificates};
use serde_json::json;

use crate::{
    backends::keys::{self, Keys},
    ceremony::{fingerprint, moment},
    keys::DeviceArgs,
};

/// Arguments of `dolmen ca`.
#[derive(Args)]
pub(crate) struct CaArgs {
    /// The authority's directory: the journal of all that it signed, its root and its list of revoked certificates.
    #[arg(long, global = true, value_name = "DIR", default_value = "ca")]
    authority: PathBuf,
    /// The root's key, P-256, wherever it lives.
    #[arg(long, global = true, value_name = "URI", default_value = "soft:root")]
    key: KeyUri,
    #[command(flatten)]
    devices: DeviceArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Subcommand)]
enum CaCommand {
    /// Make an organisation's root, and its key where there is none.
    #[command(after_help = "Examples:\n  dolmen ca init \"Alpha Bank\"\n  \
        dolmen ca init \"Alpha Bank\" --key pkcs11:object=root --config box.toml")]
    Init {
        /// What the organisation is called.
        organisation: String,
        /// Days for which the root holds.
        #[arg(long, default_value_t = 20 * 365)]
        days: u32,
    },
    /// Issue a certificate for a registrar, or for the authority that it issues with.
    #[command(after_help = "Example:\n  dolmen ca issue registrar --request registrar.csr --name registrar-1 \\\n    \
        --host registrar.alpha.example --host 10.0.0.5 --out registrar.pem")]
    Issue {
        /// What it is for.
        kind: Kind,
        /// The request (PKCS#10), in PEM or DER. Its key is taken from it, and nothing else.
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// What the holder is called.
        #[arg(long)]
        name: String,
        /// A name of the DNS, or an address, by which boxes reach it; once for each. For registrars alone.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        /// Days for which it holds; not longer than the root does.
        #[arg(long, default_value_t = 825)]
        days: u32,
        /// Where the certificate goes, with the root behind it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Revoke a certificate, for good, and sign a new list.
    #[command(after_help = "Example:\n  dolmen ca revoke 4D0F… --reason keyCompromise --yes")]
    Revoke {
        /// Its number, as `dolmen ca list` shows it.
        serial: Serial,
        /// Why: unspecified, keyCompromise, caCompromise, affiliationChanged, superseded, cessationOfOperation or
        /// privilegeWithdrawn.
        #[arg(long)]
        reason: Reason,
        /// Do it: nothing makes it valid again.
        #[arg(long)]
        yes: bool,
        /// Days until the next list.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Sign the list of what was revoked, `crl.pem`; to be done again before the days are over.
    #[command(after_help = "Example:\n  dolmen ca crl --days 30")]
    Crl {
        /// Days until the next list.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Show the root, and what it issued and revoked.
    #[command(after_help = "Example:\n  dolmen ca list --json")]
    List,
}

/// What a root issues.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A registrar: admits the organisation's boxes.
    Registrar,
    /// The authority that a registrar issues boxes' certificates with.
    Issuing,
}

/// Runs a subcommand.
pub(crate) async fn ca(args: CaArgs) -> anyhow::Result<()> {
    let CaArgs { authority, key, devices, json, command } = args;
    let keys = Keys::new(devices.devices_of(&authority)?)?;
    match command {
        CaCommand::Init { organisation, days } => {
            keys::create_dir(&authority)?;
            keys::create_dir(keys.dir())?;
            let spec =
                KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() };
            let key = keys.open_or_create(&key, spec)?;
            let founded = Organisation::found(&authority, &organisation, key, days, moment()?).await?;
            print(&founded, json)
        }
        CaCommand::Issue { kind, request, name, hosts, days, out } => {
            let mut organisation = Organisation::open(&authority)?;
            let request = read_request(&request)?;
            let profile = match kind {
                Kind::Registrar => Profile::Registrar,
                Kind::Issuing => Profile::Issuing,
            };
            let alt_names = hosts.iter().map(|host| name_of(host)).collect::<anyhow::Result<_>>()?;
            let wanted = Wanted { profile, request: &request, common_name: &name, alt_names, days };
            let issued = organisation.issue(open(&keys, &key)?, wanted, moment()?).await?;
            let path = [issued, organisation.root().clone()];
            write_certificates(&out, &path)?;
            print_certificates(&[(&path[0], None)], json)
        }
        CaCommand::Revoke { serial, reason, yes, days } => {
            let mut organisation = Organisation::open(&authority)?;
            if !yes {
                let certificate = organisation.register().certificate(&serial);
                let whose = certificate.with_context(|| format!("no certificate {serial} was issued here"))?;
                bail!("{} would lose its certificate for good; say --yes to revoke it", whose.subject());
            }
            organisation.revoke(&serial, reason, moment()?)?;
            list(&mut organisation, open(&keys, &key)?, days).await
        }
        CaCommand::Crl { days } => list(&mut Organisation::open(&authority)?, open(&keys, &key)?, days).await,
        CaCommand::List => print(&Organisation::open(&authority)?, json),
    }
}

fn open(keys: &Keys, key: &KeyUri) -> anyhow::Result<Arc<dyn Signer>> {
    keys.store(key)?.open(key).context("the key of the root cannot be opened; name it with --key")
}

async fn list(organisation: &mut Organisation, key: Arc<dyn Signer>, days: u32) -> anyhow::Result<()> {
    let crl = organisation.list(key, days, moment()?).await?;
    anstream::println!(
        "crl.pem: list {}, {} revoked, until {}",
        crl.number(),
        crl.revoked().count(),
        crl.next_update()
    );
    Ok(())
}

/// An address where it is one, else a name of the DNS.
fn name_of(host: &str) -> anyhow::Result<GeneralName> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(alt_name::ip(address)),
        Err(_) => Ok(alt_name::dns(host)?),
    }
}

fn print(organisation: &Organisation, json: bool) -> anyhow::Result<()> {
    let root = [(organisation.root(), None)];
    let certificates: Vec<_> = root.into_iter().chain(organisation.register().issued()).collect();
    print_certificates(&certificates, json)
}

fn print_certificates(certificates: &[(&Certificate, Option<Revocation>)], json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    if json {
        let object = |(certificate, revocation): &(&Certificate, Option<Revocation>)| {
            json!({
                "serial": certificate.serial().to_string(),
                "subject": certificate.subject().to_string(),
                "not_after": certificate.validity().not_after().to_string(),
                "fingerprint": fingerprint(certificate),
                "revoked": revocation.map(|revocation| revocation.date.to_string()),
            })
        };
        let objects: Vec<_> = certificates.iter().map(object).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&objects)?)?;
        return Ok(());
    }
    for (certificate, revocation) in certificates {
        let state = match revocation {
            Some(revocation) => format!("revoked {}", revocation.date),
            None => format!("until {}", certificate.validity().not_after()),
        };
        writeln!(out, "{:32}  {state:28}  {}", certificate.serial(), certificate.subject())?;
    }
    Ok(())
}
