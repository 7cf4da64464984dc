//! The box's network: what it has, and what the image is told of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use axum::{Json, extract::State, http::StatusCode};
use dolmen_hsm_api::private;
use serde::Serialize;
use sysinfo::Networks;
use utoipa::ToSchema;

use self::settings::NetworkConfig;
use super::{Api, body::Body, problem::Problem};

mod settings;

/// Where the image's first program finds settings of networks, which it gives to systemd-networkd.
pub(super) const DIRECTORY: &str = "/data/config/network";
/// Where it puts them.
const GIVEN: &str = "/run/systemd/network";
/// The file of these settings: it sorts before the image's own, 80-dolmen-wired.network, and so comes before it.
const FILE: &str = "50-dolmen.network";
/// Where the kernel shows interfaces.
const INTERFACES: &str = "/sys/class/net";
/// A box has a handful of ports.
const INTERFACES_MAX: usize = 64;
/// Addresses of one of them.
const ADDRESSES_MAX: usize = 32;
/// Files that others left in the directory, as the image's first program takes.
const FILES_MAX: usize = 64;
/// The hardware type of Ethernet (ARPHRD_ETHER).
const ETHERNET: &str = "1";

/// The network.
#[derive(Serialize, ToSchema)]
pub(super) struct Network {
    /// What the machine has; not its loopback.
    interfaces: Vec<Interface>,
    /// What the image was told; none where the box does not run from the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<NetworkConfig>,
    /// Whether that is in effect with the next start alone.
    pending: bool,
    /// Other files with settings in the same directory, which somebody else wrote.
    other_files: Vec<String>,
    /// How packets reach the box: always `kernel`.
    tier: &'static str,
    /// Why so.
    tier_why: &'static str,
}

/// A network interface.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Interface {
    /// The kernel's.
    name: String,
    /// Its hardware address.
    mac: String,
    /// Whether it has a link.
    up: bool,
    /// As the driver says, in Mbit/s; none where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed_mbps: Option<u32>,
    /// With the lengths of their networks' prefixes.
    addresses: Vec<String>,
    /// Whether it is a wired port of the machine, and no bridge, tunnel or the like.
    wired: bool,
}

/// The network interfaces, and the settings of the box's addresses.
#[utoipa::path(get, path = "/api/v1/network", tag = super::BOX, operation_id = "network",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Network),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn network(State(api): State<Api>) -> Result<Json<Network>, Problem> {
    on_a_thread(move || look(api.home.networks.as_deref())).await.map(Json)
}

/// Set where the box's address comes from. It is in effect with the box's next start.
#[utoipa::path(put, path = "/api/v1/network", tag = super::BOX, operation_id = "set-network",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])), request_body = NetworkConfig,
    responses((status = OK, body = Network),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn set_network(
    State(api): State<Api>,
    Body(config): Body<NetworkConfig>,
) -> Result<Json<Network>, Problem> {
    let bad = |code: &'static str, detail: String| {
        let next = "look at the interfaces and correct the settings; nothing was changed";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, next)
    };
    let fixed = config.check().map_err(|error| bad("network-settings", error.to_string()))?;
    let Some(directory) = api.home.networks.clone() else {
        let next = "set the addresses where that system has them";
        return Err(Problem::not_here(
            "this box does not run from the image, and its network is another system's",
            next,
        ));
    };
    let interfaces = on_a_thread(|| Ok(interfaces(Path::new(INTERFACES)))).await?;
    let text = match fixed {
        Some(fixed) => {
            let mac =
                port(&interfaces, config.interface.as_deref()).map_err(|detail| bad("network-interface", detail))?;
            Some(fixed.render(&mac))
        }
        None => None,
    };
    on_a_thread(move || {
        write(&directory, text.as_deref())?;
        tracing::info!(mode = ?config.mode, "the settings of the network were changed");
        look(Some(&directory))
    })
    .await
    .map(Json)
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from).and_then(|done| done);
    done.map_err(|error| Problem::failed(&error))
}

fn look(directory: Option<&Path>) -> anyhow::Result<Network> {
    let interfaces = interfaces(Path::new(INTERFACES));
    let config = directory.map(|directory| configured(directory, &interfaces)).transpose()?;
    let pending = directory.is_some_and(|directory| {
        // Both are missing where the network says everything.
        let text = |directory: &Path| fs::read(directory.join(FILE)).unwrap_or_default();
        text(directory) != text(Path::new(GIVEN))
    });
    Ok(Network {
        interfaces,
        config,
        pending,
        other_files: directory.map(other_files).unwrap_or_default(),
        tier: "kernel",
        tier_why: "the kernel's sockets are the only way of packets into this version",
    })
}

