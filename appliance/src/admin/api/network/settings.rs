//! What a box is told of its network, as a file of systemd-networkd (systemd.network(5)).
//!
//! Only what this file writes is read again: other files of the same directory are other people's.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Name servers that are asked: more than these libc leaves out.
const DNS_MAX: usize = 3;
/// Time servers.
const NTP_MAX: usize = 8;
/// What the file begins with.
const HEAD: &str = "# Written by the box's administration API; it is overwritten there.\n";
/// Wired networks, as in the image's own file.
const MATCH: &str = "[Match]\nType=ether\nKind=!*\n";
/// What says that the network gives the address, as the image's own file does.
const BY_THE_NETWORK: &str = "DHCP=yes\nIPv6AcceptRA=yes\nLinkLocalAddressing=yes\nLLDP=no\nMulticastDNS=no\n";
/// What follows there; the network's own time servers are not asked.
const BY_DHCP: &str = "\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nUseDomains=no\nUseNTP=no\n\n\
                       [DHCPv6]\nUseHostname=no\nUseNTP=no\n";

/// Where the box's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::admin::api) enum AddressMode {
    /// From the network: DHCP, and IPv6 router advertisements.
    #[default]
    Dhcp,
    /// From the settings.
    Static,
}

/// The settings of a box's network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin::api) struct NetworkConfig {
    /// Where the address comes from.
    pub(super) mode: AddressMode,
    /// The interface that has the address; may be left out where the box has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) interface: Option<String>,
    /// The address with the length of its network's prefix, as in `10.0.0.5/24`; for `static` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    /// The router to all other networks; for `static` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gateway: Option<String>,
    /// Name servers, three at most; for `static` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dns: Vec<String>,
    /// Time servers (NTP), eight at most, names or addresses; those that the network names where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ntp: Vec<String>,
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SettingsError {
    /// Fields that do nothing.
    #[error("with mode dhcp the network gives address, gateway and name servers")]
    NotWithDhcp,
    /// An address is missing.
    #[error("mode static needs an address")]
    NoAddress,
    /// Not in the form.
    #[error("{0:?} is no address with a prefix length; write it like 10.0.0.5/24")]
    Form(String),
    /// Not one that a box can have.
    #[error("{0} is no address that a box can have")]
    Address(IpAddr),
    /// The first or the last one of its network.
    #[error("{0} is its network's own address, or the one of all boxes in it")]
    Network(IpAddr),
    /// Not an address.
    #[error("the {what} {text:?} is no IP address")]
    Other {
        /// Of what.
        what: &'static str,
        /// As it came.
        text: String,
    },
    /// Nobody would answer there.
    #[error("the gateway {gateway} is not another address of the network {address}/{prefix}")]
    Gateway {
        /// As it came.
        gateway: IpAddr,
        /// The box's.
        address: IpAddr,
        /// Of its network.
        prefix: u8,
    },
    /// Too many.
    #[error("there are more than {DNS_MAX} name servers")]
    TooManyServers,
    /// Neither a name nor an address.
    #[error("the time server {0:?} is neither a host name nor an IP address")]
    TimeServer(String),
    /// Too many.
    #[error("there are more than {NTP_MAX} time servers")]
    TooManyTimeServers,
}

/// Settings that hold together, and say more than the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// The box's address; none where the network gives one.
    fixed: Option<Fixed>,
    ntp: Vec<String>,
}

/// Settings of an address that hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fixed {
    address: IpAddr,
    prefix: u8,
    gateway: Option<IpAddr>,
    dns: Vec<IpAddr>,
}

impl NetworkConfig {
    /// What to write; none where the network says everything.
    pub(super) fn check(&self) -> Result<Option<Checked>, SettingsError> {
        let fixed = self.address.is_some() || self.gateway.is_some() || !self.dns.is_empty();
        let fixed = match self.mode {
            AddressMode::Dhcp if fixed => return Err(SettingsError::NotWithDhcp),
            AddressMode::Dhcp => None,
            AddressMode::Static => {
                let address = self.address.as_deref().ok_or(SettingsError::NoAddress)?;
                Some(Fixed::parse(address, self.gateway.as_deref(), &self.dns)?)
            }
        };
        if self.ntp.len() > NTP_MAX {
            return Err(SettingsError::TooManyTimeServers);
        }
        if let Some(server) = self.ntp.iter().find(|server| !is_server(server)) {
            return Err(SettingsError::TimeServer(server.clone()));
        }
        let says_more = fixed.is_some() || !self.ntp.is_empty();
        Ok(says_more.then(|| Checked { fixed, ntp: self.ntp.clone() }))
    }
}

