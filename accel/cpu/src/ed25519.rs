//! Ed25519 by ZIP 215 (RFC 8032 §5.1.7 with the cofactor): `[8]([S]B - [k]A - R)` is the identity.
//!
//! For a key with a table, `R' = [S]B - [k]A` comes out of table entries, and if `R` is its encoding, the equation
//! holds without the cofactor, so with it too. Only where the bytes differ is `R` decoded: almost always the signature
//! is bad, but it may be one that only the cofactor forgives. Keys with a part of small order get no table, for sums
//! of entries live in the group of prime order. They, and keys seen for the first time, take the library's way.

use std::sync::Arc;

use curve25519_dalek::{EdwardsPoint, Scalar, edwards::CompressedEdwardsY, traits::IsIdentity as _};
use dolmen_accel_api::{Counters, Message, Verdict, VerifyJob};

use crate::{
    arith::Arith,
    cache::{Cache, Key, Known},
    columns::Columns,
    comb::Table,
    curve::{Curve as _, Edwards25519},
    detect::{Ifma, Lanes},
    field::Fe,
    hash, known,
    point::{Affine, invert_all},
    scratch::Scratches,
    u256::{self, U256},
    weierstrass::BLOCK,
};

struct Scratch<A> {
    found: Vec<Option<Arc<Known<A>>>>,
    columns: Columns<A>,
}

impl<A> Default for Scratch<A> {
    fn default() -> Self {
        Self { found: Vec::new(), columns: Columns::default() }
    }
}

/// The verifier of Ed25519.
pub(crate) struct Ed25519<A: Arith> {
    generator: Arc<Table<A>>,
    pub(crate) cache: Cache<A>,
    lanes: Lanes,
    ifma: Option<Ifma>,
    scratches: Scratches<Scratch<A>>,
    counters: Arc<Counters>,
}

/// What a signature's equation takes.
#[derive(Clone, Copy)]
struct Equation {
    key: [u8; 32],
    r: [u8; 32],
    s: U256,
    k: Scalar,
}

impl<A: Arith<Curve = Edwards25519>> Ed25519<A> {
    pub(crate) fn new(
        generator: Arc<Table<A>>,
        cache: Cache<A>,
        lanes: Lanes,
        ifma: Option<Ifma>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { generator, cache, lanes, ifma, scratches: Scratches::default(), counters }
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
        let Scratch { found, columns } = scratch;
        let mut equations = [None; BLOCK];
        self.equations(jobs, &mut equations);
        let equations = &equations[..jobs.len()];
        verdicts.fill(Verdict::Invalid);

        found.clear();
        let key = |equation: &Option<Equation>| equation.map_or([0; 64], |equation| widen(&equation.key));
        self.cache.find(equations.iter().map(key), found);
        let minus_k = |k: &Scalar| u256::from_le_bytes((-k).as_bytes());
        let scalars = |index: usize| equations[index].map(|Equation { s, k, .. }| (s, minus_k(&k)));
        known::sum(columns, &self.generator, found, scalars, true, self.ifma);
        let mut at = [0; BLOCK];
        let mut count = 0;
        for index in (0..jobs.len()).filter(|&index| found[index].is_some() && equations[index].is_some()) {
            at[count] = index;
            count += 1;
        }
        let mut encodings = [None; BLOCK];
        encode(columns, count, &mut encodings);
        for (index, encoding) in at[..count].iter().zip(&encodings) {
            let Some(equation) = &equations[*index] else { continue };
            verdicts[*index] = match encoding {
                Some(encoding) if *encoding == equation.r => Verdict::Valid,
                Some(encoding) => equation.holds_with(encoding).into(),
                None => equation.holds().into(),
            };
        }
        let mut unknown = 0;
        for (index, equation) in equations.iter().enumerate() {
            let (None, Some(equation)) = (&found[index], equation) else { continue };
            unknown += 1;
            verdicts[index] = equation.holds().into();
            if verdicts[index].is_valid() {
                let key = equation.key;
                self.cache.saw(&widen(&key), move || decode(&key));
            }
        }
        self.counters.keys(count, unknown);
        found.clear();
    }

