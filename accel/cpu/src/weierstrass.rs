//! Verification on a curve in short Weierstrass form: what ECDSA and SM2 have in common.
//!
//! A [`Scheme`] turns a signature into a [`Claim`] about the point `[g]G + [q]Q`. The claims of a block are then checked
//! together: those of known keys by sums of table entries, the others one by one.

use std::{marker::PhantomData, sync::Arc};

use dolmen_accel_api::{Counters, Verdict, VerifyJob};

use crate::{
    arith::Arith,
    cache::{Cache, Key, Known},
    columns::Columns,
    comb::Table,
    curve::Curve,
    detect::{Ifma, Lanes},
    field::Fe,
    known,
    point::{Affine, Jacobian},
    scratch::Scratches,
    single::{Single, Term},
    u256::{self, U256},
};

/// Signatures checked together. More would gain little, as six inversions serve the block, and would push the partial
/// sums out of the second-level cache.
pub(crate) const BLOCK: usize = 64;
/// Points seen for the first time that share an inversion.
pub(crate) const SINGLES: usize = 16;

/// What a signature says: `[g]G + [q]Q` has the `x`-coordinate `x` modulo the order of the group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) g: U256,
    pub(crate) q: U256,
    /// Below the order.
    pub(crate) x: U256,
}

impl Claim {
    /// Whether the sum is as claimed.
    fn holds<A: Arith>(&self, sum: &Affine<A>) -> bool {
        !sum.is_identity() && {
            let x = sum.x.to_integer();
            x == self.x || self.x_above_order::<A::Curve>() == Some(x)
        }
    }

    /// As [`holds`](Self::holds), without a division: `X = x Z^2`.
    fn holds_projective<A: Arith>(&self, sum: &Jacobian<A>) -> bool {
        let z_squared = sum.z.square();
        let is = |x: &U256| Fe::from_integer(x) * z_squared == sum.x;
        !sum.is_identity() && (is(&self.x) || self.x_above_order::<A::Curve>().is_some_and(|x| is(&x)))
    }

    /// The other coordinate that is `x` modulo the order, if it is one: few of them are below the prime.
    fn x_above_order<C: Curve>(&self) -> Option<U256> {
        let (sum, carry) = u256::add(&self.x, &C::N);
        (!carry && u256::is_less(&sum, &C::P)).then_some(sum)
    }
}

