//! Alternative names of a subject (RFC 5280 §4.2.1.6).

use std::net::IpAddr;

use der::{
    Any, Sequence,
    asn1::{Ia5String, ObjectIdentifier, OctetString},
};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use crate::{
    NameError,
    limits::{ALT_NAMES_MAX, DNS_BYTES_MAX, URI_BYTES_MAX},
    name::shorten,
    oid::HARDWARE_MODULE_NAME,
};

/// What a box is called in its certificate, followed by its machine's serial number.
pub const BOX_URN: &str = "urn:dolmen:box:";

/// A name of the DNS, as TLS clients look for it. `*` stands for nothing here.
///
/// # Errors
///
/// [`NameError::Dns`].
pub fn dns(name: &str) -> Result<GeneralName, NameError> {
    let error = || NameError::Dns(shorten(name));
    if !is_dns(name) {
        return Err(error());
    }
    Ia5String::new(name).map(GeneralName::DnsName).map_err(|_| error())
}

/// An address, as TLS clients look for it.
#[must_use]
pub fn ip(address: IpAddr) -> GeneralName {
    GeneralName::from(address)
}

/// A URI.
///
/// # Errors
///
/// [`NameError::Uri`].
pub(crate) fn uri(uri: &str) -> Result<GeneralName, NameError> {
    let error = || NameError::Uri(shorten(uri));
    let scheme = uri.split_once(':').filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if uri.len() > URI_BYTES_MAX || !uri.bytes().all(|byte| byte.is_ascii_graphic()) || scheme.is_none() {
        return Err(error());
    }
    Ia5String::new(uri).map(GeneralName::UniformResourceIdentifier).map_err(|_| error())
}

/// `HardwareModuleName` (RFC 4108 §5).
#[derive(Sequence)]
struct HardwareModuleName {
    kind: ObjectIdentifier,
    serial: OctetString,
}

/// What a maker calls a machine: a kind of hardware, and the serial number.
pub(crate) fn hardware_module(kind: ObjectIdentifier, serial: &str) -> der::Result<GeneralName> {
    let value = Any::encode_from(&HardwareModuleName { kind, serial: OctetString::new(serial.as_bytes())? })?;
    Ok(GeneralName::OtherName(OtherName { type_id: HARDWARE_MODULE_NAME, value }))
}

/// Says that these are names that a caller may ask an authority for.
pub(crate) fn check_asked(names: &[GeneralName]) -> Result<(), NameError> {
    check_count(names)?;
    names.iter().try_for_each(|name| match name {
        GeneralName::DnsName(name) => dns(name.as_ref()).map(|_| ()),
        GeneralName::IpAddress(address) if matches!(address.as_bytes().len(), 4 | 16) => Ok(()),
        GeneralName::IpAddress(_) => Err(NameError::Kind("an address of neither 4 nor 16 bytes")),
        GeneralName::UniformResourceIdentifier(_) => Err(NameError::Kind("a URI")),
        GeneralName::Rfc822Name(_) => Err(NameError::Kind("an address of mail")),
        GeneralName::OtherName(_) => Err(NameError::Kind("of a kind of its own")),
        _ => Err(NameError::Kind("of a kind that nobody uses")),
    })
}

pub(crate) fn check_count(names: &[GeneralName]) -> Result<(), NameError> {
    if names.len() > ALT_NAMES_MAX { Err(NameError::TooMany(names.len())) } else { Ok(()) }
}

fn is_dns(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would be read as an address.
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= DNS_BYTES_MAX && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_dns_are_strict() {
        let long = format!("{}.a", "a".repeat(64));
        let longer = ["abcdefg"; 32].join(".");
        for name in ["", ".", "a.", ".a", "a..b", "-a", "a-", "*.a", "a b", "a_b", "ä", "10.0.0.1", &long, &longer] {
            assert!(matches!(dns(name), Err(NameError::Dns(_))), "{name}");
        }
        for name in ["a", "box-1", "1.example", "xn--bcher-kva.example", &["abcdefg"; 31].join(".")] {
            assert!(matches!(dns(name), Ok(GeneralName::DnsName(found)) if found.to_string() == name), "{name}");
        }
    }

    #[test]
    fn uris_have_a_scheme() {
        for text in ["", "a", ":a", "a:", "http://a b", "http://ä", &format!("a:{}", "b".repeat(254))] {
            assert!(matches!(uri(text), Err(NameError::Uri(_))), "{text}");
        }
        assert!(uri("http://ca.example/root.crl").is_ok());
    }

    #[test]
    fn only_dns_and_addresses_can_be_asked_for() {
        let dns = dns("a").unwrap();
        let address = ip([10, 0, 0, 1].into());
        assert_eq!(check_asked(&[dns.clone(), address.clone()]), Ok(()));
        assert_eq!(check_asked(&vec![dns; 17]), Err(NameError::TooMany(17)));
        for other in [
            uri("urn:dolmen:box:1").unwrap(),
            hardware_module(HARDWARE_MODULE_NAME, "1").unwrap(),
            GeneralName::DnsName(Ia5String::new("*").unwrap()),
            GeneralName::IpAddress(OctetString::new(*b"12345").unwrap()),
            GeneralName::DirectoryName("CN=a".parse().unwrap()),
        ] {
            assert!(check_asked(&[address.clone(), other.clone()]).is_err(), "{other:?}");
        }
    }
}
