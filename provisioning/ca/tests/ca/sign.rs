//! Making signed messages (CMS): what is signed, and by which keys.

use dolmen_hsm_api::{Algorithm, Domain, KeyError, Message, Signature, Signer as _};
use dolmen_provisioning_ca::{
    Certificate, ObjectIdentifier, PublicKeyError, SignError,
    cms::{CmsError, ContentType, to_sign, verify},
};
use futures::{executor::block_on, future::BoxFuture};

use crate::{
    certify::{Subject, memory_key},
    message::{CONTENT, RULES, TYPE, World, sign as signed, world},
};

#[test]
fn what_is_signed_comes_back() {
    let World { masa, masa_root, .. } = world();
    let (roots, whole) = (masa_root.roots(), signed(masa, CONTENT));
    let verified = verify(&whole, TYPE, &roots, &RULES).unwrap();
    assert_eq!(verified.content(), CONTENT);
    assert_eq!(verified.signer(), &masa.certificate);
    assert_eq!(verified.path().certificates(), [masa.certificate.clone(), masa_root.certificate.clone()]);
    // The root may be left out.
    let unsigned = to_sign(TYPE, CONTENT, &masa.chain[..1]).unwrap();
    let key = masa.signer();
    // Any thread may wait for a device.
    let waiting: BoxFuture<'_, _> = Box::pin(unsigned.sign(&key));
    let short = block_on(waiting).unwrap();
    assert!(short.len() < whole.len());
    assert_eq!(verify(&short, TYPE, &roots, &RULES).unwrap().path(), verified.path());
    // The same once more, by hand.
    let signature = block_on(key.sign(Domain::Certificate, Message::Bytes(unsigned.message()))).unwrap();
    assert_eq!(unsigned.with_signature(&signature).unwrap(), short);
}

/// Content that CMS knows nothing of has another version of the format.
#[test]
fn other_types_are_signed_too() {
    let World { masa, masa_root, .. } = world();
    let other = ContentType { oid: ObjectIdentifier::new_unwrap("1.2.3.4"), bytes_max: 1 << 20 };
    for content_type in [ContentType::data(1 << 20), other] {
        let unsigned = to_sign(content_type, CONTENT, &masa.chain).unwrap();
        let message = block_on(unsigned.sign(&masa.signer())).unwrap();
        assert_eq!(verify(&message, content_type, &masa_root.roots(), &RULES).unwrap().content(), CONTENT);
        let error = verify(&message, TYPE, &masa_root.roots(), &RULES).unwrap_err();
        assert!(matches!(error, CmsError::ContentType { found, .. } if found == content_type.oid), "{error}");
    }
}

#[test]
fn only_the_certificates_key_signs() {
    let World { masa, registrar, .. } = world();
    let unsigned = to_sign(TYPE, CONTENT, &masa.chain).unwrap();
    let sign = |algorithm, domains: &[Domain]| block_on(unsigned.sign(&memory_key(&[7; 32], algorithm, domains)));
    assert!(matches!(sign(Algorithm::EcdsaP256, &[Domain::Certificate]), Err(SignError::OtherKey(_))));
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::Sm2, Algorithm::Ed25519] {
        let error = sign(algorithm, &[Domain::Certificate]).unwrap_err();
        assert!(matches!(error, SignError::Algorithm { algorithm: found, .. } if found == algorithm), "{error}");
    }
    assert!(matches!(block_on(unsigned.sign(&registrar.signer())), Err(SignError::OtherKey(_))));
    for signature in [[0; 64], [1; 64], [0xff; 64]] {
        let error = unsigned.with_signature(&Signature(signature)).unwrap_err();
        assert!(matches!(error, SignError::WrongSignature), "{error}");
    }
}

/// A key that was made for something else says so itself.
#[test]
fn keys_for_something_else_do_not_sign() {
    let subject = Subject::signer("for TLS", None).certify();
    let unsigned = to_sign(TYPE, CONTENT, &subject.chain).unwrap();
    let sign = |domain| block_on(unsigned.sign(&memory_key(&subject.secret, Algorithm::EcdsaP256, &[domain])));
    assert!(sign(Domain::Certificate).is_ok());
    assert!(matches!(sign(Domain::Tls), Err(SignError::Key(KeyError::Domain { .. }))));
}

/// How large a content can be is for its type to say.
#[test]
fn contents_may_be_large() {
    let World { masa, masa_root, .. } = world();
    let large = ContentType::data(1 << 20);
    let content = vec![b' '; 1 << 20];
    let unsigned = to_sign(large, &content, &masa.chain).unwrap();
    let message = block_on(unsigned.sign(&masa.signer())).unwrap();
    assert_eq!(verify(&message, large, &masa_root.roots(), &RULES).unwrap().content(), content);
    for (small, what) in [(ContentType::data((1 << 20) - 1), "the content"), (ContentType::data(9), "the message")] {
        let error = verify(&message, small, &masa_root.roots(), &RULES).unwrap_err();
        assert!(matches!(error, CmsError::Bytes { what: found, .. } if found == what), "{error}");
        let error = to_sign(small, &content, &masa.chain).unwrap_err();
        assert!(matches!(error, CmsError::Bytes { what: "the content", .. }), "{error}");
    }
}

/// Coordinates that belong to no point.
#[test]
fn keys_are_points_of_the_curve() {
    let World { masa, .. } = world();
    let mut der = masa.certificate.der().to_vec();
    let y = masa.signer().public_key()[32..].to_vec();
    let at = der.windows(y.len()).position(|window| window == y).expect("the key");
    der[at + 31] ^= 1;
    let error = to_sign(TYPE, CONTENT, &[Certificate::from_der(&der).unwrap()]).unwrap_err();
    assert!(matches!(error, CmsError::SignerKey(PublicKeyError::Point)), "{error}");
}
