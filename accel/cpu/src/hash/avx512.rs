//! Sixteen words of 32 bits or eight of 64 in 512-bit vectors: rotations and three-operand logic are one instruction.

use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_add_epi32, _mm512_add_epi64, _mm512_castsi128_si512, _mm512_inserti32x4,
    _mm512_loadu_si512, _mm512_rolv_epi32, _mm512_rolv_epi64, _mm512_rorv_epi32, _mm512_rorv_epi64, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_srlv_epi32, _mm512_srlv_epi64,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::{
    keccak::{self, Keccak256},
    sha2::{Sha256, Sha512},
    sha2_rounds,
    sm3::{self, Sm3},
    wide::{Columns, Wide, last_words},
    word::Word,
};
use crate::detect::{Avx512, ShaNi};

/// Sixteen lanes of 32 bits.
#[derive(Clone, Copy)]
struct U32x16(__m512i);

/// Eight lanes of 64 bits.
#[derive(Clone, Copy)]
struct U64x8(__m512i);

/// An expression of intrinsics, for functions that have a value of the types above or a witness at hand.
macro_rules! avx512 {
    ($intrinsics:expr) => {
        // SAFETY: a witness was there when the values used were made (see `Word`), so the CPU has AVX-512. Memory is
        // accessed through references to arrays of the vector's size, or within bounds that were checked.
        unsafe { $intrinsics }
    };
}

macro_rules! avx512_word {
    ($word:ident, $lane:ty, $lanes:literal, $splat:ident, $add:ident, $rol:ident, $ror:ident, $shr:ident) => {
        impl $word {
            /// A number of bits, in every lane.
            #[inline(always)]
            fn count(self, n: u32) -> __m512i {
                avx512!($splat(<$lane>::from(n).cast_signed()))
            }
            /// Any function of three bits: bit `4 * a + 2 * b + c` of `TABLE`.
            #[inline(always)]
            fn logic<const TABLE: i32>(self, b: Self, c: Self) -> Self {
                avx512!(Self(_mm512_ternarylogic_epi64::<TABLE>(self.0, b.0, c.0)))
            }
        }

        impl Word for $word {
            type Cpu = Avx512;
            type Lane = $lane;
            type Row = [$lane; $lanes];

            #[inline(always)]
            fn splat(_: Avx512, lane: $lane) -> Self {
                avx512!(Self($splat(lane.cast_signed())))
            }
            #[inline(always)]
            fn load(_: Avx512, row: &Self::Row) -> Self {
                avx512!(Self(_mm512_loadu_si512(row.as_ptr().cast())))
            }
            #[inline(always)]
            fn store(self, row: &mut Self::Row) {
                avx512!(_mm512_storeu_si512(row.as_mut_ptr().cast(), self.0));
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                avx512!(Self($add(self.0, other.0)))
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                avx512!(Self(_mm512_xor_si512(self.0, other.0)))
            }
            #[inline(always)]
            fn rotate_left(self, n: u32) -> Self {
                avx512!(Self($rol(self.0, self.count(n))))
            }
            #[inline(always)]
            fn rotate_right(self, n: u32) -> Self {
                avx512!(Self($ror(self.0, self.count(n))))
            }
            #[inline(always)]
            fn shift_right(self, n: u32) -> Self {
                avx512!(Self($shr(self.0, self.count(n))))
            }
            #[inline(always)]
            fn xor3(self, b: Self, c: Self) -> Self {
                self.logic::<0b1001_0110>(b, c)
            }
            #[inline(always)]
            fn choose(self, b: Self, c: Self) -> Self {
                self.logic::<0b1100_1010>(b, c)
            }
            #[inline(always)]
            fn majority(self, b: Self, c: Self) -> Self {
                self.logic::<0b1110_1000>(b, c)
            }
            #[inline(always)]
            fn xor_and_not(self, b: Self, c: Self) -> Self {
                self.logic::<0b1101_0010>(b, c)
            }
        }
    };
}

avx512_word!(
    U32x16,
    u32,
    16,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    _mm512_rolv_epi32,
    _mm512_rorv_epi32,
    _mm512_srlv_epi32
);
avx512_word!(
    U64x8,
    u64,
    8,
    _mm512_set1_epi64,
    _mm512_add_epi64,
    _mm512_rolv_epi64,
    _mm512_rorv_epi64,
    _mm512_srlv_epi64
);

/// Reverses the bytes of each word of 32 bits.
#[inline(always)]
fn swap32(_: Avx512, x: __m512i) -> __m512i {
    let order = avx512!(_mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203));
    avx512!(_mm512_shuffle_epi8(x, order))
}

/// Reverses the bytes of each word of 64 bits.
#[inline(always)]
fn swap64(x: U64x8) -> U64x8 {
    let order = avx512!(_mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607));
    avx512!(U64x8(_mm512_shuffle_epi8(x.0, order)))
}