/// A signature algorithm on a curve.
pub(crate) trait Scheme: Send + Sync + 'static {
    /// What is kept beside a key's table: SM2's `Z`, the key's address, or nothing.
    fn extra(key: &Key) -> [u8; 32];

    /// Whether `extra` begins with an address.
    const HAS_ADDRESS: bool = false;

    /// Writes the hash of every message; `extras` are those of the jobs' keys.
    fn digests(lanes: Lanes, jobs: &[VerifyJob<'_>], extras: &[[u8; 32]], digests: &mut [[u8; 32]]);

    /// Writes the claim of every signature `(r, s)`, or none for one that is out of range.
    fn claims(signatures: &[Option<(U256, U256)>], digests: &[[u8; 32]], claims: &mut [Option<Claim>]);
}

/// The buffers of a block.
pub(crate) struct Scratch<A> {
    pub(crate) found: Vec<Option<Arc<Known<A>>>>,
    pub(crate) columns: Columns<A>,
    pub(crate) single: Single<A>,
    pub(crate) terms: Vec<Term<A>>,
}

impl<A> Default for Scratch<A> {
    fn default() -> Self {
        Self { found: Vec::new(), columns: Columns::default(), single: Single::default(), terms: Vec::new() }
    }
}

/// The verifier of one algorithm.
pub(crate) struct Verifier<A: Arith, S> {
    pub(crate) generator: Arc<Table<A>>,
    pub(crate) cache: Cache<A>,
    pub(crate) lanes: Lanes,
    pub(crate) ifma: Option<Ifma>,
    pub(crate) scratches: Scratches<Scratch<A>>,
    pub(crate) counters: Arc<Counters>,
    scheme: PhantomData<S>,
}

impl<A: Arith, S: Scheme> Verifier<A, S> {
    pub(crate) fn new(
        generator: Arc<Table<A>>,
        cache: Cache<A>,
        lanes: Lanes,
        ifma: Option<Ifma>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { generator, cache, lanes, ifma, scratches: Scratches::default(), counters, scheme: PhantomData }
    }

    /// Writes one verdict per job.
    pub(crate) fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        let mut scratch = self.scratches.take();
        for (jobs, verdicts) in jobs.chunks(BLOCK).zip(verdicts.chunks_mut(BLOCK)) {
            self.verify_block(&mut scratch, jobs, verdicts);
        }
        self.scratches.give_back(scratch);
    }

    fn verify_block(&self, scratch: &mut Scratch<A>, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        let count = jobs.len();
        let Scratch { found, columns, single, terms } = scratch;
        let mut keys = [[0; 64]; BLOCK];
        let mut signatures = [None; BLOCK];
        for (index, job) in jobs.iter().enumerate() {
            if let (Ok(key), Some(signature)) = (job.key.try_into(), parse(job.signature)) {
                keys[index] = key;
                signatures[index] = Some(signature);
            }
        }
        found.clear();
        self.cache.find(keys[..count].iter().copied(), found);
        let mut extras = [[0; 32]; BLOCK];
        for index in 0..count {
            extras[index] = match &found[index] {
                Some(known) => known.extra,
                None => S::extra(&keys[index]),
            };
        }
        let mut digests = [[0; 32]; BLOCK];
        S::digests(self.lanes, jobs, &extras[..count], &mut digests[..count]);
        let mut claims = [None; BLOCK];
        S::claims(&signatures[..count], &digests[..count], &mut claims[..count]);

        verdicts.fill(Verdict::Invalid);
        known::sum(
            columns,
            &self.generator,
            found,
            |index| claims[index].map(|claim: Claim| (claim.g, claim.q)),
            false,
            self.ifma,
        );
        let mut column = 0;
        let mut unknown = 0;
        for index in 0..count {
            let Some(claim) = &claims[index] else { continue };
            if found[index].is_some() {
                verdicts[index] = claim.holds(columns.result(column)).into();
                column += 1;
            } else {
                unknown += 1;
            }
        }
        self.counters.keys(column, unknown);
        if unknown > 0 {
            let unknown = (0..count).filter(|&index| found[index].is_none());
            self.verify_unknown(single, terms, unknown, &keys, &claims, verdicts);
        }
        // Tables that were replaced meanwhile are not kept alive by an idle buffer.
        found.clear();
    }

    /// Checks the claims at `indices`, whose keys have no table.
    fn verify_unknown(
        &self,
        single: &mut Single<A>,
        terms: &mut Vec<Term<A>>,
        mut indices: impl Iterator<Item = usize>,
        keys: &[Key; BLOCK],
        claims: &[Option<Claim>; BLOCK],
        verdicts: &mut [Verdict],
    ) {
        loop {
            terms.clear();
            let mut at = [0; SINGLES];
            for index in indices.by_ref() {
                let Some(Claim { g, q, .. }) = claims[index] else { continue };
                let Some(point) = Affine::from_bytes(&keys[index]) else { continue };
                at[terms.len()] = index;
                terms.push(Term { g, q, point });
                if terms.len() == SINGLES {
                    break;
                }
            }
            if terms.is_empty() {
                return;
            }
            single.sum(&self.generator, terms, self.ifma, |term, sum| {
                let index = at[term];
                let holds = claims[index].is_some_and(|claim| claim.holds_projective(&sum));
                verdicts[index] = holds.into();
                if holds {
                    let point = terms[term].point;
                    self.cache.saw(&keys[index], move || Some(point));
                }
            });
        }
    }

    /// Prepares keys now; returns how many have a table.
    pub(crate) fn prepare(&self, keys: &[&[u8]]) -> usize {
        let parse = |key: &&[u8]| {
            let key: Key = (*key).try_into().ok()?;
            Some((key, Affine::from_bytes(&key)?))
        };
        self.cache.prepare(&keys.iter().filter_map(parse).collect::<Vec<_>>())
    }
}

/// `r || s`, big endian.
pub(crate) fn parse(signature: &[u8]) -> Option<(U256, U256)> {
    let (halves, rest) = signature.as_chunks::<32>();
    match halves {
        [r, s] if rest.is_empty() => Some((u256::from_be_bytes(r), u256::from_be_bytes(s))),
        _ => None,
    }
}
