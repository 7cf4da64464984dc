//! Signed messages (CMS): what is wrong with those that are refused.

use std::sync::OnceLock;

use cms::{
    cert::{CertificateChoices, OtherCertificateFormat},
    content_info::{CmsVersion, ContentInfo},
    revocation::RevocationInfoChoices,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Any, Decode as _, Encode as _, Tag,
    asn1::{Null, ObjectIdentifier, OctetString, SetOfVec},
};
use dolmen_provisioning_ca::{
    Certificate, PublicKeyError,
    chain::{ChainError, Purpose, Rules},
    cms::{CmsError, ContentType, Verified, open, to_sign, verify},
};
use futures::executor::block_on;
use openssl::{
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    sign::Signer,
};
use x509_cert::{
    attr::Attribute, ext::pkix::SubjectKeyIdentifier, serial_number::SerialNumber, spki::AlgorithmIdentifierOwned,
};

use crate::certify::{ISSUE, Identity, Kind, Subject};

pub(crate) const CONTENT: &[u8] = b"{\"a\": \"text\"}";
/// The type of vouchers.
pub(crate) const TYPE: ContentType =
    ContentType { oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.40"), bytes_max: 64 << 10 };
pub(crate) const RULES: Rules<'static> = Rules::timeless(Purpose::Voucher);
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// Somebody who signs, and somebody else of another root.
pub(crate) struct World {
    pub(crate) masa_root: Identity,
    pub(crate) masa: Identity,
    pub(crate) registrar: Identity,
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let masa_root = Subject::root("voucher root").certify();
        let masa = Subject::masa("voucher signer", &masa_root).certify();
        let registrar = Subject::registrar("registrar", &Subject::root("organisation").certify()).certify();
        World { masa_root, masa, registrar }
    })
}

pub(crate) fn sign(identity: &Identity, content: &[u8]) -> Vec<u8> {
    let unsigned = to_sign(TYPE, content, &identity.chain).expect("a message");
    block_on(unsigned.sign(&identity.signer())).expect("a signature")
}

fn message() -> Vec<u8> {
    sign(&world().masa, CONTENT)
}

fn check(message: &[u8]) -> Result<Verified, CmsError> {
    verify(message, TYPE, &world().masa_root.roots(), &RULES)
}

/// A message with something in it changed.
fn edit(message: &[u8], change: impl FnOnce(&mut SignedData)) -> Vec<u8> {
    let info = ContentInfo::from_der(message).expect("a message");
    let mut signed: SignedData = info.content.decode_as().expect("SignedData");
    change(&mut signed);
    let content = Any::encode_from(&signed).expect("SignedData");
    ContentInfo { content_type: info.content_type, content }.to_der().expect("a message")
}

/// The same, signed again by somebody who means it.
fn edit_and_sign(message: &[u8], key: &PKey<Private>, change: impl FnOnce(&mut SignedData)) -> Vec<u8> {
    edit(message, |signed| {
        change(signed);
        let mut signers = signed.signer_infos.0.clone().into_vec();
        for signer in &mut signers {
            let attributes = signer.signed_attrs.as_ref().map(|attributes| attributes.to_der().expect("attributes"));
            let mut openssl = Signer::new(MessageDigest::sha256(), key).expect("a key");
            let signature = openssl.sign_oneshot_to_vec(&attributes.unwrap_or_default()).expect("a signature");
            signer.signature = OctetString::new(signature).expect("a signature");
        }
        signed.signer_infos = signers.try_into().expect("signers");
    })
}

/// What is said of a message that was changed after it was signed.
fn changed(change: impl FnOnce(&mut SignedData)) -> CmsError {
    check(&edit(&message(), change)).expect_err("a refusal")
}

/// What is said of a message that the right signer made so.
fn made(change: impl FnOnce(&mut SignedData)) -> Result<Verified, CmsError> {
    check(&edit_and_sign(&message(), &world().masa.key, change))
}

fn signer(signed: &mut SignedData, change: impl FnOnce(&mut SignerInfo)) {
    let mut signers = signed.signer_infos.0.clone().into_vec();
    change(&mut signers[0]);
    signed.signer_infos = signers.try_into().expect("signers");
}

fn attributes(signed: &mut SignedData, change: impl FnOnce(&mut Vec<Attribute>)) {
    signer(signed, |signer| {
        let mut attributes = signer.signed_attrs.take().expect("attributes").into_vec();
        change(&mut attributes);
        signer.signed_attrs = Some(attributes.try_into().expect("attributes"));
    });
}

