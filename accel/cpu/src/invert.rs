//! Modular inversion by division steps: Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"
//! (2019), §8 and §11, here in variable time. 62 steps at a time are done on the low words alone; their effect, a 2x2
//! matrix of 63-bit numbers, is then applied to the whole numbers, which are kept as five signed limbs of 62 bits.

use crate::u256::{U256, neg_inverse_64};

const STEPS: u32 = 62;
const MASK: u64 = u64::MAX >> 2;

/// A number as five signed limbs of 62 bits, the lowest first; only the highest is negative between operations.
#[derive(Clone, Copy)]
struct Signed([i64; 5]);

impl Signed {
    const ZERO: Self = Self([0; 5]);
    const ONE: Self = Self([1, 0, 0, 0, 0]);

    fn new(a: &U256) -> Self {
        let limbs = [a[0], a[0] >> 62 | a[1] << 2, a[1] >> 60 | a[2] << 4, a[2] >> 58 | a[3] << 6, a[3] >> 56];
        Self(limbs.map(|limb| (limb & MASK).cast_signed()))
    }

    /// The number, which is not negative.
    fn to_u256(self) -> U256 {
        let limbs = self.0.map(i64::cast_unsigned);
        [
            limbs[0] | limbs[1] << 62,
            limbs[1] >> 2 | limbs[2] << 60,
            limbs[2] >> 4 | limbs[3] << 58,
            limbs[3] >> 6 | limbs[4] << 56,
        ]
    }

    fn is_negative(&self) -> bool {
        self.0[4] < 0
    }

    fn add(&mut self, other: &Self) {
        for (limb, other) in self.0.iter_mut().zip(other.0) {
            *limb += other;
        }
    }

    fn negate(&mut self) {
        for limb in &mut self.0 {
            *limb = -*limb;
        }
    }

    /// Brings the lower limbs back to 62 bits.
    fn carry(&mut self) {
        for low in 0..4 {
            self.0[low + 1] += self.0[low] >> STEPS;
            self.0[low] &= MASK.cast_signed();
        }
    }
}

/// What 62 division steps do to `(f, g)`, times `2^62`.
struct Matrix {
    ff: i64,
    fg: i64,
    gf: i64,
    gg: i64,
}

/// 62 division steps on the low words of `f` (odd) and `g`. `eta` is minus the paper's delta, less the halves.
fn division_steps(eta: &mut i64, mut f: u64, mut g: u64) -> Matrix {
    let (mut ff, mut fg, mut gf, mut gg) = (1_u64, 0_u64, 0_u64, 1_u64);
    let mut left = STEPS;
    loop {
        // A sentinel bit stops the count at the steps that are left.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        ff <<= zeros;
        fg <<= zeros;
        *eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        // Now both are odd. Swap if delta is positive, then cancel the low bits of g by a multiple of f: as many as
        // cannot change the sign of eta, at most 6 (4 without a swap, where the cheaper formula is exact).
        let swapped = *eta < 0;
        if swapped {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (ff, gf) = (gf, ff.wrapping_neg());
            (fg, gg) = (gg, fg.wrapping_neg());
        }
        let bits = u32::try_from(*eta + 1).map_or(left, |bits| bits.min(left));
        let mask = u64::MAX >> (64 - bits);
        let multiple = if swapped {
            // -g/f modulo 64: f (f^2 - 2) is -1/f there.
            f.wrapping_mul(g).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)) & mask & 63
        } else {
            // -g/f modulo 16.
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            inverse.wrapping_neg().wrapping_mul(g) & mask & 15
        };
        g = g.wrapping_add(f.wrapping_mul(multiple));
        gf = gf.wrapping_add(ff.wrapping_mul(multiple));
        gg = gg.wrapping_add(fg.wrapping_mul(multiple));
    }
    Matrix { ff: ff.cast_signed(), fg: fg.cast_signed(), gf: gf.cast_signed(), gg: gg.cast_signed() }
}

