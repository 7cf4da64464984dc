//! Eight elements of a curve's field at once, in 512-bit vectors with 52-bit multiply-add (AVX-512 IFMA).
//!
//! An element is five limbs of 52 bits, and limb `i` of all eight lies in one vector. Numbers are bounded, not reduced:
//! with `M = 2^256 - CARRY`, which is `p` or `2p`, a product is below `1.01 M + a b / 2^260`, a difference below `8 M`,
//! and operands must be below `16 M`, which is what five limbs hold.
//!
//! Curves in Montgomery's form have `2^256` as its radix elsewhere and `2^260` here: see [`Lanes::from_x`].

use std::{
    arch::x86_64::{
        __m256i, __m512i, _mm256_loadu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi256_si512,
        _mm512_inserti64x4, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
        _mm512_mask_sub_epi64, _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_shuffle_epi32,
        _mm512_shuffle_i64x2, _mm512_slli_epi64, _mm512_sllv_epi64, _mm512_srai_epi64, _mm512_srli_epi64,
        _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi64,
    },
    marker::PhantomData,
};

use crate::{
    arith::Arith,
    curve::Curve,
    detect::Ifma,
    field::Fe,
    invert,
    point::Affine,
    u256::{self, U256, power_of_two_mod},
};

/// Lanes of a vector.
pub(crate) const LANES: usize = 8;
/// One bit a lane.
pub(crate) type Mask = u8;

const LIMBS: usize = 5;
const BITS: u32 = 52;
const LIMB: u64 = (1 << BITS) - 1;
/// Bits of the highest limb below `2^256`.
const TOP: u32 = 256 - 4 * BITS;

/// An expression of intrinsics, for functions that have a [`Lanes`] or a witness at hand.
macro_rules! ifma {
    ($intrinsics:expr) => {
        // SAFETY: no `Lanes` is made without the witness `Ifma`, so the CPU has the instructions. Memory is accessed
        // through references to arrays of the size that is read or written.
        unsafe { $intrinsics }
    };
}

/// Eight elements of the field of `A`'s curve, see the module. What is done to one element alone is done by `A`.
pub(crate) struct Lanes<A>([__m512i; LIMBS], PhantomData<A>);

impl<A> Clone for Lanes<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Lanes<A> {}

/// Numbers of a curve in this form.
struct Form<C>(PhantomData<C>);

impl<C: Curve> Form<C> {
    /// Whether elements are in Montgomery's form.
    const MONTGOMERY: bool = C::ONE[0] != 1 || C::ONE[1] != 0;
    const CARRY: [u64; LIMBS] = split(&C::CARRY, 0);
    /// `2^260` modulo `M`, where it is one limb.
    const CARRY_260: u64 = {
        assert!(Self::MONTGOMERY || C::CARRY[0] < 1 << 47 && C::CARRY[1] | C::CARRY[2] | C::CARRY[3] == 0);
        C::CARRY[0] << 4
    };
    /// `p + 1`: the quotient digits of Montgomery's reduction are the lowest limbs, as `p = -1` modulo `2^52`.
    const P_PLUS_ONE: [u64; LIMBS] = {
        assert!(!Self::MONTGOMERY || C::P[0] & LIMB == LIMB);
        split(&u256::add(&C::P, &[1, 0, 0, 0]).0, 0)
    };
    const ONE: [u64; LIMBS] = if Self::MONTGOMERY { split(&power_of_two_mod(260, &C::P), 0) } else { [1, 0, 0, 0, 0] };
    /// What a product takes `1 / a` of integers to `1 / a` in this form with.
    const INVERTED: [u64; LIMBS] = split(&power_of_two_mod(780, &C::P), 0);

