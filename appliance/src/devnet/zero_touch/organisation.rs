//! An organisation of the devnet: its authority, its registrar, and its account on the chain.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::Address;
use anyhow::{Context as _, ensure};
use dolmen_provisioning_ceremony::read_certificates;
use dolmen_types::genesis::Organisation as Founder;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    super::{process, site::Site},
    Factory, Processes,
};
use crate::{
    gov::account_of,
    registrar::{Admit, ChainSettings, FILE as SETTINGS, References, RegistrarKeys, RegistrarSigners, Settings},
};

/// Both of them.
pub(super) const NAMES: [&str; 2] = ["alpha", "beta"];
/// Where they are in the devnet's directory.
const PLACE: &str = "organisations";
/// How long a registrar may take to serve.
const START_MAX: Duration = Duration::from_secs(60);

/// An organisation.
pub(super) struct Organisation {
    pub(super) name: &'static str,
    directory: PathBuf,
    namespace: Option<String>,
}

impl Organisation {
    /// Founds an organisation, or opens it; its registrar is at a site, and asks a box of the chain.
    pub(super) async fn open(
        dir: &Path,
        name: &'static str,
        number: u32,
        site: &Site,
        rpc: SocketAddr,
    ) -> anyhow::Result<Self> {
        let this = Self { namespace: site.namespace.clone(), ..Self::known(dir, name) };
        let (authority, registrar) = (this.authority(), this.registrar());
        fs::create_dir_all(&registrar).with_context(|| format!("cannot create {}", registrar.display()))?;
        if !this.root().exists() {
            process::run(["ca", "init", name, "--authority", text(&authority)?]).await?;
        }
        // The ports may be others than the last time.
        let settings = settings(name, number, site, rpc);
        write(&registrar.join(SETTINGS), &toml::to_string(&settings)?)?;
        for kind in ["registrar", "issuing"] {
            let [request, certificate] = ["csr", "pem"].map(|suffix| registrar.join(format!("{kind}.{suffix}")));
            if certificate.exists() {
                continue;
            }
            process::run(["registrar", "init", "--registrar", text(&registrar)?]).await?;
            let issue = ["ca", "issue", kind, "--name", &format!("{name} {kind}"), "--request", text(&request)?];
            let whose = ["--authority", text(&authority)?, "--out", text(&certificate)?];
            let address = site.rpc().ip().to_string();
            let host = if kind == "registrar" { &["--host", &address][..] } else { &[] };
            process::run(issue.iter().chain(&whose).chain(host)).await?;
        }
        Ok(this)
    }

    /// One that there is already.
    pub(super) fn known(dir: &Path, name: &'static str) -> Self {
        Self { name, directory: dir.join(PLACE).join(name), namespace: None }
    }

    /// Where the registrars of a devnet are that boxes have to be told of.
    pub(super) fn registrars(dir: &Path) -> anyhow::Result<Vec<SocketAddr>> {
        let settings = NAMES.iter().map(|name| Settings::load(&Self::known(dir, name).registrar()));
        let settings = settings.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(settings.iter().filter(|settings| !settings.announce).map(|settings| settings.listen).collect())
    }

    fn authority(&self) -> PathBuf {
        self.directory.join("ca")
    }

    /// The directory of its registrar.
    pub(super) fn registrar(&self) -> PathBuf {
        self.directory.join("registrar")
    }

    /// The file of its root certificate.
    pub(super) fn root(&self) -> PathBuf {
        self.authority().join("root.pem")
    }

    fn account(&self) -> anyhow::Result<Address> {
        let signers = RegistrarSigners::open(&Settings::load(&self.registrar())?)?;
        account_of(signers.account.context("the registrar has no account")?)
    }

    /// What the genesis file says of it.
    pub(super) fn of_genesis(&self) -> anyhow::Result<Founder> {
        let root = read_certificates(&self.root())?.remove(0);
        let root_certificate = root.der().to_vec().into();
        Ok(Founder { name: self.name.to_owned(), account: self.account()?, root_certificate })
    }

