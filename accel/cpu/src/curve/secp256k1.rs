//! secp256k1 (SEC 2 §2.4.1).

use super::{Coefficient, Curve, fold_high};
use crate::u256::{self, U256, adc};

#[derive(Clone, Copy)]
pub(crate) struct Secp256k1;

impl Curve for Secp256k1 {
    const P: U256 = [0xffff_fffe_ffff_fc2f, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];
    const N: U256 = [0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff];
    const A: Coefficient = Coefficient::Zero;
    const B: U256 = [7, 0, 0, 0];
    const GENERATOR: (U256, U256) = (
        [0x59f2_815b_16f8_1798, 0x029b_fcdb_2dce_28d9, 0x55a0_6295_ce87_0b07, 0x79be_667e_f9dc_bbac],
        [0x9c47_d08f_fb10_d4b8, 0xfd17_b448_a685_5419, 0x5da4_fbfc_0e11_08a8, 0x483a_da77_26a3_c465],
    );
    /// Plain residues: folding at `2^256` costs less than Montgomery's reduction.
    const ONE: U256 = [1, 0, 0, 0];
    const INTO: U256 = [1, 0, 0, 0];
    const BETA: Option<U256> =
        Some([0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710]);

    fn split(k: &U256) -> [(U256, bool); 2] {
        halves(k).map(sign_and_magnitude)
    }

    fn split_odd(k: &U256) -> [(U256, bool); 2] {
        let [mut a, mut b] = halves(k);
        // Any point of the lattice may be added: the first vector is odd in both, the second in the second part.
        if a[0] & 1 == 0 {
            (a, b) = (u256::add(&a, &A1).0, u256::sub(&b, &B1).0);
        }
        if b[0] & 1 == 0 {
            (a, b) = (u256::add(&a, &A2).0, u256::add(&b, &A1).0);
        }
        [a, b].map(sign_and_magnitude)
    }

    #[inline(always)]
    fn reduce(wide: [u64; 8]) -> U256 {
        fold_high::<Self, 0x1_0000_03d1>(wide)
    }
}

/// The parts of `k`, modulo `2^256`: Gallant, Lambert and Vanstone (CRYPTO 2001), §4, subtract from `(k, 0)` the nearest
/// point of the lattice of all `(a, b)` with `a + b lambda = 0`, spanned by `(A1, -B1)` and `(A2, A1)`.
fn halves(k: &U256) -> [U256; 2] {
    let (c1, c2) = (mul_shift_384(k, &G1), mul_shift_384(k, &G2));
    // Both parts are below 2^129 in absolute value, so arithmetic modulo 2^256 is exact.
    let low = |a: &U256, b: &U256| -> U256 {
        let [r0, r1, r2, r3, ..] = u256::mul_wide(a, b);
        [r0, r1, r2, r3]
    };
    let a = u256::sub(&u256::sub(k, &low(&c1, &A1)).0, &low(&c2, &A2)).0;
    let b = u256::sub(&low(&c1, &B1), &low(&c2, &A1)).0;
    [a, b]
}

/// The absolute value of a number modulo `2^256`, and whether it is negative.
fn sign_and_magnitude(number: U256) -> (U256, bool) {
    let negative = number[3] >> 63 == 1;
    (if negative { u256::sub(&[0; 4], &number).0 } else { number }, negative)
}

const A1: U256 = [0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0, 0];
const A2: U256 = [0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1, 0];
const B1: U256 = [0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0, 0];
/// `2^384 A1 / n` and `2^384 B1 / n`, rounded.
const G1: U256 = [0xe893_209a_45db_b031, 0x3daa_8a14_71e8_ca7f, 0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd];
const G2: U256 = [0x1571_b4ae_8ac4_7f71, 0x2212_08ac_9df5_06c6, 0x6f54_7fa9_0abf_e4c4, 0xe443_7ed6_010e_8828];

/// `a b / 2^384`, rounded.
fn mul_shift_384(a: &U256, b: &U256) -> U256 {
    let wide = u256::mul_wide(a, b);
    let (low, carry) = adc(wide[6], wide[5] >> 63, false);
    let (high, _) = adc(wide[7], 0, carry);
    [low, high, 0, 0]
}
