//! The bytes that fixed keys, numbers and times give: what was issued once is compared and renewed for years.

use dolmen_provisioning_ca::{RequestBuilder, est};
use futures::executor::block_on;

use crate::support::{BOX, Organisation, box_order, list, machine, names, serial, signer};

fn sha256(bytes: &[u8]) -> String {
    const_hex::encode(openssl::sha::sha256(bytes))
}

#[test]
fn a_certificate_is_these_bytes() {
    let organisation = Organisation::new();
    for (certificate, hash) in [
        (organisation.root.certificate(), "f600ffb9deb268321e08d6f09ce4f41d93be15ca4062a6eeba52c2e636040e6a"),
        (organisation.issuing.certificate(), "61f10b3c44f99e2056d2916aa4deab438f1921f696994c01c6a74e2e49e1afc4"),
        (&organisation.ldevid, "0eb946a066be0479dc4d9ede6606a677e6954049d5afbf8f74fc54dedf69d067"),
    ] {
        assert_eq!(sha256(certificate.der()), hash, "{certificate:?}");
        assert_eq!(const_hex::encode(certificate.fingerprint()), hash);
    }
    // RFC 6979: the same order, the same signature.
    assert_eq!(block_on(organisation.issuing.issue(&box_order())).unwrap(), organisation.ldevid);
}

#[test]
fn a_request_is_these_bytes() {
    let builder = RequestBuilder::new(&machine(), names()).unwrap().with_channel_binding(&[7; 32]).unwrap();
    let request = block_on(builder.sign(&*signer(BOX))).unwrap();
    assert_eq!(sha256(request.der()), "35ef4410b470e6fccdc251038d87c9c17f3f42fa1814f3e550728da6c8ab7230");
}

#[test]
fn a_revocation_list_is_these_bytes() {
    let organisation = Organisation::new();
    let crl = block_on(organisation.issuing.revoke(&list(&[serial(1), serial(2), serial(BOX)]))).unwrap();
    assert_eq!(sha256(crl.der()), "c3a301fb5d12848216ab14aa166168c84c92a7e7194e9db708172913f302896a");
}

#[test]
fn an_answer_is_these_bytes() {
    let organisation = Organisation::new();
    assert_eq!(
        sha256(est::cacerts(&organisation.issuing).unwrap().as_bytes()),
        "115933c6da68a2ed419cf02e31be7c3712aa5653317302be297aeb564acab740"
    );
}
