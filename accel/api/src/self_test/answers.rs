//! The answers, with their sources.

use crate::{Address, Algorithm, HashAlgorithm, RecoverJob};

/// What was signed.
#[derive(Clone)]
pub(super) enum Signed {
    Digest([u8; 32]),
    Bytes(Vec<u8>),
}

/// A signature and whether it holds.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) key: Vec<u8>,
    pub(super) message: Signed,
    pub(super) signature: Vec<u8>,
    pub(super) holds: bool,
}

impl Answer {
    fn digest(key: &[u8], digest: [u8; 32], signature: &[u8]) -> Self {
        Self { key: key.into(), message: Signed::Digest(digest), signature: signature.into(), holds: true }
    }

    fn bytes(key: &[u8], message: &[u8], signature: &[u8]) -> Self {
        Self { key: key.into(), message: Signed::Bytes(message.into()), signature: signature.into(), holds: true }
    }

    fn refused(self) -> Self {
        Self { holds: false, ..self }
    }

    fn with(&self, alter: impl FnOnce(&mut Self)) -> Self {
        let mut answer = self.clone();
        alter(&mut answer);
        answer
    }

    /// What must be refused because the answer, from a standard, is altered in one place.
    pub(super) fn corrupted(&self, algorithm: Algorithm) -> Vec<Self> {
        let half = algorithm.signature_len() / 2;
        let mut corrupted = vec![
            self.with(|bad| bad.signature[half - 1] ^= 1),
            self.with(|bad| bad.signature[2 * half - 1] ^= 1),
            self.with(|bad| bad.signature[..half].fill(0)),
            self.with(|bad| bad.signature[half..].fill(0)),
            self.with(|bad| bad.signature.fill(0)),
            self.with(|bad| bad.signature.fill(0xff)),
            self.with(|bad| bad.signature.truncate(2 * half - 1)),
            self.with(|bad| bad.signature.push(0)),
            self.with(|bad| bad.signature.clear()),
            self.with(|bad| bad.key[0] ^= 1),
            self.with(|bad| bad.key[algorithm.key_len() - 1] ^= 1),
            self.with(|bad| bad.key.fill(0)),
            self.with(|bad| bad.key.truncate(algorithm.key_len() - 1)),
            self.with(|bad| bad.key.clear()),
            self.with(|bad| match &mut bad.message {
                Signed::Digest(digest) => digest[31] ^= 1,
                Signed::Bytes(bytes) => bytes.push(0),
            }),
        ];
        if let Some(order) = order(algorithm) {
            // r and s that are the order: zero, if one forgot to look.
            corrupted.push(self.with(|bad| bad.signature[..32].copy_from_slice(&order)));
            corrupted.push(self.with(|bad| bad.signature[32..].copy_from_slice(&order)));
        }
        corrupted.into_iter().map(Self::refused).collect()
    }
}

