//! Where the parts of a devnet listen: all at the local address at ports of their own, or each in a network namespace, as
//! machines on a network of their own are.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, ensure};

/// Ports between one box and the next, so that they are easy to tell apart.
const PORT_STEP: u16 = 10;
/// The ports of whoever has an address of its own.
const OWN_PORTS: [u16; 5] = [8545, 443, 30303, 2321, 2322];
/// Sites of one network: those of a box's address, up to the broadcast address.
const SITES_MAX: u16 = 250;

/// A place on the network.
#[derive(Clone)]
pub(super) struct Site {
    address: Ipv4Addr,
    /// RPC, web page, peers, and two of its TPM, one after the other.
    ports: [u16; 5],
    /// The network namespace that it is in; none where it is in that of everybody.
    pub(super) namespace: Option<String>,
    /// Where its TPM is, which is a program of this namespace.
    tpm: Ipv4Addr,
}

impl Site {
    fn at(&self, place: usize) -> SocketAddr {
        SocketAddr::from((self.address, self.ports[place]))
    }

    pub(super) fn rpc(&self) -> SocketAddr {
        self.at(0)
    }

    pub(super) fn page(&self) -> SocketAddr {
        self.at(1)
    }

    pub(super) fn peers(&self) -> SocketAddr {
        self.at(2)
    }

    /// Its TPM's first port; the next is its, too.
    pub(super) fn tpm(&self) -> SocketAddr {
        SocketAddr::from((self.tpm, self.ports[3]))
    }
}

/// So many sites at the local address, from the first port on or, where that is 0, wherever some are free.
pub(super) fn local(first: u16, count: u16) -> anyhow::Result<Vec<Site>> {
    let site = |ports| Site { address: Ipv4Addr::LOCALHOST, ports, namespace: None, tpm: Ipv4Addr::LOCALHOST };
    if first == 0 {
        return Ok(free_ports(count)?.into_iter().map(site).collect());
    }
    let ports = |index: u16| {
        let own = first.checked_add(index.checked_mul(PORT_STEP)?)?;
        own.checked_add(PORT_STEP).map(|_| [0, 1, 2, 3, 4].map(|place| own + place))
    };
    let all: Option<Vec<_>> = (0..count).map(ports).collect();
    Ok(all.context("the ports go beyond 65535; choose a lower --base-port")?.into_iter().map(site).collect())
}

/// Ports that are free until somebody else takes one.
fn free_ports(count: u16) -> anyhow::Result<Vec<[u16; 5]>> {
    // All bound at once, so that they differ.
    let mut bound = Vec::new();
    let mut bind = |port: u16| -> anyhow::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        bound.push(listener);
        Ok(port)
    };
    let mut ports = Vec::new();
    for _ in 0..count {
        let mut free = || bind(0).context("no free ports");
        let [rpc, page, peers] = [free()?, free()?, free()?];
        let pair = (0..1000).find_map(|_| {
            let first = bind(0).ok()?;
            Some([first, bind(first.checked_add(1)?).ok()?])
        });
        let [tpm, control] = pair.context("no two free ports side by side")?;
        ports.push([rpc, page, peers, tpm, control]);
    }
    Ok(ports)
}

/// A network of one devnet: a bridge, and a namespace for each site. What this made ends with it.
pub(super) struct Network {
    name: String,
    prefix: [u8; 3],
    has_bridge: bool,
    namespaces: Vec<String>,
}

impl Network {
    /// Makes that of a devnet in a directory.
    pub(super) fn make(dir: &Path) -> anyhow::Result<Self> {
        let mut network = Self::of(dir);
        // One that was killed left its bridge.
        let _ = ip(&format!("link delete {}", network.name));
        ip(&format!("link add {} type bridge", network.name))?;
        network.has_bridge = true;
        ip(&format!("address add {}/24 dev {}", network.gateway(), network.name))?;
        ip(&format!("link set {} up", network.name))?;
        Ok(network)
    }

    /// That of a devnet that runs, to which a site more is added.
    pub(super) fn of(dir: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        let [a, b, c, ..] = hasher.finish().to_le_bytes();
        // Names of interfaces have 15 characters at most.
        let name = format!("dolmen{a:02x}{b:02x}{c:02x}");
        Self { name, prefix: [10, 192 | (a & 0x3f), b], has_bridge: false, namespaces: Vec::new() }
    }

    /// Whether a devnet in the directory has one.
    pub(super) fn is_there(&self) -> bool {
        ip(&format!("link show {}", self.name)).is_ok()
    }

    fn gateway(&self) -> Ipv4Addr {
        self.address(0)
    }

    fn address(&self, index: u16) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, u8::try_from(index + 1).unwrap_or(u8::MAX))
    }

    /// The sites with these numbers.
    pub(super) fn sites(&mut self, numbers: std::ops::Range<u16>) -> anyhow::Result<Vec<Site>> {
        ensure!(numbers.end < SITES_MAX, "a network has room for {SITES_MAX} boxes and registrars");
        numbers.map(|number| self.site(number + 1)).collect()
    }

    fn site(&mut self, number: u16) -> anyhow::Result<Site> {
        let (bridge, address) = (&self.name, self.address(number));
        let (namespace, outside) = (format!("{bridge}-{number}"), format!("{bridge}{number:02x}"));
        let _ = ip(&format!("netns delete {namespace}"));
        ip(&format!("netns add {namespace}"))?;
        self.namespaces.push(namespace.clone());
        ip(&format!("link add {outside} type veth peer name eth0 netns {namespace}"))?;
        ip(&format!("link set {outside} master {bridge} up"))?;
        for inside in [
            "link set lo up".to_owned(),
            format!("address add {address}/24 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via {}", self.gateway()),
        ] {
            ip(&format!("-n {namespace} {inside}"))?;
        }
        // TPMs are outside, all at the bridge's address.
        let mut ports = OWN_PORTS;
        ports[3] = 20_000 + number * 2;
        ports[4] = ports[3] + 1;
        Ok(Site { address, ports, namespace: Some(namespace), tpm: self.gateway() })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            // Its end of the cable goes with it.
            let _ = ip(&format!("netns delete {namespace}"));
        }
        if self.has_bridge {
            let _ = ip(&format!("link delete {}", self.name));
        }
    }
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("install the package iproute2")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {arguments}` failed ({}); networks of one's own need root", said.trim());
    Ok(())
}
