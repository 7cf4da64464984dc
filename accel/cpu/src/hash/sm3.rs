//! SM3 (GB/T 32905-2016).

use super::{
    function::{Function, big_endian, pad_with_length},
    word::Word,
};

/// SM3: blocks of 64 bytes, digests of 32.
pub(super) struct Sm3;

impl Function<64> for Sm3 {
    type State = [u32; 8];
    type Digest = [u8; 32];

    const INITIAL: [u32; 8] =
        [0x7380_166f, 0x4914_b2b9, 0x1724_42d7, 0xda8a_0600, 0xa96f_30bc, 0x1631_38aa, 0xe38d_ee4d, 0xb0fb_0e4e];
    const MARK: u8 = 0x80;
    const TRAILER: usize = 8;

    #[inline(always)]
    fn finish_padding(block: &mut [u8; 64], message_len: usize) {
        pad_with_length(block, message_len);
    }

    fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        for block in blocks {
            let mut words = [0; 16];
            for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
                *word = u32::from_be_bytes(*bytes);
            }
            compress((), state, &mut words);
        }
    }

    #[inline(always)]
    fn digest(state: &[u32; 8]) -> [u8; 32] {
        big_endian(state)
    }
}

/// The constants `T_j <<< (j mod 32)` of GB/T 32905 §4.2.
static T: [u32; 64] = {
    let mut table = [0; 64];
    let (mut j, mut rotation) = (0, 0);
    while j < 64 {
        let t: u32 = if j < 16 { 0x79cc_4519 } else { 0x7a87_9d8a };
        table[j] = t.rotate_left(rotation);
        rotation = (rotation + 1) % 32;
        j += 1;
    }
    table
};

/// The compression function CF (GB/T 32905 §5.3). `w` is the block as big-endian words; it is used up.
#[inline(always)]
pub(super) fn compress<W: Word<Lane = u32>>(cpu: W::Cpu, state: &mut [W; 8], w: &mut [W; 16]) {
    let mut v = *state;
    let [early, later @ ..] = T.as_chunks::<16>().0 else { return };
    four_rounds::<W, true, false, 0>(cpu, &mut v, w, early);
    four_rounds::<W, true, false, 4>(cpu, &mut v, w, early);
    four_rounds::<W, true, false, 8>(cpu, &mut v, w, early);
    four_rounds::<W, true, true, 12>(cpu, &mut v, w, early);
    for t in later {
        four_rounds::<W, false, true, 0>(cpu, &mut v, w, t);
        four_rounds::<W, false, true, 4>(cpu, &mut v, w, t);
        four_rounds::<W, false, true, 8>(cpu, &mut v, w, t);
        four_rounds::<W, false, true, 12>(cpu, &mut v, w, t);
    }
    for (state, v) in state.iter_mut().zip(v) {
        *state = state.xor(v);
    }
}

/// Rounds `J` to `J + 3` of sixteen. After four rounds every variable is back in its place, so none is ever moved.
/// `EARLY`: the first sixteen, with the first pair of boolean functions. `EXPAND`: rounds that need new message words.
#[inline(always)]
fn four_rounds<W: Word<Lane = u32>, const EARLY: bool, const EXPAND: bool, const J: usize>(
    cpu: W::Cpu,
    v: &mut [W; 8],
    w: &mut [W; 16],
    t: &[u32; 16],
) {
    let [a, b, c, d, e, f, g, h] = v;
    round::<W, EARLY, EXPAND>(cpu, (a, b, c, d), (e, f, g, h), w, t, J);
    round::<W, EARLY, EXPAND>(cpu, (d, a, b, c), (h, e, f, g), w, t, J + 1);
    round::<W, EARLY, EXPAND>(cpu, (c, d, a, b), (g, h, e, f), w, t, J + 2);
    round::<W, EARLY, EXPAND>(cpu, (b, c, d, a), (f, g, h, e), w, t, J + 3);
}

type Half<'v, W> = (&'v mut W, &'v mut W, &'v mut W, &'v mut W);

/// One round, in place: the new `a` comes to stand in `d`, the new `e` in `h`.
/// `w` holds the words from `w[j - 12]` to `w[j + 3]`, each at its index modulo 16, and after the round `w[j + 4]` too.
#[inline(always)]
fn round<W: Word<Lane = u32>, const EARLY: bool, const EXPAND: bool>(
    cpu: W::Cpu,
    (a, b, c, d): Half<'_, W>,
    (e, f, g, h): Half<'_, W>,
    w: &mut [W; 16],
    t: &[u32; 16],
    j: usize,
) {
    if EXPAND {
        // w[j + 4] from w[j - 12], w[j - 5], w[j + 1], w[j - 9] and w[j - 2].
        let word = |i: usize| w[(j + i) % 16];
        let mixed = word(4).xor3(word(11), word(1).rotate_left(15)).xor_two_rotations(15);
        w[(j + 4) % 16] = mixed.xor3(word(7).rotate_left(7), word(14));
    }
    let (now, later) = (w[j], w[(j + 4) % 16]);

    let a12 = a.rotate_left(12);
    let ss1 = a12.add(e.add(W::splat(cpu, t[j]))).rotate_left(7);
    let ss2 = ss1.xor(a12);
    let (ff, gg) = if EARLY { (a.xor3(*b, *c), e.xor3(*f, *g)) } else { (a.majority(*b, *c), e.choose(*f, *g)) };
    let tt1 = ff.add(d.add(now.xor(later))).add(ss2);
    let tt2 = gg.add(h.add(now)).add(ss1);
    *b = b.rotate_left(9);
    *f = f.rotate_left(19);
    *d = tt1;
    *h = tt2.xor_two_rotations(9);
}
