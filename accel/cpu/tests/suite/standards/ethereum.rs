//! Vectors of Ethereum: who signed a transaction, and BLS.

use dolmen_accel_api::{Algorithm, BatchVerifier, RecoverJob};
use dolmen_accel_library::Library;
use sha3::{Digest as _, Keccak256};

use super::with_corrupted;
use crate::{
    paths::{Recovery, check, check_recovery, engine, features},
    support::{Case, Job, Signed, address, hex, hex_array},
};

/// The vectors of EIP-155 (vitalik.ca/files/eip155_testvec.txt): signed transactions, and who sent them.
const EIP155: [(&str, &str); 10] = [
    (
        "f864808504a817c800825208943535353535353535353535353535353535353535808025
         a0044852b2a670ade5407e78fb2863c51de9fcb96542a07186fe3aeda6bb8a116d
         a0044852b2a670ade5407e78fb2863c51de9fcb96542a07186fe3aeda6bb8a116d",
        "f0f6f18bca1b28cd68e4357452947e021241e9ce",
    ),
    (
        "f864018504a817c80182a410943535353535353535353535353535353535353535018025
         a0489efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bca
         a0489efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc6",
        "23ef145a395ea3fa3deb533b8a9e1b4c6c25d112",
    ),
    (
        "f864028504a817c80282f618943535353535353535353535353535353535353535088025
         a02d7c5bef027816a800da1736444fb58a807ef4c9603b7848673f7e3a68eb14a5
         a02d7c5bef027816a800da1736444fb58a807ef4c9603b7848673f7e3a68eb14a5",
        "2e485e0c23b4c3c542628a5f672eeab0ad4888be",
    ),
    (
        "f865038504a817c803830148209435353535353535353535353535353535353535351b8025
         a02a80e1ef1d7842f27f2e6be0972bb708b9a135c38860dbe73c27c3486c34f4e0
         a02a80e1ef1d7842f27f2e6be0972bb708b9a135c38860dbe73c27c3486c34f4de",
        "82a88539669a3fd524d669e858935de5e5410cf0",
    ),
    (
        "f865048504a817c80483019a28943535353535353535353535353535353535353535408025
         a013600b294191fc92924bb3ce4b969c1e7e2bab8f4c93c3fc6d0a51733df3c063
         a013600b294191fc92924bb3ce4b969c1e7e2bab8f4c93c3fc6d0a51733df3c060",
        "f9358f2538fd5ccfeb848b64a96b743fcc930554",
    ),
    (
        "f865058504a817c8058301ec309435353535353535353535353535353535353535357d8025
         a04eebf77a833b30520287ddd9478ff51abbdffa30aa90a8d655dba0e8a79ce0c1
         a04eebf77a833b30520287ddd9478ff51abbdffa30aa90a8d655dba0e8a79ce0c1",
        "a8f7aba377317440bc5b26198a363ad22af1f3a4",
    ),
    (
        "f866068504a817c80683023e3894353535353535353535353535353535353535353581d88025
         a06455bf8ea6e7463a1046a0b52804526e119b4bf5136279614e0b1e8e296a4e2f
         a06455bf8ea6e7463a1046a0b52804526e119b4bf5136279614e0b1e8e296a4e2d",
        "f1f571dc362a0e5b2696b8e775f8491d3e50de35",
    ),
    (
        "f867078504a817c807830290409435353535353535353535353535353535353535358201578025
         a052f1a9b320cab38e5da8a8f97989383aab0a49165fc91c737310e4f7e9821021
         a052f1a9b320cab38e5da8a8f97989383aab0a49165fc91c737310e4f7e9821021",
        "d37922162ab7cea97c97a87551ed02c9a38b7332",
    ),
    (
        "f867088504a817c8088302e2489435353535353535353535353535353535353535358202008025
         a064b1702d9298fee62dfeccc57d322a463ad55ca201256d01f62b45b2e1c21c12
         a064b1702d9298fee62dfeccc57d322a463ad55ca201256d01f62b45b2e1c21c10",
        "9bddad43f934d313c2b79ca28a432dd2b7281029",
    ),
    (
        "f867098504a817c809830334509435353535353535353535353535353535353535358202d98025
         a052f8f61201b2b11a78d6e866abc9c3db2ae8631fa656bfe5cb53668255367afb
         a052f8f61201b2b11a78d6e866abc9c3db2ae8631fa656bfe5cb53668255367afb",
        "3c24d7329e92f84f08556ceb6df1cdb0104ca49f",
    ),
];

