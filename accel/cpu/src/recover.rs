//! Who signed: recovery of the signer of a secp256k1 signature (SEC 1 §4.1.6).
//!
//! With a hint whose key has a table, recovery is verification: if `[e / s]G + [r / s]Q` is the very point that `r` and
//! the parity name, then `Q` is what recovery would find, and there is no other. Without, `Q = [s / r]R - [e / r]G`
//! with `R` lifted from `r`.

use dolmen_accel_api::{Address, RecoverJob};

use crate::{
    arith::Arith,
    curve::{Curve, Secp256k1},
    ecdsa::{EcdsaSecp256k1, is_low},
    field::Fe,
    hash, known,
    point::{Affine, Jacobian, invert_all},
    scalar,
    single::Term,
    u256::{self, U256},
    weierstrass::{BLOCK, SINGLES, Scratch, Verifier, parse},
};

/// A signature in range.
#[derive(Clone, Copy)]
struct Signature {
    r: U256,
    s: U256,
    e: U256,
    odd_y: bool,
}

impl Signature {
    fn new(job: &RecoverJob) -> Option<Self> {
        let (r, s) = parse(&job.signature)?;
        let in_range = scalar::is_in_range::<Secp256k1>(&r) && scalar::is_in_range::<Secp256k1>(&s) && is_low(&s);
        let e = scalar::reduce::<Secp256k1>(&u256::from_be_bytes(&job.digest));
        in_range.then_some(Self { r, s, e, odd_y: job.odd_y })
    }
}

impl<A: Arith<Curve = Secp256k1>> Verifier<A, EcdsaSecp256k1> {
    /// Writes the signer of every job.
    pub(crate) fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) {
        let mut scratch = self.scratches.take();
        for (jobs, signers) in jobs.chunks(BLOCK).zip(signers.chunks_mut(BLOCK)) {
            self.recover_block(&mut scratch, jobs, signers);
        }
        self.scratches.give_back(scratch);
    }

    fn recover_block(&self, scratch: &mut Scratch<A>, jobs: &[RecoverJob], signers: &mut [Option<Address>]) {
        let mut signatures = [None; BLOCK];
        for (signature, job) in signatures.iter_mut().zip(jobs) {
            *signature = Signature::new(job);
        }
        let signatures = &signatures[..jobs.len()];
        signers.fill(None);
        self.recover_hinted(scratch, jobs, signatures, signers);

        let mut unknown = [0; BLOCK];
        let mut count = 0;
        for (index, signature) in signatures.iter().enumerate() {
            if signature.is_some() && signers[index].is_none() {
                unknown[count] = index;
                count += 1;
            }
        }
        self.counters.keys(signatures.iter().flatten().count() - count, count);
        for indices in unknown[..count].chunks(SINGLES) {
            self.recover_unknown(scratch, signatures, indices, signers);
        }
        let is_wrong = |(job, signer): &(&RecoverJob, &Option<Address>)| {
            job.hint.is_some_and(|hint| signer.is_some_and(|signer| signer != hint))
        };
        self.counters.wrong_hints(jobs.iter().zip(&*signers).filter(is_wrong).count());
    }

    /// Recovers where the hint names a key with a table and is right.
    fn recover_hinted(
        &self,
        scratch: &mut Scratch<A>,
        jobs: &[RecoverJob],
        signatures: &[Option<Signature>],
        signers: &mut [Option<Address>],
    ) {
        let Scratch { found, columns, .. } = scratch;
        found.clear();
        let hint = |(job, signature): (&RecoverJob, &Option<Signature>)| signature.and(job.hint);
        self.cache.find_addresses(jobs.iter().zip(signatures).map(hint), found);
        if found.iter().all(Option::is_none) {
            return;
        }
        let mut inverses = [[1, 0, 0, 0]; BLOCK];
        for (inverse, signature) in inverses.iter_mut().zip(signatures) {
            if let Some(signature) = signature {
                *inverse = signature.s;
            }
        }
        scalar::invert_all::<Secp256k1, BLOCK>(&mut inverses[..jobs.len()]);
        let scalars = |index: usize| {
            let Signature { r, e, .. } = signatures[index]?;
            let over_s = |a: &U256| scalar::montgomery_mul::<Secp256k1>(a, &inverses[index]);
            Some((over_s(&e), over_s(&r)))
        };
        known::sum(columns, &self.generator, found, scalars, true, self.ifma);
        let at = (0..jobs.len()).filter(|&index| found[index].is_some());
        for (column, index) in at.enumerate() {
            let (sum, Some(Signature { r, odd_y, .. })) = (columns.result(column), signatures[index]) else { continue };
            let is_signer = !sum.is_identity() && sum.x.to_integer() == r && (sum.y.to_integer()[0] & 1 == 1) == odd_y;
            if is_signer {
                signers[index] = jobs[index].hint;
            }
        }
        found.clear();
    }

    /// Recovers the signatures at up to [`SINGLES`] `indices`, which have no signer yet.
    fn recover_unknown(
        &self,
        scratch: &mut Scratch<A>,
        signatures: &[Option<Signature>],
        indices: &[usize],
        signers: &mut [Option<Address>],
    ) {
        let Scratch { single, terms, .. } = scratch;
        terms.clear();
        let mut at = [0; SINGLES];
        let mut inverses = [[1, 0, 0, 0]; SINGLES];
        for &index in indices {
            let Some(Signature { r, s, e, odd_y }) = signatures[index] else { continue };
            let Some(point) = lift(&r, odd_y) else { continue };
            at[terms.len()] = index;
            inverses[terms.len()] = r;
            terms.push(Term { g: scalar::sub::<Secp256k1>(&[0; 4], &e), q: s, point });
        }
        scalar::invert_all::<Secp256k1, SINGLES>(&mut inverses[..terms.len()]);
        for (term, inverse) in terms.iter_mut().zip(&inverses) {
            term.g = scalar::montgomery_mul::<Secp256k1>(&term.g, inverse);
            term.q = scalar::montgomery_mul::<Secp256k1>(&term.q, inverse);
        }
        let mut sums = [Jacobian::<A>::IDENTITY; SINGLES];
        single.sum(&self.generator, terms, self.ifma, |term, sum| sums[term] = sum);
        let sums = &sums[..terms.len()];

        let mut z_inverses = [Fe::<A>::ZERO; SINGLES];
        for (z, sum) in z_inverses.iter_mut().zip(sums) {
            *z = sum.z;
        }
        invert_all(&mut z_inverses[..sums.len()], &mut [Fe::ZERO; SINGLES][..sums.len()]);
        let mut keys = [[0; 64]; SINGLES];
        for (key, (sum, z_inverse)) in keys.iter_mut().zip(sums.iter().zip(&z_inverses)) {
            *key = sum.scale(*z_inverse).to_bytes();
        }
        let mut messages: [[&[u8]; 1]; SINGLES] = [[&[]]; SINGLES];
        for (message, key) in messages.iter_mut().zip(&keys) {
            *message = [key];
        }
        let mut digests = [[0; 32]; SINGLES];
        hash::keccak256(self.lanes, &messages[..sums.len()], &mut digests[..sums.len()]);
        for (term, sum) in sums.iter().enumerate() {
            // The identity is nobody's key.
            if !sum.is_identity() {
                signers[at[term]] = digests[term].last_chunk().copied();
                let point = sum.scale(z_inverses[term]);
                self.cache.saw(&keys[term], move || Some(point));
            }
        }
    }
}