    /// `count M`.
    const fn multiple(count: u64) -> [u64; LIMBS] {
        // count 2^256 - count CARRY
        let carry = split(&C::CARRY, 0);
        let mut limbs = [0; LIMBS];
        let mut borrow = 0_i64;
        let mut index = 0;
        while index < LIMBS {
            let top = if index == LIMBS - 1 { count << TOP } else { 0 };
            let limb = top.cast_signed() - (count * carry[index]).cast_signed() + borrow;
            limbs[index] = limb.cast_unsigned() & LIMB;
            borrow = limb >> BITS;
            index += 1;
        }
        limbs
    }
}

/// The limbs of `a << shift`, which is below `2^260`.
const fn split(a: &U256, shift: u32) -> [u64; LIMBS] {
    [
        (a[0] << shift) & LIMB,
        (a[0] >> (52 - shift) | a[1] << (12 + shift)) & LIMB,
        (a[1] >> (40 - shift) | a[2] << (24 + shift)) & LIMB,
        (a[2] >> (28 - shift) | a[3] << (36 + shift)) & LIMB,
        a[3] >> (16 - shift),
    ]
}

#[inline(always)]
fn splat(number: u64) -> __m512i {
    ifma!(_mm512_set1_epi64(number.cast_signed()))
}

/// `sum + low(a b)`.
#[inline(always)]
fn add_low(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    ifma!(_mm512_madd52lo_epu64(sum, a, b))
}

/// `sum + high(a b)`.
#[inline(always)]
fn add_high(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    ifma!(_mm512_madd52hi_epu64(sum, a, b))
}

#[inline(always)]
fn add(a: __m512i, b: __m512i) -> __m512i {
    ifma!(_mm512_add_epi64(a, b))
}

#[inline(always)]
fn sub(a: __m512i, b: __m512i) -> __m512i {
    ifma!(_mm512_sub_epi64(a, b))
}

#[inline(always)]
fn low_bits(a: __m512i, count: u32) -> __m512i {
    ifma!(_mm512_and_si512(a, splat((1 << count) - 1)))
}

/// `a >> 52` of a signed number.
#[inline(always)]
fn carry_of(a: __m512i) -> __m512i {
    ifma!(_mm512_srai_epi64::<BITS>(a))
}

/// `f` of the limbs of two numbers, limb by limb.
#[inline(always)]
fn limbwise(a: [__m512i; LIMBS], b: [__m512i; LIMBS], f: impl Fn(__m512i, __m512i) -> __m512i) -> [__m512i; LIMBS] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3]), f(a[4], b[4])]
}

impl<A: Arith> Lanes<A> {
    /// The same number in all lanes.
    #[inline(always)]
    fn splat(_: Ifma, limbs: [u64; LIMBS]) -> Self {
        Self(limbs.map(splat), PhantomData)
    }

    /// One in all lanes.
    #[inline(always)]
    pub(crate) fn one(cpu: Ifma) -> Self {
        Self::splat(cpu, Form::<A::Curve>::ONE)
    }

    #[inline(always)]
    pub(crate) fn zero(cpu: Ifma) -> Self {
        Self::splat(cpu, [0; LIMBS])
    }

    /// A number in the form of [`Fe`], for a curve whose elements are not in Montgomery's.
    #[inline(always)]
    pub(crate) fn plain(cpu: Ifma, number: &U256) -> Self {
        debug_assert!(!Form::<A::Curve>::MONTGOMERY);
        Self::splat(cpu, split(number, 0))
    }

    /// The `x` of points as they are in tables. In Montgomery's form that makes it `x / 4` of this form, and
    /// [`from_y`](Self::from_y) `y / 8`: the curve `y^2 = x^3 + a x / 16 + b / 64`, on which points add in the same way.
    #[inline(always)]
    pub(crate) fn from_x(cpu: Ifma, numbers: [&U256; LANES]) -> Self {
        Self::from_words(cpu, numbers, if Form::<A::Curve>::MONTGOMERY { 2 } else { 0 })
    }

    /// The `y` of points as they are in tables, see [`from_x`](Self::from_x).
    #[inline(always)]
    pub(crate) fn from_y(cpu: Ifma, numbers: [&U256; LANES]) -> Self {
        Self::from_words(cpu, numbers, u32::from(Form::<A::Curve>::MONTGOMERY))
    }

