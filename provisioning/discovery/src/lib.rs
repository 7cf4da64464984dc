//! Registrars on the local network: announced and found by DNS-SD over multicast DNS (RFC 8995, appendix B; RFC 6763,
//! RFC 6762).
//!
//! Nothing that is found here is to be believed: anybody on the network can announce anything. A [`Found`] registrar is
//! a place to try, and the voucher decides.

use std::{
    collections::BTreeSet,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use mdns_sd::{ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::{Instant, timeout_at};

/// What registrars are announced as.
const SERVICE: &str = "_brski-registrar._tcp.local.";
/// Registrars that are remembered of one search: more are a flood, or a very large hall.
const FOUND_MAX: usize = 32;
/// How long after an answer others may come: all answer within 120 ms (RFC 6762 §6), and may be asked for addresses then.
const QUIET: Duration = Duration::from_secs(1);
/// Addresses of one registrar.
const ADDRESSES_MAX: usize = 8;
/// Bytes of a name of an instance (RFC 6763 §4.1.1).
const NAME_BYTES_MAX: usize = 63;
/// The port of multicast DNS (RFC 6762 §5).
pub const PORT: u16 = 5353;

/// Why nothing is announced, or looked for.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// No socket, or no thread.
    #[error("multicast DNS cannot be used on this machine; name the registrar's address instead")]
    Daemon(#[source] mdns_sd::Error),
    /// A name that nothing can be called.
    #[error("a registrar is announced by a name of 1 to 63 bytes, and {0:?} is none")]
    Name(String),
}

/// A registrar that says that it is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What it calls itself.
    pub name: String,
    /// Where it says that it is, those of the same network first.
    pub addresses: Vec<SocketAddr>,
}

/// An announcement, which ends when this is dropped.
pub struct Announcement {
    daemon: ServiceDaemon,
    full_name: String,
}

impl Announcement {
    /// Announces a registrar at a port of all addresses of this machine, as they come and go.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`].
    pub fn new(name: &str, port: u16) -> Result<Self, DiscoveryError> {
        Self::over(name, port, PORT)
    }

    /// The same over another port than that of multicast DNS, for tests that are not to meet others.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`].
    pub fn over(name: &str, port: u16, multicast: u16) -> Result<Self, DiscoveryError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(DiscoveryError::Name(name.chars().take(NAME_BYTES_MAX).collect()));
        }
        // Two registrars may be on machines of one name, so that this is not the machine's.
        let host = format!("{}.local.", label(name));
        let service = ServiceInfo::new(SERVICE, name, &host, "", port, &[("txtvers", "1")][..]);
        let service = service.map_err(DiscoveryError::Daemon)?.enable_addr_auto();
        let full_name = service.get_fullname().to_owned();
        let daemon = ServiceDaemon::new_with_port(multicast).map_err(DiscoveryError::Daemon)?;
        daemon.register(service).map_err(DiscoveryError::Daemon)?;
        Ok(Self { daemon, full_name })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Others forget it at once, where the goodbye arrives, or after two minutes.
        let _ = self.daemon.unregister(&self.full_name);
        let _ = self.daemon.shutdown();
    }
}

/// A name of a machine: letters, digits and hyphens.
fn label(name: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let label: String = name.chars().map(plain).collect();
    format!("registrar-{}", label.trim_matches('-')).chars().take(NAME_BYTES_MAX).collect()
}

/// Looks for registrars until no more answer, for so long at most, and says which ones did, by name. One whose answer
/// got lost while another's came is found the next time.
///
/// # Errors
///
/// [`DiscoveryError::Daemon`].
pub async fn find(duration: Duration) -> Result<Vec<Found>, DiscoveryError> {
    find_over(duration, PORT).await
}

/// The same over another port than that of multicast DNS, for tests that are not to meet others.
///
/// # Errors
///
/// [`DiscoveryError::Daemon`].
pub async fn find_over(duration: Duration, multicast: u16) -> Result<Vec<Found>, DiscoveryError> {
    let daemon = ServiceDaemon::new_with_port(multicast).map_err(DiscoveryError::Daemon)?;
    let events = daemon.browse(SERVICE).map_err(DiscoveryError::Daemon)?;
    let end = Instant::now() + duration;
    let (mut until, mut found) = (end, BTreeSet::new());
    while let Ok(Ok(event)) = timeout_at(until, events.recv_async()).await {
        if let ServiceEvent::ServiceResolved(service) = event
            && found.len() < FOUND_MAX
        {
            found.extend(read(&service));
            until = end.min(Instant::now() + QUIET);
        }
    }
    // It ends with its thread.
    let _ = daemon.shutdown();
    Ok(merge(found))
}

/// One name may be resolved more than once, with more addresses each time.
fn merge(found: BTreeSet<Found>) -> Vec<Found> {
    let mut merged: Vec<Found> = Vec::new();
    for one in found {
        match merged.last_mut() {
            Some(last) if last.name == one.name => {
                last.addresses.extend(one.addresses);
                sort(&mut last.addresses);
            }
            _ => merged.push(one),
        }
    }
    merged
}

fn read(service: &ResolvedService) -> Option<Found> {
    let name = service.fullname.strip_suffix(SERVICE)?.strip_suffix('.')?;
    let mut addresses: Vec<_> = service.addresses.iter().map(|address| socket(address, service.port)).collect();
    sort(&mut addresses);
    let name = name.chars().filter(|character| !character.is_control()).collect();
    (service.port != 0 && !addresses.is_empty()).then_some(Found { name, addresses })
}

fn sort(addresses: &mut Vec<SocketAddr>) {
    // The address of a link is the surest on it, and then the older kind.
    addresses.sort_by_key(|address| (!is_link_local(*address), address.is_ipv6(), *address));
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
}

fn is_link_local(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(address) if address.ip().is_unicast_link_local())
}

/// Addresses of a link are of use with the link's number alone.
fn socket(address: &ScopedIp, port: u16) -> SocketAddr {
    match address {
        ScopedIp::V6(address) if Ipv6Addr::is_unicast_link_local(address.addr()) => {
            SocketAddrV6::new(*address.addr(), port, 0, address.scope_id().index).into()
        }
        address => (address.to_ip_addr(), port).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        for (name, expected) in [
            ("Alpha", "registrar-alpha"),
            ("Alpha Bank 2", "registrar-alpha-bank-2"),
            ("\u{94f6}\u{884c}", "registrar-"),
        ] {
            assert_eq!(label(name), expected);
        }
        assert_eq!(label(&"x".repeat(63)).len(), 63);
    }

    #[test]
    fn what_cannot_be_a_name_is_not_announced() {
        for name in ["", "a\nb", &"x".repeat(64)] {
            assert!(matches!(Announcement::over(name, 1, 1), Err(DiscoveryError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn answers_of_one_name_are_one() {
        let one = |name: &str, address: &str| Found { name: name.into(), addresses: vec![address.parse().unwrap()] };
        let all = [one("a", "10.0.0.1:7"), one("a", "[fe80::1%2]:7"), one("b", "10.0.0.2:7"), one("a", "10.0.0.1:7")];
        let merged = merge(all.into_iter().collect());
        assert_eq!(merged.len(), 2);
        let texts: Vec<_> = merged[0].addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["[fe80::1%2]:7", "10.0.0.1:7"]);
    }
}