/// Whether a server can be asked by this: an address that a machine can have, or a name (RFC 1123 §2.1).
fn is_server(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = || text.len() <= 253 && text.split('.').all(label) && text.parse::<Ipv4Addr>().is_err();
    text.parse::<IpAddr>().map_or_else(|_| is_name(), is_host)
}

impl Checked {
    /// The file, for the interface with this hardware address.
    pub(super) fn render(&self, mac: &str) -> String {
        let mut text = format!("{HEAD}{MATCH}MACAddress={mac}\n\n[Network]\n");
        match &self.fixed {
            Some(fixed) => text += &fixed.render(),
            None => text += BY_THE_NETWORK,
        }
        text.extend(self.ntp.iter().map(|server| format!("NTP={server}\n")));
        match &self.fixed {
            Some(_) => text,
            // Its own servers and no others.
            None => text + BY_DHCP,
        }
    }
}

impl Fixed {
    fn parse(text: &str, gateway: Option<&str>, dns: &[String]) -> Result<Self, SettingsError> {
        let (address, prefix) = cidr(text).ok_or_else(|| SettingsError::Form(text.to_owned()))?;
        if !is_host(address) {
            return Err(SettingsError::Address(address));
        }
        if let IpAddr::V4(address) = address
            && prefix < 31
            && matches!(host_part(address, prefix), HostPart::Zeros | HostPart::Ones)
        {
            return Err(SettingsError::Network(address.into()));
        }
        let other = |what: &'static str, text: &str| {
            let parsed = text.parse::<IpAddr>().ok().filter(|address| is_host(*address));
            parsed.ok_or_else(|| SettingsError::Other { what, text: text.to_owned() })
        };
        let gateway = gateway.map(|text| other("gateway", text)).transpose()?;
        if let Some(gateway) = gateway.filter(|gateway| *gateway == address || !reaches(address, prefix, *gateway)) {
            return Err(SettingsError::Gateway { gateway, address, prefix });
        }
        if dns.len() > DNS_MAX {
            return Err(SettingsError::TooManyServers);
        }
        let dns = dns.iter().map(|text| other("name server", text)).collect::<Result<_, _>>()?;
        Ok(Self { address, prefix, gateway, dns })
    }

    fn render(&self) -> String {
        let mut text = format!("Address={}/{}\n", self.address, self.prefix);
        text.extend(self.gateway.iter().map(|gateway| format!("Gateway={gateway}\n")));
        text.extend(self.dns.iter().map(|server| format!("DNS={server}\n")));
        text + "DHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\nLLDP=no\nMulticastDNS=no\n"
    }
}

/// Reads such a file: the hardware address that it is for, and the settings. None where it is not one of these.
pub(super) fn read(text: &str) -> Option<(String, NetworkConfig)> {
    if !text.starts_with(HEAD) {
        return None;
    }
    let values = |key: &'static str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .filter(move |(name, _)| *name == key)
            .map(|(_, value)| value)
    };
    let mac = values("MACAddress").next()?.to_owned();
    let address = values("Address").next().map(str::to_owned);
    let config = NetworkConfig {
        mode: if address.is_some() { AddressMode::Static } else { AddressMode::Dhcp },
        interface: None,
        address,
        gateway: values("Gateway").next().map(str::to_owned),
        dns: values("DNS").map(str::to_owned).collect(),
        ntp: values("NTP").map(str::to_owned).collect(),
    };
    config.check().ok()?;
    Some((mac, config))
}

fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (1..=longest).contains(&prefix).then_some((address, prefix))
}

