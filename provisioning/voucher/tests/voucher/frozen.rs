//! The formats, byte by byte: boxes in the field read what later versions write, and vouchers are kept for years.

use base64ct::{Base64, Encoding as _};
use dolmen_provisioning_ca::{
    chain::{Purpose, Roots, Rules},
    cms::verify,
};
use dolmen_provisioning_voucher::{JSON_VOUCHER, Voucher, VoucherRequest};
use sha2::{Digest as _, Sha256};

use crate::fixed;

const VOUCHER: &str = concat!(
    r#"{"ietf-voucher:voucher":{"#,
    r#""created-on":"2026-11-22T08:00:00Z","#,
    r#""expires-on":"2027-11-22T08:00:00Z","#,
    r#""assertion":"verified","#,
    r#""serial-number":"BOX-0001","#,
    r#""idevid-issuer":"MAKER","#,
    r#""pinned-domain-cert":"PINNED","#,
    r#""domain-cert-revocation-checks":false,"#,
    r#""nonce":"paWlpaWlpaWlpaWlpaWlpQ==","#,
    r#""dolmen-voucher:ownership-epoch":"8"}}"#,
);

const PLEDGE_REQUEST: &str = concat!(
    r#"{"ietf-voucher-request:voucher":{"#,
    r#""created-on":"2026-11-22T08:00:00Z","#,
    r#""assertion":"proximity","#,
    r#""nonce":"paWlpaWlpaWlpaWlpaWlpQ==","#,
    r#""serial-number":"BOX-0001","#,
    r#""idevid-issuer":"MAKER","#,
    r#""proximity-registrar-cert":"REGISTRAR"}}"#,
);

const REGISTRAR_REQUEST: &str = concat!(
    r#"{"ietf-voucher-request:voucher":{"#,
    r#""created-on":"2026-11-22T08:00:00Z","#,
    r#""assertion":"proximity","#,
    r#""nonce":"paWlpaWlpaWlpaWlpaWlpQ==","#,
    r#""serial-number":"BOX-0001","#,
    r#""idevid-issuer":"MAKER","#,
    r#""prior-signed-voucher-request":"PRIOR"}}"#,
);

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON")
}

fn hash(bytes: &[u8]) -> String {
    const_hex::encode(Sha256::digest(bytes))
}

fn maker() -> String {
    Base64::encode_string(fixed::maker_key().as_bytes())
}

#[test]
fn a_voucher_is_this_text() {
    let pinned = Base64::encode_string(fixed::certificate(fixed::ORGANISATION).der());
    let expected = VOUCHER.replace("MAKER", &maker()).replace("PINNED", &pinned);
    assert_eq!(text(fixed::voucher().to_json().unwrap()), expected);
    assert_eq!(Voucher::from_json(expected.as_bytes()).unwrap(), fixed::voucher());
}

#[test]
fn requests_are_these_texts() {
    let registrar = Base64::encode_string(fixed::tls().certificate().der());
    let expected = PLEDGE_REQUEST.replace("MAKER", &maker()).replace("REGISTRAR", &registrar);
    assert_eq!(text(fixed::pledge_request().to_json().unwrap()), expected);
    assert_eq!(VoucherRequest::from_json(expected.as_bytes()).unwrap(), fixed::pledge_request());
    let expected = REGISTRAR_REQUEST.replace("MAKER", &maker());
    let expected = expected.replace("PRIOR", &Base64::encode_string(&fixed::asked()));
    assert_eq!(text(fixed::registrar_request().to_json().unwrap()), expected);
}

/// A SET of two attributes, as RFC 5652 §11.1 and §11.2 have them.
#[test]
fn what_is_signed_is_these_bytes() {
    let digest = const_hex::encode(Sha256::digest(b"{}"));
    let content_type = "301a06092a864886f70d010903310d060b2a864886f70d0109100128";
    let expected = format!("314d{content_type}302f06092a864886f70d01090431220420{digest}");
    assert_eq!(const_hex::encode(fixed::unsigned(b"{}").message()), expected);
}

/// The keys take their nonces from RFC 6979: the same content gives the same message.
#[test]
fn messages_are_these_bytes() {
    let voucher = fixed::signed(&fixed::voucher().to_json().unwrap());
    assert_eq!(hash(&voucher), "bd1855bf1d3910986789ff9b18c53249f7807d9c2fb4f81413ff0e3f76868fb9");
    assert_eq!(hash(&fixed::asked()), "bf8d363bd7681f5aceca58630aaeb817b24e2876b298eb9b96e4963397c9e107");
    assert_eq!(
        hash(&fixed::passed_on(&fixed::registrar_request().to_json().unwrap())),
        "27fa4201832d7564992acf85511c5b54be7baf94d4cea6a4172a9c9311ec59ff"
    );
    let (roots, rules) = (Roots::from_pem(fixed::MASA_ROOT).unwrap(), Rules::timeless(Purpose::Voucher));
    let verified = verify(&voucher, JSON_VOUCHER, &roots, &rules).unwrap();
    assert_eq!(Voucher::from_json(verified.content()).unwrap(), fixed::voucher());
}
