//! What is no certificate.

use dolmen_provisioning_ca::{Certificate, CertificateError};
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    error::ErrorStack,
    hash::MessageDigest,
    x509::{X509Builder, X509Extension},
};

use crate::support::{BOX, Organisation, find, insert, private_key};

/// What is wrong with one.
struct Wrong {
    /// From 0.
    version: i32,
    serial: Vec<u8>,
    negative: bool,
    times: (i64, i64),
    extensions: usize,
}

const RIGHT: Wrong = Wrong { version: 2, serial: Vec::new(), negative: false, times: (5, 6), extensions: 1 };

fn build(wrong: &Wrong) -> Result<Vec<u8>, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(wrong.version)?;
    let bytes = if wrong.serial.is_empty() { &[1][..] } else { &wrong.serial };
    let mut serial = BigNum::from_slice(bytes)?;
    serial.set_negative(wrong.negative);
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    let (from, to) = (Asn1Time::from_unix(wrong.times.0)?, Asn1Time::from_unix(wrong.times.1)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    let key = private_key(BOX);
    builder.set_pubkey(&key)?;
    for _ in 0..wrong.extensions {
        let oid = Asn1Object::from_str("1.3.6.1.4.1.99999.7")?;
        let value = Asn1OctetString::new_from_bytes(b"\x05\x00")?;
        builder.append_extension(X509Extension::new_from_der(&oid, false, &value)?)?;
    }
    builder.sign(&key, MessageDigest::sha256())?;
    builder.build().to_der()
}

fn read(wrong: &Wrong) -> Result<Certificate, CertificateError> {
    Certificate::from_der(&build(wrong).expect("a certificate"))
}

#[test]
fn what_rfc_5280_forbids_is_refused() {
    assert!(read(&RIGHT).is_ok());
    assert!(read(&Wrong { serial: vec![0x7f; 20], ..RIGHT }).is_ok());
    for (wrong, reason) in [
        (Wrong { version: 0, extensions: 0, ..RIGHT }, "version"),
        (Wrong { version: 1, ..RIGHT }, "version"),
        (Wrong { serial: vec![0], ..RIGHT }, "serial number"),
        (Wrong { negative: true, ..RIGHT }, "serial number"),
        (Wrong { serial: vec![0x80; 20], ..RIGHT }, "serial number"),
        (Wrong { times: (6, 5), ..RIGHT }, "ends before"),
        (Wrong { extensions: 2, ..RIGHT }, "extension twice"),
    ] {
        let error = read(&wrong).unwrap_err();
        assert!(matches!(error, CertificateError::Malformed(found) if found.contains(reason)), "{reason}: {error:?}");
    }
}

#[test]
fn a_certificate_has_one_form() {
    let ldevid = Organisation::new().ldevid;
    let der = ldevid.der();
    assert_eq!(Certificate::from_der(der).unwrap(), ldevid);
    assert!(matches!(Certificate::from_der(&[der, &[0]].concat()), Err(CertificateError::Der(_))));
    assert!(matches!(Certificate::from_der(&vec![0x30; (4 << 10) + 1]), Err(CertificateError::Bytes(_))));
    assert!(matches!(Certificate::from_der(b""), Err(CertificateError::Der(_))));
    // The same algorithm, once with parameters: lengths are raised by the two bytes of a NULL.
    let algorithm = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let at = der.windows(algorithm.len()).rposition(|window| window == algorithm).unwrap();
    let mut other = [&der[..at], b"\x30\x0c", &algorithm[2..], b"\x05\x00", &der[at + algorithm.len()..]].concat();
    let length = u16::from_be_bytes([other[2], other[3]]) + 2;
    other[2..4].copy_from_slice(&length.to_be_bytes());
    let error = Certificate::from_der(&other).unwrap_err();
    assert!(matches!(error, CertificateError::Malformed(reason) if reason.contains("two algorithms")), "{error:?}");
}

/// What is not critical says nothing of it; whoever says so anyway writes another form of the same.
#[test]
fn defaults_are_not_written() {
    let organisation = Organisation::new();
    let der = organisation.ldevid.der();
    let (place, _) = find(der, b"\x06\x03\x55\x1d\x11", 0);
    let other = insert(der, place + 5, b"\x01\x01\x00");
    assert_eq!(other.len(), der.len() + 3);
    let error = Certificate::from_der(&other).unwrap_err();
    assert!(matches!(error, CertificateError::Malformed("it is not in DER")), "{error:?}");
}
