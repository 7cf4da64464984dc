//! The answers of the standards, through the interface's own self-test, and hashes.

use dolmen_accel_api::{Algorithm, BatchVerifier as _, EngineError, HashAlgorithm, Message, self_test};

use super::support::{bytes, name, peers};
use crate::{Library, SignerError};

#[test]
fn every_peer_knows_the_published_answers() {
    for peer in peers() {
        self_test::run_published(&peer).unwrap_or_else(|error| panic!("{}: {error}", name(&peer)));
    }
}

#[test]
fn the_corners_tell_exact_peers_from_near_ones() {
    for peer in peers() {
        let exact = peer.capabilities().algorithms.iter().all(|&algorithm| peer.exact(algorithm));
        match self_test::run(&peer) {
            Ok(()) => assert!(exact, "{} has no fault that the self-test knows", name(&peer)),
            Err(EngineError::SelfTest { engine, subject }) => {
                assert!(!exact, "{engine} failed at {subject}");
                assert_eq!((engine, subject), (name(&peer), "ed25519"));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn hashers_know_the_published_digests() {
    for library in Library::ALL {
        let Some(hasher) = library.hasher() else { continue };
        for &algorithm in hasher.algorithms() {
            self_test::run_hash(library.name(), &hasher, algorithm).unwrap();
        }
    }
    let hashers = Library::ALL.into_iter().filter(|library| library.hasher().is_some());
    assert_eq!(hashers.collect::<Vec<_>>(), [Library::OpenSsl, Library::RustCrypto]);
    self_test::run_hasher("rustcrypto", &Library::RustCrypto.hasher().unwrap()).unwrap();
    assert!(!Library::OpenSsl.hasher().unwrap().algorithms().contains(&HashAlgorithm::Keccak256));
}

/// RFC 6979 §A.2.5 and the example of EIP-155 are deterministic, so signers must hit them.
#[test]
fn signers_make_the_published_signatures() {
    let p256: [u8; 32] = [
        0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93, 0x4e, 0x50,
        0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
    ];
    let signer = Library::RustCrypto.signer(Algorithm::EcdsaP256, &p256).unwrap();
    let signature = signer.sign(Message::Bytes(b"test"));
    assert_eq!(signature[..4], [0xf1, 0xab, 0xb0, 0x23]);
    assert_eq!(signature[60..], [0xe4, 0x6f, 0x00, 0x83]);
    let digest = [
        0xda, 0xf5, 0xa7, 0x79, 0xae, 0x97, 0x2f, 0x97, 0x21, 0x97, 0x30, 0x3d, 0x7b, 0x57, 0x47, 0x46, 0xc7, 0xef,
        0x83, 0xea, 0xda, 0xc0, 0xf2, 0x79, 0x1a, 0xd2, 0x3d, 0xb9, 0x2e, 0x4c, 0x8e, 0x53,
    ];
    for library in [Library::Libsecp256k1, Library::RustCrypto] {
        let signer = library.signer(Algorithm::EcdsaSecp256k1, &[0x46; 32]).unwrap();
        let (signature, odd_y) = signer.sign_recoverable(&digest).unwrap();
        assert_eq!(signature.to_vec(), signer.sign(Message::Digest(&digest)));
        assert_eq!(
            (&signature[..4], &signature[60..], odd_y),
            (&[0x28, 0xef, 0x61, 0x34][..], &[0x6a, 0x3b, 0x6d, 0x83][..], false)
        );
    }
}

#[test]
fn libraries_make_one_public_key_of_a_secret() {
    for algorithm in Algorithm::ALL {
        let signers = super::support::signers(algorithm, 60);
        for signer in &signers {
            assert_eq!(signer.algorithm(), algorithm);
            assert_eq!(signer.public_key(), signers[0].public_key());
            assert_eq!(signer.public_key().len(), algorithm.key_len());
            assert_eq!(signer.sign(Message::Digest(&bytes(61))).len(), algorithm.signature_len());
        }
    }
}

#[test]
fn secrets_out_of_range_are_refused() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Sm2] {
        for library in Library::ALL {
            for secret in [[0; 32], [0xff; 32]] {
                let error = library.signer(algorithm, &secret).err().expect("no key");
                let unsupported = SignerError::Unsupported { library, algorithm };
                assert!(error == SignerError::Secret || error == unsupported, "{library}: {error}");
                assert_eq!(error == unsupported, library.signer(algorithm, &bytes(62)).is_err(), "{library}");
            }
        }
    }
    // n - 1: a key for ECDSA, none for SM2, which divides by 1 + d.
    let last: [u8; 32] = [
        0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x72, 0x03,
        0xdf, 0x6b, 0x21, 0xc6, 0x05, 0x2b, 0x53, 0xbb, 0xf4, 0x09, 0x39, 0xd5, 0x41, 0x22,
    ];
    for library in [Library::OpenSsl, Library::RustCrypto] {
        assert_eq!(library.signer(Algorithm::Sm2, &last).err(), Some(SignerError::Secret), "{library}");
    }
}
