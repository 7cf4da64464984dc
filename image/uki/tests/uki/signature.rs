//! Whose signatures count, for which image.

use dolmen_image_uki::{
    authenticode::{AuthenticodeError, Signing, remove, sign, signatures, verify},
    key::{KeyError, KeyKind, PublicKey, Sign, SignError},
    pe::{Builder, PeError},
};

use crate::support::{CERTIFICATE_DIRECTORY, Identity, TIME, parse, put_u32, rsa_key, signed, signer, uki};

fn signed_by(identity: &Identity) -> Vec<u8> {
    signed(&uki(), identity)
}

fn verdict(image: &[u8], trusted: &[&[u8]]) -> Result<usize, AuthenticodeError> {
    verify(&parse(image), trusted).map(|verified| verified.authority)
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    assert!(signed_by(signer()) == signed_by(signer()));
    let der = signer().der();
    let without = sign(&uki(), &signer().signing(&der, None)).unwrap();
    assert!(without != signed_by(signer()));
    let times = |bytes: &[u8]| signatures(&parse(bytes)).unwrap()[0].time();
    assert_eq!((times(&without), times(&signed_by(signer()))), (None, Some(TIME)));
    for time in [0, 2_524_607_999, 2_524_608_000, 253_402_300_799] {
        assert_eq!(times(&sign(&uki(), &signer().signing(&der, Some(time))).unwrap()), Some(time));
    }
    let after = sign(&uki(), &signer().signing(&der, Some(253_402_300_800)));
    assert!(matches!(after, Err(AuthenticodeError::Time(253_402_300_800))));
}

/// A certificate vouches for what its key signed, and for what the keys did that it certified.
#[test]
fn chains_end_at_any_trusted_certificate() {
    let root = Identity::rsa("root");
    let leaf = Identity::new(rsa_key(2048), "leaf of the root", Some(&root));
    let image = signed_by(&leaf);
    let (root, leaf, other) = (root.der(), leaf.der(), Identity::p256("other").der());
    assert_eq!(verdict(&image, &[&other, &leaf]).unwrap(), 1);
    assert_eq!(verdict(&image, &[&root, &leaf]).unwrap(), 0);
    assert_eq!(verdict(&image, &[&other, &root]).unwrap(), 1);
    assert!(matches!(verdict(&image, &[&other]), Err(AuthenticodeError::Untrusted)));
    assert!(matches!(verdict(&image, &[]), Err(AuthenticodeError::Untrusted)));
    assert!(matches!(verdict(&image, &[b"no certificate"]), Err(AuthenticodeError::Certificate)));
}

/// Firmware takes the first of an image's signatures that somebody trusted vouches for.
#[test]
fn images_can_have_several_signatures() {
    let other = Identity::p256("the other signer");
    let twice = sign(&signed_by(signer()), &other.signing(&other.der(), None)).unwrap();
    let thrice = sign(&twice, &signer().signing(&signer().der(), None)).unwrap();
    let image = parse(&thrice);
    let times: Vec<_> = signatures(&image).unwrap().iter().map(|one| one.time()).collect();
    assert_eq!(times, [Some(TIME), None, None]);
    assert_eq!(verdict(&thrice, &[&other.der(), &signer().der()]).unwrap(), 1);
    assert_eq!(verdict(&thrice, &[&other.der()]).unwrap(), 0);
    assert!(remove(&thrice).unwrap() == uki());
    assert!(matches!(Builder::new(&image), Err(PeError::Signed)));
    let mut many = thrice.clone();
    for _ in 3..8 {
        many = sign(&many, &signer().signing(&signer().der(), None)).unwrap();
    }
    let ninth = sign(&many, &signer().signing(&signer().der(), None)).unwrap();
    assert!(matches!(verdict(&ninth, &[&signer().der()]), Err(AuthenticodeError::TooMany { found: 9, .. })));
}

#[test]
fn changed_images_are_refused() {
    let der = signer().der();
    assert!(matches!(verdict(&uki(), &[&der]), Err(AuthenticodeError::Unsigned)));
    let signed = signed_by(signer());
    assert_eq!(verdict(&signed, &[&der]).unwrap(), 0);
    // A header, a section's content, and the padding of the last one.
    for offset in [64 + 48, 1600, uki().len() - 1] {
        let mut changed = signed.clone();
        changed[offset] ^= 0x80;
        let error = verdict(&changed, &[&der]).unwrap_err();
        assert!(matches!(error, AuthenticodeError::Digest), "{offset}: {error}");
    }
}

