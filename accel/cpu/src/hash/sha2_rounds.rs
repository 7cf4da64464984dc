//! The compression function of SHA-256 and SHA-512 for the vectors; one message at a time is left to the crate `sha2`.

use super::{
    sha2::{Sha256, Sha512},
    word::Word,
};

/// What the two sizes differ in (FIPS 180-4 §4.1 and §4.2).
pub(super) trait Size<const ROUNDS: usize> {
    /// `u32` or `u64`.
    type Lane: Copy + 'static;
    /// The constants K.
    const K: &'static [Self::Lane; ROUNDS];
    /// Rotations of the functions called Σ0 and Σ1.
    const BIG: [[u32; 3]; 2];
    /// Two rotations and a shift of those called σ0 and σ1.
    const SMALL: [[u32; 3]; 2];
}

/// The compression function (FIPS 180-4 §6.2.2, §6.4.2). `w` is the block as big-endian words; it is used up.
#[inline(always)]
pub(super) fn compress<S: Size<ROUNDS>, W: Word<Lane = S::Lane>, const ROUNDS: usize>(
    cpu: W::Cpu,
    state: &mut [W; 8],
    w: &mut [W; 16],
) {
    let mut v = *state;
    for j in (0..16).step_by(8) {
        eight_rounds::<S, W, false, ROUNDS>(cpu, &mut v, w, j);
    }
    for j in (16..ROUNDS).step_by(8) {
        eight_rounds::<S, W, true, ROUNDS>(cpu, &mut v, w, j);
    }
    for (state, v) in state.iter_mut().zip(v) {
        *state = state.add(v);
    }
}

/// After eight rounds every variable is back in its place, so none is ever moved.
#[inline(always)]
fn eight_rounds<S: Size<ROUNDS>, W: Word<Lane = S::Lane>, const EXPAND: bool, const ROUNDS: usize>(
    cpu: W::Cpu,
    v: &mut [W; 8],
    w: &mut [W; 16],
    j: usize,
) {
    let [a, b, c, d, e, f, g, h] = v;
    round::<S, W, EXPAND, ROUNDS>(cpu, (*a, *b, *c, d), (*e, *f, *g, h), w, j);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*h, *a, *b, c), (*d, *e, *f, g), w, j + 1);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*g, *h, *a, b), (*c, *d, *e, f), w, j + 2);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*f, *g, *h, a), (*b, *c, *d, e), w, j + 3);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*e, *f, *g, h), (*a, *b, *c, d), w, j + 4);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*d, *e, *f, g), (*h, *a, *b, c), w, j + 5);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*c, *d, *e, f), (*g, *h, *a, b), w, j + 6);
    round::<S, W, EXPAND, ROUNDS>(cpu, (*b, *c, *d, e), (*f, *g, *h, a), w, j + 7);
}

/// One round, in place: the new `e` comes to stand in `d`, the new `a` in `h`.
#[inline(always)]
fn round<S: Size<ROUNDS>, W: Word<Lane = S::Lane>, const EXPAND: bool, const ROUNDS: usize>(
    cpu: W::Cpu,
    (a, b, c, d): (W, W, W, &mut W),
    (e, f, g, h): (W, W, W, &mut W),
    w: &mut [W; 16],
    j: usize,
) {
    let word = |i: usize| w[(j + i) % 16];
    let mut now = word(0);
    if EXPAND {
        // w[j] from w[j - 16], w[j - 15], w[j - 7] and w[j - 2].
        now = now.add(small(word(1), S::SMALL[0])).add(word(9)).add(small(word(14), S::SMALL[1]));
        w[j % 16] = now;
    }
    let t1 = h.add(W::splat(cpu, S::K[j])).add(now).add(e.choose(f, g)).add(big(e, S::BIG[1]));
    *d = d.add(t1);
    *h = t1.add(big(a, S::BIG[0])).add(a.majority(b, c));
}

#[inline(always)]
fn big<W: Word>(x: W, [first, second, third]: [u32; 3]) -> W {
    x.rotate_right(first).xor3(x.rotate_right(second), x.rotate_right(third))
}

#[inline(always)]
fn small<W: Word>(x: W, [first, second, shift]: [u32; 3]) -> W {
    x.rotate_right(first).xor3(x.rotate_right(second), x.shift_right(shift))
}

impl Size<64> for Sha256 {
    type Lane = u32;

    const BIG: [[u32; 3]; 2] = [[2, 13, 22], [6, 11, 25]];
    const SMALL: [[u32; 3]; 2] = [[7, 18, 3], [17, 19, 10]];
    const K: &'static [u32; 64] = &K256;
}

impl Size<80> for Sha512 {
    type Lane = u64;

    const BIG: [[u32; 3]; 2] = [[28, 34, 39], [14, 18, 41]];
    const SMALL: [[u32; 3]; 2] = [[1, 8, 7], [19, 61, 6]];
    const K: &'static [u64; 80] = &K512;
}

/// The first 64 bits of the fractional parts of the cube roots of the first 80 primes (FIPS 180-4 §4.2.3).
#[rustfmt::skip]
const K512: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

/// SHA-256 takes the upper halves of the first 64 (FIPS 180-4 §4.2.2).
static K256: [u32; 64] = {
    let mut table = [0; 64];
    let mut j = 0;
    while j < 64 {
        table[j] = (K512[j] >> 32) as u32;
        j += 1;
    }
    table
};