    /// The coefficient `a` of the curve on which [`from_x`](Self::from_x) and [`from_y`](Self::from_y) put points.
    #[inline(always)]
    pub(crate) fn coefficient(cpu: Ifma) -> Self {
        // The slope's numerator at x = 0.
        let a = Affine::<A> { x: Fe::ZERO, y: Fe::ONE }.tangent_numerator();
        Self::splat(cpu, split(&a.0, 0))
    }

    /// What [`from_x`](Self::from_x) took.
    #[inline(always)]
    pub(crate) fn to_x(self, cpu: Ifma) -> [Fe<A>; LANES] {
        self.to_elements(cpu, const { split(&power_of_two_mod(258, &A::Curve::P), 0) })
    }

    /// What [`from_y`](Self::from_y) took.
    #[inline(always)]
    pub(crate) fn to_y(self, cpu: Ifma) -> [Fe<A>; LANES] {
        self.to_elements(cpu, const { split(&power_of_two_mod(259, &A::Curve::P), 0) })
    }

    /// The elements themselves.
    #[inline(always)]
    pub(crate) fn to_own(self, cpu: Ifma) -> [Fe<A>; LANES] {
        self.to_elements(cpu, const { split(&power_of_two_mod(256, &A::Curve::P), 0) })
    }

    /// From Montgomery's form, which a product with `factor` leads out of, or as they are.
    #[inline(always)]
    fn to_elements(self, cpu: Ifma, factor: [u64; LIMBS]) -> [Fe<A>; LANES] {
        let numbers = if Form::<A::Curve>::MONTGOMERY { self.times(Self::splat(cpu, factor)) } else { self };
        numbers.to_numbers().map(Fe::raw)
    }

    /// A `Z` with which what [`from_x`](Self::from_x) and [`from_y`](Self::from_y) make of a point are its Jacobian
    /// coordinates on the curve itself.
    #[inline(always)]
    pub(crate) fn unit(cpu: Ifma) -> Self {
        let half = const { split(&power_of_two_mod(259, &A::Curve::P), 0) };
        if Form::<A::Curve>::MONTGOMERY { Self::splat(cpu, half) } else { Self::one(cpu) }
    }

    /// `self / unit`.
    #[inline(always)]
    pub(crate) fn per_unit(self) -> Self {
        if Form::<A::Curve>::MONTGOMERY { self.plus(self) } else { self }
    }

    /// The limbs of numbers below `2^256`, times `2^shift`.
    #[inline(always)]
    fn from_words(_: Ifma, numbers: [&U256; LANES], shift: u32) -> Self {
        let words = transpose(numbers);
        let up = |word: usize, by: u32| ifma!(_mm512_sllv_epi64(words[word], splat(u64::from(by))));
        let down = |word: usize, by: u32| ifma!(_mm512_srlv_epi64(words[word], splat(u64::from(by))));
        // (low | high) & LIMB
        let join = |low, high| ifma!(_mm512_ternarylogic_epi64::<0b1010_1000>(low, high, splat(LIMB)));
        let limbs = [
            low_bits(up(0, shift), BITS),
            join(down(0, 52 - shift), up(1, 12 + shift)),
            join(down(1, 40 - shift), up(2, 24 + shift)),
            join(down(2, 28 - shift), up(3, 36 + shift)),
            down(3, 16 - shift),
        ];
        Self(limbs, PhantomData)
    }

    /// The numbers of all lanes, below `2^256` each.
    #[inline(always)]
    pub(crate) fn to_numbers(self) -> [U256; LANES] {
        let mut limbs = [[0; LANES]; LIMBS];
        for (limb, vector) in limbs.iter_mut().zip(self.0) {
            ifma!(_mm512_storeu_si512(limb.as_mut_ptr().cast(), vector));
        }
        std::array::from_fn(|lane| Self::number([0, 1, 2, 3, 4].map(|limb: usize| limbs[limb][lane])))
    }

