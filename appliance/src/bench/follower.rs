//! A box that follows the devnet's chain and is not of the devnet: its key, settings and ports, and how far it is.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dolmen_node::public_key;

use super::{DevnetSettings, client::Rpc, metrics::Metrics, process::Process, report::Progress};
use crate::{
    backends::{Backend, keys::Keys},
    config::{self, Admin, BoxConfig, History, KeySettings, P2p, PeerConfig, SyncFrom, SyncSettings},
    logging::{Log, LogFormat, Traces},
    run::consensus_key,
};

/// The folder of a box's chain.
const DATA: &str = "data";
/// Ports from one box of a devnet to the next.
const PORT_STEP: u32 = 10;
/// Where free ports are looked for: Linux gives those from 32,768 on to connections, and takes none below.
const QUIET_PORTS: (u32, u32) = (20_000, 10_000);
/// Blocks that a box may be behind the others and still have caught up: those of a tenth of a second under load.
const LAG_MAX: u64 = 2;
/// Between two looks at a box that catches up.
const POLL: Duration = Duration::from_millis(20);

/// A box that joins the devnet's chain.
pub(super) struct Follower {
    /// Its name.
    pub(super) name: String,
    /// Where it begins.
    pub(super) from: SyncFrom,
    /// How the other boxes list it.
    pub(super) peer: PeerConfig,
    /// Its JSON-RPC.
    pub(super) rpc: Rpc,
    /// Its metrics.
    pub(super) metrics: Metrics,
    dir: PathBuf,
    accel: Backend,
}

impl Follower {
    /// Writes the files of a box beside the devnet's own in `place`, and makes its key.
    pub(super) fn create(
        place: &Path,
        (name, from): (&str, SyncFrom),
        ports: &mut Ports,
        accel: Backend,
    ) -> anyhow::Result<Self> {
        let dir = place.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let keys = KeySettings::default();
        let mut devices = keys.devices.clone();
        devices.resolve(&dir);
        let public_key = public_key(&*consensus_key(&Keys::new(devices)?, &keys.consensus)?)?;
        let (rpc, admin, p2p) = (ports.take()?, ports.take()?, ports.take()?);
        let settings = BoxConfig {
            name: name.to_owned(),
            genesis: "../genesis.json".into(),
            data_dir: DATA.into(),
            keys,
            // The genesis file says where the validators are.
            p2p: P2p { listen: p2p, peers: Vec::new() },
            rpc: config::Rpc { listen: rpc, ..Default::default() },
            admin: Admin { listen: admin, ..Default::default() },
            sync: SyncSettings { from: Some(from) },
            history: History::default(),
            update: None,
            // It is read here.
            log: Log { format: LogFormat::Json, syslog: None },
            traces: Traces::default(),
        };
        let path = dir.join("box.toml");
        fs::write(&path, toml::to_string(&settings)?).with_context(|| format!("cannot write {}", path.display()))?;
        let peer = PeerConfig { public_key, address: p2p };
        let metrics = Metrics::new(name, &format!("https://{admin}/metrics"), dir.join("keys").join("tls.pem"));
        let rpc = Rpc::new(name, &format!("http://{rpc}"))?;
        Ok(Self { name: name.to_owned(), from, peer, rpc, metrics, dir, accel })
    }

    /// Starts it.
    pub(super) fn start(&self) -> anyhow::Result<Process> {
        Process::start(&self.name, &self.dir.join("box.toml"), &self.log(), self.accel)
    }

    /// Waits until it answers and has what `chain`'s box has, for at most `max` after `start`; returns its height.
    pub(super) async fn catch_up(
        &self,
        process: &mut Process,
        chain: &Rpc,
        (start, max): (Instant, Duration),
        progress: &Progress,
    ) -> anyhow::Result<u64> {
        loop {
            let head = chain.height().await?;
            let is_serving = process.look()?.is_serving;
            // Without a state it does not answer.
            let own = if is_serving { Some(self.rpc.height().await?) } else { None };
            if let Some(own) = own.filter(|own| own + LAG_MAX >= head) {
                return Ok(own);
            }
            let place = own.map_or("without a state".to_owned(), |own| format!("at block {own} of {head}"));
            ensure!(
                start.elapsed() < max,
                "{} is {place} after {} s; see {}",
                self.name,
                max.as_secs(),
                self.log().display()
            );
            progress.say(format!("{}: {place} after {} s", self.name, start.elapsed().as_secs()));
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks that it has the block of `chain`'s box at a height.
    pub(super) async fn check_block(&self, chain: &Rpc, height: u64) -> anyhow::Result<()> {
        let (own, theirs) = (self.rpc.block_hash(height).await?, chain.block_hash(height).await?);
        ensure!(own == theirs, "block {height} is {own} on {}, not {theirs}; please report this", self.name);
        Ok(())
    }

    /// Its log.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Bytes in the files of its chain.
    pub(super) fn disk_bytes(&self) -> anyhow::Result<u64> {
        let dir = self.dir.join(DATA);
        disk_bytes(&dir).with_context(|| format!("read the sizes of the files in {}", dir.display()))
    }
}

fn disk_bytes(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A running box removes files.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Ports that are free, and stay so until a box starts that is to listen there.
pub(super) struct Ports(RangeInclusive<u16>);

impl Ports {
    /// Those after the devnet's boxes.
    pub(super) fn after(devnet: &DevnetSettings) -> anyhow::Result<Self> {
        let first = match devnet.base_port {
            0 => QUIET_PORTS.0 + std::process::id() % QUIET_PORTS.1,
            base => u32::from(base) + devnet.boxes * PORT_STEP,
        };
        let first = u16::try_from(first).context("the ports go beyond 65535; choose a lower --base-port")?;
        Ok(Self(first..=u16::MAX))
    }

    fn take(&mut self) -> anyhow::Result<SocketAddr> {
        let mut addresses = self.0.by_ref().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let free = addresses.find(|address| TcpListener::bind(address).is_ok());
        free.context("no free port for a box that joins; choose another --base-port")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once_and_what_is_in_use_is_left_out() {
        let mut ports = Ports(20_000..=u16::MAX);
        let first = ports.take().unwrap();
        let used = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let second = ports.take().unwrap();
        assert!(second.port() > first.port());
        let used = used.local_addr().unwrap().port();
        assert_ne!(Ports(used..=u16::MAX).take().unwrap().port(), used);
    }

    #[test]
    fn files_count_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inner")).unwrap();
        fs::write(dir.path().join("inner/file"), [1; 1000]).unwrap();
        fs::write(dir.path().join("file"), [1; 10]).unwrap();
        assert_eq!(disk_bytes(dir.path()).unwrap(), 1010);
    }
}
