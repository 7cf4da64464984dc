//! A development chain as `devnet.json` describes it, and questions to its boxes.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    http::{self, Answer, RpcError},
    process,
};

/// Lines of each box's log that a failed test shows.
const LOG_LINES: usize = 40;

/// `devnet.json`. Every key is required, so reading it is a test of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The genesis file.
    pub genesis: PathBuf,
    /// Its boxes.
    pub boxes: Vec<BoxInfo>,
    /// Funded accounts.
    pub accounts: Vec<Account>,
}

/// Where one box is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxInfo {
    /// Its name.
    pub name: String,
    /// JSON-RPC over HTTP.
    pub rpc: String,
    /// JSON-RPC over WebSocket.
    pub ws: String,
    /// Prometheus metrics.
    pub metrics: String,
    /// Its web page.
    pub ui: String,
    /// The certificate of that page.
    pub certificate: PathBuf,
    /// What lets this machine's programs read it.
    pub token: PathBuf,
    /// The code that makes whoever shows it the page's first user.
    pub claim_code: PathBuf,
    /// Its `box.toml`.
    pub config: PathBuf,
    /// Its process, where `dolmen devnet` runs it.
    pub pid: Option<u32>,
}

/// A funded account of the genesis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its address.
    pub address: alloy_primitives::Address,
    /// Its secp256k1 key.
    pub private_key: alloy_primitives::B256,
}

impl Chain {
    /// Reads `devnet.json` in a chain's directory.
    pub fn read(dir: &Path) -> Self {
        let path = dir.join("devnet.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()))
    }

    /// Shows the end of every box's log.
    pub fn print_logs(&self) {
        for own in &self.boxes {
            eprintln!("--- end of {}'s log\n{}", own.name, process::tail(&own.log(), LOG_LINES));
        }
    }
}

impl BoxInfo {
    /// The box's directory.
    pub fn dir(&self) -> &Path {
        self.config.parent().expect("box.toml lies in a directory")
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Address of its JSON-RPC port.
    pub fn rpc_address(&self) -> SocketAddr {
        address(&self.rpc)
    }

    /// Address of its web page.
    pub fn admin_address(&self) -> SocketAddr {
        address(&self.ui)
    }

    /// Where it listens for the other boxes, which `devnet.json` does not list.
    pub fn p2p_address(&self) -> SocketAddr {
        let config = fs::read_to_string(&self.config).expect("box.toml can be read");
        let section = config.split("[p2p]").nth(1).expect("box.toml has a section p2p");
        let line = section.lines().find_map(|line| line.strip_prefix("listen = ")).expect("p2p.listen is set");
        line.trim_matches('"').parse().expect("p2p.listen is an address")
    }

    /// Gives its `box.toml` this section, such as `[history]`, instead of the one that is there; the box reads it when
    /// it starts.
    pub fn configure(&self, section: &str, settings: &str) {
        let config = fs::read_to_string(&self.config).expect("box.toml can be read");
        let (mut kept, mut is_inside) = (String::new(), false);
        for line in config.lines() {
            if line.starts_with('[') {
                is_inside = line == section;
            }
            if !is_inside {
                kept += line;
                kept.push('\n');
            }
        }
        fs::write(&self.config, format!("{kept}{section}\n{settings}\n")).expect("box.toml can be written");
    }

    /// One JSON-RPC call.
    pub fn rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        http::rpc(self.rpc_address(), method, params)
    }

    /// One JSON-RPC call that must succeed.
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.rpc(method, params).unwrap_or_else(|error| panic!("{method} on {}: {error}", self.name))
    }

    /// Gets a path of its web page's port, as a program of its machine does.
    pub fn get(&self, path: &str) -> Answer {
        let answer = http::get(self.admin_address(), self.dir(), path);
        answer.unwrap_or_else(|error| panic!("GET {path} on {}: {error}", self.name))
    }

    /// Its finalized height; `None` where it does not answer.
    pub fn height(&self) -> Option<u64> {
        self.rpc("eth_blockNumber", json!([])).ok().map(|height| quantity(&height))
    }

    /// Hash of block zero.
    pub fn genesis_hash(&self) -> Value {
        self.call("eth_getBlockByNumber", json!(["0x0", false]))["hash"].take()
    }
}

/// A JSON-RPC quantity as a number.
pub fn quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(|| panic!("{value} is no quantity"))
}

/// Address in `http://ADDRESS` or `http://ADDRESS/`.
fn address(url: &str) -> SocketAddr {
    let authority =
        url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).map(|rest| rest.trim_end_matches('/'));
    authority.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{url} has no IP address and port"))
}
