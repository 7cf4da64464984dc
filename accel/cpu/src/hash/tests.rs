//! Published vectors, and every implementation that this CPU has against RustCrypto's.

use digest::Digest;

use super::*;
use crate::detect::CpuFeatures;

/// A hash function of many messages of `N` parts.
type Many<const N: usize, const LEN: usize> = fn(Lanes, &[[&[u8]; N]], &mut [[u8; LEN]]);

/// One of the functions under test with two parts a message, and what it must agree with.
struct Subject<const LEN: usize> {
    name: &'static str,
    many: Many<2, LEN>,
    reference: fn(&[u8]) -> [u8; LEN],
}

const SM3: Subject<32> = Subject { name: "SM3", many: sm3::<2>, reference: reference::<::sm3::Sm3, 32> };
const KECCAK256: Subject<32> =
    Subject { name: "Keccak-256", many: keccak256::<2>, reference: reference::<sha3::Keccak256, 32> };
const SHA256: Subject<32> = Subject { name: "SHA-256", many: sha256::<2>, reference: reference::<::sha2::Sha256, 32> };
const SHA512: Subject<64> = Subject { name: "SHA-512", many: sha512::<2>, reference: reference::<::sha2::Sha512, 64> };

fn reference<D: Digest, const LEN: usize>(message: &[u8]) -> [u8; LEN] {
    D::digest(message).as_slice().try_into().expect("a digest of this length")
}

/// Bytes without a pattern that a wrong offset could hide in.
fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}

fn all_lanes() -> Vec<Lanes> {
    CpuFeatures::detect().lanes_available().collect()
}

impl<const LEN: usize> Subject<LEN> {
    /// Hashes all messages in one call and compares each digest.
    fn check(&self, lanes: Lanes, messages: &[[&[u8]; 2]]) {
        let mut digests = vec![[0xa5; LEN]; messages.len()];
        (self.many)(lanes, messages, &mut digests);
        for (i, (message, digest)) in messages.iter().zip(&digests).enumerate() {
            assert_eq!(
                digest,
                &(self.reference)(&message.concat()),
                "{} {lanes}: message {i} of {}, parts of {} and {} bytes",
                self.name,
                messages.len(),
                message[0].len(),
                message[1].len()
            );
        }
    }

    /// Every length to 300, cut into two parts at every place; the messages of one call have one length.
    fn check_part_boundaries(&self) {
        let data = bytes(300);
        for lanes in all_lanes() {
            for len in 0..=data.len() {
                let messages: Vec<_> = (0..=len).map(|cut| data[..len].split_at(cut).into()).collect();
                self.check(lanes, &messages);
            }
        }
    }

    /// Calls of 0 to 40 messages whose lengths lie from 0 to 600 bytes and far apart.
    fn check_mixed_lengths(&self) {
        let data = bytes(1000);
        for lanes in all_lanes() {
            for count in 0..=40_usize {
                for stride in [0, 1, 37, 131, 399] {
                    let message = |i: usize| {
                        let len = (count + i * stride) % 601;
                        data[i..i + len].split_at(len * i / 40).into()
                    };
                    self.check(lanes, &(0..count).map(message).collect::<Vec<_>>());
                }
            }
        }
    }

    /// One long message among short ones keeps its lane to the end.
    fn check_one_long_message(&self) {
        let data = bytes(20_000);
        for lanes in all_lanes() {
            for place in [0, 7, 19] {
                let message = |i: usize| if i == place { data.split_at(9_999) } else { data[i..i + 64].split_at(32) };
                self.check(lanes, &(0..20).map(|i| message(i).into()).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn part_boundaries() {
    SM3.check_part_boundaries();
    KECCAK256.check_part_boundaries();
    SHA256.check_part_boundaries();
    SHA512.check_part_boundaries();
}

#[test]
fn mixed_lengths() {
    SM3.check_mixed_lengths();
    KECCAK256.check_mixed_lengths();
    SHA256.check_mixed_lengths();
    SHA512.check_mixed_lengths();
}

#[test]
fn one_long_message() {
    SM3.check_one_long_message();
    KECCAK256.check_one_long_message();
    SHA256.check_one_long_message();
    SHA512.check_one_long_message();
}

#[test]
fn many_parts() {
    let data = bytes(200);
    let parts = [&data[..0], &data[..1], &data[1..64], &data[64..64], &data[64..130], &data[130..]];
    for lanes in all_lanes() {
        let mut digests = [[0; 32]; 9];
        sm3(lanes, &[parts; 9], &mut digests);
        assert_eq!(digests, [(SM3.reference)(&data); 9], "{lanes}");
        let mut digests = [[0; 64]; 9];
        sha512(lanes, &[parts; 9], &mut digests);
        assert_eq!(digests, [(SHA512.reference)(&data); 9], "{lanes}");
    }
    assert_eq!(keccak256_one(parts), (KECCAK256.reference)(&data));
    assert_eq!(keccak256_one([]), (KECCAK256.reference)(&[]));
}

/// Where the CPU has SHA-NI, `sha256` leaves the eight lanes alone, so they are called directly.
#[test]
#[cfg(target_arch = "x86_64")]
fn sha256_in_eight_lanes() {
    use super::wide::{Columns, Table as _, Wide};
    use crate::detect::Avx2;

    let Some(cpu) = Avx2::detect() else { return };
    let data = bytes(8 * 64);
    let blocks: [&[u8; 64]; 8] = std::array::from_fn(|i| data[64 * i..].first_chunk().expect("eight blocks"));
    let mut states = Columns::new(&[0; 8]);
    let words: Vec<u32> = bytes(8 * 8 * 4).as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
    let mut expected: [[u32; 8]; 8] = std::array::from_fn(|i| *words[8 * i..].first_chunk().expect("eight states"));
    for (i, state) in expected.iter().enumerate() {
        states.set(i, state);
    }
    Wide::<Sha256, 64, 8>::compress(cpu, &mut states, &blocks);
    for (i, (state, block)) in expected.iter_mut().zip(blocks).enumerate() {
        ::sha2::block_api::compress256(state, &[*block]);
        assert_eq!(states.get(i), *state, "lane {i}");
    }
}

#[test]
#[should_panic(expected = "one digest for each message")]
fn too_few_digests() {
    sm3(CpuFeatures::detect().lanes(), &[[b"abc"], [b"abd"]], &mut [[0; 32]]);
}

/// GB/T 32905-2016, appendix A.
#[test]
fn sm3_vectors() {
    vectors(
        sm3,
        &[
            (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
            (&b"abcd".repeat(16), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
        ],
    );
}

/// The empty message's digest is the code hash of an account without code; the others are the signature of the event
/// `Transfer` and its selector's source.
#[test]
fn keccak256_vectors() {
    vectors(
        keccak256,
        &[
            (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
            (b"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        ],
    );
}

/// FIPS 180-4's examples.
#[test]
fn sha256_vectors() {
    vectors(
        sha256,
        &[
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ],
    );
}

/// FIPS 180-4's examples.
#[test]
fn sha512_vectors() {
    vectors(
        sha512,
        &[
            (
                b"abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (
                b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018\
                 501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
            ),
        ],
    );
}

/// Enough copies of each message that every lane of the widest implementation has one.
fn vectors<const LEN: usize>(many: Many<1, LEN>, vectors: &[(&[u8], &str)]) {
    for lanes in all_lanes() {
        for (message, expected) in vectors {
            let mut digests = [[0; LEN]; 16];
            many(lanes, &[[*message]; 16], &mut digests);
            for digest in digests {
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(&hex, expected, "{lanes}");
            }
        }
    }
}