/// Bytes `at` to `at + 16` of four blocks, side by side.
#[inline(always)]
fn four_pieces<const B: usize>(_: Avx512, blocks: [&[u8; B]; 4], at: usize) -> __m512i {
    let [a, b, c, d] = blocks.map(|block| block[at..at + 16].as_ptr().cast());
    avx512!({
        let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(_mm_loadu_si128(a)), _mm_loadu_si128(b));
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, _mm_loadu_si128(c)), _mm_loadu_si128(d))
    })
}

/// The big-endian words of 32 bits of sixteen blocks.
#[inline(always)]
fn words32(cpu: Avx512, blocks: &[&[u8; 64]; 16]) -> [U32x16; 16] {
    let mut words = [U32x16::splat(cpu, 0); 16];
    for (i, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Transposes the 4 x 4 words in each quarter of the vectors.
        let a = swap32(cpu, four_pieces(cpu, [blocks[0], blocks[4], blocks[8], blocks[12]], 16 * i));
        let b = swap32(cpu, four_pieces(cpu, [blocks[1], blocks[5], blocks[9], blocks[13]], 16 * i));
        let c = swap32(cpu, four_pieces(cpu, [blocks[2], blocks[6], blocks[10], blocks[14]], 16 * i));
        let d = swap32(cpu, four_pieces(cpu, [blocks[3], blocks[7], blocks[11], blocks[15]], 16 * i));
        let (ab_low, ab_high) = avx512!((_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)));
        let (cd_low, cd_high) = avx512!((_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d)));
        words[0] = avx512!(U32x16(_mm512_unpacklo_epi64(ab_low, cd_low)));
        words[1] = avx512!(U32x16(_mm512_unpackhi_epi64(ab_low, cd_low)));
        words[2] = avx512!(U32x16(_mm512_unpacklo_epi64(ab_high, cd_high)));
        words[3] = avx512!(U32x16(_mm512_unpackhi_epi64(ab_high, cd_high)));
    }
    words
}

/// Words `2 * i` and `2 * i + 1` of 64 bits, little-endian, of eight blocks.
#[inline(always)]
fn two_words64<const B: usize>(cpu: Avx512, blocks: &[&[u8; B]; 8], i: usize) -> [U64x8; 2] {
    let a = four_pieces(cpu, [blocks[0], blocks[2], blocks[4], blocks[6]], 16 * i);
    let b = four_pieces(cpu, [blocks[1], blocks[3], blocks[5], blocks[7]], 16 * i);
    avx512!([U64x8(_mm512_unpacklo_epi64(a, b)), U64x8(_mm512_unpackhi_epi64(a, b))])
}

impl Wide<Sm3, 64, 16> for Avx512 {
    type States = Columns<u32, 8, 16>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 64]; 16]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compress(cpu: Avx512, states: &mut Columns<u32, 8, 16>, blocks: &[&[u8; 64]; 16]) {
            let mut state = states.load::<U32x16>(cpu);
            sm3::compress(cpu, &mut state, &mut words32(cpu, blocks));
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Sha256, 64, 16> for Avx512 {
    type States = Columns<u32, 8, 16>;

    fn worth(self) -> usize {
        // 64 bytes take 52 ns in sixteen full lanes, 100 ns with SHA-NI and 415 ns with neither.
        if ShaNi::detect().is_some() { 9 } else { 2 }
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 64]; 16]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compress(cpu: Avx512, states: &mut Columns<u32, 8, 16>, blocks: &[&[u8; 64]; 16]) {
            let mut state = states.load::<U32x16>(cpu);
            sha2_rounds::compress::<Sha256, _, _>(cpu, &mut state, &mut words32(cpu, blocks));
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Sha512, 128, 8> for Avx512 {
    type States = Columns<u64, 8, 8>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 128]; 8]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compress(cpu: Avx512, states: &mut Columns<u64, 8, 8>, blocks: &[&[u8; 128]; 8]) {
            let mut words = [U64x8::splat(cpu, 0); 16];
            for (i, pair) in words.as_chunks_mut().0.iter_mut().enumerate() {
                let [first, second] = two_words64(cpu, blocks, i);
                *pair = [swap64(first), swap64(second)];
            }
            let mut state = states.load::<U64x8>(cpu);
            sha2_rounds::compress::<Sha512, _, _>(cpu, &mut state, &mut words);
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Keccak256, 136, 8> for Avx512 {
    type States = Columns<u64, 25, 8>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 136]; 8]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compress(cpu: Avx512, states: &mut Columns<u64, 25, 8>, blocks: &[&[u8; 136]; 8]) {
            let mut state = states.load::<U64x8>(cpu);
            for i in 0..8 {
                let [first, second] = two_words64(cpu, blocks, i);
                state[2 * i] = state[2 * i].xor(first);
                state[2 * i + 1] = state[2 * i + 1].xor(second);
            }
            state[16] = state[16].xor(U64x8::load(cpu, &last_words(blocks)));
            keccak::permute(cpu, &mut state);
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}