/// The example in the text of EIP-155, whose key is 46…46, and the one of go-ethereum's own tests, whose point is odd.
const RECOVERIES: [(&str, &str, bool, &str); 2] = [
    (
        "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
        "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276
         67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
        false,
        "4bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382
         ce28cab79ad7119ee1ad3ebcdb98a16805211530ecc6cfefa1b88e6dff99232a",
    ),
    (
        "ce0677bb30baa8cf067c88db9811f4333d131bf8bcf12fe7065d211dce971008",
        "90f27b8b488db00b00606796d2987f6a5f59ae62ea05effe84fef5b8b0e54998
         4a691139ad57a3f0b906637673aa2f63d1f55cb1a69199d4009eea23ceaddc93",
        true,
        "e32df42865e97135acfb65f3bae71bdc86f4d49150ad6a440b6f15878109880a
         0a2b2667f7e725ceea70c673093bf67663e0312623c8e091b13cf2c0f11ef652",
    ),
];

/// The fields of a legacy transaction in RLP: a list of byte strings, each with what is in front of it.
fn rlp_fields(transaction: &[u8]) -> Vec<&[u8]> {
    let [0xf8, length, content @ ..] = transaction else { panic!("a list of 56 to 255 bytes") };
    let mut rest = content;
    assert_eq!(usize::from(*length), rest.len());
    let mut fields = Vec::new();
    while let Some(&first) = rest.first() {
        // A byte below 0x80 stands for itself; a short string has its length in front.
        let length = 1 + usize::from(first.saturating_sub(0x80));
        let (field, after) = rest.split_at(length);
        fields.push(field);
        rest = after;
    }
    fields
}

/// What is recovered from a signed legacy transaction of chain 1 (EIP-155).
fn recover_job(transaction: &[u8]) -> RecoverJob {
    let fields = rlp_fields(transaction);
    let [unsigned @ .., v, r, s] = &fields[..] else { panic!("a transaction has nine fields") };
    assert_eq!(unsigned.len(), 6);
    let unsigned = [&unsigned.concat()[..], &[1, 0x80, 0x80]].concat();
    let length = u8::try_from(unsigned.len()).expect("a short transaction");
    // A list of up to 55 bytes.
    assert!(length < 56);
    let signed = [&[0xc0 + length][..], &unsigned].concat();
    RecoverJob {
        digest: Keccak256::digest(&signed).into(),
        signature: [&r[1..], &s[1..]].concat().try_into().expect("r and s have 32 bytes each"),
        odd_y: v[0] == 38,
        hint: None,
    }
}

#[test]
fn secp256k1_of_ethereum_transactions() {
    let mut recoveries: Vec<_> = EIP155
        .iter()
        .map(|(transaction, signer)| Recovery {
            job: recover_job(&hex(transaction)),
            signer: Some(hex_array(signer)),
            what: "a transaction of EIP-155",
        })
        .collect();
    let keys = RECOVERIES.map(|(.., key)| hex(key));
    let mut cases = Vec::new();
    for ((digest, signature, odd_y, _), key) in RECOVERIES.iter().zip(&keys) {
        let job = RecoverJob { digest: hex_array(digest), signature: hex_array(signature), odd_y: *odd_y, hint: None };
        cases.push(Case::valid(Job::digest(key, job.digest, &job.signature), "recovered"));
        recoveries.push(Recovery { job, signer: Some(address(key)), what: "an example with its key" });
    }
    check_recovery(&recoveries, &keys.each_ref().map(|key| &key[..]));
    with_corrupted(Algorithm::EcdsaSecp256k1, cases);
}

