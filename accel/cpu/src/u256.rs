//! 256-bit integers: four 64-bit limbs, the lowest first.

/// A 256-bit integer.
pub(crate) type U256 = [u64; 4];

/// `a + b + carry` and the carry out.
#[inline(always)]
pub(crate) const fn adc(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first | second)
}

/// `a - b - borrow` and the borrow out.
#[inline(always)]
pub(crate) const fn sbb(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}

/// `a * b + c + d` as (low, high); it cannot overflow 128 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a 128-bit number are what is wanted")]
pub(crate) const fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide = a as u128 * b as u128 + c as u128 + d as u128;
    (wide as u64, (wide >> 64) as u64)
}

/// `a + b` and the carry out.
#[inline(always)]
pub(crate) const fn add(a: &U256, b: &U256) -> (U256, bool) {
    let (s0, carry) = adc(a[0], b[0], false);
    let (s1, carry) = adc(a[1], b[1], carry);
    let (s2, carry) = adc(a[2], b[2], carry);
    let (s3, carry) = adc(a[3], b[3], carry);
    ([s0, s1, s2, s3], carry)
}

/// `a - b` and the borrow out.
#[inline(always)]
pub(crate) const fn sub(a: &U256, b: &U256) -> (U256, bool) {
    let (d0, borrow) = sbb(a[0], b[0], false);
    let (d1, borrow) = sbb(a[1], b[1], borrow);
    let (d2, borrow) = sbb(a[2], b[2], borrow);
    let (d3, borrow) = sbb(a[3], b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

/// `a` if `keep`, else zero, without a branch.
#[inline(always)]
pub(crate) const fn select(a: &U256, keep: bool) -> U256 {
    let mask = (keep as u64).wrapping_neg();
    [a[0] & mask, a[1] & mask, a[2] & mask, a[3] & mask]
}

#[inline(always)]
pub(crate) const fn is_zero(a: &U256) -> bool {
    a[0] | a[1] | a[2] | a[3] == 0
}

/// Whether `a < b`.
#[inline(always)]
pub(crate) const fn is_less(a: &U256, b: &U256) -> bool {
    sub(a, b).1
}

/// `a - m` if that is not negative, else `a`.
#[inline(always)]
pub(crate) const fn sub_once(a: &U256, m: &U256) -> U256 {
    let (difference, borrow) = sub(a, m);
    if borrow { *a } else { difference }
}

/// The 512-bit product.
#[inline(always)]
pub(crate) const fn mul_wide(a: &U256, b: &U256) -> [u64; 8] {
    let mut product = [0; 8];
    let mut row = 0;
    while row < 4 {
        let mut carry = 0;
        let mut column = 0;
        while column < 4 {
            (product[row + column], carry) = mul_add(a[column], b[row], product[row + column], carry);
            column += 1;
        }
        product[row + 4] = carry;
        row += 1;
    }
    product
}

/// The `width < 64` bits from `at` on; above bit 255 they are zero.
#[inline(always)]
pub(crate) const fn bits(a: &U256, at: usize, width: usize) -> u64 {
    let (limb, shift) = (at / 64, at % 64);
    if limb >= 4 {
        return 0;
    }
    let mut bits = a[limb] >> shift;
    if shift + width > 64 && limb < 3 {
        bits |= a[limb + 1] << (64 - shift);
    }
    bits & ((1 << width) - 1)
}

/// The number of the highest set bit plus one; zero for zero.
pub(crate) const fn bit_len(a: &U256) -> usize {
    let mut limb = 4;
    while limb > 0 {
        limb -= 1;
        if a[limb] != 0 {
            return 64 * limb + 64 - a[limb].leading_zeros() as usize;
        }
    }
    0
}

/// Reads 32 bytes, big endian.
#[inline]
pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> U256 {
    let (words, _) = bytes.as_chunks::<8>();
    [3, 2, 1, 0].map(|index: usize| u64::from_be_bytes(words[index]))
}

/// Reads 32 bytes, little endian.
#[inline]
pub(crate) fn from_le_bytes(bytes: &[u8; 32]) -> U256 {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2, 3].map(|index: usize| u64::from_le_bytes(words[index]))
}

/// Writes 32 bytes, big endian.
#[inline]
pub(crate) fn to_be_bytes(a: &U256) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(a.iter().rev()) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}

/// `-1 / m` modulo `2^64` for odd `m`: Newton's iteration doubles the correct bits each time.
pub(crate) const fn neg_inverse_64(m: u64) -> u64 {
    let mut inverse = 1_u64;
    let mut round = 0;
    while round < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(m.wrapping_mul(inverse)));
        round += 1;
    }
    inverse.wrapping_neg()
}

/// `2^exponent mod m` for `m > 2^255`.
pub(crate) const fn power_of_two_mod(exponent: usize, m: &U256) -> U256 {
    let mut power = [1, 0, 0, 0];
    let mut doubled = 0;
    while doubled < exponent {
        let (twice, carry) = add(&power, &power);
        let (reduced, borrow) = sub(&twice, m);
        power = if carry || !borrow { reduced } else { twice };
        doubled += 1;
    }
    power
}