    /// Reads signatures and hashes what they sign.
    fn equations(&self, jobs: &[VerifyJob<'_>], equations: &mut [Option<Equation>; BLOCK]) {
        let mut messages: [[&[u8]; 3]; BLOCK] = [[&[]; 3]; BLOCK];
        for (index, job) in jobs.iter().enumerate() {
            let (Ok(key), (halves, [])) = (job.key.try_into(), job.signature.as_chunks::<32>()) else { continue };
            let [r, s] = halves else { continue };
            let s_integer = u256::from_le_bytes(s);
            if !u256::is_less(&s_integer, &Edwards25519::N) {
                continue;
            }
            let message = match job.message {
                Message::Digest(digest) => &digest[..],
                Message::Bytes(bytes) => bytes,
            };
            messages[index] = [r, job.key, message];
            equations[index] = Some(Equation { key, r: *r, s: s_integer, k: Scalar::ZERO });
        }
        let mut digests = [[0; 64]; BLOCK];
        hash::sha512(self.lanes, &messages[..jobs.len()], &mut digests[..jobs.len()]);
        for (equation, digest) in equations.iter_mut().zip(&digests) {
            if let Some(equation) = equation {
                equation.k = Scalar::from_bytes_mod_order_wide(digest);
            }
        }
    }

    /// Prepares keys now; returns how many have a table.
    pub(crate) fn prepare(&self, keys: &[&[u8]]) -> usize {
        let parse = |key: &&[u8]| {
            let key: [u8; 32] = (*key).try_into().ok()?;
            Some((widen(&key), decode(&key)?))
        };
        self.cache.prepare(&keys.iter().filter_map(parse).collect::<Vec<_>>())
    }
}

impl Equation {
    /// Whether the equation holds, from its parts.
    fn holds(&self) -> bool {
        let Some(key) = CompressedEdwardsY(self.key).decompress() else { return false };
        let mut s = [0; 32];
        for (bytes, limb) in s.as_chunks_mut::<8>().0.iter_mut().zip(self.s) {
            *bytes = limb.to_le_bytes();
        }
        // `S` is below the order, so this changes nothing.
        let s = Scalar::from_bytes_mod_order(s);
        self.is_close(EdwardsPoint::vartime_double_scalar_mul_basepoint(&-self.k, &key, &s))
    }

    /// Whether the equation holds, given the encoding of `[S]B - [k]A`.
    fn holds_with(&self, sum: &[u8; 32]) -> bool {
        CompressedEdwardsY(*sum).decompress().is_some_and(|sum| self.is_close(sum))
    }

    /// Whether `R` differs from `sum` by a point of small order only.
    fn is_close(&self, sum: EdwardsPoint) -> bool {
        CompressedEdwardsY(self.r).decompress().is_some_and(|r| (sum - r).mul_by_cofactor().is_identity())
    }
}

/// A key as the cache names it.
fn widen(key: &[u8; 32]) -> Key {
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(key);
    wide
}

/// Writes the encodings of the first `count` sums as Edwards points (RFC 8032 §5.1.2); none for the identity and the
/// point of order two, to which the map has no formula.
fn encode<A: Arith<Curve = Edwards25519>>(
    columns: &Columns<A>,
    count: usize,
    encodings: &mut [Option<[u8; 32]>; BLOCK],
) {
    let shift = Fe::from_integer(&Edwards25519::SHIFT);
    let scale = Fe::from_integer(&Edwards25519::SCALE);
    // x = SCALE u / v and y = (u - 1) / (u + 1) over the common denominator v (u + 1). No point has u = -1.
    let mut inverses = [Fe::<A>::ZERO; BLOCK];
    for (column, inverse) in inverses[..count].iter_mut().enumerate() {
        let sum = columns.result(column);
        if !sum.is_identity() {
            *inverse = sum.y * (sum.x - shift + Fe::ONE);
        }
    }
    invert_all(&mut inverses[..count], &mut [Fe::ZERO; BLOCK][..count]);
    for (column, inverse) in inverses[..count].iter().enumerate() {
        if inverse.is_zero() {
            continue;
        }
        let sum = columns.result(column);
        let u = sum.x - shift;
        let x = scale * u * (u + Fe::ONE) * *inverse;
        let y = (u - Fe::ONE) * sum.y * *inverse;
        let mut integer = y.to_integer();
        integer[3] |= (x.to_integer()[0] & 1) << 63;
        let mut encoding = [0; 32];
        for (bytes, limb) in encoding.as_chunks_mut::<8>().0.iter_mut().zip(integer) {
            *bytes = limb.to_le_bytes();
        }
        encodings[column] = Some(encoding);
    }
}

/// The point of a key in short Weierstrass form, if it is one of the group of prime order and not the identity.
fn decode<A: Arith<Curve = Edwards25519>>(key: &[u8; 32]) -> Option<Affine<A>> {
    let point = CompressedEdwardsY(*key).decompress()?;
    if !point.is_torsion_free() || point.is_identity() {
        return None;
    }
    let canonical = point.compress().0;
    let mut integer = u256::from_le_bytes(&canonical);
    let odd_x = integer[3] >> 63;
    integer[3] &= u64::MAX >> 1;
    let y = Fe::from_integer(&integer);
    let u = (Fe::ONE + y) * (Fe::ONE - y).invert();
    let x = u + Fe::from_integer(&Edwards25519::SHIFT);
    let v = square_root(Fe::curve_equation(x))?;
    let edwards_x = Fe::from_integer(&Edwards25519::SCALE) * u * v.invert();
    Some(Affine { x, y: if edwards_x.to_integer()[0] & 1 == odd_x { v } else { -v } })
}

/// A square root, if there is one (RFC 8032 §5.1.3).
fn square_root<A: Arith<Curve = Edwards25519>>(a: Fe<A>) -> Option<Fe<A>> {
    // (p + 3) / 8 = 2^252 - 2, and the root of -1 is 2^((p - 1) / 4) with (p - 1) / 4 = 2^253 - 5.
    let ones = |base: Fe<A>, count: usize| (1..count).fold(base, |power, _| power.square() * base);
    let root = ones(a, 251).square();
    if root.square() == a {
        return Some(root);
    }
    let two = Fe::ONE.double();
    let root = root * (ones(two, 250).square_times(3) * ones(two, 2));
    (root.square() == a).then_some(root)
}
