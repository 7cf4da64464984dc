//! Requests: ours, OpenSSL's, and those that are refused.

use std::fs;

use dolmen_provisioning_ca::{
    GeneralName, NameError, PublicKeyError, Request, RequestBuilder, RequestError, SignError, Subject, alt_name,
};
use futures::executor::block_on;

use crate::support::{
    BOX, ISSUING, Liar, Organisation, content, directory, find, insert, machine, names, openssl, private_key,
    public_key, sealed, signer,
};

fn request() -> Request {
    let builder = RequestBuilder::new(&machine(), names()).and_then(|builder| builder.with_channel_binding(&[7; 32]));
    block_on(builder.expect("a request").sign(&*signer(BOX))).expect("a signature")
}

#[test]
fn ours_are_read() {
    let request = request();
    assert_eq!(Request::from_der(request.der()).unwrap(), request);
    assert_eq!(Subject::read(request.subject()), Ok(machine()));
    assert_eq!(request.public_key(), public_key(BOX));
    assert_eq!(request.alt_names(), names());
    assert_eq!(request.channel_binding(), Some(&[7; 32][..]));
    assert_eq!(request.ignored(), []);
    let plain = RequestBuilder::new(&machine(), Vec::new()).unwrap();
    let plain = block_on(plain.sign(&*signer(BOX))).unwrap();
    assert_eq!((plain.alt_names(), plain.channel_binding()), (&[][..], None));
}

#[test]
fn openssl_takes_ours() {
    let directory = directory(&[("r.der", request().der())]);
    let text = openssl(directory.path(), "req -inform DER -in r.der -noout -verify -text -subject").unwrap();
    assert!(text.contains("Certificate request self-signature verify OK"), "{text}");
    assert!(text.contains("subject=O = Example, CN = box-1, serialNumber = SN-0042"), "{text}");
    assert!(text.contains("DNS:box-1.example, IP Address:10.0.0.1"), "{text}");
    assert!(text.contains("challengePassword        :BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="), "{text}");
}

const CONFIG: &str = "[req]\n\
    prompt = no\n\
    distinguished_name = name\n\
    attributes = attributes\n\
    req_extensions = extensions\n\
    [name]\n\
    O = Example\n\
    CN = box-1\n\
    [attributes]\n\
    challengePassword = BwcH\n\
    unstructuredName = box\n\
    [extensions]\n\
    subjectAltName = DNS:a.example, URI:urn:dolmen:box:1\n\
    keyUsage = critical, keyCertSign\n\
    basicConstraints = critical, CA:TRUE\n";

/// A request as `openssl req -new` makes it, of a new key.
fn made(config: &str, key: &str) -> Vec<u8> {
    let directory = directory(&[("c.cnf", config.as_bytes())]);
    openssl(directory.path(), &format!("genpkey {key} -out k.pem")).expect("a key");
    openssl(directory.path(), "req -new -config c.cnf -key k.pem -outform DER -out r.der").expect("a request");
    fs::read(directory.path().join("r.der")).expect("a request")
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/// What it asks for beside names is listed, and nothing comes of it.
#[test]
fn openssl_s_are_taken() {
    let request = Request::from_der(&made(CONFIG, P256)).unwrap();
    assert_eq!(request.subject().to_string(), "CN=box-1,O=Example");
    assert_eq!(request.channel_binding(), Some(&[7; 3][..]));
    assert_eq!(request.alt_names()[0], alt_name::dns("a.example").unwrap());
    assert!(matches!(&request.alt_names()[1], GeneralName::UniformResourceIdentifier(_)));
    let ignored: Vec<_> = request.ignored().iter().map(ToString::to_string).collect();
    // unstructuredName, keyUsage and basicConstraints.
    assert_eq!(ignored.len(), 3, "{ignored:?}");
    for oid in ["1.2.840.113549.1.9.2", "2.5.29.15", "2.5.29.19"] {
        assert!(ignored.iter().any(|ignored| ignored == oid), "{ignored:?}");
    }
    let plain = CONFIG.replace("attributes = attributes\n", "").replace("req_extensions = extensions\n", "");
    let request = Request::from_der(&made(&plain, P256)).unwrap();
    assert_eq!((request.alt_names(), request.ignored()), (&[][..], &[][..]));
}

#[test]
fn keys_of_other_kinds_are_named() {
    for (key, expected) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "1.2.840.113549.1.1.1"),
        ("-algorithm ED25519", "1.3.101.112"),
    ] {
        let error = Request::from_der(&made(CONFIG, key)).unwrap_err();
        let found = matches!(&error, RequestError::Key(PublicKeyError::Algorithm(oid)) if oid.to_string() == expected);
        assert!(found, "{error:?}");
    }
    let error = Request::from_der(&made(CONFIG, "-algorithm EC -pkeyopt ec_paramgen_curve:P-384")).unwrap_err();
    let found = matches!(&error, RequestError::Key(PublicKeyError::Curve(curve)) if curve == "1.3.132.0.34");
    assert!(found, "{error:?}");
}

