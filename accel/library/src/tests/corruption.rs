//! Honest signatures hold; whatever is altered in one place does not, and harms no neighbour in its batch.

use dolmen_accel_api::{Algorithm, Verdict};

use super::support::{Job, Signed, bytes, holds, name, peers_of, signers, verify};

/// An empty message, one byte, a digest's length, one block and its padding, several blocks of every hash.
const LENGTHS: [usize; 6] = [0, 1, 32, 55, 64, 300];

#[test]
fn honest_signatures_hold_whoever_made_them() {
    for algorithm in Algorithm::ALL {
        let peers = peers_of(algorithm);
        for (seed, signer) in signers(algorithm, 1).iter().chain(&signers(algorithm, 2)).enumerate() {
            let digest = Signed::Digest(bytes(100 + u32::try_from(seed).unwrap()));
            let messages = LENGTHS.map(|length| Signed::Bytes(vec![0x5a; length]));
            let jobs: Vec<_> =
                messages.into_iter().chain([digest]).map(|message| Job::signed(&**signer, message)).collect();
            for peer in &peers {
                assert_eq!(verify(peer, algorithm, &jobs), [Verdict::Valid; 7], "{algorithm} by {}", name(peer));
            }
        }
    }
}

#[test]
fn digests_at_the_ends_of_the_range_can_be_signed() {
    let of = |order: &str| -> [u8; 32] {
        std::array::from_fn(|index| u8::from_str_radix(&order[2 * index..2 * index + 2], 16).unwrap())
    };
    let orders = [
        (Algorithm::EcdsaSecp256k1, of("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")),
        (Algorithm::EcdsaP256, of("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
        (Algorithm::Sm2, of("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123")),
    ];
    for (algorithm, order) in orders {
        for signer in signers(algorithm, 3) {
            let jobs = [[0; 32], order, [0xff; 32]].map(|digest| Job::signed(&*signer, Signed::Digest(digest)));
            for peer in peers_of(algorithm) {
                assert_eq!(verify(&peer, algorithm, &jobs), [Verdict::Valid; 3], "{algorithm} by {}", name(&peer));
            }
        }
    }
}

/// Alters `job` in twenty ways, none of which a signature may survive.
fn corrupted(algorithm: Algorithm, job: &Job, stranger: &Job) -> Vec<Job> {
    let half = algorithm.signature_len() / 2;
    vec![
        job.with(|job| job.signature[0] ^= 0x40),
        job.with(|job| job.signature[half / 2] ^= 1),
        job.with(|job| job.signature[half - 1] ^= 1),
        job.with(|job| job.signature[half] ^= 1),
        job.with(|job| job.signature[half + half / 2] ^= 0x10),
        job.with(|job| job.signature[2 * half - 1] ^= 1),
        job.with(|job| job.signature[..half].fill(0)),
        job.with(|job| job.signature[half..].fill(0)),
        job.with(|job| job.signature.fill(0xff)),
        job.with(|job| job.signature.rotate_left(half)),
        job.with(|job| job.signature.truncate(2 * half - 1)),
        job.with(|job| job.signature.push(0)),
        job.with(|job| job.signature.clear()),
        job.with(|job| job.key[0] ^= 1),
        job.with(|job| job.key[algorithm.key_len() / 2] ^= 0x80),
        job.with(|job| job.key.fill(0)),
        job.with(|job| job.key.truncate(algorithm.key_len() - 1)),
        job.with(|job| job.key.clear()),
        job.with(|job| job.key.clone_from(&stranger.key)),
        job.with(|job| match &mut job.message {
            Signed::Digest(digest) => digest[0] ^= 0x80,
            Signed::Bytes(bytes) => bytes[7] ^= 1,
        }),
    ]
}

#[test]
fn twenty_corruptions_are_refused_alone_and_among_good_ones() {
    for algorithm in Algorithm::ALL {
        let signer = &signers(algorithm, 4)[0];
        let stranger = Job::signed(&*signers(algorithm, 5)[0], Signed::Digest(bytes(6)));
        for message in [Signed::Digest(bytes(7)), Signed::Bytes(b"to be corrupted".to_vec())] {
            let good = Job::signed(&**signer, message);
            let bad = corrupted(algorithm, &good, &stranger);
            assert_eq!(bad.len(), 20);
            let mixed: Vec<_> = bad.iter().flat_map(|bad| [good.clone(), bad.clone()]).collect();
            for peer in peers_of(algorithm) {
                for (index, bad) in bad.iter().enumerate() {
                    assert!(!holds(&peer, algorithm, bad), "{algorithm} by {}: corruption {index}", name(&peer));
                }
                let expected = [Verdict::Valid, Verdict::Invalid].repeat(20);
                assert_eq!(verify(&peer, algorithm, &mixed), expected, "{algorithm} by {}", name(&peer));
            }
        }
    }
}

/// A batch equation must not let errors cancel each other.
#[test]
fn exchanged_halves_do_not_cancel_out() {
    for algorithm in Algorithm::ALL {
        let half = algorithm.signature_len() / 2;
        let signer = &signers(algorithm, 8)[0];
        let [mut first, mut second] = [9, 10].map(|seed| Job::signed(&**signer, Signed::Digest(bytes(seed))));
        first.signature[half..].swap_with_slice(&mut second.signature[half..]);
        for peer in peers_of(algorithm) {
            let verdicts = verify(&peer, algorithm, &[first.clone(), second.clone()]);
            assert_eq!(verdicts, [Verdict::Invalid; 2], "{algorithm} by {}", name(&peer));
        }
        // The whole signatures exchanged.
        std::mem::swap(&mut first.message, &mut second.message);
        for peer in peers_of(algorithm) {
            let verdicts = verify(&peer, algorithm, &[first.clone(), second.clone()]);
            assert_eq!(verdicts, [Verdict::Invalid; 2], "{algorithm} by {}", name(&peer));
        }
    }
}