fn certificates(signed: &mut SignedData, certificates: &[&Certificate]) {
    let choices = certificates.iter().map(|certificate| {
        CertificateChoices::Certificate(x509_cert::Certificate::from_der(certificate.der()).expect("one"))
    });
    signed.certificates = Some(choices.collect::<Vec<_>>().try_into().expect("certificates"));
}

fn set<T: der::DerOrd>(elements: Vec<T>) -> SetOfVec<T> {
    elements.try_into().expect("a set")
}

#[test]
fn only_certificates_for_signatures_are_used() {
    let World { masa_root, masa, .. } = world();
    let error = |identity: &Identity| to_sign(TYPE, CONTENT, &identity.chain).unwrap_err();
    for kind in [Kind::Curve(Nid::SECP384R1), Kind::Curve(Nid::SECP256K1), Kind::Rsa(2048)] {
        let other = Subject { kind, ..Subject::signer("another kind", masa_root) }.certify();
        assert!(matches!(error(&other), CmsError::SignerKey(PublicKeyError::Algorithm(_) | PublicKeyError::Curve(_))));
        let theirs = edit_and_sign(&message(), &other.key, |signed| named(signed, &other));
        assert!(matches!(check(&theirs), Err(CmsError::SignerKey(_))));
    }
    // For what was signed and not to be denied, for other keys, and for certificates.
    for usage in [1, 2, ISSUE] {
        let other = Subject { usage: Some(usage), ..Subject::masa("for others", masa_root) }.certify();
        assert!(matches!(error(&other), CmsError::KeyUsage));
        let theirs = edit_and_sign(&message(), &other.key, |signed| named(signed, &other));
        assert!(matches!(check(&theirs), Err(CmsError::KeyUsage)));
    }
    let any = Subject { usage: None, ..Subject::masa("for anything", masa_root) }.certify();
    assert_eq!(check(&sign(&any, CONTENT)).unwrap().signer(), &any.certificate);
    // Trusted, and for something else.
    for other in [Subject::signer("for nothing", masa_root), Subject::registrar("a registrar", masa_root)] {
        let error = check(&sign(&other.certify(), CONTENT)).unwrap_err();
        assert!(matches!(error, CmsError::Path(ChainError::Purpose { .. })), "{error}");
    }

    let none = to_sign(TYPE, CONTENT, &[]).unwrap_err();
    assert!(matches!(none, CmsError::Certificates { found: 0, .. }));
    let twice = to_sign(TYPE, CONTENT, &[masa.certificate.clone(), masa.certificate.clone()]).unwrap_err();
    assert!(matches!(twice, CmsError::NoSigner));
    let many = vec![masa.certificate.clone(); 6];
    assert!(matches!(to_sign(TYPE, CONTENT, &many), Err(CmsError::Certificates { found: 6, limit: 5 })));
}

/// Makes the message one of another signer.
fn named(signed: &mut SignedData, other: &Identity) {
    certificates(signed, &[&other.certificate]);
    signer(signed, |signer| {
        if let SignerIdentifier::IssuerAndSerialNumber(id) = &mut signer.sid {
            id.issuer = other.certificate.issuer().clone();
            id.serial_number = SerialNumber::new(other.certificate.serial().as_bytes()).expect("a number");
        }
    });
}

