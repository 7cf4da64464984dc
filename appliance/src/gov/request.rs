//! A box's request to be admitted, signed with its consensus key.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U64};
use anyhow::{Context as _, ensure};
use clap::Args;
use dolmen_governance::{Admission, ED25519_VERIFY, possession_message};
use dolmen_hsm_api::{Domain, KeyUri, Message, Signer};
use dolmen_node::public_key;
use dolmen_types::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chain::Chain;
use crate::{
    backends::keys::Keys,
    config::{BoxConfig, load_genesis},
    keys::DeviceArgs,
};

/// Arguments of `dolmen gov request`.
#[derive(Args)]
pub(super) struct RequestArgs {
    /// The box's consensus key, Ed25519; what --config says if not given.
    #[arg(long, value_name = "URI")]
    key: Option<KeyUri>,
    /// The number of the organisation that it belongs to, as `dolmen gov organisations` shows it: no other one can use
    /// the request.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    organisation: u32,
    /// What people call the box: 1 to 32 letters, digits, `-`, `_` or `.`; what --config says if not given.
    #[arg(long)]
    name: Option<String>,
    /// Receives the fees of the blocks that the box proposes; its own, because it tells who proposed a block.
    #[arg(long, value_name = "ADDRESS")]
    fee_recipient: Address,
    /// Where other boxes reach it; `p2p.listen` of --config if not given. Without any, each of the others must list it in
    /// its own settings.
    #[arg(long, value_name = "IP:PORT")]
    endpoint: Option<SocketAddr>,
    /// Hash of the evidence on which it is to be admitted; none if not given.
    #[arg(long, value_name = "HASH")]
    evidence: Option<B256>,
    /// The chain; that of the genesis file of --config, or of the box at --rpc, if not given.
    #[arg(long)]
    chain_id: Option<u64>,
    /// The file to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    devices: DeviceArgs,
}

/// The request as it is written: nothing in it is secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdmissionRequest {
    /// The chain that it is for.
    chain_id: u64,
    /// Who may admit the box.
    organisation: u32,
    /// The box's consensus key.
    public_key: PublicKey,
    name: String,
    fee_recipient: Address,
    endpoint: String,
    evidence: B256,
    /// Signature over [`possession_message`].
    possession: FixedBytes<64>,
}

impl AdmissionRequest {
    /// A box's request to be admitted to a chain by an organisation: only that one can use it.
    pub(crate) async fn sign(
        key: &dyn Signer,
        chain_id: u64,
        organisation: u32,
        name: String,
        fee_recipient: Address,
        endpoint: String,
        evidence: B256,
    ) -> anyhow::Result<Self> {
        let public_key = public_key(key)?;
        let message = possession_message(chain_id, organisation, &public_key);
        // The key signs for votes and for sessions. This is neither and can be taken for neither: those messages begin
        // with the length of a name that is longer than the one here.
        let possession = key.sign(Domain::Transport, Message::Bytes(&message)).await?;
        let possession = possession.0.into();
        Ok(Self { chain_id, organisation, public_key, name, fee_recipient, endpoint, evidence, possession })
    }

