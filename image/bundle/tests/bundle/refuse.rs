//! Bundles that were changed on the way, or are of others.

use std::io::{self, Read};

use dolmen_image_bundle::{BundleError, Hash, PartName, ReleaseKey, Sign, SignError, SignedManifest, SigningKey};
use proptest::{prelude::*, sample::Index};

use crate::support::{HEAD, OTHER, bundle, bundle_of, check, contents, key, keys, manifest, signed};

#[test]
fn no_byte_can_change() {
    let mut bytes = bundle();
    let json = 12..12 + signed().json().len();
    for at in 0..bytes.len() {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        let error = check(&bytes[..], &keys()).unwrap_err();
        // Nothing of the manifest is believed before its signature is.
        if json.contains(&at) {
            assert!(matches!(error, BundleError::Signature), "{at}: {error}");
        }
        bytes[at] ^= bit;
    }
    check(&bytes[..], &keys()).unwrap();
}

#[test]
fn no_byte_can_be_missing() {
    let bytes = bundle();
    for length in 0..bytes.len() {
        let error = check(&bytes[..length], &keys()).unwrap_err();
        assert!(matches!(error, BundleError::Truncated(_)), "{length}: {error}");
    }
}

#[test]
fn nothing_may_follow() {
    for more in [&[0][..], &[0; 4096], b"DOLMENB1", &bundle()] {
        let bytes = [&bundle(), more].concat();
        assert!(matches!(check(&bytes[..], &keys()), Err(BundleError::Trailing)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes over any others, mostly in what is read before the signature is known to be right.
    #[test]
    fn nothing_can_be_overwritten(head in any::<bool>(), at: Index, with in proptest::collection::vec(any::<u8>(), 1..64)) {
        let mut bytes = bundle();
        let at = at.index(if head { 2000 } else { bytes.len() - with.len() });
        let before = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(&with);
        prop_assert_eq!(check(&bytes[..], &keys()).is_ok(), bytes == before);
    }

    #[test]
    fn nothing_can_be_moved(from in 0..4_usize, to in 0..4_usize) {
        let right = contents();
        let mut order = [0, 1, 2, 3];
        order.swap(from, to);
        let bytes = bundle_of(signed().json(), order.map(|at| &right[at][..]));
        prop_assert_eq!(check(&bytes[..], &keys()).is_ok(), from == to);
    }

    #[test]
    fn other_bytes_are_no_bundle(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert!(check(&bytes[..], &keys()).is_err());
        prop_assert!(check(&[b"DOLMENB1", &bytes[..]].concat()[..], &keys()).is_err());
    }
}

#[test]
fn other_files_are_named_so() {
    for bytes in [&b"DOLMENB2 and more"[..], &[0; 8192]] {
        assert!(matches!(check(bytes, &keys()), Err(BundleError::Magic)));
    }
}

/// Memory is bounded by what is allowed, not by what a header says.
#[test]
fn a_manifest_has_64_kib_at_most() {
    for length in [0, (64 << 10) + 1, 1 << 31, u32::MAX] {
        let mut bytes = bundle();
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        let error = check(bytes.chain(io::repeat(b' ')), &keys()).unwrap_err();
        assert!(matches!(error, BundleError::ManifestBytes { found, .. } if found == u64::from(length)), "{error}");
    }
    // Within the bound others sign nothing either.
    let mut bytes = bundle();
    bytes[8..12].copy_from_slice(&(64_u32 << 10).to_le_bytes());
    assert!(matches!(check(bytes.chain(io::repeat(b' ')), &keys()), Err(BundleError::Signature)));
}

#[test]
fn others_do_not_release_images() {
    let other = SigningKey::from_pem(OTHER).unwrap();
    let bytes = bundle();
    for keys in [&[][..], &[other.public_key()]] {
        assert!(matches!(check(&bytes[..], keys), Err(BundleError::Signature)));
    }
    check(&bytes[..], &[other.public_key(), key().public_key()]).unwrap();

    // Nor does somebody who is trusted with other images take this one over.
    let error = SignedManifest::sign(manifest(), &other).unwrap_err();
    assert!(matches!(error, BundleError::ReleaseKey { .. }), "{error}");
    let json = signed().json().to_vec();
    let signature = other.sign(&[b"dolmen-image-manifest-v1\0", &json[..]].concat()).unwrap();
    let error = SignedManifest::verify(json, signature, &[key().public_key(), other.public_key()]).unwrap_err();
    let (ours, theirs) = (key().public_key().fingerprint(), other.public_key().fingerprint());
    assert!(matches!(error, BundleError::ReleaseKey { named, signer } if (named, signer) == (ours, theirs)), "{error}");
}

/// A signature of something else of ours, such as an answer file with this text.
#[test]
fn a_signature_is_for_a_manifest() {
    let json = signed().json().to_vec();
    for domain in [&b""[..], b"dolmen-answer-v1\0", b"dolmen-image-manifest-v1", b"dolmen-image-manifest-v2\0"] {
        let signature = key().sign(&[domain, &json].concat()).unwrap();
        let error = SignedManifest::verify(json.clone(), signature, &keys()).unwrap_err();
        assert!(matches!(error, BundleError::Signature), "{error}");
    }
}

/// A device that is broken, or has another key than it says.
struct Device(Result<[u8; 64], &'static str>);

impl Sign for Device {
    fn public_key(&self) -> ReleaseKey {
        key().public_key()
    }

    fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
        self.0.map_err(Into::into)
    }
}

#[test]
fn a_device_that_signs_otherwise_is_noticed() {
    let error = SignedManifest::sign(manifest(), &Device(Ok([7; 64]))).unwrap_err();
    assert!(matches!(error, BundleError::WrongSignature), "{error}");
    let error = SignedManifest::sign(manifest(), &Device(Err("no token"))).unwrap_err();
    assert!(matches!(&error, BundleError::Sign(cause) if cause.to_string() == "no token"), "{error}");
}

/// Gives an error at a certain byte.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the medium")),
            count => Ok(count),
        }
    }
}

#[test]
fn errors_of_the_medium_are_passed_on() {
    let bytes = bundle();
    for at in [0, 9, 100, HEAD - 1, HEAD, HEAD + 1, 2 * HEAD, 2 * HEAD + 4097, bytes.len() - 1, bytes.len()] {
        let error = check(Failing(&bytes[..at]), &keys()).unwrap_err();
        assert!(
            matches!(&error, BundleError::Io { source, .. } if source.to_string() == "the medium"),
            "{at}: {error:?}"
        );
    }
}

/// The right hash of a wrong size, and the other way round.
#[test]
fn sizes_and_hashes_are_both_checked() {
    let right = contents();
    let longer = [&right[1][..], b"+"].concat();
    for (bytes, sha256) in [(longer.len(), manifest().part(PartName::Uki).sha256), (4097, Hash::of(&longer))] {
        let mut manifest = manifest();
        manifest.parts[1].bytes = bytes as u64;
        manifest.parts[1].sha256 = sha256;
        let bytes = bundle_of(&manifest.to_json().unwrap(), [&right[0], &longer, &right[2], &right[3]]);
        assert!(matches!(check(&bytes[..], &keys()), Err(BundleError::Part { name: PartName::Uki })));
    }
}