#[test]
fn sizes_are_bounded() {
    let World { masa, masa_root, .. } = world();
    for (length, allowed) in [(0, false), (1, true), (64 << 10, true), ((64 << 10) + 1, false)] {
        let unsigned = to_sign(TYPE, &vec![b' '; length], &masa.chain);
        assert_eq!(unsigned.is_ok(), allowed, "{length}");
        if let Ok(unsigned) = unsigned {
            let message = block_on(unsigned.sign(&masa.signer())).unwrap();
            assert_eq!(check(&message).unwrap().content().len(), length);
        }
    }
    let content = |bytes: usize| {
        let content = Any::new(Tag::OctetString, vec![b' '; bytes]).unwrap();
        changed(|signed| signed.encap_content_info.econtent = Some(content))
    };
    for bytes in [0, (64 << 10) + 1] {
        assert!(matches!(content(bytes), CmsError::Bytes { what: "the content", found, .. } if found == bytes));
    }
    assert!(matches!(content(96 << 10), CmsError::Bytes { what: "the message", .. }));
    assert!(matches!(check(b""), Err(CmsError::Bytes { found: 0, .. })));

    let extra: Vec<_> = (0..4).map(|_| Subject::root("one more").certify().certificate).collect();
    let five: Vec<_> = extra.iter().chain([&masa.certificate]).collect();
    assert!(check(&edit(&message(), |signed| certificates(signed, &five))).is_ok());
    let six: Vec<_> = five.iter().copied().chain([&masa_root.certificate]).collect();
    let error = changed(|signed| certificates(signed, &six));
    assert!(matches!(error, CmsError::Certificates { found: 6, limit: 5 }), "{error}");
    // Before any is read: the last one is none.
    let mut six = edit(&message(), |signed| certificates(signed, &six));
    let last = six.windows(masa.certificate.der().len()).position(|window| window == masa.certificate.der());
    six[last.expect("a certificate") + 4] = 0xff;
    assert!(matches!(check(&six), Err(CmsError::Certificates { found: 6, .. })));
    let none = |certificates| changed(|signed| signed.certificates = certificates);
    assert!(matches!(none(None), CmsError::Certificates { found: 0, .. }));
    assert!(matches!(none(Some(Vec::new().try_into().unwrap())), CmsError::Certificates { found: 0, .. }));

    let large = |signed: &mut SignedData| {
        let other = OtherCertificateFormat {
            other_cert_format: DATA,
            other_cert: Any::new(Tag::OctetString, vec![0; 5000]).unwrap(),
        };
        signed.certificates = Some(vec![CertificateChoices::Other(other)].try_into().unwrap());
    };
    assert!(matches!(changed(large), CmsError::Bytes { what: "a certificate in the message", .. }));
    let long =
        |signed: &mut SignedData| signer(signed, |signer| signer.signature = OctetString::new([1; 5000]).unwrap());
    assert!(matches!(changed(long), CmsError::Bytes { what: "what says who signed", .. }));
}

#[test]
fn other_structures_are_refused() {
    let World { masa, .. } = world();
    for bytes in [&b"no message"[..], &[0x30, 0], &[0x30, 0x80, 0, 0], masa.certificate.der()] {
        assert!(matches!(check(bytes), Err(CmsError::Der { .. })), "{bytes:?}");
    }
    let mut info = ContentInfo::from_der(&message()).unwrap();
    info.content_type = DATA;
    assert!(matches!(check(&info.to_der().unwrap()), Err(CmsError::Der { .. })));
    for more in [&b"\0"[..], b"\x05\0", b"{}"] {
        let trailing = [&message(), more].concat();
        assert!(matches!(check(&trailing), Err(CmsError::Der { .. })), "{more:?}");
    }
    let cut = &message()[..message().len() - 1];
    assert!(matches!(check(cut), Err(CmsError::Der { .. })));
    assert!(matches!(changed(|signed| signed.encap_content_info.econtent = None), CmsError::Detached));
    let text = Any::new(Tag::Utf8String, CONTENT).unwrap();
    let error = changed(|signed| signed.encap_content_info.econtent = Some(text));
    assert!(matches!(error, CmsError::Unsupported("its content is not an OCTET STRING")), "{error}");
    let other = OtherCertificateFormat { other_cert_format: DATA, other_cert: Any::encode_from(&Null).unwrap() };
    let other = vec![CertificateChoices::Other(other)];
    let error = changed(|signed| signed.certificates = Some(other.try_into().unwrap()));
    assert!(matches!(error, CmsError::Unsupported("it has certificates that are not X.509")), "{error}");
    let error = changed(|signed| signed.crls = Some(RevocationInfoChoices(set(Vec::new()))));
    assert!(matches!(error, CmsError::Unsupported("it has lists of revoked certificates")), "{error}");
    for version in [CmsVersion::V1, CmsVersion::V4] {
        let error = changed(|signed| signed.version = version);
        assert!(matches!(error, CmsError::Unsupported("its version is not the one of its fields")), "{error}");
    }
    let error = changed(|signed| signer(signed, |signer| signer.version = CmsVersion::V3));
    assert!(matches!(error, CmsError::Unsupported("its version is not the one of its fields")), "{error}");
    let unsigned = Attribute { oid: DATA, values: set(vec![Any::encode_from(&Null).unwrap()]) };
    let error = changed(|signed| signer(signed, |signer| signer.unsigned_attrs = Some(set(vec![unsigned]))));
    assert!(matches!(error, CmsError::Unsupported("it has unsigned attributes")), "{error}");
}