#[inline(always)]
fn mul(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// The low 62 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
fn low(a: i128) -> i64 {
    (a as u64 & MASK).cast_signed()
}

impl Matrix {
    /// `(f, g) = matrix (f, g) / 2^62`, exact, on the `len` limbs in use.
    fn apply(&self, f: &mut [i64], g: &mut [i64]) {
        let last = f.len() - 1;
        let mut carry_f = mul(self.ff, f[0]) + mul(self.fg, g[0]);
        let mut carry_g = mul(self.gf, f[0]) + mul(self.gg, g[0]);
        carry_f >>= STEPS;
        carry_g >>= STEPS;
        for i in 1..=last {
            carry_f += mul(self.ff, f[i]) + mul(self.fg, g[i]);
            carry_g += mul(self.gf, f[i]) + mul(self.gg, g[i]);
            (f[i - 1], g[i - 1]) = (low(carry_f), low(carry_g));
            carry_f >>= STEPS;
            carry_g >>= STEPS;
        }
        (f[last], g[last]) = (top(carry_f), top(carry_g));
    }

    /// `(d, e) = matrix (d, e) / 2^62` modulo `m`: multiples of `m` make the division exact. Both stay in `(-2m, m)`.
    fn apply_modulo(&self, d: &mut Signed, e: &mut Signed, m: &Signed, m_inverse: u64) {
        let (d_sign, e_sign) = (d.0[4] >> 63, e.0[4] >> 63);
        let mut times_d = (self.ff & d_sign).wrapping_add(self.fg & e_sign);
        let mut times_e = (self.gf & d_sign).wrapping_add(self.gg & e_sign);
        let mut carry_d = mul(self.ff, d.0[0]) + mul(self.fg, e.0[0]);
        let mut carry_e = mul(self.gf, d.0[0]) + mul(self.gg, e.0[0]);
        let missing = |carry: i128, times: i64| {
            let low = low(carry).cast_unsigned();
            (m_inverse.wrapping_mul(low).wrapping_add(times.cast_unsigned()) & MASK).cast_signed()
        };
        times_d -= missing(carry_d, times_d);
        times_e -= missing(carry_e, times_e);
        carry_d += mul(m.0[0], times_d);
        carry_e += mul(m.0[0], times_e);
        carry_d >>= STEPS;
        carry_e >>= STEPS;
        for i in 1..5 {
            carry_d += mul(self.ff, d.0[i]) + mul(self.fg, e.0[i]) + mul(m.0[i], times_d);
            carry_e += mul(self.gf, d.0[i]) + mul(self.gg, e.0[i]) + mul(m.0[i], times_e);
            (d.0[i - 1], e.0[i - 1]) = (low(carry_d), low(carry_e));
            carry_d >>= STEPS;
            carry_e >>= STEPS;
        }
        (d.0[4], e.0[4]) = (top(carry_d), top(carry_e));
    }
}

/// The highest limb, which fits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers stay below 2^257 in absolute value")]
fn top(carry: i128) -> i64 {
    carry as i64
}

/// `1 / x` modulo the odd prime `m`, for `x < m`; zero for zero.
pub(crate) fn invert(x: &U256, m: &U256) -> U256 {
    let modulus = Signed::new(m);
    let m_inverse = neg_inverse_64(m[0]).wrapping_neg() & MASK;
    let (mut d, mut e) = (Signed::ZERO, Signed::ONE);
    let (mut f, mut g) = (modulus, Signed::new(x));
    let mut eta = -1;
    let mut len = 5;
    while g.0[..len].iter().any(|&limb| limb != 0) {
        let matrix = division_steps(&mut eta, f.0[0].cast_unsigned(), g.0[0].cast_unsigned());
        matrix.apply_modulo(&mut d, &mut e, &modulus, m_inverse);
        matrix.apply(&mut f.0[..len], &mut g.0[..len]);
        // A highest limb that only says the sign moves into the one below.
        let is_sign = |limb: i64| limb == limb >> 63;
        if len > 1 && is_sign(f.0[len - 1]) && is_sign(g.0[len - 1]) {
            len -= 1;
            f.0[len - 1] |= f.0[len] << STEPS;
            g.0[len - 1] |= g.0[len] << STEPS;
        }
    }
    // Now f is the gcd or minus the gcd, and d is f / x.
    if d.is_negative() {
        d.add(&modulus);
    }
    if f.0[len - 1] < 0 {
        d.negate();
    }
    d.carry();
    if d.is_negative() {
        d.add(&modulus);
        d.carry();
    }
    d.to_u256()
}

#[cfg(test)]
mod tests;