/// Another key's signature, another content's, another hash's, and a device that signs by another key.
#[test]
fn possession_is_shown() {
    let first = made(CONFIG, P256);
    let second = made(CONFIG, P256);
    let third = made(&CONFIG.replace("CN = box-1", "CN = box-2"), P256);
    for other in [&second, &third] {
        let signed_by_other = [content(&first), &inner(other)[content(other).len()..]].concat();
        let swapped = wrapped(&signed_by_other);
        assert!(matches!(Request::from_der(&swapped), Err(RequestError::Possession)));
    }
    let directory =
        directory(&[("c.cnf", CONFIG.as_bytes()), ("k.pem", &private_key(BOX).private_key_to_pem_pkcs8().unwrap())]);
    openssl(directory.path(), "req -new -sha384 -config c.cnf -key k.pem -outform DER -out r.der").unwrap();
    let sha384 = fs::read(directory.path().join("r.der")).unwrap();
    assert!(matches!(Request::from_der(&sha384), Err(RequestError::Possession)));

    let liar = Liar { says: signer(BOX), signs: signer(ISSUING) };
    let error = block_on(RequestBuilder::new(&machine(), names()).unwrap().sign(&liar)).unwrap_err();
    assert!(matches!(error, RequestError::Sign(SignError::WrongKey(_))), "{error}");
}

/// What is in a structure with a length of two bytes.
fn inner(der: &[u8]) -> &[u8] {
    assert_eq!(der[1], 0x82);
    &der[4..]
}

fn wrapped(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short one").to_be_bytes();
    [&[0x30, 0x82], &length[..], content].concat()
}

const CHALLENGE: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07";
const EXTENSIONS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";
const ALT_NAME: &[u8] = b"\x06\x03\x55\x1d\x11";

/// Attributes in another order than DER's: the signature over the right order holds, and the bytes are others.
#[test]
fn a_request_has_one_form() {
    let request = request();
    let der = request.der();
    let (first, challenge) = find(der, CHALLENGE, 2);
    let (second, extensions) = find(der, EXTENSIONS, 2);
    let begin = first.min(second);
    let swapped = if first < second { [extensions, challenge] } else { [challenge, extensions] }.concat();
    let mut other = der.to_vec();
    other[begin..begin + swapped.len()].copy_from_slice(&swapped);
    let error = Request::from_der(&other).unwrap_err();
    assert!(matches!(error, RequestError::Malformed("it is not in DER")), "{error:?}");
}

#[test]
fn nothing_is_said_twice() {
    let plain = RequestBuilder::new(&machine(), names()).unwrap();
    let plain = block_on(plain.sign(&*signer(BOX))).unwrap();
    for (request, oid, reason) in [
        (request(), CHALLENGE, "it has an attribute twice"),
        (plain.clone(), EXTENSIONS, "it has an attribute twice"),
        (plain, ALT_NAME, "it has alternative names twice"),
    ] {
        let content = content(request.der());
        let (place, part) = find(content, oid, 2);
        let error = Request::from_der(&sealed(&insert(content, place, part), BOX)).unwrap_err();
        assert!(matches!(error, RequestError::Malformed(found) if found == reason), "{reason}: {error:?}");
    }
}

/// An attribute has a set of values, and one of these may have none or two.
#[test]
fn attributes_have_one_value() {
    let request = request();
    let content = content(request.der());
    let (place, value) = find(content, b"\x13\x2cBwcHBwc", 0);
    let more = sealed(&insert(content, place, value), BOX);
    let error = Request::from_der(&more).unwrap_err();
    assert!(matches!(error, RequestError::Malformed("an attribute has not one value")), "{error:?}");
}

#[test]
fn sizes_are_bounded() {
    assert!(matches!(Request::from_der(&[0x30; 8193]), Err(RequestError::Bytes(8193))));
    let der = request().der().to_vec();
    assert!(matches!(Request::from_der(&[&der[..], &[0]].concat()), Err(RequestError::Der(_))));
    let many = CONFIG.replace("URI:urn:dolmen:box:1", &["DNS:a"; 16].join(","));
    let error = Request::from_der(&made(&many, P256)).unwrap_err();
    assert!(matches!(error, RequestError::AltNames(NameError::TooMany(17))), "{error}");
    let error = RequestBuilder::new(&machine(), vec![names()[0].clone(); 17]).unwrap_err();
    assert!(matches!(error, RequestError::AltNames(NameError::TooMany(17))), "{error}");
}

#[test]
fn a_link_to_a_session_is_base64() {
    for text in ["BwcH!", "BwcHB", "password", &"A".repeat(88)] {
        let config = CONFIG.replace("= BwcH\n", &format!("= {text}\n"));
        let read = Request::from_der(&made(&config, P256));
        // Eight letters are base64, of other bytes.
        let expected = (text == "password").then(|| vec![0xa5, 0xab, 0x2c, 0xc2, 0x8a, 0xdd]);
        match read {
            Ok(request) => assert_eq!(request.channel_binding().map(<[u8]>::to_vec), expected, "{text}"),
            Err(error) => {
                assert!(matches!(error, RequestError::ChannelBinding), "{error}");
                assert_eq!(expected, None);
            }
        }
    }
    let builder = RequestBuilder::renewal(&Organisation::new().ldevid);
    for length in [0, 65] {
        let error = builder.clone().with_channel_binding(&vec![0; length]).unwrap_err();
        assert!(matches!(error, RequestError::ChannelBinding), "{error}");
    }
    assert!(builder.with_channel_binding(&[0; 64]).is_ok());
}