/// The keys of ethereum/bls12-381-tests v0.1.2, and their signatures on 32 times 00, 56 and ab (sign_case_*).
const BLS: [(&str, [&str; 3]); 3] = [
    (
        "a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e264
         4f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
        [
            "b6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9ab279fb515809
             0352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f98458c0cfc9ab380b55285a55",
            "882730e5d03f6b42c3abc26d3372625034e1d871b65a8a6b900a56dae22da98abbe1b68f85e49fe7652a55ec3d0591c2
             0767677e33e5cbb1207315c41a9ac03be39c2e7668edc043d6cb1d9fd93033caa8a1c5b0e84bedaeb6c64972503a43eb",
            "91347bccf740d859038fcdcaf233eeceb2a436bcaaee9b2aa3bfb70efe29dfb2677562ccbea1c8e061fb9971b0753c24
             0622fab78489ce96768259fc01360346da5b9f579e5da0d941e4c6ba18a0e64906082375394f337fa1af2b7127b0d121",
        ],
    ),
    (
        "b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028
         805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81",
        [
            "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1a0526bcd1
             00b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9",
            "af1390c3c47acdb37131a51216da683c509fce0e954328a59f93aebda7e4ff974ba208d9a4a2a2389f892a9d418d6184
             18dd7f7a6bc7aa0da999a9d3a5b815bc085e14fd001f6a1948768a3f4afefc8b8240dda329f984cb345c6363272ba4fe",
            "9674e2228034527f4c083206032b020310face156d4a4685e2fcaec2f6f3665aa635d90347b6ce124eb879266b1e801d
             185de36a0a289b85e9039662634f2eea1e02e670bc7ab849d006a70b2f93b84597558a05b879c8d445f387a5d5b653df",
        ],
    ),
    (
        "b53d21a4cfd562c469cc81514d4ce5a6b577d8403d32a394
         dc265dd190b47fa9f829fdd7963afdf972e5e77854051f6f",
        [
            "948a7cb99f76d616c2c564ce9bf4a519f1bea6b0a624a02276443c245854219fabb8d4ce061d255af5330b078d538068
             1751aa7053da2c98bae898edc218c75f07e24d8802a17cd1f6833b71e58f5eb5b94208b4d0bb3848cecb075ea21be115",
            "a4efa926610b8bd1c8330c918b7a5e9bf374e53435ef8b7ec186abf62e1b1f65aeaaeb365677ac1d1172a1f5b44b4e6d
             022c252c58486c0a759fbdc7de15a756acc4d343064035667a594b4c2a6f0b0b421975977f297dba63ee2f63ffe47bb6",
            "ae82747ddeefe4fd64cf9cedb9b04ae3e8a43420cd255e3c7cd06a8d88b7c7f8638543719981c5d16fa3527c468c25f0
             026704a6951bde891360c7e8d12ddee0559004ccdbe6046b55bae1b257ee97f7cdb955773d7cf29adf3ccbb9975e4eb9",
        ],
    ),
];

/// As its cases verify_valid, verify_wrong_pubkey, verify_tampered_signature and
/// verify_infinity_pubkey_and_infinity_signature.
#[test]
fn bls_of_ethereum() {
    const MESSAGES: [u8; 3] = [0, 0x56, 0xab];
    let mut cases = Vec::new();
    for (signer, (key, signatures)) in BLS.iter().enumerate() {
        for (byte, signature) in MESSAGES.into_iter().zip(signatures) {
            let valid = Job::bytes(&hex(key), &[byte; 32], &hex(signature));
            let wrong_key = valid.with(|job| job.key = hex(BLS[(signer + 1) % 3].0));
            let tampered = valid.with(|job| job.signature[92..].fill(0xff));
            cases.push(Case::valid(valid.with(|job| job.message = Signed::Digest([byte; 32])), "valid, as a digest"));
            cases.push(Case::valid(valid, "valid"));
            cases.push(Case::invalid(wrong_key, "the key of another"));
            cases.push(Case::invalid(tampered, "tampered"));
        }
    }
    let infinity = |length: usize| [&[0xc0][..], &vec![0; length - 1]].concat();
    cases.push(Case::invalid(Job::bytes(&infinity(48), &[0x12; 32], &infinity(96)), "infinity as key and signature"));
    check(Algorithm::Bls12381, &[cases]);
}

/// As its cases fast_aggregate_verify_*.
#[test]
fn bls_aggregates_of_ethereum() {
    let keys = BLS.map(|(key, _)| hex(key));
    let keys = keys.each_ref().map(|key| &key[..]);
    let signature =
        hex("9712c3edd73a209c742b8250759db12549b3eaf43b5ca61376d9f30e2747dbcf842d8b2ac0901d2a093713e20284a767
         0fcf6954e9ab93de991bb9b313e664785a075fc285806fa5224c82bde146561b446ccfc706a64b8579513cfc4ff1d930");
    let mut tampered = signature.clone();
    tampered[92..].fill(0xff);
    let infinity = [&[0xc0][..], &[0; 95]].concat();
    let infinity_key = [&[0xc0][..], &[0; 47]].concat();
    let (name, portable) = features()[0];
    let ours = engine(portable, Algorithm::Bls12381, 0);
    let blst = Library::Blst.peer();
    let engines: [(&str, &dyn BatchVerifier); 2] = [(name, &*ours), ("blst", &blst)];
    for (name, engine) in engines {
        let holds = |keys: &[&[u8]], signature: &[u8]| {
            engine.verify_aggregate(keys, &[0xab; 32], signature).expect("it has aggregates").is_valid()
        };
        assert!(holds(&keys, &signature), "{name}: valid");
        assert!(!holds(&[&keys[..], &keys[..1]].concat(), &signature), "{name}: extra_pubkey");
        assert!(!holds(&keys[..2], &signature), "{name}: a key too few");
        assert!(!holds(&keys, &tampered), "{name}: tampered_signature");
        assert!(!holds(&[], &infinity), "{name}: na_pubkeys_and_infinity_signature");
        assert!(!holds(&[], &signature), "{name}: na_pubkeys_and_na_signature");
        assert!(!holds(&[&keys[..], &[&infinity_key[..]]].concat(), &signature), "{name}: infinity_pubkey");
    }
}
