//! P-256 (SP 800-186 §3.2.1.3, secp256r1).

use super::{Coefficient, Curve, fold};
use crate::u256::{U256, adc, mul_add};

#[derive(Clone, Copy)]
pub(crate) struct P256;

impl Curve for P256 {
    const P: U256 = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];
    const N: U256 = [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];
    const A: Coefficient = Coefficient::MinusThree;
    const B: U256 = [0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7];
    const GENERATOR: (U256, U256) = (
        [0xf4a1_3945_d898_c296, 0x7703_7d81_2deb_33a0, 0xf8bc_e6e5_63a4_40f2, 0x6b17_d1f2_e12c_4247],
        [0xcbb6_4068_37bf_51f5, 0x2bce_3357_6b31_5ece, 0x8ee7_eb4a_7c0f_9e16, 0x4fe3_42e2_fe1a_7f9b],
    );

    /// Montgomery's reduction with the lowest limb `m` as quotient digit (`p = -1` modulo `2^64`) and
    /// `p + 1 = 2^96 + 2^192 (2^64 - 2^32 + 1)`.
    #[inline(always)]
    fn reduce(mut wide: [u64; 8]) -> U256 {
        let mut carry = false;
        for i in 0..4 {
            let m = wide[i];
            let (low, high) = mul_add(m, 0xffff_ffff_0000_0001, 0, 0);
            let (w1, c) = adc(wide[i + 1], m << 32, false);
            let (w2, c) = adc(wide[i + 2], m >> 32, c);
            let (w3, c) = adc(wide[i + 3], low, c);
            let (w4, c1) = adc(wide[i + 4], high, c);
            let (w4, c2) = adc(w4, carry as u64, false);
            wide[i + 1..i + 5].copy_from_slice(&[w1, w2, w3, w4]);
            carry = c1 | c2;
        }
        fold::<Self>([wide[4], wide[5], wide[6], wide[7]], carry)
    }
}
