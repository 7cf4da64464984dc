//! Where the rules for Ed25519 part: what ZIP 215 accepts, and what libraries make of it.

use curve25519_dalek::constants::EIGHT_TORSION;
use dolmen_accel_api::Algorithm;

use super::support::{Job, Signed, holds, name, peers_of, verify};
use crate::Library;

const ALGORITHM: Algorithm = Algorithm::Ed25519;

/// `y`, little endian, from its lowest byte and the sign bit, for the `y` next to 0 and to `p`.
fn encoding(lowest: u8, above: u8, sign: bool) -> [u8; 32] {
    let mut encoding = [above; 32];
    encoding[0] = lowest;
    encoding[31] = (above & 0x7f) | (u8::from(sign) << 7);
    encoding
}

/// The 14 encodings of the eight points of small order: the canonical ones, and those that are not.
fn small_order() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes());
    let negative_zero_x = [encoding(1, 0, true), encoding(0xec, 0xff, true)];
    // y = p and y = p + 1.
    let above = [false, true].map(|sign| [encoding(0xed, 0xff, sign), encoding(0xee, 0xff, sign)]);
    canonical.chain(negative_zero_x).chain(above.into_iter().flatten()).collect()
}

fn job(key: [u8; 32], r: [u8; 32]) -> Job {
    let message = Signed::Bytes(b"Zcash".to_vec());
    Job { key: key.to_vec(), message, signature: [r, [0; 32]].concat() }
}

/// The test vectors of ZIP 215: key and R of small order with S = 0, in all their encodings.
#[test]
fn exact_peers_accept_all_196_vectors_of_zip_215() {
    let points = small_order();
    let jobs: Vec<_> = points.iter().flat_map(|key| points.iter().map(|r| job(*key, *r))).collect();
    assert_eq!(jobs.len(), 196);
    let mut exact = Vec::new();
    for peer in peers_of(ALGORITHM) {
        let accepted = verify(&peer, ALGORITHM, &jobs).into_iter().filter(|verdict| verdict.is_valid()).count();
        if peer.exact(ALGORITHM) {
            assert_eq!(accepted, 196, "{}", name(&peer));
            exact.push(name(&peer));
        } else {
            assert!(accepted < 196, "{} is called near without reason", name(&peer));
        }
    }
    assert_eq!(exact, ["curve25519-dalek", "off"]);
}

/// What is known of the libraries' own rules; a new version that changes one shows here.
#[test]
fn near_peers_differ_as_their_files_say() {
    let [identity, negative, above] = [encoding(1, 0, false), encoding(1, 0, true), encoding(0xee, 0xff, false)];
    let canonical = job(identity, identity);
    let [key_negative, key_above] = [negative, above].map(|key| job(key, identity));
    let r_above = job(identity, above);
    let openssl = Library::OpenSsl.peer();
    let aws_lc = Library::AwsLc.peer();
    let dalek = Library::Ed25519Dalek.peer();
    for peer in [&openssl, &aws_lc, &dalek] {
        assert!(holds(peer, ALGORITHM, &canonical), "{}", name(peer));
        // They compare R's bytes with the canonical encoding of what it should be.
        assert!(!holds(peer, ALGORITHM, &r_above), "{}", name(peer));
    }
    for (peer, reads) in [(&openssl, true), (&aws_lc, false), (&dalek, true)] {
        assert_eq!(holds(peer, ALGORITHM, &key_negative), reads, "{}", name(peer));
        assert_eq!(holds(peer, ALGORITHM, &key_above), reads, "{}", name(peer));
    }
    // dalek's batch equation reads R as a point, so it accepts what dalek refuses singly.
    assert!(verify(&dalek, ALGORITHM, &[canonical, r_above])[1].is_valid());
}
