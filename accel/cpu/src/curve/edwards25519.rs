//! The subgroup of prime order of edwards25519 (RFC 7748 §4.1), in short Weierstrass form.
//!
//! From the Montgomery form `v^2 = u^3 + A u^2 + u` with `A = 486662`: `x = u + A / 3`, `y = v`.

use super::{Coefficient, Curve, fold_high};
use crate::u256::U256;

#[derive(Clone, Copy)]
pub(crate) struct Edwards25519;

impl Edwards25519 {
    /// `A / 3`: what `x` is above Montgomery's `u`.
    pub(crate) const SHIFT: U256 =
        [0xaaaa_aaaa_aaad_2451, 0xaaaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaaa, 0x2aaa_aaaa_aaaa_aaaa];
    /// The root of `-486664` that makes `x = SCALE u / v` the Edwards coordinate (RFC 7748 §4.1).
    pub(crate) const SCALE: U256 =
        [0xcc6e_04aa_ff45_7e06, 0xc5a1_d3d1_4b7d_1a82, 0xd27b_08dc_03fc_4f7e, 0x0f26_edf4_60a0_06bb];
}

impl Curve for Edwards25519 {
    const P: U256 = [0xffff_ffff_ffff_ffed, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff];
    const N: U256 = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];
    const BITS: usize = 253;
    /// `(3 - A^2) / 3`.
    const A: Coefficient = Coefficient::Other([
        0xaaaa_aa98_4914_a144,
        0xaaaa_aaaa_aaaa_aaaa,
        0xaaaa_aaaa_aaaa_aaaa,
        0x2aaa_aaaa_aaaa_aaaa,
    ]);
    /// `(2 A^3 - 9 A) / 27`.
    const B: U256 = [0x260b_5e9c_7710_c864, 0xed09_7b42_5ed0_97b4, 0x097b_425e_d097_b425, 0x7b42_5ed0_97b4_25ed];
    const GENERATOR: (U256, U256) = (
        [0xaaaa_aaaa_aaad_245a, 0xaaaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaaa, 0x2aaa_aaaa_aaaa_aaaa],
        [0xd616_3a5d_8131_2c14, 0x6dc2_b281_9283_9e4d, 0x1fe1_22d3_88b7_2eb3, 0x5f51_e65e_475f_794b],
    );
    /// `2^256 = 38`: residues are below `2^256 = 2 p + 38`.
    const CARRY: U256 = [38, 0, 0, 0];
    const ONE: U256 = [1, 0, 0, 0];
    const INTO: U256 = [1, 0, 0, 0];

    #[inline(always)]
    fn reduce(wide: [u64; 8]) -> U256 {
        fold_high::<Self, 38>(wide)
    }
}
