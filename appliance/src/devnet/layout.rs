//! The files of a development chain: genesis, keys, one directory and `box.toml` a box, and `devnet.json`.

use std::{
    collections::BTreeMap,
    fs::{self, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpListener},
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
};
use crate::{
    backends::keys::Keys,
    config::{Admin, BoxConfig, History, KeySettings, Log, P2p, PeerConfig, Rpc, SyncSettings, load_genesis},
    genesis,
    run::consensus_key,
};

/// Ports between one box and the next, so that they are easy to tell apart.
const PORT_STEP: u16 = 10;
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

/// One of its boxes.
pub(super) struct BoxLayout {
    pub(super) name: String,
    pub(super) config: PathBuf,
    pub(super) log: PathBuf,
    /// The environment's `SOFTHSM2_CONF` of its process, where it has a token.
    pub(super) softhsm: Option<PathBuf>,
    public_key: PublicKey,
    keys: KeySettings,
    /// Held as long as the box may need it.
    _tpm: Option<Swtpm>,
    rpc: SocketAddr,
    admin: SocketAddr,
    p2p: SocketAddr,
}

/// A funded account; the file that holds it is for development only and says so.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    address: Address,
    private_key: B256,
}

/// `devnet.json`.
#[derive(Serialize)]
struct Summary<'a> {
    chain_id: u64,
    genesis: &'a Path,
    boxes: Vec<BoxSummary<'a>>,
    accounts: &'a [Account],
}

#[derive(Serialize)]
struct BoxSummary<'a> {
    name: &'a str,
    rpc: String,
    ws: String,
    metrics: String,
    ui: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
    config: &'a Path,
    pid: Option<u32>,
}

impl BoxLayout {
    pub(super) fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    pub(super) fn ui_url(&self) -> String {
        format!("{}/", self.admin_url())
    }

    /// The certificate of its page, where that is HTTPS; the box makes it.
    pub(super) fn certificate(&self) -> Option<PathBuf> {
        self.keys.tls.as_ref().map(|_| self.config.with_file_name("keys").join("tls.pem"))
    }

    fn admin_url(&self) -> String {
        let scheme = if self.keys.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.admin)
    }
}

