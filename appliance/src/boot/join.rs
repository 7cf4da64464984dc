//! A box that a maker certified: it finds its organisation, and its organisation gives it its chain.
//!
//! The settings are written last, as those of a box that founds a chain.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use dolmen_hsm_api::private;
use dolmen_node::origin;
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_ceremony::write_certificates;
use dolmen_types::{Genesis, PublicKey};
use tokio::sync::watch;

use super::{GENESIS, KeyHome, NewBox, waiting::WaitingPage};
use crate::{
    backends::keys::Keys,
    config::{PeerConfig, SyncFrom, SyncSettings},
    pledge::{self, Home, Joined},
    run::{consensus_key, page_tls},
};

/// The box's certificate, and those that vouch for it.
pub(super) const LDEVID: &str = "ldevid.pem";

/// Whether a maker certified this box, so that an organisation may have bought it.
pub(super) fn is_certified(directory: &Path, new: &NewBox) -> anyhow::Result<bool> {
    match new.keys {
        KeyHome::Tpm => {
            let certificates = new.open_keys(directory)?.idevid_certificates();
            Ok(!certificates.context("the TPM does not say who this box is")?.is_empty())
        }
        KeyHome::Soft => Ok(false),
    }
}

/// Waits until the box's organisation has had it admitted, and makes the directory a box's.
pub(super) async fn join(directory: &Path, new: &NewBox) -> anyhow::Result<()> {
    let keys = Arc::new(new.open_keys(directory)?);
    let consensus = consensus_key(&keys, &new.keys().consensus)?;
    let (name, (tell, reports)) = (name(&keys)?, watch::channel(None));
    let (_, tls) = page_tls(&keys, &new.keys().tls, &name, new.page, &[])?;
    let page = WaitingPage::start(new.page, &tls, reports).await?;
    let home = Home { directory: directory.to_owned(), keys, consensus, p2p: new.p2p };
    let Joined { bundle, role, ldevid } = pledge::join(home, &tell).await?;
    let chain = bundle.content();
    let genesis = Genesis::from_json(chain.genesis.as_bytes()).context("the organisation's genesis file is none")?;
    ensure!(
        origin(&genesis)?.block.hash().0 == *chain.genesis_hash.as_bytes() && genesis.file().chain_id == chain.chain_id,
        "the organisation's genesis file is of another chain than it says; ask its operator"
    );
    private::write(&directory.join(GENESIS), chain.genesis.as_bytes()).context("cannot write the genesis file")?;
    write_certificates(&directory.join(LDEVID), &ldevid)?;
    let peer = |peer: &dolmen_provisioning_bundle::Peer| PeerConfig {
        public_key: PublicKey(peer.public_key),
        address: peer.address,
    };
    let (peers, organisation) = (chain.peers.iter().map(peer).collect(), &chain.organisation.name);
    tracing::info!(chain_id = chain.chain_id, organisation, role = role.code(), "this box joined its chain");
    page.stop().await;
    let sync = SyncSettings { from: Some(SyncFrom::Snapshot) };
    new.write_settings(directory, name, peers, sync)
}

/// What the box is called, by its maker's certificate.
fn name(keys: &Keys) -> anyhow::Result<String> {
    let certificates = keys.idevid_certificates()?;
    let own = certificates.first().context("the TPM has no certificate of the box's maker")?;
    let own = Certificate::from_der(own).context("the TPM's IDevID certificate cannot be read")?;
    Ok(pledge::name(own.machine_serial().context("the IDevID certificate names no machine")?))
}