/// The point with `x` as its first coordinate and an odd or even second one.
fn lift<A: Arith<Curve = Secp256k1>>(x: &U256, odd_y: bool) -> Option<Affine<A>> {
    if !u256::is_less(x, &Secp256k1::P) {
        return None;
    }
    let x = Fe::from_integer(x);
    let y_squared = Fe::curve_equation(x);
    let y = square_root(y_squared);
    if y.square() != y_squared {
        return None;
    }
    // No point has y = 0, as the order is odd.
    Some(Affine { x, y: if (y.to_integer()[0] & 1 == 1) == odd_y { y } else { -y } })
}

/// `a^((p + 1) / 4)`: a square root of `a`, if it has one. The exponent is 223 ones, a zero, 22 ones, `00001100`.
fn square_root<A: Arith<Curve = Secp256k1>>(a: Fe<A>) -> Fe<A> {
    // `ones(n)` is `a` to the power of `n` ones.
    let join = |high: Fe<A>, count: usize, low: Fe<A>| high.square_times(count) * low;
    let ones2 = join(a, 1, a);
    let ones3 = join(ones2, 1, a);
    let ones6 = join(ones3, 3, ones3);
    let ones9 = join(ones6, 3, ones3);
    let ones11 = join(ones9, 2, ones2);
    let ones22 = join(ones11, 11, ones11);
    let ones44 = join(ones22, 22, ones22);
    let ones88 = join(ones44, 44, ones44);
    let ones176 = join(ones88, 88, ones88);
    let ones220 = join(ones176, 44, ones44);
    let ones223 = join(ones220, 3, ones3);
    join(join(ones223, 23, ones22), 6, ones2).square_times(2)
}
