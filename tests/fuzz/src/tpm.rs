//! What a TPM would state, by keys that no TPM holds: their public areas say otherwise, and nothing else tells.

use dolmen_hsm_evidence::{HashAlgorithm, Pcrs, Public, PublicKey};

use crate::world::{Party, WORLD};

/// Attributes of keys ("TPM 2.0 Library" Part 2 §8.3): bound to their TPM, and what they are for.
const BOUND: u32 = 1 << 1 | 1 << 4 | 1 << 5;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// `TPM_ALG_ECDSA`, `TPM_ALG_SHA256`, `TPM_ALG_NULL`, `TPM_ALG_AES` and `TPM_ALG_CFB`.
const ECDSA: u16 = 0x0018;
const SHA256: u16 = 0x000b;
const NULL: u16 = 0x0010;
const AES: u16 = 0x0006;
const CFB: u16 = 0x0043;

/// The registers that statements are about.
pub(crate) const REGISTERS: [u8; 3] = [4, 7, 11];

/// The attestation key: that of the box's maker's certificate, which signs everything else too.
pub(crate) fn attestation_key() -> Public {
    area(&WORLD.machine, BOUND | RESTRICTED | SIGN, &[NULL, ECDSA, SHA256])
}

/// The box's identity in the organisation.
pub(crate) fn device_key() -> Public {
    area(&WORLD.member, BOUND | SIGN, &[NULL, ECDSA, SHA256])
}

/// The endorsement key: the template of the EK Credential Profile, without its policy.
pub(crate) fn endorsement_key() -> Public {
    area(&WORLD.registrar, BOUND | RESTRICTED | DECRYPT, &[AES, 128, CFB, NULL])
}

/// `TPMT_PUBLIC`.
fn area(party: &Party, attributes: u32, scheme: &[u16]) -> Public {
    let (x, y) = party.key.public_key().split_at(32);
    let area = [
        words(&[0x0023, SHA256]),
        attributes.to_be_bytes().to_vec(),
        words(&[0]),
        words(scheme),
        words(&[0x0003, NULL]),
        sized(x),
        sized(y),
    ];
    let public = Public::from_tpmt(&area.concat()).expect("a public area");
    assert!(matches!(public.key(), PublicKey::Ecc { .. }));
    public
}

/// `TPMT_SIGNATURE` by the attestation key.
pub(crate) fn sign(statement: &[u8]) -> Vec<u8> {
    let signature = WORLD.machine.signature(statement);
    [words(&[ECDSA, SHA256]), sized(&signature[..32]), sized(&signature[32..])].concat()
}

/// `TPMS_ATTEST` of a quote of these registers.
pub(crate) fn quote(nonce: &[u8], pcrs: &Pcrs) -> Vec<u8> {
    let selected = pcrs.selection().registers.to_le_bytes();
    let values: Vec<&[u8]> = pcrs.values().iter().flatten().map(|value| &value[..]).collect();
    let digest = sized(&HashAlgorithm::Sha256.digest(&values));
    let selection = [&1_u32.to_be_bytes()[..], &words(&[SHA256]), &[3], &selected[..3]].concat();
    statement(0x8018, nonce, &[selection, digest].concat())
}

/// `TPMS_ATTEST` of a certification of this key.
pub(crate) fn certify(nonce: &[u8], subject: &Public) -> Vec<u8> {
    let name = sized(&subject.name());
    statement(0x8017, nonce, &[&name[..], &name].concat())
}

fn statement(kind: u16, nonce: &[u8], attested: &[u8]) -> Vec<u8> {
    let signer = sized(&attestation_key().name());
    let clock = [&1_000_u64.to_be_bytes()[..], &3_u32.to_be_bytes(), &0_u32.to_be_bytes(), &[1]].concat();
    let head = [&b"\xffTCG"[..], &kind.to_be_bytes()].concat();
    [&head[..], &signer, &sized(nonce), &clock, &7_u64.to_be_bytes(), attested].concat()
}

/// A `TPM2B`.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