    /// Reads a request.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let json = fs::read(path).with_context(|| {
            format!("cannot read {}; it is what `dolmen gov request` wrote on the box that is to join", path.display())
        })?;
        serde_json::from_slice(&json).with_context(|| format!("{} is no request for admission", path.display()))
    }

    /// The admission that it asks for, if it is for this chain and its box signed it: the contract would find out with
    /// the last vote.
    pub(super) async fn checked(self, chain: &Chain) -> anyhow::Result<Admission> {
        let chain_id: U64 = chain.call("eth_chainId", json!([])).await?;
        ensure!(
            self.chain_id == chain_id.to::<u64>(),
            "the request is for chain {}, and this is chain {chain_id}; have the box write another",
            self.chain_id
        );
        let message = possession_message(self.chain_id, self.organisation, &self.public_key);
        let input: Bytes = [&self.public_key.0[..], self.possession.as_slice(), &message[..]].concat().into();
        let valid: Bytes = chain.call("eth_call", json!([{"to": ED25519_VERIFY, "data": input}, "latest"])).await?;
        ensure!(
            valid[..] == B256::with_last_byte(1)[..],
            "the request is not signed with its key {}; have the box write it again with `dolmen gov request`",
            self.public_key
        );
        Ok(self.admission())
    }

    /// Who may admit the box.
    pub(super) const fn organisation(&self) -> u32 {
        self.organisation
    }

    /// Hash of the evidence on which it is to be admitted.
    pub(super) const fn evidence(&self) -> B256 {
        self.evidence
    }

    /// The box's consensus key.
    pub(crate) const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    fn admission(self) -> Admission {
        Admission {
            key: self.public_key,
            organisation: self.organisation,
            name: self.name,
            fee_recipient: self.fee_recipient,
            endpoint: self.endpoint,
            evidence: self.evidence,
            possession: self.possession.into(),
        }
    }
}

/// Writes a request.
pub(super) async fn request(chain: &Chain, args: RequestArgs) -> anyhow::Result<()> {
    let config = args.devices.config().map(BoxConfig::load).transpose()?;
    let config = config.as_ref();
    let uri = args.key.or_else(|| config.map(|config| config.keys.consensus.clone()));
    let uri = uri.context("--key names the box's consensus key, or --config the box.toml that does")?;
    let name = args.name.or_else(|| config.map(|config| config.name.clone()));
    let name = name.context("--name says what the box is called, or --config names the box.toml that does")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ensure!(
        (1..=32).contains(&name.len()) && name.chars().all(allowed),
        "{name:?} is no name of a box: 1 to 32 letters, digits, `-`, `_` or `.`; give another with --name"
    );
    // An address that means all of the box's addresses is of no use to the others.
    let listen = config.map(|config| config.p2p.listen).filter(|listen| !listen.ip().is_unspecified());
    let endpoint = args.endpoint.or(listen).map(|endpoint| endpoint.to_string()).unwrap_or_default();
    let chain_id = match (args.chain_id, config) {
        (Some(chain_id), _) => chain_id,
        (None, Some(config)) => load_genesis(&config.genesis)?.file().chain_id,
        (None, None) => chain.call::<U64>("eth_chainId", json!([])).await?.to(),
    };

    let key = Keys::new(args.devices.devices()?)?.store(&uri)?.open(&uri)?;
    let evidence = args.evidence.unwrap_or_default();
    let request =
        AdmissionRequest::sign(&*key, chain_id, args.organisation, name, args.fee_recipient, endpoint, evidence)
            .await?;
    let json = serde_json::to_string_pretty(&request)? + "\n";
    let Some(path) = args.out else {
        anstream::print!("{json}");
        return Ok(());
    };
    fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    anstream::println!(
        "{}: {} with the key {} asks to join chain {}; hand the file to its organisation, which proposes its admission",
        path.display(),
        request.name,
        request.public_key,
        request.chain_id
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = AdmissionRequest {
            chain_id: 7,
            organisation: 3,
            public_key: PublicKey([1; 32]),
            name: "box-5".to_owned(),
            fee_recipient: Address::repeat_byte(5),
            endpoint: "10.0.0.5:30303".to_owned(),
            evidence: B256::ZERO,
            possession: FixedBytes::repeat_byte(7),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request.json");
        fs::write(&path, serde_json::to_vec(&request).unwrap()).unwrap();
        let admission = AdmissionRequest::load(&path).unwrap().admission();
        assert_eq!((admission.organisation, admission.name.as_str(), admission.possession.len()), (3, "box-5", 64));
        assert_eq!(admission.key, request.public_key);
        fs::write(&path, "{}").unwrap();
        assert!(AdmissionRequest::load(&path).unwrap_err().to_string().contains("is no request for admission"));
    }
}
