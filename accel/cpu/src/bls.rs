//! BLS signatures, by the blst library: keys in G1, signatures in G2.
//!
//! A batch is one product of pairings, each weighted with a random number, so that bad signatures cannot cancel out
//! (draft-irtf-cfrg-bls-signature-05 has no batches; see "Efficient batch verification", Camenisch, Hohenberger and
//! Pedersen, EUROCRYPT 2007, §3). If it fails, halves are tried until the bad ones are found.

use blst::{
    BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine,
    min_pk::{PublicKey, Signature},
};
use dolmen_accel_api::{Message, Verdict, VerifyJob};

/// The ciphersuite with proofs of possession.
const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Bits of a weight: a bad batch passes with probability `2^-64`.
const WEIGHT_BITS: usize = 64;

/// A job that is well formed.
struct Parsed<'a> {
    index: usize,
    key: PublicKey,
    message: &'a [u8],
    signature: Signature,
}

/// Writes one verdict per job.
pub(crate) fn verify(jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
    verdicts.fill(Verdict::Invalid);
    let parsed: Vec<_> = jobs.iter().enumerate().filter_map(|(index, job)| parse(index, job)).collect();
    find_valid(&parsed, verdicts);
}

fn parse<'a>(index: usize, job: &VerifyJob<'a>) -> Option<Parsed<'a>> {
    let message = match job.message {
        Message::Digest(digest) => &digest[..],
        Message::Bytes(bytes) => bytes,
    };
    Some(Parsed { index, key: key(job.key)?, message, signature: signature(job.signature)? })
}

/// A compressed key of the right group that is not the identity.
fn key(bytes: &[u8]) -> Option<PublicKey> {
    if bytes.len() != 48 {
        return None;
    }
    PublicKey::key_validate(bytes).ok()
}

/// A compressed signature of the right group that is not the identity.
fn signature(bytes: &[u8]) -> Option<Signature> {
    if bytes.len() != 96 {
        return None;
    }
    Signature::sig_validate(bytes, true).ok()
}

fn find_valid(parsed: &[Parsed<'_>], verdicts: &mut [Verdict]) {
    match parsed {
        [] => {}
        [one] => {
            let outcome = one.signature.verify(false, one.message, DST, &[], &one.key, false);
            verdicts[one.index] = (outcome == BLST_ERROR::BLST_SUCCESS).into();
        }
        many if holds_together(many) => many.iter().for_each(|one| verdicts[one.index] = Verdict::Valid),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            find_valid(left, verdicts);
            find_valid(right, verdicts);
        }
    }
}

/// Whether all of them hold, up to the chance of the weights.
fn holds_together(parsed: &[Parsed<'_>]) -> bool {
    let mut pairing = Pairing::new(true, DST);
    for one in parsed {
        // A zero would take the signature out of the product.
        let weight = rand::random::<u64>() | 1;
        let outcome = pairing.mul_n_aggregate(
            &blst_p1_affine::from(one.key),
            false,
            &blst_p2_affine::from(one.signature),
            false,
            &weight.to_le_bytes(),
            WEIGHT_BITS,
            one.message,
            &[],
        );
        if outcome != BLST_ERROR::BLST_SUCCESS {
            return false;
        }
    }
    pairing.commit();
    pairing.finalverify(None)
}

/// Whether all keys signed the message.
pub(crate) fn verify_aggregate(keys: &[&[u8]], message: &[u8], aggregate: &[u8]) -> Verdict {
    let keys: Option<Vec<_>> = keys.iter().map(|bytes| key(bytes)).collect();
    match (keys, signature(aggregate)) {
        (Some(keys), Some(signature)) if !keys.is_empty() => {
            let keys: Vec<_> = keys.iter().collect();
            let outcome = signature.fast_aggregate_verify(false, message, DST, &keys);
            (outcome == BLST_ERROR::BLST_SUCCESS).into()
        }
        _ => Verdict::Invalid,
    }
}