impl Layout {
    /// Opens the chain in `args.dir`, or creates a new one there.
    pub(super) fn open_or_create(args: &DevnetArgs) -> anyhow::Result<Self> {
        fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
        let dir = fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
        let lock = lock(&dir)?;
        let genesis_path = dir.join("genesis.json");
        // Before anything is written into the directory of another chain.
        if genesis_path.exists() {
            let count = load_genesis(&genesis_path)?.file().validators.len();
            ensure!(
                count == usize::from(args.boxes),
                "{} holds a chain of {count} boxes; run it with --boxes {count} or choose another --dir",
                dir.display()
            );
        }
        let ports = ports(args)?;
        let boxes =
            (0..args.boxes).map(|index| box_layout(args, &dir, index, &ports)).collect::<anyhow::Result<Vec<_>>>()?;
        if !genesis_path.exists() {
            create_chain(args, &dir, &boxes)?;
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
        layout.write_configs(&args.peers)?;
        Ok(layout)
    }

    pub(super) fn config_of(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("box.toml")
    }

    /// Writes `devnet.json` for tools and tests.
    pub(super) fn write_summary(&self, pids: &[u32]) -> anyhow::Result<()> {
        let genesis = self.dir.join("genesis.json");
        let summarize = |(index, layout): (usize, &'_ BoxLayout)| BoxSummary {
            name: &self.boxes[index].name,
            rpc: layout.rpc_url(),
            ws: format!("ws://{}", layout.rpc),
            metrics: format!("{}/metrics", layout.admin_url()),
            ui: layout.ui_url(),
            certificate: layout.certificate(),
            config: &self.boxes[index].config,
            pid: pids.get(index).copied(),
        };
        let boxes = self.boxes.iter().enumerate().map(summarize).collect();
        let summary = Summary { chain_id: self.chain_id, genesis: &genesis, boxes, accounts: &self.accounts };
        // Renamed into place, so that a reader never sees half a file.
        let (path, new) = (self.dir.join("devnet.json"), self.dir.join("devnet.json.new"));
        write_private(&new, &serde_json::to_vec_pretty(&summary)?)?;
        fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes every `box.toml`; `more` are peers beside the boxes.
    fn write_configs(&self, more: &[PeerConfig]) -> anyhow::Result<()> {
        for own in &self.boxes {
            let peers = self.boxes.iter().filter(|other| other.name != own.name);
            let peers = peers.map(|peer| PeerConfig { public_key: peer.public_key, address: peer.p2p });
            let config = BoxConfig {
                name: own.name.clone(),
                genesis: "../genesis.json".into(),
                data_dir: "data".into(),
                keys: own.keys.clone(),
                p2p: P2p { listen: own.p2p, peers: peers.chain(more.iter().cloned()).collect() },
                rpc: Rpc { listen: own.rpc, ..Default::default() },
                admin: Admin { listen: own.admin, ..Default::default() },
                sync: SyncSettings::default(),
                history: History::default(),
                update: None,
                log: Log::default(),
            };
            fs::write(&own.config, toml::to_string(&config)?)
                .with_context(|| format!("cannot write {}", own.config.display()))?;
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

fn box_layout(args: &DevnetArgs, dir: &Path, index: u16, ports: &[u16]) -> anyhow::Result<BoxLayout> {
    let name = format!("box-{index}");
    let own = dir.join(&name);
    fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    let port = |place: usize| ports[usize::from(index) * PORTS + place];
    let at = |place: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, port(place)));
    let (mut keys, mut softhsm, mut tpm) = (KeySettings::default(), None, None);
    if args.swtpm {
        tpm = Some(Swtpm::start(&own.join("tpm"), port(3))?);
        keys.consensus = "tpm:consensus".parse().expect("a name");
        keys.devices.tcti = Some(format!("swtpm:host=127.0.0.1,port={}", port(3)));
    }
    if args.softhsm {
        let token = Token::open_or_create(&own.join("token"))?;
        let on_token = |object: &str| format!("pkcs11:token={TOKEN};object={object}").parse().expect("a name");
        (keys.tls, keys.api) = (Some(on_token("tls")), Some(on_token("api")));
        keys.use_token(token.module, token.pin_file)?;
        softhsm = Some(token.configuration);
    }
    let mut devices = keys.devices.clone();
    devices.resolve(&own);
    Ok(BoxLayout {
        public_key: public_key(&*consensus_key(&Keys::new(devices)?, &keys.consensus)?)?,
        config: own.join("box.toml"),
        log: own.join("log"),
        name,
        softhsm,
        keys,
        _tpm: tpm,
        rpc: at(0),
        admin: at(1),
        p2p: at(2),
    })
}

/// The ports of a box: RPC, web page, peers, and two of its TPM, one after the other.
const PORTS: usize = 5;

fn ports(args: &DevnetArgs) -> anyhow::Result<Vec<u16>> {
    if args.base_port == 0 {
        return free_ports(usize::from(args.boxes));
    }
    let port = |index: u16, place: u16| args.base_port.checked_add(index * PORT_STEP + place);
    let all = (0..args.boxes).flat_map(|index| (0..5).map(move |place| port(index, place)));
    all.collect::<Option<_>>().context("the ports go beyond 65535; choose a lower --base-port")
}

/// Ports that are free until somebody else takes one.
fn free_ports(boxes: usize) -> anyhow::Result<Vec<u16>> {
    // All bound at once, so that they differ.
    let mut bound = Vec::new();
    let mut bind = |port: u16| -> anyhow::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        bound.push(listener);
        Ok(port)
    };
    let mut ports = Vec::new();
    for _ in 0..boxes {
        for _ in 0..3 {
            ports.push(bind(0).context("no free ports")?);
        }
        let pair = (0..1000).find_map(|_| {
            let first = bind(0).ok()?;
            Some([first, bind(first.checked_add(1)?).ok()?])
        });
        ports.extend(pair.context("no two free ports side by side")?);
    }
    Ok(ports)
}

fn create_chain(args: &DevnetArgs, dir: &Path, boxes: &[BoxLayout]) -> anyhow::Result<()> {
    let accounts: Vec<Account> = (0..args.accounts).map(|_| new_account()).collect();
    write_private(&dir.join("accounts.json"), &serde_json::to_vec_pretty(&accounts)?)?;
    let ether = parse_ether(ACCOUNT_ETHER)?;
    let balances: BTreeMap<Address, U256> = accounts.iter().map(|account| (account.address, ether)).collect();
    // Each box has an organisation of its own, for which one of the accounts votes.
    let organisation = |index: usize| format!("organisation-{index}");
    let validators = boxes.iter().enumerate().map(|(index, own)| Validator {
        name: own.name.clone(),
        public_key: own.public_key,
        fee_recipient: Address::from_word(keccak256(own.public_key.0)),
        organisation: (index < accounts.len()).then(|| organisation(index)),
        endpoint: Some(own.p2p),
    });
    let organisations = accounts.iter().take(boxes.len()).enumerate().map(|(index, account)| Organisation {
        name: organisation(index),
        account: account.address,
        root_certificate: Bytes::new(),
    });
    let governance = Governance {
        epoch_blocks: args.epoch_blocks,
        silent_after_s: args.silent_after_s,
        organisations: organisations.collect(),
    };
    let file = genesis::file(args.chain_id, validators.collect(), governance, balances)?;
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
            epoch_blocks: 600,
            silent_after_s: 60,
            accounts: 1,
            accel,
            peers: Vec::new(),
            prepare: false,
            swtpm: false,
            softhsm: false,
        };
        let running = Layout::open_or_create(&args).unwrap();
        let settings = fs::read(running.config_of("box-0")).unwrap();
        let error = Layout::open_or_create(&args).err().expect("it is in use").to_string();
        assert!(error.contains(dir.to_str().unwrap()) && error.contains("stop it first"), "{error}");
        assert_eq!(fs::read(running.config_of("box-0")).unwrap(), settings, "other ports would be in them");
        drop(running);
        Layout::open_or_create(&args).expect("nobody uses it any more");
    }
}