/// BER says the same in several ways. Lengths of any form, and sets in any order.
#[test]
fn only_der_is_read() {
    let message = message();
    // The outermost length, in one byte more.
    assert_eq!(message[..2], [0x30, 0x82]);
    let long = [&[0x30, 0x83, 0], &message[2..]].concat();
    assert!(matches!(check(&long), Err(CmsError::Der { .. })));
    let indefinite = [&[0x30, 0x80], &message[4..], &[0, 0]].concat();
    assert!(matches!(check(&indefinite), Err(CmsError::Der { .. })));

    // The two certificates, and the two attributes, the other way round.
    let World { masa, masa_root, .. } = world();
    let (first, second) = (masa.certificate.der(), masa_root.certificate.der());
    let swap = |first: &[u8], second: &[u8]| {
        let [ordered, swapped] = [[first, second].concat(), [second, first].concat()];
        let at = message.windows(ordered.len()).position(|window| window == ordered)?;
        Some([&message[..at], &swapped, &message[at + swapped.len()..]].concat())
    };
    let swapped = swap(first, second).or_else(|| swap(second, first)).expect("both are there");
    assert!(matches!(check(&swapped), Err(CmsError::NotDer)));
    let unsigned = to_sign(TYPE, CONTENT, &masa.chain).unwrap();
    let attributes = &unsigned.message()[2..];
    let (first, second) = attributes.split_at(2 + usize::from(attributes[1]));
    assert!(matches!(check(&swap(first, second).expect("both are there")), Err(CmsError::NotDer)));
}

#[test]
fn there_is_one_signer() {
    let error = changed(|signed| signed.signer_infos = Vec::new().try_into().unwrap());
    assert!(matches!(error, CmsError::Signers(0)), "{error}");
    let twice = |signed: &mut SignedData| {
        let one = signed.signer_infos.0.as_slice()[0].clone();
        signed.signer_infos = vec![one.clone(), one].try_into().unwrap();
    };
    let error = changed(twice);
    assert!(matches!(error, CmsError::Signers(2)), "{error}");

    let World { masa_root, masa, registrar, .. } = world();
    let error = changed(|signed| certificates(signed, &[&masa_root.certificate]));
    assert!(matches!(error, CmsError::NoSigner), "{error}");
    let error = changed(|signed| certificates(signed, &[&masa.certificate, &masa.certificate]));
    assert!(matches!(error, CmsError::NoSigner), "{error}");
    // Another's certificate for a signature.
    let error = changed(|signed| named(signed, registrar));
    assert!(matches!(error, CmsError::Signature), "{error}");
}

/// As some name themselves.
#[test]
fn signers_are_found_by_their_keys_too() {
    let World { masa, registrar, .. } = world();
    let by_key = |identity: &Identity| {
        let identifier = OctetString::new(identity.certificate.key_identifier().unwrap()).unwrap();
        SignerIdentifier::SubjectKeyIdentifier(SubjectKeyIdentifier(identifier))
    };
    let name = |signed: &mut SignedData, sid| {
        signer(signed, |signer| (signer.sid, signer.version) = (sid, CmsVersion::V3));
    };
    assert_eq!(made(|signed| name(signed, by_key(masa))).unwrap().signer(), &masa.certificate);
    assert!(matches!(made(|signed| name(signed, by_key(registrar))), Err(CmsError::NoSigner)));
    let error = changed(|signed| signer(signed, |signer| signer.sid = by_key(masa)));
    assert!(matches!(error, CmsError::Unsupported("its version is not the one of its fields")), "{error}");
}

#[test]
fn there_is_one_way_to_sign() {
    let sha1 = || AlgorithmIdentifierOwned { oid: SHA1, parameters: None };
    for error in [
        changed(|signed| signed.digest_algorithms = set(vec![sha1()])),
        changed(|signed| signer(signed, |signer| signer.digest_alg = sha1())),
    ] {
        assert!(matches!(error, CmsError::Algorithm { what: "digest", found: SHA1 }), "{error}");
    }
    for count in [0, 2] {
        let error = changed(|signed| {
            let one = signed.digest_algorithms.as_slice()[0].clone();
            signed.digest_algorithms = set(vec![one; count]);
        });
        assert!(matches!(error, CmsError::Unsupported("it has not one digest algorithm")), "{error}");
    }
    let null = Any::encode_from(&Null).unwrap();
    assert!(made(|signed| signer(signed, |signer| signer.digest_alg.parameters = Some(null.clone()))).is_ok());
    let error = changed(|signed| signer(signed, |signer| signer.signature_algorithm.oid = ECDSA_SHA384));
    assert!(matches!(error, CmsError::Algorithm { what: "signature", found: ECDSA_SHA384 }), "{error}");
    let error = changed(|signed| signer(signed, |signer| signer.signature_algorithm.parameters = Some(null)));
    assert!(matches!(error, CmsError::Algorithm { what: "signature", .. }), "{error}");
}