/// What the image was told.
fn configured(directory: &Path, interfaces: &[Interface]) -> anyhow::Result<NetworkConfig> {
    let path = directory.join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(NetworkConfig::default()),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let (mac, config) =
        settings::read(&text).with_context(|| format!("{} was not written by this box: remove it", path.display()))?;
    let interface = interfaces.iter().find(|interface| interface.mac == mac).map(|interface| interface.name.clone());
    // A card that was taken out.
    Ok(NetworkConfig { interface: interface.or(Some(mac)), ..config })
}

fn other_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".network") && name != FILE).take(FILES_MAX).collect();
    names.sort();
    names
}

/// Writes the file, or takes it away.
fn write(directory: &Path, text: Option<&str>) -> anyhow::Result<()> {
    let path: PathBuf = directory.join(FILE);
    let written = match text {
        Some(text) => private::write(&path, text.as_bytes()),
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => private::sync_directory(directory),
        },
    };
    written.with_context(|| format!("the settings of the network cannot be kept in {}", path.display()))
}

/// The hardware address of the port that is meant.
fn port(interfaces: &[Interface], name: Option<&str>) -> Result<String, String> {
    let mut ports = interfaces.iter().filter(|interface| interface.wired);
    let found = match name {
        Some(name) => ports.find(|port| port.name == name).ok_or_else(|| format!("the box has no wired port {name:?}")),
        None => match (ports.next(), ports.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err("the box has no wired port".to_owned()),
            (Some(_), Some(_)) => Err("the box has more than one wired port: say which".to_owned()),
        },
    };
    found.map(|port| port.mac.clone())
}

fn interfaces(kernel: &Path) -> Vec<Interface> {
    let networks = Networks::new_with_refreshed_list();
    let mut interfaces: Vec<_> = networks
        .list()
        .iter()
        .filter(|(name, _)| *name != "lo")
        .map(|(name, network)| {
            let kernel = kernel.join(name);
            let value = |file: &str| fs::read_to_string(kernel.join(file)).map(|text| text.trim().to_owned()).ok();
            let addresses = network.ip_networks().iter().map(|of| format!("{}/{}", of.addr, of.prefix));
            Interface {
                name: name.clone(),
                mac: network.mac_address().to_string(),
                up: value("operstate").as_deref() == Some("up"),
                // -1 where there is no link.
                speed_mbps: value("speed").and_then(|text| text.parse().ok()),
                addresses: addresses.take(ADDRESSES_MAX).collect(),
                wired: value("type").as_deref() == Some(ETHERNET)
                    && kernel.join("device").exists()
                    && !kernel.join("wireless").exists(),
            }
        })
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces.truncate(INTERFACES_MAX);
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, mac: &str, wired: bool) -> Interface {
        Interface {
            name: name.to_owned(),
            mac: mac.to_owned(),
            up: true,
            speed_mbps: None,
            addresses: Vec::new(),
            wired,
        }
    }

    #[test]
    fn the_port_is_the_only_one_or_the_named_one() {
        let (a, b, bridge) = (interface("a", "0a", true), interface("b", "0b", true), interface("br0", "0c", false));
        assert_eq!(port(&[a.clone(), bridge.clone()], None), Ok("0a".to_owned()));
        let all = [a, b, bridge];
        assert_eq!(port(&all, Some("b")), Ok("0b".to_owned()));
        assert!(port(&all, None).unwrap_err().contains("say which"));
        assert!(port(&all, Some("br0")).unwrap_err().contains("no wired port"));
        assert!(port(&all[2..], None).unwrap_err().contains("no wired port"));
    }

    #[test]
    fn settings_are_kept_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let ports = [interface("eth0", "52:54:00:12:34:56", true)];
        assert_eq!(configured(dir.path(), &ports).unwrap(), NetworkConfig::default());
        let config: NetworkConfig = serde_json::from_str(
            r#"{"mode":"static","interface":"eth0","address":"10.0.0.5/24","gateway":"10.0.0.1","dns":["10.0.0.1"]}"#,
        )
        .unwrap();
        let text = config.check().unwrap().unwrap().render(&ports[0].mac);
        write(dir.path(), Some(&text)).unwrap();
        assert_eq!(configured(dir.path(), &ports).unwrap(), config);
        assert_eq!(configured(dir.path(), &[]).unwrap().interface.as_deref(), Some("52:54:00:12:34:56"));
        fs::write(dir.path().join("10-other.network"), "").unwrap();
        assert_eq!(other_files(dir.path()), ["10-other.network"]);
        write(dir.path(), None).unwrap();
        write(dir.path(), None).unwrap();
        assert_eq!(configured(dir.path(), &ports).unwrap(), NetworkConfig::default());
        fs::write(dir.path().join(FILE), "[Network]\nDHCP=yes\n").unwrap();
        assert!(configured(dir.path(), &ports).unwrap_err().to_string().contains("remove it"));
    }

    #[test]
    fn this_machines_interfaces_are_found() {
        let found = interfaces(Path::new(INTERFACES));
        assert!(found.iter().all(|interface| interface.name != "lo" && !interface.mac.is_empty()), "{found:?}");
    }
}
