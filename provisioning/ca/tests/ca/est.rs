//! Messages of EST, with OpenSSL at the other end.

use std::fs;

use dolmen_provisioning_ca::{
    Certificate, RequestBuilder, RequestError, Subject,
    est::{
        EstError, cacerts, certs_only, check_reenroll, read_certs, read_certs_only, read_enrolled, read_request,
        write_certs, write_enrolled, write_request,
    },
};
use futures::executor::block_on;

use crate::support::{
    BOX, Organisation, REGISTRAR, STRANGER, directory, machine, names, openssl, pem, private_key, public_key, signer,
    subject,
};

fn sorted(mut certificates: Vec<Certificate>) -> Vec<Certificate> {
    certificates.sort_by(|one, other| one.der().cmp(other.der()));
    certificates
}

#[test]
fn the_authority_s_certificates_are_read() {
    let organisation = Organisation::new();
    let body = cacerts(&organisation.issuing).unwrap();
    assert!(body.ends_with("\r\n") && body.lines().all(|line| (1..=64).contains(&line.len())), "{body}");
    let both = vec![organisation.root.certificate().clone(), organisation.issuing.certificate().clone()];
    for body in [body.clone(), body.replace("\r\n", ""), body.replace('\r', "")] {
        assert_eq!(sorted(read_certs(body.as_bytes()).unwrap()), sorted(both.clone()));
    }
}