#[test]
fn attributes_are_signed_and_about_the_content() {
    assert!(matches!(changed(|signed| signer(signed, |signer| signer.signed_attrs = None)), CmsError::NoAttributes));
    let digest = |bytes: &[u8]| Any::encode_from(&OctetString::new(bytes).unwrap()).unwrap();
    let replace = |oid, values: Vec<Any>| {
        move |attributes: &mut Vec<Attribute>| {
            let attribute = attributes.iter_mut().find(|attribute| attribute.oid == oid).expect("an attribute");
            attribute.values = set(values);
        }
    };
    let refused = |change: &dyn Fn(&mut Vec<Attribute>)| made(|signed| attributes(signed, change)).unwrap_err();
    for oid in [CONTENT_TYPE, MESSAGE_DIGEST] {
        let name = if oid == CONTENT_TYPE { "content-type" } else { "message-digest" };
        let is_named = |error: CmsError| matches!(error, CmsError::Attribute(found) if found == name);
        assert!(is_named(refused(&|attributes| attributes.retain(|attribute| attribute.oid != oid))), "{name}");
        assert!(is_named(refused(&|attributes| {
            let again = attributes.iter().find(|attribute| attribute.oid == oid).expect("an attribute").clone();
            attributes.push(again);
        })));
        assert!(is_named(refused(&|attributes| replace(oid, Vec::new())(attributes))), "{name}");
        assert!(is_named(refused(&|attributes| {
            let value = attributes.iter().find(|attribute| attribute.oid == oid).expect("an attribute").values.clone();
            let value = value.into_vec().remove(0);
            replace(oid, vec![value.clone(), value])(attributes);
        })));
        assert!(is_named(refused(&|attributes| replace(oid, vec![Any::encode_from(&Null).unwrap()])(attributes))));
    }
    let other = refused(&|attributes| replace(CONTENT_TYPE, vec![Any::encode_from(&DATA).unwrap()])(attributes));
    assert!(matches!(other, CmsError::Attribute("content-type")), "{other}");
    let other = refused(&|attributes| replace(MESSAGE_DIGEST, vec![digest(&[7; 32])])(attributes));
    assert!(matches!(other, CmsError::Digest), "{other}");
    // More of them is the signer's business.
    let more = Attribute { oid: DATA, values: set(vec![digest(b"more")]) };
    assert!(made(|signed| attributes(signed, |attributes| attributes.push(more.clone()))).is_ok());
    let error = changed(|signed| attributes(signed, |attributes| attributes.push(more)));
    assert!(matches!(error, CmsError::Signature), "{error}");
}

#[test]
fn forged_signatures_are_refused() {
    let content = Any::new(Tag::OctetString, &b"{\"a\": \"lie!\"}"[..]).unwrap();
    let error = changed(|signed| signed.encap_content_info.econtent = Some(content.clone()));
    assert!(matches!(error, CmsError::Digest), "{error}");
    // Another key's signature, under the signer's name.
    let error = check(&edit_and_sign(&message(), &world().registrar.key, |_| {})).unwrap_err();
    assert!(matches!(error, CmsError::Signature), "{error}");
    for signature in [&b""[..], b"\x30\x06\x02\x01\x01\x02\x01\x01", b"\x30\x06\x02\x01\0\x02\x01\0", &[0xff; 70]] {
        let error = changed(|signed| {
            signer(signed, |signer| signer.signature = OctetString::new(signature).unwrap());
        });
        assert!(matches!(error, CmsError::Signature), "{error}");
    }
}

/// Whoever signed: it is his signature, and whether he counts is asked later.
#[test]
fn messages_of_anybody_are_opened() {
    let (ours, theirs) = (message(), sign(&world().registrar, CONTENT));
    let root = std::slice::from_ref(&world().masa_root.certificate);
    for (message, identity, is_trusted) in [(&ours, &world().masa, true), (&theirs, &world().registrar, false)] {
        let opened = open(message, TYPE).unwrap();
        assert_eq!((opened.content(), opened.signer()), (CONTENT, &identity.certificate));
        assert!(!opened.others().contains(opened.signer()));
        assert_eq!(opened.path(root, &RULES).is_ok(), is_trusted);
    }
    for at in (0..theirs.len()).step_by(7) {
        let mut forged = theirs.clone();
        forged[at] ^= 0x10;
        assert!(!matches!(open(&forged, TYPE), Ok(opened) if opened.content() != CONTENT), "{at}");
    }
    assert!(matches!(open(&theirs[..theirs.len() - 1], TYPE), Err(CmsError::Der { .. })));
    let shorter = ContentType { bytes_max: CONTENT.len() - 1, ..TYPE };
    assert!(matches!(open(&theirs, shorter), Err(CmsError::Bytes { .. })));
}
