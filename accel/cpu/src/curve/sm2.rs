//! The curve of GB/T 32918.5-2017 (sm2p256v1).

use super::{Coefficient, Curve, fold};
use crate::u256::{U256, adc, sbb};

#[derive(Clone, Copy)]
pub(crate) struct Sm2;

impl Curve for Sm2 {
    const P: U256 = [0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0xffff_fffe_ffff_ffff];
    const N: U256 = [0x53bb_f409_39d5_4123, 0x7203_df6b_21c6_052b, 0xffff_ffff_ffff_ffff, 0xffff_fffe_ffff_ffff];
    const A: Coefficient = Coefficient::MinusThree;
    const B: U256 = [0xddbc_bd41_4d94_0e93, 0xf397_89f5_15ab_8f92, 0x4d5a_9e4b_cf65_09a7, 0x28e9_fa9e_9d9f_5e34];
    const GENERATOR: (U256, U256) = (
        [0x715a_4589_334c_74c7, 0x8fe3_0bbf_f266_0be1, 0x5f99_0446_6a39_c994, 0x32c4_ae2c_1f19_8119],
        [0x02df_32e5_2139_f0a0, 0xd0a9_877c_c62a_4740, 0x59bd_cee3_6b69_2153, 0xbc37_36a2_f4f6_779c],
    );

    /// Montgomery's reduction. As `p = -1` modulo `2^64`, the quotient digit is the lowest limb `m` itself, and `m p`
    /// is `m (p + 1) - m` with `p + 1 = 2^64 (2^192 - 2^160 - 2^32 + 1)`: shifts and additions, no product.
    #[inline(always)]
    fn reduce(mut wide: [u64; 8]) -> U256 {
        let mut carry = false;
        for i in 0..4 {
            let m = wide[i];
            let (low, high) = (m << 32, m >> 32);
            let (u0, borrow) = sbb(m, low, false);
            let (u1, borrow) = sbb(0, high, borrow);
            let (u2, borrow) = sbb(0, low, borrow);
            let (u3, _) = sbb(m, high, borrow);
            let (w1, c) = adc(wide[i + 1], u0, false);
            let (w2, c) = adc(wide[i + 2], u1, c);
            let (w3, c) = adc(wide[i + 3], u2, c);
            let (w4, c1) = adc(wide[i + 4], u3, c);
            let (w4, c2) = adc(w4, carry as u64, false);
            wide[i + 1..i + 5].copy_from_slice(&[w1, w2, w3, w4]);
            carry = c1 | c2;
        }
        fold::<Self>([wide[4], wide[5], wide[6], wide[7]], carry)
    }
}
