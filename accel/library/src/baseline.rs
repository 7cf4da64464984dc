//! What a node verifies with when its engine is off.

use crate::{Library, Peer, aws_lc, bls, libsecp256k1, peer::Parts, rust_crypto, zip215};

/// The engine `off`: for each algorithm the best library whose rule is exactly ours, one call per signature.
pub fn baseline() -> Peer {
    let parts = Parts {
        rules: vec![libsecp256k1::rule(), aws_lc::p256_rule(), rust_crypto::sm2_rule(), zip215::rule(), bls::rule()],
        recover: Some(libsecp256k1::recover),
        aggregate: Some(bls::aggregate()),
    };
    let of = [
        ("secp256k1", Library::Libsecp256k1),
        ("p256", Library::AwsLc),
        ("sm2", Library::RustCrypto),
        ("ed25519", Library::Curve25519Dalek),
        ("bls12381", Library::Blst),
    ];
    let description = of.map(|(algorithm, library)| format!("{algorithm} by {library}")).join(", ");
    Peer::new("off", format!("one library call per signature: {description}"), 1, parts)
}
