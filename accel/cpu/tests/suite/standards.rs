//! Vectors of the standards, and of those who wrote down what standards leave open.

mod ethereum;

use dolmen_accel_api::Algorithm;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use crate::{
    curve::pair,
    edges::small_order_encodings,
    paths::check,
    support::{Case, Job, hex, hex_array},
};

/// The answer with a bit of the message's end flipped, beside the answer.
fn with_corrupted(algorithm: Algorithm, answers: Vec<Case>) {
    let corrupted: Vec<_> = answers
        .iter()
        .map(|case| Case::invalid(case.job.with(|job| job.signature[33] ^= 4), format!("{}, corrupted", case.what)))
        .collect();
    check(algorithm, &[answers, corrupted]);
}

/// GB/T 32918.5-2017 §A.2: the recommended curve and the default identity. The examples of GB/T 32918.2 and of
/// draft-shen-sm2-ecdsa are on another curve.
#[test]
fn sm2_of_gbt_32918_5() {
    let key = hex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020
         ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");
    let signature = hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3
         b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa");
    let e = hex_array("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
    with_corrupted(
        Algorithm::Sm2,
        vec![
            Case::valid(Job::bytes(&key, b"message digest", &signature), "M"),
            Case::valid(Job::digest(&key, e, &signature), "e"),
        ],
    );
}

/// RFC 6979 §A.2.5, with every hash: SHA-1 fills up with zeros, the long ones are cut.
#[test]
fn p256_of_rfc_6979() {
    let key = hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    let short = |digest: &[u8]| {
        let mut padded = [0; 32];
        padded[32 - digest.len()..].copy_from_slice(digest);
        padded
    };
    let long = |digest: &[u8]| *digest.first_chunk().expect("at least 32 bytes");
    let answers: [(&str, [u8; 32], &str); 10] = [
        // The digests of SHA-1, which no crate here has.
        (
            "sample, SHA-1",
            short(&hex("8151325dcdbae9e0ff95f9f9658432dbedfdb209")),
            "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32
             6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb",
        ),
        (
            "sample, SHA-224",
            short(&Sha224::digest(b"sample")),
            "53b2fff5d1752b2c689df257c04c40a587fababb3f6fc2702f1343af7ca9aa3f
             b9afb64fdc03dc1a131c7d2386d11e349f070aa432a4acc918bea988bf75c74c",
        ),
        (
            "sample, SHA-256",
            Sha256::digest(b"sample").into(),
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
             f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            "sample, SHA-384",
            long(&Sha384::digest(b"sample")),
            "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719
             4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954",
        ),
        (
            "sample, SHA-512",
            long(&Sha512::digest(b"sample")),
            "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00
             2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe",
        ),
        (
            "test, SHA-1",
            short(&hex("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3")),
            "0cbcc86fd6abd1d99e703e1ec50069ee5c0b4ba4b9ac60e409e8ec5910d81a89
             01b9d7b73dfaa60d5651ec4591a0136f87653e0fd780c3b1bc872ffdeae479b1",
        ),
        (
            "test, SHA-224",
            short(&Sha224::digest(b"test")),
            "c37edb6f0ae79d47c3c27e962fa269bb4f441770357e114ee511f662ec34a692
             c820053a05791e521fcaad6042d40aea1d6b1a540138558f47d0719800e18f2d",
        ),
        (
            "test, SHA-256",
            Sha256::digest(b"test").into(),
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367
             019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
        (
            "test, SHA-384",
            long(&Sha384::digest(b"test")),
            "83910e8b48bb0c74244ebdf7f07a1c5413d61472bd941ef3920e623fbccebeb6
             8ddbec54cf8cd5874883841d712142a56a8d0f218f5003cb0296b6b509619f2c",
        ),
        (
            "test, SHA-512",
            long(&Sha512::digest(b"test")),
            "461d93f31b6540894788fd206c07cfa0cc35f46fa3c91816fff1040ad1581a04
             39af9f15de0db8d97e72719c74820d304ce5226e32dedae67519e840d1194e55",
        ),
    ];
    let mut cases: Vec<_> = answers
        .iter()
        .map(|(name, digest, signature)| Case::valid(Job::digest(&key, *digest, &hex(signature)), *name))
        .collect();
    cases.push(Case::valid(Job::bytes(&key, b"sample", &hex(answers[2].2)), "sample, as bytes"));
    cases.push(Case::valid(Job::bytes(&key, b"test", &hex(answers[7].2)), "test, as bytes"));
    with_corrupted(Algorithm::EcdsaP256, cases);
}

/// RFC 8032 §7.1 without the one of 1023 bytes, which Wycheproof has.
#[test]
fn ed25519_of_rfc_8032() {
    let answers = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    let mut cases: Vec<_> = answers
        .iter()
        .map(|(key, message, signature)| Case::valid(Job::bytes(&hex(key), &hex(message), &hex(signature)), *message))
        .collect();
    // SHA(abc): the message is the SHA-512 of "abc".
    let key = hex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
    let signature = hex("dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589
         09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704");
    cases.push(Case::valid(Job::bytes(&key, &Sha512::digest(b"abc"), &signature), "SHA(abc)"));
    with_corrupted(Algorithm::Ed25519, cases);
}

/// Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (2020), §5: all twelve, as ZIP 215 has them. It takes
/// points as sent into the hash, which tells the two vectors with a non-canonical `R` apart; of a key of small order
/// the hash does not matter.
#[test]
fn ed25519_of_taming_the_many_eddsas() {
    let vectors = [
        (
            "S = 0, small A and R",
            true,
            "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a
             0000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "small A, mixed R",
            true,
            "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43
             a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
        (
            "mixed A, small R",
            true,
            "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa
             8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        ),
        (
            "mixed A and R",
            true,
            "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f
             87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        ),
        (
            "mixed A and R, with the cofactor only",
            true,
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512
             5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        ),
        (
            "mixed A and R, with the cofactor only, 8k not reduced",
            true,
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7
             e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        ),
        (
            "S above the order",
            false,
            "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
            "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
            "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e
             547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        ),
        (
            "S far above the order",
            false,
            "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
            "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
            "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942
             7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        ),
        (
            "R not canonical, but canonical in the hash",
            false,
            "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
             03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        ),
        (
            "R not canonical",
            true,
            "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
             ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        ),
        (
            "A not canonical, but canonical in the hash",
            true,
            "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc
             a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
        (
            "A not canonical",
            true,
            "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc
             a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
    ];
    let case = |(what, holds, message, key, signature): &(&'static str, bool, &str, &str, &str)| {
        Case::new(Job::bytes(&hex(key), &hex(message), &hex(signature)), *holds, *what).corner()
    };
    check(Algorithm::Ed25519, &[vectors.iter().map(case).collect()]);
}

/// The test vectors of ZIP 215: key and R of small order with S = 0, in all their encodings.
#[test]
fn ed25519_of_zip_215() {
    let points = small_order_encodings();
    let job = |key: &[u8; 32], r: &[u8; 32]| Job::bytes(key, b"Zcash", &pair(*r, [0; 32]));
    let cases = |key| points.iter().map(|r| Case::valid(job(key, r), "small orders").corner()).collect();
    let groups: Vec<Vec<_>> = points.iter().map(cases).collect();
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 196);
    check(Algorithm::Ed25519, &groups);
}