    /// Sends a transaction for the organisation; gives the number of the proposal that it was about.
    pub(super) async fn sign(&self, command: &[&str], rpc: &str) -> anyhow::Result<String> {
        let keys = self.registrar().join("keys");
        let signer = ["--rpc", rpc, "--json", "--key", "soft:account", "--dir", text(&keys)?];
        let done: Value = serde_json::from_str(&process::run(command.iter().chain(&signer)).await?)?;
        let id = done["proposal"]["id"].as_str().context("the chain does not say which proposal it was")?;
        Ok(u64::from_str_radix(id.trim_start_matches("0x"), 16)?.to_string())
    }

    /// Starts the registrar, which lets these boxes join, and gives it their vouchers.
    pub(super) async fn serve(
        &self,
        factory: &Factory,
        serial_numbers: impl Iterator<Item = &str>,
        processes: &mut Processes,
    ) -> anyhow::Result<()> {
        let serial_numbers: Vec<_> = serial_numbers.collect();
        let registrar = self.registrar();
        write(
            &registrar.join("policy.toml"),
            &format!("retry-seconds = 1\n[approve]\nserials = {serial_numbers:?}\n"),
        )?;
        write(&registrar.join("appraisal.toml"), &factory.policy()?)?;
        let name = format!("registrar of {}", self.name);
        processes.start(&name, &registrar.join("log"), self.namespace.as_deref(), |command| {
            command.args(["registrar", "run", "--stop-on-stdin-eof", "--registrar"]).arg(&registrar);
        })?;
        let begin = Instant::now();
        while let Err(error) = process::run(["registrar", "boxes", "--registrar", text(&registrar)?]).await {
            let dead = processes.dead();
            ensure!(dead.is_empty(), "{} stopped; see {}", dead.join(", "), registrar.join("log").display());
            if begin.elapsed() > START_MAX {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for serial_number in serial_numbers {
            self.give(serial_number).await?;
        }
        Ok(())
    }

    /// Tells the registrar that runs of one more box, which it lets join unless somebody else is to say so.
    pub(super) async fn expect(&self, serial_number: &str, wait: bool) -> anyhow::Result<()> {
        if !wait {
            process::run(["registrar", "approve", serial_number, "--registrar", text(&self.registrar())?]).await?;
        }
        self.give(serial_number).await
    }

    /// Where vouchers for it go.
    pub(super) fn vouchers(&self) -> PathBuf {
        self.directory.join("vouchers")
    }

    async fn give(&self, serial_number: &str) -> anyhow::Result<()> {
        let voucher = self.vouchers().join(format!("{serial_number}.vcj"));
        process::run(["registrar", "import", text(&voucher)?, "--registrar", text(&self.registrar())?]).await.map(drop)
    }
}

fn settings(name: &str, number: u32, site: &Site, rpc: SocketAddr) -> Settings {
    Settings {
        name: format!("{name} registrar"),
        listen: site.rpc(),
        // Boxes of the network outside are not for it.
        announce: site.namespace.is_some(),
        metrics: Some(site.page()),
        organisation: number,
        certificate: "registrar.pem".into(),
        issuing: "issuing.pem".into(),
        makers: "../../../maker/root.pem".into(),
        masas: None,
        policy: "policy.toml".into(),
        appraisal: "appraisal.toml".into(),
        references: References {
            manifests: "../../../image".into(),
            release_keys: "../../../image/release.pem".into(),
        },
        chain: ChainSettings {
            genesis: "../../../genesis.json".into(),
            rpc: format!("http://{rpc}"),
            account: Some("soft:account".parse().expect("a name")),
            admit: Admit::Validator,
        },
        keys: RegistrarKeys::default(),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A path as an argument beside others.
pub(super) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8; choose another --dir", path.display()))
}