/// Whatever byte of a signature is changed, it does not count, or nothing that is signed is different.
#[test]
fn changed_signatures_are_refused() {
    let (signed, der) = (signed_by(signer()), signer().der());
    let whole = signatures(&parse(&signed)).unwrap().remove(0);
    let mut refused = 0;
    for offset in uki().len()..signed.len() {
        let mut changed = signed.clone();
        changed[offset] ^= 0x01;
        let image = parse(&changed);
        match verify(&image, &[&der]) {
            Ok(verified) => {
                assert_eq!(verified.signature.digest(), whole.digest());
                assert_eq!((verified.signature.time(), verified.authority), (Some(TIME), 0));
            }
            Err(_) => refused += 1,
        }
    }
    let changes = signed.len() - uki().len();
    assert!(refused * 100 > changes * 95, "{refused} of {changes}");
}

#[test]
fn tables_that_hold_something_else() {
    let signed = signed_by(signer());
    let table = uki().len();
    let error = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = signed.clone();
        change(&mut changed);
        signatures(&parse(&changed)).unwrap_err()
    };
    for length in [0, 7, u32::MAX] {
        assert!(matches!(error(&|bytes| put_u32(bytes, table, &[length])), AuthenticodeError::Table(_)));
    }
    assert!(matches!(error(&|bytes| bytes[table + 5] = 1), AuthenticodeError::Table(_)));
    assert!(matches!(error(&|bytes| bytes[table + 6] = 1), AuthenticodeError::Table(_)));
    // Two bytes of a signature, and then what is no other one.
    assert!(matches!(error(&|bytes| put_u32(bytes, table, &[10])), AuthenticodeError::Table(_)));
    assert!(matches!(error(&|bytes| bytes[table + 8] = 0x31), AuthenticodeError::Der { .. }));
    let long = |bytes: &mut Vec<u8>| {
        bytes.resize(table + (1 << 17), 0);
        put_u32(bytes, CERTIFICATE_DIRECTORY + 4, &[1 << 17]);
    };
    assert!(matches!(error(&long), AuthenticodeError::TooMany { .. }));
}

/// A key on a device that does not work, or is another.
struct Broken;

impl Sign for Broken {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignError> {
        Err("the device is gone".into())
    }
}

#[test]
fn keys_and_certificates_that_do_not_fit() {
    let (der, other) = (signer().der(), Identity::rsa("another"));
    let signing = |key: &dyn Sign, certificate: &[u8]| sign(&uki(), &Signing { key, certificate, time: None });
    let error = signing(&Broken, &der).unwrap_err();
    assert!(matches!(error, AuthenticodeError::Sign(source) if source.to_string() == "the device is gone"));
    assert!(matches!(signing(&other.key, &der), Err(AuthenticodeError::WrongKey)));
    assert!(matches!(signing(&Identity::p256("curve").key, &der), Err(AuthenticodeError::WrongKey)));
    assert!(matches!(signing(&other.key, b"no certificate"), Err(AuthenticodeError::Certificate)));
    let trailing = [&der[..], b"\0"].concat();
    assert!(matches!(signing(&signer().key, &trailing), Err(AuthenticodeError::Certificate)));
    let short = Identity::new(rsa_key(1024), "short", None);
    let error = signing(&short.key, &short.der()).unwrap_err();
    assert!(matches!(error, AuthenticodeError::CertificateKey(KeyError::Kind)));
}

#[test]
fn public_keys_are_read() {
    let rsa = PublicKey::from_pem(&signer().public_pem()).unwrap();
    let curve = Identity::p256("curve");
    let curve = PublicKey::from_der(&curve.key.public_key_to_der().unwrap()).unwrap();
    assert_eq!((rsa.kind(), curve.kind()), (KeyKind::Rsa, KeyKind::EcdsaP256));
    let signature = signer().key.sign(b"a message").unwrap();
    assert!(rsa.verify(b"a message", &signature) && !rsa.verify(b"another", &signature));
    assert!(!rsa.verify(b"a message", b"") && !curve.verify(b"a message", &signature));
    assert!(matches!(PublicKey::from_pem("no key"), Err(KeyError::Damaged(_))));
}