    /// The number of the first lane, below `2^256`.
    #[inline(always)]
    fn first(self) -> U256 {
        self.to_numbers()[0]
    }

    fn number(limbs: [u64; LIMBS]) -> U256 {
        let mut number = [
            limbs[0] | limbs[1] << 52,
            limbs[1] >> 12 | limbs[2] << 40,
            limbs[2] >> 24 | limbs[3] << 28,
            limbs[3] >> 36 | limbs[4] << 16,
        ];
        let mut excess = limbs[4] >> TOP;
        while excess > 0 {
            let (sum, carry) = u256::add(&number, &A::Curve::CARRY);
            number = sum;
            excess = excess - 1 + u64::from(carry);
        }
        number
    }

    /// Brings all limbs but the highest to 52 bits. They are signed, the number is not.
    #[inline(always)]
    fn propagate(mut limbs: [__m512i; LIMBS]) -> Self {
        for index in 0..LIMBS - 1 {
            limbs[index + 1] = add(limbs[index + 1], carry_of(limbs[index]));
            limbs[index] = low_bits(limbs[index], BITS);
        }
        Self(limbs, PhantomData)
    }

    /// `self - other`, for an `other` up to `4 M`.
    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        let offset = const { Form::<A::Curve>::multiple(4) };
        Self::propagate(limbwise(self.0, limbwise(offset.map(splat), other.0, sub), add))
    }

    /// `-self` in the lanes of `mask`, for a `self` up to `2 M`.
    #[inline(always)]
    pub(crate) fn negate_if(self, mask: Mask) -> Self {
        let offset = const { Form::<A::Curve>::multiple(2) };
        let negate = |limb, offset| ifma!(_mm512_mask_sub_epi64(limb, mask, offset, limb));
        Self::propagate(limbwise(self.0, offset.map(splat), negate))
    }

    /// `self + other`, which must be below `16 M`.
    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self::propagate(limbwise(self.0, other.0, add))
    }

    /// `3 self`, which must be below `16 M`.
    #[inline(always)]
    pub(crate) fn triple(self) -> Self {
        Self::propagate(limbwise(self.0, limbwise(self.0, self.0, add), add))
    }

    /// `other` in the lanes of `mask`, else `self`.
    #[inline(always)]
    pub(crate) fn blend(self, mask: Mask, other: Self) -> Self {
        let blend = |a, b| ifma!(_mm512_mask_blend_epi64(mask, a, b));
        Self(limbwise(self.0, other.0, blend), PhantomData)
    }

    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        Self::reduce(self.columns(other))
    }

    #[inline(always)]
    pub(crate) fn squared(self) -> Self {
        Self::reduce(self.square_columns())
    }

    /// `self^2 - a - b`, for `a` and `b` of up to `11 M` together; it is below `2.01 M`.
    #[inline(always)]
    pub(crate) fn square_minus(self, a: Self, b: Self) -> Self {
        Self::reduce_minus(self.square_columns(), limbwise(a.0, b.0, add))
    }

    /// `self other - a`, for an `a` up to `11 M`; it is below `2.01 M`.
    #[inline(always)]
    pub(crate) fn times_minus(self, other: Self, a: Self) -> Self {
        Self::reduce_minus(self.columns(other), a.0)
    }

    /// The columns of the product.
    #[inline(always)]
    fn columns(self, other: Self) -> [__m512i; 2 * LIMBS] {
        let mut columns = [splat(0); 2 * LIMBS];
        for (row, b) in other.0.into_iter().enumerate() {
            for (column, a) in self.0.into_iter().enumerate() {
                columns[row + column] = add_low(columns[row + column], a, b);
                columns[row + column + 1] = add_high(columns[row + column + 1], a, b);
            }
        }
        columns
    }

    /// The columns of the square: every product of two limbs is there twice.
    #[inline(always)]
    fn square_columns(self) -> [__m512i; 2 * LIMBS] {
        let mut columns = [splat(0); 2 * LIMBS];
        for row in 0..LIMBS {
            for column in row + 1..LIMBS {
                let (a, b) = (self.0[column], self.0[row]);
                columns[row + column] = add_low(columns[row + column], a, b);
                columns[row + column + 1] = add_high(columns[row + column + 1], a, b);
            }
        }
        for column in &mut columns[1..2 * LIMBS - 1] {
            *column = add(*column, *column);
        }
        for (row, a) in self.0.into_iter().enumerate() {
            columns[2 * row] = add_low(columns[2 * row], a, a);
            columns[2 * row + 1] = add_high(columns[2 * row + 1], a, a);
        }
        columns
    }

    /// The product whose columns these are.
    #[inline(always)]
    fn reduce(columns: [__m512i; 2 * LIMBS]) -> Self {
        let (mut limbs, excess) = Self::halve(columns);
        if !Form::<A::Curve>::MONTGOMERY {
            let top = add(ifma!(_mm512_srli_epi64::<TOP>(limbs[4])), excess);
            limbs[4] = low_bits(limbs[4], TOP);
            Self::add_carries(&mut limbs, top);
        }
        Self::propagate(limbs)
    }

    /// The product whose columns these are, less `minus`, which is up to `11 M`.
    #[inline(always)]
    fn reduce_minus(columns: [__m512i; 2 * LIMBS], minus: [__m512i; LIMBS]) -> Self {
        // More than 11 M by more than what the lower limbs may hold beside the highest.
        let offset = const { Form::<A::Curve>::multiple(13) };
        let (limbs, excess) = Self::halve(columns);
        let mut limbs = limbwise(limbs, limbwise(offset.map(splat), minus, sub), add);
        // What lies above 2^256 is folded in, but for one M, so that the rest stays positive whatever the lower limbs
        // will borrow from it.
        let top = add(ifma!(_mm512_srli_epi64::<TOP>(limbs[4])), sub(excess, splat(1)));
        limbs[4] = add(low_bits(limbs[4], TOP), splat(1 << TOP));
        Self::add_carries(&mut limbs, top);
        Self::propagate(limbs)
    }

    /// Adds `count CARRY`.
    #[inline(always)]
    fn add_carries(limbs: &mut [__m512i; LIMBS], count: __m512i) {
        let carry = Form::<A::Curve>::CARRY;
        for index in 0..LIMBS {
            if carry[index] != 0 {
                limbs[index] = add_low(limbs[index], count, splat(carry[index]));
                if index + 1 < LIMBS {
                    limbs[index + 1] = add_high(limbs[index + 1], count, splat(carry[index]));
                }
            }
        }
    }

    /// Five columns that have the residue of ten, and what is above them in units of `2^256`. In Montgomery's form the
    /// lower five are cleared, else the higher five are folded in.
    #[inline(always)]
    fn halve(mut columns: [__m512i; 2 * LIMBS]) -> ([__m512i; LIMBS], __m512i) {
        let zero = splat(0);
        if Form::<A::Curve>::MONTGOMERY {
            let p_plus_one = Form::<A::Curve>::P_PLUS_ONE;
            for row in 0..LIMBS {
                let digit = low_bits(columns[row], BITS);
                columns[row + 1] = add(columns[row + 1], ifma!(_mm512_srli_epi64::<BITS>(columns[row])));
                for index in 0..LIMBS {
                    if p_plus_one[index] != 0 {
                        let limb = splat(p_plus_one[index]);
                        columns[row + index] = add_low(columns[row + index], digit, limb);
                        columns[row + index + 1] = add_high(columns[row + index + 1], digit, limb);
                    }
                }
            }
            let [_, _, _, _, _, limbs @ ..] = columns;
            (limbs, zero)
        } else {
            for column in LIMBS..2 * LIMBS - 1 {
                columns[column + 1] = add(columns[column + 1], ifma!(_mm512_srli_epi64::<BITS>(columns[column])));
                columns[column] = low_bits(columns[column], BITS);
            }
            let factor = splat(Form::<A::Curve>::CARRY_260);
            let mut above = zero;
            for index in 0..LIMBS {
                let high = columns[LIMBS + index];
                columns[index] = add_low(columns[index], high, factor);
                if index + 1 < LIMBS {
                    columns[index + 1] = add_high(columns[index + 1], high, factor);
                } else {
                    above = add_high(above, high, factor);
                }
            }
            let [limbs @ .., _, _, _, _, _] = columns;
            (limbs, ifma!(_mm512_slli_epi64::<4>(above)))
        }
    }

    /// `1 / self` in all lanes, by one inversion; none if a lane is zero.
    #[inline(always)]
    pub(crate) fn invert(self, cpu: Ifma) -> Option<Self> {
        let halves = self.swap_halves();
        let fours = self.times(halves);
        let quarters = fours.swap_quarters();
        let twos = fours.times(quarters);
        let neighbours = twos.swap_neighbours();
        let product = Fe::<A>::raw(twos.times(neighbours).first()).canonical().0;
        if u256::is_zero(&product) {
            return None;
        }
        let inverse = Self::splat(cpu, split(&invert::invert(&product, &A::Curve::P), 0));
        // The product of all lanes but the own.
        let others = halves.times(quarters).times(neighbours);
        let inverse = inverse.times(others);
        Some(if Form::<A::Curve>::MONTGOMERY {
            inverse.times(Self::splat(cpu, Form::<A::Curve>::INVERTED))
        } else {
            inverse
        })
    }

    #[inline(always)]
    fn swap_halves(self) -> Self {
        Self(self.0.map(|limb| ifma!(_mm512_shuffle_i64x2::<0b01_00_11_10>(limb, limb))), PhantomData)
    }

    #[inline(always)]
    fn swap_quarters(self) -> Self {
        Self(self.0.map(|limb| ifma!(_mm512_shuffle_i64x2::<0b10_11_00_01>(limb, limb))), PhantomData)
    }

    #[inline(always)]
    fn swap_neighbours(self) -> Self {
        Self(self.0.map(|limb| ifma!(_mm512_shuffle_epi32::<0b01_00_11_10>(limb))), PhantomData)
    }

    /// The lanes that are zero.
    pub(crate) fn zeros(self, cpu: Ifma) -> Mask {
        // SAFETY: the witness says that the CPU has these instructions.
        unsafe { self.zeros_apart(cpu) }
    }

    /// A function of its own, as it is seldom needed.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn zeros_apart(self, cpu: Ifma) -> Mask {
        // At most 1.6 M, so at most 3.2 p.
        let reduced = self.times(Self::one(cpu)).to_numbers();
        (0..LANES).fold(0, |mask, lane| {
            let canonical = Fe::<A>::raw(reduced[lane]).canonical();
            mask | Mask::from(u256::is_zero(&canonical.0)) << lane
        })
    }
}

/// Word `i` of all numbers in vector `i`.
#[inline(always)]
fn transpose(numbers: [&U256; LANES]) -> [__m512i; 4] {
    let pair = |low: &U256, high: &U256| {
        ifma!({
            let load = |number: &U256| _mm256_loadu_si256(number.as_ptr().cast::<__m256i>());
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(load(low)), load(high))
        })
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|index: usize| pair(numbers[index], numbers[index + 4]));
    ifma!({
        let low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        let high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        let (even_ab, odd_ab) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let (even_cd, odd_cd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        [
            _mm512_permutex2var_epi64(even_ab, low, even_cd),
            _mm512_permutex2var_epi64(odd_ab, low, odd_cd),
            _mm512_permutex2var_epi64(even_ab, high, even_cd),
            _mm512_permutex2var_epi64(odd_ab, high, odd_cd),
        ]
    })
}

#[cfg(test)]
mod tests;
