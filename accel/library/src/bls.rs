//! blst, which Ethereum's consensus clients verify with.
//!
//! Its `Signature::verify` sends half of the work to a pool of threads of its own, which a node that counts its threads
//! does not want and a figure per core cannot use. Its pairing is called directly here, on the caller's thread.

use std::sync::Arc;

use blst::{
    BLST_ERROR::BLST_SUCCESS,
    Pairing, blst_p1_affine, blst_p2_affine,
    min_pk::{AggregatePublicKey, PublicKey, SecretKey, Signature},
};
use dolmen_accel_api::{Algorithm, Message, Verdict, VerifyJob};
use rand::Rng as _;

use crate::{
    call::{Call, OneByOne},
    encoding::bytes,
    peer::{Aggregate, Exact, Parts, Rule},
    signing::{SignerError, Signs},
};

/// The ciphersuite of draft-irtf-cfrg-bls-signature-05 §4.2.3.
const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Bits of the random factors of a batch: a bad one gets through with a chance of 2^-64, as in Ethereum's clients.
const FACTOR_BITS: usize = 64;

/// What blst can do, with whole batches verified by one randomised equation.
pub(crate) fn parts() -> Parts {
    Parts {
        rules: vec![(Algorithm::Bls12381, Box::new(Batch(OneByOne::new(Bls))), Exact::Yes)],
        recover: None,
        aggregate: Some(aggregate()),
    }
}

/// One signature at a time.
pub(crate) fn rule() -> (Algorithm, Box<dyn Rule>, Exact) {
    (Algorithm::Bls12381, OneByOne::boxed(Bls), Exact::Yes)
}

pub(crate) fn aggregate() -> Box<dyn Aggregate> {
    Box::new(OneByOne::new(Bls))
}

/// Makes a signing key from 32 bytes of key material, by the KeyGen of draft-irtf-cfrg-bls-signature-05 §2.3.
pub(crate) fn signer(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
    let secret = SecretKey::key_gen(secret, &[]).map_err(|_| SignerError::Secret)?;
    let public = secret.sk_to_pk().compress();
    Ok(Box::new(Signer { secret, public }))
}

struct Bls;

impl Call for Bls {
    const ALGORITHM: Algorithm = Algorithm::Bls12381;
    type Key = PublicKey;

    fn parse(&self, key: &[u8]) -> Option<PublicKey> {
        let key = PublicKey::uncompress(key).ok()?;
        // Refuses the identity and points outside the subgroup.
        key.validate().is_ok().then_some(key)
    }

    fn holds(&self, key: &PublicKey, message: Message<'_>, signature: &[u8]) -> bool {
        Signature::uncompress(signature).is_ok_and(|signature| holds(key, bytes(message), &signature))
    }
}

/// One pairing equation; the key is validated.
fn holds(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (key, signature): (&blst_p1_affine, &blst_p2_affine) = (key.into(), signature.into());
    let mut pairing = Pairing::new(true, SUITE);
    // Refuses signatures outside the subgroup, and a sum of keys that is the identity.
    if pairing.aggregate(key, false, signature, true, message, &[]) != BLST_SUCCESS {
        return false;
    }
    pairing.commit();
    pairing.finalverify(None)
}

struct Batch(OneByOne<Bls>);

impl Rule for Batch {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        if jobs.len() < 2 {
            return self.0.verify(jobs, verdicts);
        }
        verdicts.fill(Verdict::Invalid);
        let mut random = rand::rng();
        let mut pairing = Pairing::new(true, SUITE);
        let mut lanes = Vec::with_capacity(jobs.len());
        for (lane, job) in jobs.iter().enumerate() {
            let (Some(key), Some(signature)) = (self.0.key(job.key), read(job.signature)) else { continue };
            let (key, signature): (&blst_p1_affine, &blst_p2_affine) = ((&*key).into(), (&signature).into());
            // A factor of zero would leave its signature unchecked.
            let factor = random.next_u64().max(1).to_le_bytes();
            let message = bytes(job.message);
            let added = pairing.mul_n_aggregate(key, false, signature, true, &factor, FACTOR_BITS, message, &[]);
            if added == BLST_SUCCESS {
                lanes.push(lane);
            }
        }
        pairing.commit();
        let all_hold = pairing.finalverify(None);
        for lane in lanes {
            verdicts[lane] = (all_hold || self.0.holds(&jobs[lane])).into();
        }
    }
}

fn read(signature: &[u8]) -> Option<Signature> {
    if signature.len() != Algorithm::Bls12381.signature_len() {
        return None;
    }
    Signature::uncompress(signature).ok()
}

impl Aggregate for OneByOne<Bls> {
    fn holds(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> bool {
        let (Some(keys), Some(signature)) =
            (keys.iter().map(|key| self.key(key)).collect::<Option<Vec<Arc<_>>>>(), read(signature))
        else {
            return false;
        };
        let keys: Vec<&PublicKey> = keys.iter().map(|key| &**key).collect();
        // No keys: blst has an error for it, and so has the draft (§3.3.4).
        AggregatePublicKey::aggregate(&keys, false)
            .is_ok_and(|sum| self::holds(&sum.to_public_key(), message, &signature))
    }
}

struct Signer {
    secret: SecretKey,
    public: [u8; 48],
}

impl Signs for Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Bls12381
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        self.secret.sign(bytes(message), SUITE, &[]).compress().to_vec()
    }
}