/// Answers from standards.
pub(super) fn published(algorithm: Algorithm) -> Vec<Answer> {
    match algorithm {
        // The example of EIP-155; its signing data and signing hash.
        Algorithm::EcdsaSecp256k1 => {
            let data: [u8; 45] =
                hex("ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080");
            vec![
                Answer::digest(&EIP155_KEY, RECOVERY.0.digest, &RECOVERY.0.signature),
                Answer::bytes(&EIP155_KEY, &data, &RECOVERY.0.signature),
            ]
        }
        // RFC 6979 §A.2.5, with SHA-256.
        Algorithm::EcdsaP256 => vec![
            Answer::bytes(&RFC6979_KEY, b"sample", &RFC6979_SAMPLE),
            Answer::bytes(
                &RFC6979_KEY,
                b"test",
                &hex::<64>(
                    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
                     019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
                ),
            ),
            Answer::digest(
                &RFC6979_KEY,
                hex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf"),
                &RFC6979_SAMPLE,
            ),
        ],
        // GB/T 32918.5-2017 §A.2: the recommended curve, the default identity.
        Algorithm::Sm2 => vec![
            Answer::bytes(&SM2_KEY, b"message digest", &SM2_SIGNATURE),
            Answer::digest(
                &SM2_KEY,
                hex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"),
                &SM2_SIGNATURE,
            ),
        ],
        // RFC 8032 §7.1, tests 1 to 3.
        Algorithm::Ed25519 => vec![
            Answer::bytes(
                &hex::<32>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
                b"",
                &hex::<64>(
                    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                     5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
                ),
            ),
            Answer::bytes(
                &hex::<32>("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
                &[0x72],
                &hex::<64>(
                    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                ),
            ),
            Answer::bytes(
                &hex::<32>("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
                &[0xaf, 0x82],
                &hex::<64>(
                    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
                ),
            ),
        ],
        // ethereum/bls12-381-tests, verify/verify_valid_case: key 1, message 56…56.
        Algorithm::Bls12381 => {
            let signature: [u8; 96] =
                hex("882730e5d03f6b42c3abc26d3372625034e1d871b65a8a6b900a56dae22da98abbe1b68f85e49fe7652a55ec3d0591c2\
                 0767677e33e5cbb1207315c41a9ac03be39c2e7668edc043d6cb1d9fd93033caa8a1c5b0e84bedaeb6c64972503a43eb");
            vec![
                Answer::bytes(AGGREGATE.keys[0], &[0x56; 32], &signature),
                Answer::digest(AGGREGATE.keys[0], [0x56; 32], &signature),
            ]
        }
    }
}

/// Answers where libraries differ, and [`Algorithm`] says which is right.
pub(super) fn corners(algorithm: Algorithm) -> Vec<Answer> {
    let negated = |answer: &Answer| {
        answer.with(|answer| {
            let signature = answer.signature.as_mut_slice().try_into();
            negate_s(algorithm, signature.expect("signatures on these curves have 64 bytes"));
        })
    };
    let published = published(algorithm);
    match algorithm {
        // High s.
        Algorithm::EcdsaSecp256k1 => published.iter().map(|answer| negated(answer).refused()).collect(),
        // Low s for the high s of the first answer, and the other way round: both hold.
        Algorithm::EcdsaP256 => published.iter().map(negated).collect(),
        Algorithm::Sm2 => {
            let order = order(algorithm).expect("SM2 has one");
            published
                .iter()
                .flat_map(|answer| {
                    // s = n - r: t is zero, and Q has no say.
                    let no_t = answer.with(|bad| {
                        let r: [u8; 32] = bad.signature[..32].try_into().expect("half of 64 bytes");
                        bad.signature[32..].copy_from_slice(&subtract(order, r));
                    });
                    [no_t.refused(), negated(answer).refused()]
                })
                .collect()
        }
        Algorithm::Ed25519 => ed25519_corners(),
        // The identity: as a key, as a signature, as both (e(0, H) = e(G, 0) would hold for every message).
        Algorithm::Bls12381 => {
            let identity = |length: usize| [&[0xc0][..], &vec![0; length - 1]].concat();
            published
                .iter()
                .flat_map(|answer| {
                    [
                        answer.with(|bad| bad.key = identity(48)),
                        answer.with(|bad| bad.signature = identity(96)),
                        answer.with(|bad| (bad.key, bad.signature) = (identity(48), identity(96))),
                    ]
                })
                .map(Answer::refused)
                .collect()
        }
    }
}

/// Vectors 0, 4 and 7 of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020, table 5), and two of the kind
/// that ZIP 215 gives: points of small order in encodings that are not canonical, with S = 0.
fn ed25519_corners() -> Vec<Answer> {
    const MIXED: [u8; 32] = hex("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d");
    const SMALL: [u8; 32] = hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa");
    // y = p + 1, and the sign bit at x = 0: the identity.
    const IDENTITY: [u8; 32] = hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    let of_small_order = |key: &[u8; 32], r: &[u8; 32]| Answer::bytes(key, b"Zcash", &[&r[..], &[0; 32]].concat());
    vec![
        // Small order of key and R, S = 0.
        Answer::bytes(
            &SMALL,
            &hex::<32>("8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6"),
            &hex::<64>(
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\
                 0000000000000000000000000000000000000000000000000000000000000000",
            ),
        ),
        // Holds with the cofactor only.
        Answer::bytes(
            &MIXED,
            &hex::<32>("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c"),
            &hex::<64>(
                "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512\
                 5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
            ),
        ),
        // S above the order.
        Answer::bytes(
            &hex::<32>("442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623"),
            &hex::<32>("85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40"),
            &hex::<64>(
                "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e\
                 547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
            ),
        )
        .refused(),
        of_small_order(&IDENTITY, &SMALL),
        of_small_order(&SMALL, &IDENTITY),
    ]
}

/// The key of the example of EIP-155, whose secret is 46…46.
const EIP155_KEY: [u8; 64] = hex("4bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382\
     ce28cab79ad7119ee1ad3ebcdb98a16805211530ecc6cfefa1b88e6dff99232a");

/// The example of EIP-155 (`v` 37: even), and its signer.
pub(super) const RECOVERY: (RecoverJob, Address) = (
    RecoverJob {
        digest: hex("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"),
        signature: hex("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
             67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"),
        odd_y: false,
        hint: None,
    },
    hex("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"),
);

const RFC6979_KEY: [u8; 64] = hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
     7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");

const RFC6979_SAMPLE: [u8; 64] = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
     f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");

const SM2_KEY: [u8; 64] = hex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
     ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");

const SM2_SIGNATURE: [u8; 64] = hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
     b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa");

/// Keys with one signature on one message.
pub(super) struct AggregateAnswer {
    pub(super) keys: [&'static [u8]; 3],
    pub(super) message: &'static [u8],
    pub(super) signature: &'static [u8],
}

impl AggregateAnswer {
    /// The signature of fast_aggregate_verify_tampered_signature: its last bytes overwritten.
    pub(super) fn tampered(&self) -> Vec<u8> {
        let (kept, _) = self.signature.split_at(self.signature.len() - 4);
        [kept, &[0xff; 4]].concat()
    }
}

/// ethereum/bls12-381-tests, fast_aggregate_verify/fast_aggregate_verify_valid_3d7576f3c0e3570a.
pub(super) const AGGREGATE: AggregateAnswer = AggregateAnswer {
    keys: [
        &hex::<48>("a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a"),
        &hex::<48>("b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81"),
        &hex::<48>("b53d21a4cfd562c469cc81514d4ce5a6b577d8403d32a394dc265dd190b47fa9f829fdd7963afdf972e5e77854051f6f"),
    ],
    message: &[0xab; 32],
    signature: &hex::<96>(
        "9712c3edd73a209c742b8250759db12549b3eaf43b5ca61376d9f30e2747dbcf842d8b2ac0901d2a093713e20284a767\
         0fcf6954e9ab93de991bb9b313e664785a075fc285806fa5224c82bde146561b446ccfc706a64b8579513cfc4ff1d930",
    ),
};

/// A message, repeated, with its digest.
pub(super) struct Hash {
    pub(super) algorithm: HashAlgorithm,
    pub(super) message: &'static [u8],
    pub(super) times: usize,
    pub(super) digest: [u8; 32],
}

impl Hash {
    const fn new(algorithm: HashAlgorithm, message: &'static [u8], times: usize, digest: &str) -> Self {
        Self { algorithm, message, times, digest: hex(digest) }
    }
}

/// GB/T 32905-2016 §A; the SHA-2 and Keccak examples of NIST (for Keccak with the padding of the submission).
pub(super) const HASHES: [Hash; 7] = [
    Hash::new(HashAlgorithm::Sm3, b"abc", 1, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    Hash::new(HashAlgorithm::Sm3, b"abcd", 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    Hash::new(HashAlgorithm::Keccak256, b"", 1, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    Hash::new(HashAlgorithm::Keccak256, b"abc", 1, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    Hash::new(
        HashAlgorithm::Keccak256,
        &[0xa3],
        200,
        "3a57666b048777f2c953dc4456f45a2588e1cb6f2da760122d530ac2ce607d4a",
    ),
    Hash::new(HashAlgorithm::Sha256, b"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    Hash::new(
        HashAlgorithm::Sha256,
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
];

/// The longest message of [`of_all_lengths`]: three blocks of Keccak-256, and more.
pub(super) const LENGTHS: usize = 440;

/// The digest of the digests of the messages `0, 1, 2, …` (modulo 251) of all lengths from 0 to [`LENGTHS`]. No
/// standard has it: for SM3 and SHA-256 it was made with OpenSSL 3.0, for Keccak-256 with a program written down from
/// the submission, and RustCrypto agrees with all three.
pub(super) const fn of_all_lengths(algorithm: HashAlgorithm) -> [u8; 32] {
    match algorithm {
        HashAlgorithm::Sm3 => hex("781e2ee975876877224f3c4549af98454aa7ebcf6feec4bddf4b04eb37840744"),
        HashAlgorithm::Keccak256 => hex("8e6f327439ee03277f160f0d8516f1820da185ea60fd91ce0c561b6ffa23efe7"),
        HashAlgorithm::Sha256 => hex("54111babfd262025ad7d2049f14096dd518eec795b8227839abfb9c91d4a1bd9"),
    }
}

/// The group order where a signature is two numbers below it, big endian.
const fn order(algorithm: Algorithm) -> Option<[u8; 32]> {
    match algorithm {
        Algorithm::EcdsaSecp256k1 => Some(hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")),
        Algorithm::EcdsaP256 => Some(hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
        Algorithm::Sm2 => Some(hex("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123")),
        Algorithm::Ed25519 | Algorithm::Bls12381 => None,
    }
}

/// Puts `n - s` in the place of `s`.
pub(super) fn negate_s(algorithm: Algorithm, signature: &mut [u8; 64]) {
    let order = order(algorithm).expect("only for signatures of two numbers");
    let s: [u8; 32] = signature[32..].try_into().expect("half of 64 bytes");
    signature[32..].copy_from_slice(&subtract(order, s));
}

/// `a - b`, big endian, for `a >= b`.
fn subtract(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut borrow = false;
    let mut difference = [0; 32];
    for index in (0..32).rev() {
        let (byte, first) = a[index].overflowing_sub(b[index]);
        let (byte, second) = byte.overflowing_sub(u8::from(borrow));
        (difference[index], borrow) = (byte, first || second);
    }
    difference
}

/// Reads lower case hexadecimal digits; a mistake in them does not compile where the result is a constant.
const fn hex<const N: usize>(text: &str) -> [u8; N] {
    const fn digit(character: u8) -> u8 {
        match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 2 * N, "two digits for every byte");
    let mut bytes = [0; N];
    let mut index = 0;
    while index < N {
        bytes[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]);
        index += 1;
    }
    bytes
}