/// Whether one machine can have the address.
fn is_host(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

enum HostPart {
    Zeros,
    Ones,
    Other,
}

fn host_part(address: Ipv4Addr, prefix: u8) -> HostPart {
    let mask = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    match address.to_bits() & mask {
        0 => HostPart::Zeros,
        host if host == mask => HostPart::Ones,
        _ => HostPart::Other,
    }
}

/// Whether a gateway is on the network of an address. Routers of IPv6 are known by their link-local addresses.
fn reaches(address: IpAddr, prefix: u8, gateway: IpAddr) -> bool {
    match (address, gateway) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => {
            (address.to_bits() ^ gateway.to_bits()).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        }
        (IpAddr::V6(_), IpAddr::V6(gateway)) if gateway.is_unicast_link_local() => true,
        (IpAddr::V6(address), IpAddr::V6(gateway)) => {
            (address.to_bits() ^ gateway.to_bits()).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "52:54:00:12:34:56";

    fn config(address: &str, gateway: Option<&str>, dns: &[&str]) -> NetworkConfig {
        NetworkConfig {
            mode: AddressMode::Static,
            interface: None,
            address: Some(address.to_owned()),
            gateway: gateway.map(str::to_owned),
            dns: dns.iter().map(|server| (*server).to_owned()).collect(),
            ntp: Vec::new(),
        }
    }

    fn with_ntp(config: NetworkConfig, servers: &[&str]) -> NetworkConfig {
        NetworkConfig { ntp: servers.iter().map(|server| (*server).to_owned()).collect(), ..config }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for config in [
            config("10.0.0.5/24", Some("10.0.0.1"), &["10.0.0.1", "9.9.9.9"]),
            config("10.0.0.5/32", None, &[]),
            config("10.0.0.0/31", Some("10.0.0.1"), &[]),
            config("2001:db8::5/64", Some("2001:db8::1"), &["2001:db8::53"]),
            config("2001:db8::5/64", Some("fe80::1"), &[]),
            with_ntp(config("10.0.0.5/24", None, &[]), &["10.0.0.1", "time.example.org"]),
            with_ntp(NetworkConfig::default(), &["2001:db8::123"]),
        ] {
            let text = config.check().unwrap().unwrap().render(MAC);
            assert_eq!(read(&text), Some((MAC.to_owned(), config)), "{text}");
        }
        let text = config("10.0.0.5/24", Some("10.0.0.1"), &["9.9.9.9"]).check().unwrap().unwrap().render(MAC);
        assert_eq!(
            text.split_once('\n').unwrap().1,
            "[Match]\nType=ether\nKind=!*\nMACAddress=52:54:00:12:34:56\n\n[Network]\nAddress=10.0.0.5/24\n\
             Gateway=10.0.0.1\nDNS=9.9.9.9\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\nLLDP=no\n\
             MulticastDNS=no\n"
        );
    }

    #[test]
    fn files_of_others_are_not_read() {
        assert_eq!(read("[Match]\nType=ether\n\n[Network]\nAddress=10.0.0.5/24\n"), None);
        assert_eq!(read(&format!("{HEAD}{MATCH}MACAddress={MAC}\n[Network]\nAddress=10.0.0.5\n")), None);
        assert_eq!(read(HEAD), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn settings_hold_together() {
        let refused = |config: NetworkConfig| config.check().unwrap_err().to_string();
        for form in ["", "10.0.0.5", "10.0.0.5/33", "10.0.0.5/0", "10.0.0/24", "2001:db8::5/129", "10.0.0.5/24/1"] {
            assert!(refused(config(form, None, &[])).contains("write it like"), "{form}");
        }
        for address in
            ["0.0.0.0/8", "127.0.0.1/8", "224.0.0.1/4", "255.255.255.255/32", "::/64", "::1/128", "ff02::1/64"]
        {
            assert!(refused(config(address, None, &[])).contains("can have"), "{address}");
        }
        for address in ["10.0.0.0/24", "10.0.0.255/24", "10.0.0.3/30"] {
            assert!(refused(config(address, None, &[])).contains("of all boxes"), "{address}");
        }
        for gateway in ["10.0.1.1", "10.0.0.5", "2001:db8::1"] {
            assert!(refused(config("10.0.0.5/24", Some(gateway), &[])).contains("is not another"), "{gateway}");
        }
        assert!(refused(config("2001:db8::5/64", Some("2001:db8:1::1"), &[])).contains("is not another"));
        assert!(refused(config("10.0.0.5/24", Some("10.0.0.1\n[Route]"), &[])).contains("no IP address"));
        for server in ["dns.example", "127.0.0.1", "0.0.0.0", "1.1.1.1\nDHCP=yes"] {
            assert!(refused(config("10.0.0.5/24", None, &[server])).contains("name server"), "{server}");
        }
        assert_eq!(config("10.0.0.5/24", None, &["1.1.1.1"; 4]).check(), Err(SettingsError::TooManyServers));
        for server in ["", "a b", "a\nDHCP=no", "-a", "a..b", "127.0.0.1", "0.0.0.0", "time.example.org:123", "ü"] {
            let refused = refused(with_ntp(NetworkConfig::default(), &[server]));
            assert!(refused.contains("time server"), "{server}: {refused}");
        }
        let many = with_ntp(NetworkConfig::default(), &["a"; 9]);
        assert_eq!(many.check(), Err(SettingsError::TooManyTimeServers));
        let dhcp = NetworkConfig::default();
        assert_eq!(dhcp.check(), Ok(None));
        let both = NetworkConfig { gateway: Some("10.0.0.1".to_owned()), ..dhcp };
        assert_eq!(both.check(), Err(SettingsError::NotWithDhcp));
        let none = NetworkConfig { mode: AddressMode::Static, ..NetworkConfig::default() };
        assert_eq!(none.check(), Err(SettingsError::NoAddress));
    }
}
