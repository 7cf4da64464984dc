//! What certificates of each profile say, as OpenSSL prints it.

use dolmen_provisioning_ca::{Authority, Certificate, Order, Profile};
use futures::executor::block_on;

use crate::support::{
    BOX, HARDWARE, Organisation, REGISTRAR, ROOT, SERIAL, box_order, directory, forever, machine, names, openssl,
    order, serial, signer, subject, years,
};

/// All extensions but the identifiers of keys, with which [`keys_are_named`] deals.
fn extensions(certificate: &Certificate) -> String {
    let directory = directory(&[("c.der", certificate.der())]);
    let known = "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName,crlDistributionPoints";
    let text =
        openssl(directory.path(), &format!("x509 -inform DER -in c.der -noout -ext {known}")).expect("extensions");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").replace("Full Name:\n", "")
}

/// How many there are of any kind.
fn count(certificate: &Certificate) -> usize {
    let directory = directory(&[("c.der", certificate.der())]);
    let text = openssl(directory.path(), "x509 -inform DER -in c.der -noout -text").expect("a text");
    text.lines().filter(|line| line.starts_with("            X509v3 ")).count()
}

const AUTHORITY_USAGE: &str = "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign";
const USAGE: &str = "X509v3 Basic Constraints: critical\nCA:FALSE\nX509v3 Key Usage: critical\nDigital Signature";
const CRL: &str = "X509v3 CRL Distribution Points:\nURI:http://ca.example/issuing.crl";

#[test]
fn a_root() {
    let root = Organisation::new().root;
    let expected = format!("X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:1\n{AUTHORITY_USAGE}");
    assert_eq!(extensions(root.certificate()), expected);
    assert_eq!(count(root.certificate()), 4);
    assert_eq!(root.certificate().subject(), root.certificate().issuer());
}

#[test]
fn an_issuing_authority() {
    let issuing = Organisation::new().issuing;
    let expected = format!("X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0\n{AUTHORITY_USAGE}");
    assert_eq!(extensions(issuing.certificate()), expected);
    assert_eq!(count(issuing.certificate()), 4);
}

#[test]
fn a_box() {
    let ldevid = Organisation::new().ldevid;
    let purposes = "X509v3 Extended Key Usage:\nTLS Web Client Authentication, TLS Web Server Authentication";
    let names = "X509v3 Subject Alternative Name:\nURI:urn:dolmen:box:SN-0042, DNS:box-1.example, IP Address:10.0.0.1";
    assert_eq!(extensions(&ldevid), format!("{USAGE}\n{purposes}\n{names}\n{CRL}"));
    assert_eq!(count(&ldevid), 7);
    assert_eq!((ldevid.machine_serial(), ldevid.box_serial()), (Some(SERIAL), Some(SERIAL)));
    let directory = directory(&[("c.der", ldevid.der())]);
    let text = openssl(directory.path(), "x509 -inform DER -in c.der -noout -subject -issuer -serial -dates").unwrap();
    let expected = "subject=O = Example, CN = box-1, serialNumber = SN-0042\n\
                    issuer=O = Example, CN = issuing\n\
                    serial=53131313131313131313131313131313\n\
                    notBefore=Jan 15 08:00:00 2027 GMT\n\
                    notAfter=Jan 15 08:00:00 2028 GMT\n";
    assert_eq!(text, expected);
}

#[test]
fn a_registrar() {
    let organisation = Organisation::new();
    let order = Order { alt_names: names(), ..order(Profile::Registrar, subject("registrar"), REGISTRAR, years(1)) };
    let registrar = block_on(organisation.issuing.issue(&order)).unwrap();
    let purposes = "X509v3 Extended Key Usage:\n\
                    CMC Registration Authority, TLS Web Server Authentication, TLS Web Client Authentication";
    let names = "X509v3 Subject Alternative Name:\nDNS:box-1.example, IP Address:10.0.0.1";
    assert_eq!(extensions(&registrar), format!("{USAGE}\n{purposes}\n{names}\n{CRL}"));
    assert_eq!((registrar.machine_serial(), registrar.box_serial()), (None, None));
}

fn maker() -> Authority {
    block_on(Authority::root(signer(ROOT), subject("maker"), forever(), serial(1))).expect("a root")
}

#[test]
fn a_masa() {
    let masa = block_on(maker().issue(&order(Profile::Masa, subject("masa"), REGISTRAR, years(1)))).unwrap();
    let purposes = "X509v3 Extended Key Usage:\n1.3.6.1.5.5.7.3.36, TLS Web Server Authentication";
    assert_eq!(extensions(&masa), format!("{USAGE}\n{purposes}"));
}

#[test]
fn a_box_by_its_maker() {
    let order = order(Profile::IDevId { hardware: HARDWARE }, machine(), BOX, forever());
    let idevid = block_on(maker().issue(&order)).unwrap();
    let names = "X509v3 Subject Alternative Name:\nothername: 1.3.6.1.5.5.7.8.4::<unsupported>";
    assert_eq!(extensions(&idevid), format!("{USAGE}\n{names}"));
    // What this OpenSSL does not print: the kind of hardware and the serial number.
    let module = b"\x30\x15\x06\x0a\x2b\x06\x01\x04\x01\x86\x8d\x1f\x01\x02\x04\x07SN-0042";
    let expected = [&b"\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x04\xa0\x17"[..], module].concat();
    assert!(idevid.der().windows(expected.len()).any(|window| window == expected));
    let directory = directory(&[("c.der", idevid.der())]);
    let dates = openssl(directory.path(), "x509 -inform DER -in c.der -noout -enddate").unwrap();
    assert_eq!(dates, "notAfter=Dec 31 23:59:59 9999 GMT\n");
    let text = openssl(directory.path(), "asn1parse -inform DER -in c.der").unwrap();
    assert!(text.contains("GENERALIZEDTIME   :99991231235959Z"), "{text}");
}

/// Identifiers of keys, of an issuer's and of those under it.
#[test]
fn keys_are_named() {
    let organisation = Organisation::new();
    let root = organisation.root.certificate();
    let issuing = organisation.issuing.certificate();
    assert_eq!(root.key_identifier(), root.authority_key_identifier());
    assert_eq!(issuing.authority_key_identifier(), root.key_identifier());
    assert_eq!(organisation.ldevid.authority_key_identifier(), issuing.key_identifier());
    assert_eq!(organisation.ldevid.key_identifier(), Some(&box_order().key.identifier()[..]));
    let directory = directory(&[("c.der", organisation.ldevid.der())]);
    let arguments = "x509 -inform DER -in c.der -noout -ext subjectKeyIdentifier,authorityKeyIdentifier";
    let text = openssl(directory.path(), arguments).unwrap().to_lowercase().replace(':', "");
    for identifier in [organisation.ldevid.key_identifier(), issuing.key_identifier()] {
        assert!(text.contains(&const_hex::encode(identifier.unwrap())), "{text}");
    }
}
