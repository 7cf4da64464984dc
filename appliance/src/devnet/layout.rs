//! The files of a development chain: genesis, keys, one directory and `box.toml` a box, and `devnet.json`.

use std::{
    collections::BTreeMap,
    fs::{self, TryLockError},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, utils::parse_ether};
use anyhow::{Context as _, bail, ensure};
use dolmen_node::public_key;
use dolmen_types::{
    PublicKey, Validator,
    genesis::{Governance, Organisation},
};
use secp256k1::{PublicKey as AccountKey, SecretKey};
use serde::{Deserialize, Serialize};

use super::{
    DevnetArgs,
    devices::{Swtpm, TOKEN, Token},
    site::Site,
};
use crate::{
    backends::keys::Keys,
    boot, claim,
    config::{Admin, BoxConfig, History, KeySettings, P2p, PeerConfig, Rpc, SyncSettings, load_genesis},
    genesis, local_token,
    logging::{Log, Traces},
    run::consensus_key,
};

/// What each development account owns, in ether.
const ACCOUNT_ETHER: &str = "1000000";

/// A development chain on disk.
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) chain_id: u64,
    pub(super) boxes: Vec<BoxLayout>,
    accounts: Vec<Account>,
    /// Held as long as this process uses the directory.
    _lock: fs::File,
}

/// Where one of its boxes is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) rpc: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) p2p: SocketAddr,
    /// The network namespace that it is in, if it has one of its own.
    pub(super) namespace: Option<String>,
}

/// A box that founds the chain.
pub(super) struct BoxLayout {
    pub(super) place: Place,
    /// The environment's `SOFTHSM2_CONF` of its process, where it has a token.
    pub(super) softhsm: Option<PathBuf>,
    public_key: PublicKey,
    keys: KeySettings,
    /// Held as long as the box may need it.
    _tpm: Option<Swtpm>,
}

/// A funded account; the file that holds it is for development only and says so.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    address: Address,
    private_key: B256,
}

/// Who is in a chain that is not of its boxes alone.
pub(super) struct Members {
    /// The organisations.
    pub(super) organisations: Vec<Organisation>,
    /// The directory of the registrar whose new boxes are let in on the pages of those that found the chain.
    pub(super) registrar: PathBuf,
}

/// `devnet.json`.
#[derive(Serialize)]
struct Summary<'a> {
    chain_id: u64,
    genesis: &'a Path,
    boxes: Vec<BoxSummary>,
    accounts: &'a [Account],
}

#[derive(Serialize)]
struct BoxSummary {
    name: String,
    rpc: String,
    ws: String,
    metrics: String,
    ui: String,
    certificate: PathBuf,
    token: PathBuf,
    claim_code: PathBuf,
    config: PathBuf,
    pid: Option<u32>,
}