#[test]
fn openssl_reads_ours() {
    let organisation = Organisation::new();
    let body = cacerts(&organisation.issuing).unwrap();
    let directory = directory(&[("b.txt", body.as_bytes())]);
    openssl(directory.path(), "base64 -d -in b.txt -out b.der").unwrap();
    let text = openssl(directory.path(), "pkcs7 -inform DER -in b.der -print_certs").unwrap();
    assert!(text.contains("subject=O = Example, CN = issuing") && text.contains("subject=O = Example, CN = root"));
    for certificate in [organisation.root.certificate(), organisation.issuing.certificate()] {
        let pem = String::from_utf8(pem(certificate)).unwrap();
        assert!(text.contains(pem.trim()), "{text}");
    }
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn we_read_openssl_s() {
    let organisation = Organisation::new();
    let all = [
        organisation.ldevid.clone(),
        organisation.issuing.certificate().clone(),
        organisation.root.certificate().clone(),
    ];
    let files = all.clone().map(|certificate| pem(&certificate)).concat();
    let directory = directory(&[("c.pem", &files)]);
    openssl(directory.path(), "crl2pkcs7 -nocrl -certfile c.pem -outform DER -out c.p7b").unwrap();
    let der = fs::read(directory.path().join("c.p7b")).unwrap();
    assert_eq!(sorted(read_certs_only(&der).unwrap()), sorted(all.to_vec()));
    openssl(directory.path(), "base64 -in c.p7b -out c.txt").unwrap();
    let body = fs::read(directory.path().join("c.txt")).unwrap();
    assert_eq!(sorted(read_certs(&body).unwrap()), sorted(all.to_vec()));
    // The same bytes for one certificate, whose order is no question.
    fs::write(directory.path().join("c.pem"), pem(&all[0])).unwrap();
    openssl(directory.path(), "crl2pkcs7 -nocrl -certfile c.pem -outform DER -out c.p7b").unwrap();
    assert_eq!(fs::read(directory.path().join("c.p7b")).unwrap(), certs_only(&all[..1]).unwrap());
}

/// A message with a content and a signature, and one that is of another kind.
#[test]
fn what_is_signed_is_no_message_of_certificates() {
    let key = private_key(BOX).private_key_to_pem_pkcs8().unwrap();
    let certificate = pem(&Organisation::new().ldevid);
    let directory = directory(&[("k.pem", &key), ("c.pem", &certificate), ("m.txt", b"message")]);
    let sign = "cms -sign -binary -nodetach -in m.txt -signer c.pem -inkey k.pem -outform DER -out m.der";
    openssl(directory.path(), sign).unwrap();
    let error = read_certs_only(&fs::read(directory.path().join("m.der")).unwrap()).unwrap_err();
    assert!(matches!(error, EstError::CertsOnly("it has a content or a signature")), "{error:?}");
    // The same without the content.
    openssl(directory.path(), &sign.replace("-nodetach ", "")).unwrap();
    let error = read_certs_only(&fs::read(directory.path().join("m.der")).unwrap()).unwrap_err();
    assert!(matches!(error, EstError::CertsOnly("it has a content or a signature")), "{error:?}");
    openssl(directory.path(), "cms -data_create -in m.txt -outform DER -out m.der").unwrap();
    let error = read_certs_only(&fs::read(directory.path().join("m.der")).unwrap()).unwrap_err();
    assert!(matches!(error, EstError::CertsOnly("it is no SignedData")), "{error:?}");
}

#[test]
fn messages_are_bounded() {
    let ldevid = Organisation::new().ldevid;
    assert!(matches!(write_certs(&vec![ldevid.clone(); 17]), Err(EstError::TooMany(17))));
    assert_eq!(read_certs_only(&certs_only(&[]).unwrap()).unwrap(), []);
    assert!(matches!(read_certs_only(&vec![0x30; (256 << 10) + 1]), Err(EstError::Bytes { .. })));
    assert!(matches!(read_request(&vec![b'A'; 32 << 10]), Err(EstError::Bytes { .. })));
    assert!(matches!(read_request(b"AAAA AAAA"), Err(EstError::Base64)));
    let directory = directory(&[("c.pem", &pem(&ldevid).repeat(17))]);
    openssl(directory.path(), "crl2pkcs7 -nocrl -certfile c.pem -outform DER -out c.p7b").unwrap();
    let many = fs::read(directory.path().join("c.p7b")).unwrap();
    assert!(matches!(read_certs_only(&many), Err(EstError::TooMany(17))));
    let der = certs_only(&[ldevid]).unwrap();
    assert!(matches!(read_certs_only(&[&der[..], &[0]].concat()), Err(EstError::Der(_))));
}

#[test]
fn a_box_enrolls() {
    let organisation = Organisation::new();
    let builder = RequestBuilder::new(&machine(), names()).unwrap();
    let request = block_on(builder.sign(&*signer(BOX))).unwrap();
    let received = read_request(write_request(&request).as_bytes()).unwrap();
    assert_eq!(received, request);
    let body = write_enrolled(&organisation.ldevid).unwrap();
    assert_eq!(read_enrolled(body.as_bytes(), &public_key(BOX)).unwrap(), organisation.ldevid);
    // Of another key, none, and one too many.
    let error = read_enrolled(body.as_bytes(), &public_key(STRANGER)).unwrap_err();
    assert!(matches!(error, EstError::OtherKey), "{error}");
    for certificates in [&[][..], &[organisation.ldevid.clone(), organisation.root.certificate().clone()]] {
        let body = write_certs(certificates).unwrap();
        let error = read_enrolled(body.as_bytes(), &public_key(BOX)).unwrap_err();
        assert!(matches!(error, EstError::Count(count) if count == certificates.len()), "{error}");
    }
    let broken = write_request(&request).replacen("MII", "MIJ", 1);
    let error = read_request(broken.as_bytes()).unwrap_err();
    assert!(matches!(error, EstError::Request(RequestError::Der(_))), "{error:?}");
}

#[test]
fn whoever_renews_keeps_his_name() {
    let ldevid = Organisation::new().ldevid;
    let sign = |builder: RequestBuilder| block_on(builder.sign(&*signer(REGISTRAR))).unwrap();
    let renewal = sign(RequestBuilder::renewal(&ldevid));
    check_reenroll(&ldevid, &renewal).unwrap();
    assert_ne!(renewal.public_key(), ldevid.public_key().unwrap());

    let new = |subject: &Subject, alt_names| sign(RequestBuilder::new(subject, alt_names).unwrap());
    let other = subject("box-2").with_machine_serial("SN-0042").unwrap();
    let error = check_reenroll(&ldevid, &new(&other, ldevid.alt_names().to_vec())).unwrap_err();
    assert!(matches!(error, EstError::Reenroll("subject")), "{error}");
    for alt_names in [Vec::new(), names(), ldevid.alt_names().iter().rev().cloned().collect()] {
        let error = check_reenroll(&ldevid, &new(&machine(), alt_names)).unwrap_err();
        assert!(matches!(error, EstError::Reenroll("alternative names")), "{error}");
    }
}