impl Place {
    /// A box's directory, made where there is none, and its site.
    pub(super) fn new(dir: &Path, index: u16, site: &Site) -> anyhow::Result<Self> {
        let name = format!("box-{index}");
        let directory = dir.join(&name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let (rpc, admin, p2p) = (site.rpc(), site.page(), site.peers());
        Ok(Self { name, directory, rpc, admin, p2p, namespace: site.namespace.clone() })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join(boot::SETTINGS)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(super) fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    pub(super) fn ui_url(&self) -> String {
        format!("{}/", self.admin_url())
    }

    /// The certificate of its page; the box makes it.
    pub(super) fn certificate(&self) -> PathBuf {
        self.directory.join("keys").join("tls.pem")
    }

    /// What shows programs on this machine how the box does; the box makes it.
    pub(super) fn token(&self) -> PathBuf {
        local_token::path(&self.directory)
    }

    /// The code that makes whoever shows it the first user of its page; the box makes it.
    pub(super) fn claim_code(&self) -> PathBuf {
        self.directory.join(claim::FILE)
    }

    fn admin_url(&self) -> String {
        format!("https://{}", self.admin)
    }
}

impl Layout {
    /// Opens the chain in `args.dir`, or creates a new one there; of the members' organisations, or one for each box.
    pub(super) fn open_or_create(args: &DevnetArgs, sites: &[Site], members: Option<Members>) -> anyhow::Result<Self> {
        let boxes = sites.len();
        fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
        let dir = fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
        let lock = lock(&dir)?;
        let genesis_path = dir.join("genesis.json");
        // Before anything is written into the directory of another chain.
        if genesis_path.exists() {
            let count = load_genesis(&genesis_path)?.file().validators.len();
            ensure!(
                count == boxes,
                "{} holds a chain of {count} boxes; run it with --boxes {count} or choose another --dir",
                dir.display()
            );
        }
        let boxes = sites.iter().zip(0..).map(|(site, index)| box_layout(args, &dir, index, site));
        let boxes = boxes.collect::<anyhow::Result<Vec<_>>>()?;
        let (organisations, registrar) = members.map(|members| (members.organisations, members.registrar)).unzip();
        if !genesis_path.exists() {
            create_chain(args, &dir, &boxes, organisations)?;
        }
        let genesis = load_genesis(&genesis_path)?;
        let validators = &genesis.file().validators;
        ensure!(
            boxes.iter().zip(validators).all(|(own, validator)| own.public_key == validator.public_key),
            "{} holds a chain whose keys are not those of its boxes; restore the key files or choose another --dir",
            dir.display()
        );
        let accounts = fs::read(dir.join("accounts.json")).context("cannot read accounts.json of the chain")?;
        let accounts = serde_json::from_slice(&accounts).context("accounts.json of the chain is damaged")?;
        let layout = Self { chain_id: genesis.file().chain_id, dir, boxes, accounts, _lock: lock };
        layout.write_configs(&args.peers, registrar.as_deref())?;
        Ok(layout)
    }

    /// Where the boxes are that founded the chain.
    pub(super) fn places(&self) -> Vec<Place> {
        self.boxes.iter().map(|own| own.place.clone()).collect()
    }

    pub(super) fn config_of(&self, name: &str) -> PathBuf {
        self.dir.join(name).join(boot::SETTINGS)
    }

    /// Writes `devnet.json` for tools and tests.
    pub(super) fn write_summary(&self, places: &[Place], pids: &[Option<u32>]) -> anyhow::Result<()> {
        let genesis = self.dir.join("genesis.json");
        let summarize = |(index, place): (usize, &'_ Place)| BoxSummary {
            name: place.name.clone(),
            rpc: place.rpc_url(),
            ws: format!("ws://{}", place.rpc),
            metrics: format!("{}/metrics", place.admin_url()),
            ui: place.ui_url(),
            certificate: place.certificate(),
            token: place.token(),
            claim_code: place.claim_code(),
            config: place.config(),
            pid: pids.get(index).copied().flatten(),
        };
        let boxes = places.iter().enumerate().map(summarize).collect();
        let summary = Summary { chain_id: self.chain_id, genesis: &genesis, boxes, accounts: &self.accounts };
        // Renamed into place, so that a reader never sees half a file.
        let (path, new) = (self.dir.join("devnet.json"), self.dir.join("devnet.json.new"));
        write_private(&new, &serde_json::to_vec_pretty(&summary)?)?;
        fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes every `box.toml`; `more` are peers beside the boxes, and new boxes wait on the page for `registrar`.
    fn write_configs(&self, more: &[PeerConfig], registrar: Option<&Path>) -> anyhow::Result<()> {
        for own in &self.boxes {
            let place = &own.place;
            let peers = self.boxes.iter().filter(|other| other.place.name != place.name);
            let peers = peers.map(|peer| PeerConfig { public_key: peer.public_key, address: peer.place.p2p });
            let config = BoxConfig {
                name: place.name.clone(),
                genesis: "../genesis.json".into(),
                data_dir: "data".into(),
                keys: own.keys.clone(),
                p2p: P2p { listen: place.p2p, peers: peers.chain(more.iter().cloned()).collect() },
                rpc: Rpc { listen: place.rpc, ..Default::default() },
                admin: Admin { listen: place.admin, registrar: registrar.map(Path::to_owned), ..Default::default() },
                sync: SyncSettings::default(),
                history: History::default(),
                update: None,
                log: Log::default(),
                traces: Traces::default(),
            };
            let path = place.config();
            fs::write(&path, toml::to_string(&config)?).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Keeps a second devnet from writing into the directory of one that runs.
fn lock(dir: &Path) -> anyhow::Result<fs::File> {
    let path = dir.join("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another `dolmen devnet` runs in {}; stop it first, or choose another --dir and --base-port",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn box_layout(args: &DevnetArgs, dir: &Path, index: u16, site: &Site) -> anyhow::Result<BoxLayout> {
    let place = Place::new(dir, index, site)?;
    let own = &place.directory;
    let (mut keys, mut softhsm, mut tpm) = (KeySettings::default(), None, None);
    if args.swtpm {
        let swtpm = Swtpm::start(&own.join("tpm"), site.tpm())?;
        keys.consensus = "tpm:consensus".parse().expect("a name");
        keys.devices.tcti = Some(swtpm.tcti());
        tpm = Some(swtpm);
    }
    if args.softhsm {
        let token = Token::open_or_create(&own.join("token"))?;
        let on_token = |object: &str| format!("pkcs11:token={TOKEN};object={object}").parse().expect("a name");
        (keys.tls, keys.api) = (on_token("tls"), Some(on_token("api")));
        keys.use_token(token.module, token.pin_file)?;
        softhsm = Some(token.configuration);
    }
    let mut devices = keys.devices.clone();
    devices.resolve(own);
    let public_key = public_key(&*consensus_key(&Keys::new(devices)?, &keys.consensus)?)?;
    Ok(BoxLayout { public_key, place, softhsm, keys, _tpm: tpm })
}

fn create_chain(
    args: &DevnetArgs,
    dir: &Path,
    boxes: &[BoxLayout],
    organisations: Option<Vec<Organisation>>,
) -> anyhow::Result<()> {
    let accounts: Vec<Account> = (0..args.accounts).map(|_| new_account()).collect();
    write_private(&dir.join("accounts.json"), &serde_json::to_vec_pretty(&accounts)?)?;
    let ether = parse_ether(ACCOUNT_ETHER)?;
    // Each box has an organisation of its own, for which one of the accounts votes.
    let organisations = organisations.unwrap_or_else(|| {
        let own = accounts.iter().take(boxes.len()).enumerate().map(|(index, account)| Organisation {
            name: format!("organisation-{index}"),
            account: account.address,
            root_certificate: Bytes::new(),
        });
        own.collect()
    });
    let owners = accounts.iter().map(|account| account.address);
    let owners = owners.chain(organisations.iter().map(|organisation| organisation.account));
    let balances: BTreeMap<Address, U256> = owners.map(|owner| (owner, ether)).collect();
    let validators = boxes.iter().enumerate().map(|(index, own)| Validator {
        name: own.place.name.clone(),
        public_key: own.public_key,
        fee_recipient: Address::from_word(keccak256(own.public_key.0)),
        organisation: organisations.get(index).map(|organisation| organisation.name.clone()),
        endpoint: Some(own.place.p2p),
    });
    let validators = validators.collect();
    let governance =
        Governance { epoch_blocks: args.epoch_blocks(), silent_after_s: args.silent_after_s, organisations };
    let file = genesis::file(args.chain_id, validators, governance, balances)?;
    genesis::write(&dir.join("genesis.json"), file)
}

fn new_account() -> Account {
    loop {
        let bytes: [u8; 32] = rand::random();
        // All but about one in 2^128 numbers are keys.
        let Ok(secret) = SecretKey::from_byte_array(bytes) else { continue };
        let public = AccountKey::from_secret_key_global(&secret).serialize_uncompressed();
        let address = Address::from_word(keccak256(&public[1..]));
        return Account { address, private_key: B256::from(bytes) };
    }
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_running_devnet_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(parent.path()).unwrap().join("chain");
        let accel = crate::backends::Backend::Off;
        let args = DevnetArgs {
            boxes: 1,
            dir: dir.clone(),
            base_port: 0,
            chain_id: 7,
            epoch_blocks: None,
            silent_after_s: 60,
            accounts: 1,
            accel,
            peers: Vec::new(),
            prepare: false,
            swtpm: false,
            softhsm: false,
            zero_touch: false,
            namespaces: false,
            command: None,
        };
        let sites = super::super::site::local(0, 1).unwrap();
        let running = Layout::open_or_create(&args, &sites, None).unwrap();
        let settings = fs::read(running.config_of("box-0")).unwrap();
        let error = Layout::open_or_create(&args, &sites, None).err().expect("it is in use").to_string();
        assert!(error.contains(dir.to_str().unwrap()) && error.contains("stop it first"), "{error}");
        assert_eq!(fs::read(running.config_of("box-0")).unwrap(), settings, "other ports would be in them");
        drop(running);
        Layout::open_or_create(&args, &sites, None).expect("nobody uses it any more");
    }
}
