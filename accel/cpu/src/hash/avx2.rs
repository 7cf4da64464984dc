//! Eight words of 32 bits or four of 64 in 256-bit vectors.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_loadu_si256, _mm256_loadu2_m128i, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_sll_epi32, _mm256_sll_epi64, _mm256_srl_epi32, _mm256_srl_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::{
    keccak::{self, Keccak256},
    sha2::{Sha256, Sha512},
    sha2_rounds,
    sm3::{self, Sm3},
    wide::{Columns, Wide, last_words},
    word::Word,
};
use crate::detect::{Avx2, ShaNi};

/// Eight lanes of 32 bits.
#[derive(Clone, Copy)]
struct U32x8(__m256i);

/// Four lanes of 64 bits.
#[derive(Clone, Copy)]
struct U64x4(__m256i);

/// An expression of intrinsics, for functions that have a value of the types above or a witness at hand.
macro_rules! avx2 {
    ($intrinsics:expr) => {
        // SAFETY: a witness was there when the values used were made (see `Word`), so the CPU has AVX2. Memory is
        // accessed through references to arrays of the vector's size, or within bounds that were checked.
        unsafe { $intrinsics }
    };
}

macro_rules! avx2_word {
    ($word:ident, $lane:ty, $lanes:literal, $as:ty, $splat:ident, $add:ident, $shl:ident, $shr:ident) => {
        impl Word for $word {
            type Cpu = Avx2;
            type Lane = $lane;
            type Row = [$lane; $lanes];

            #[inline(always)]
            fn splat(_: Avx2, lane: $lane) -> Self {
                avx2!(Self($splat(lane.cast_signed())))
            }
            #[inline(always)]
            fn load(_: Avx2, row: &Self::Row) -> Self {
                avx2!(Self(_mm256_loadu_si256(row.as_ptr().cast())))
            }
            #[inline(always)]
            fn store(self, row: &mut Self::Row) {
                avx2!(_mm256_storeu_si256(row.as_mut_ptr().cast(), self.0));
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                avx2!(Self($add(self.0, other.0)))
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                avx2!(Self(_mm256_xor_si256(self.0, other.0)))
            }
            #[inline(always)]
            fn rotate_left(self, n: u32) -> Self {
                self.rotate_right(<$lane>::BITS - n)
            }
            #[inline(always)]
            fn rotate_right(self, n: u32) -> Self {
                let left = (<$lane>::BITS - n).cast_signed();
                let high = avx2!(Self($shl(self.0, _mm_cvtsi32_si128(left))));
                avx2!(Self(_mm256_or_si256(high.0, self.shift_right(n).0)))
            }
            #[inline(always)]
            fn shift_right(self, n: u32) -> Self {
                avx2!(Self($shr(self.0, _mm_cvtsi32_si128(n.cast_signed()))))
            }
            /// One rotation less: by eight bits is a move of bytes.
            #[inline(always)]
            fn xor_two_rotations(self, n: u32) -> Self {
                self.xor(self.xor(self.rotate_left_8()).rotate_left(n))
            }
            #[inline(always)]
            fn xor3(self, b: Self, c: Self) -> Self {
                self.xor(b).xor(c)
            }
            #[inline(always)]
            fn choose(self, b: Self, c: Self) -> Self {
                avx2!(Self(_mm256_or_si256(_mm256_and_si256(self.0, b.0), _mm256_andnot_si256(self.0, c.0))))
            }
            #[inline(always)]
            fn majority(self, b: Self, c: Self) -> Self {
                avx2!(Self(_mm256_or_si256(
                    _mm256_and_si256(self.0, b.0),
                    _mm256_and_si256(c.0, _mm256_or_si256(self.0, b.0))
                )))
            }
            #[inline(always)]
            fn xor_and_not(self, b: Self, c: Self) -> Self {
                avx2!(Self(_mm256_xor_si256(self.0, _mm256_andnot_si256(b.0, c.0))))
            }
        }
    };
}

avx2_word!(U32x8, u32, 8, i32, _mm256_set1_epi32, _mm256_add_epi32, _mm256_sll_epi32, _mm256_srl_epi32);
avx2_word!(U64x4, u64, 4, i64, _mm256_set1_epi64x, _mm256_add_epi64, _mm256_sll_epi64, _mm256_srl_epi64);

impl U32x8 {
    #[inline(always)]
    fn rotate_left_8(self) -> Self {
        avx2!(Self(_mm256_shuffle_epi8(
            self.0,
            _mm256_setr_epi8(
                3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13,
                14
            )
        )))
    }
}

impl U64x4 {
    #[inline(always)]
    fn rotate_left_8(self) -> Self {
        avx2!(Self(_mm256_shuffle_epi8(
            self.0,
            _mm256_setr_epi8(
                7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14, 7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13,
                14
            )
        )))
    }
}

/// Reverses the bytes of each word of 32 bits.
#[inline(always)]
fn swap32(_: Avx2, x: __m256i) -> __m256i {
    avx2!(_mm256_shuffle_epi8(
        x,
        _mm256_setr_epi8(
            3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
        )
    ))
}

/// Reverses the bytes of each word of 64 bits.
#[inline(always)]
fn swap64(x: U64x4) -> U64x4 {
    avx2!(U64x4(_mm256_shuffle_epi8(
        x.0,
        _mm256_setr_epi8(
            7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8
        )
    )))
}

/// Bytes `at` to `at + 16` of two blocks, side by side.
#[inline(always)]
fn two_pieces<const B: usize>(_: Avx2, first: &[u8; B], second: &[u8; B], at: usize) -> __m256i {
    let (first, second) = (&first[at..at + 16], &second[at..at + 16]);
    avx2!(_mm256_loadu2_m128i(second.as_ptr().cast(), first.as_ptr().cast()))
}

/// The big-endian words of 32 bits of eight blocks.
#[inline(always)]
fn words32(cpu: Avx2, blocks: &[&[u8; 64]; 8]) -> [U32x8; 16] {
    let mut words = [U32x8::splat(cpu, 0); 16];
    for (i, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Transposes the 4 x 4 words in each half of the vectors.
        let a = swap32(cpu, two_pieces(cpu, blocks[0], blocks[4], 16 * i));
        let b = swap32(cpu, two_pieces(cpu, blocks[1], blocks[5], 16 * i));
        let c = swap32(cpu, two_pieces(cpu, blocks[2], blocks[6], 16 * i));
        let d = swap32(cpu, two_pieces(cpu, blocks[3], blocks[7], 16 * i));
        let (ab_low, ab_high) = avx2!((_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)));
        let (cd_low, cd_high) = avx2!((_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d)));
        words[0] = avx2!(U32x8(_mm256_unpacklo_epi64(ab_low, cd_low)));
        words[1] = avx2!(U32x8(_mm256_unpackhi_epi64(ab_low, cd_low)));
        words[2] = avx2!(U32x8(_mm256_unpacklo_epi64(ab_high, cd_high)));
        words[3] = avx2!(U32x8(_mm256_unpackhi_epi64(ab_high, cd_high)));
    }
    words
}

/// Words `2 * i` and `2 * i + 1` of 64 bits, little-endian, of four blocks.
#[inline(always)]
fn two_words64<const B: usize>(cpu: Avx2, blocks: &[&[u8; B]; 4], i: usize) -> [U64x4; 2] {
    let a = two_pieces(cpu, blocks[0], blocks[2], 16 * i);
    let b = two_pieces(cpu, blocks[1], blocks[3], 16 * i);
    avx2!([U64x4(_mm256_unpacklo_epi64(a, b)), U64x4(_mm256_unpackhi_epi64(a, b))])
}

impl Wide<Sm3, 64, 8> for Avx2 {
    type States = Columns<u32, 8, 8>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 64]; 8]) {
        #[target_feature(enable = "avx2")]
        fn compress(cpu: Avx2, states: &mut Columns<u32, 8, 8>, blocks: &[&[u8; 64]; 8]) {
            let mut state = states.load::<U32x8>(cpu);
            sm3::compress(cpu, &mut state, &mut words32(cpu, blocks));
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Sha256, 64, 8> for Avx2 {
    type States = Columns<u32, 8, 8>;

    fn worth(self) -> usize {
        // 64 bytes take 110 ns in eight lanes, 100 ns with SHA-NI and 415 ns with neither.
        if ShaNi::detect().is_some() { usize::MAX } else { 3 }
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 64]; 8]) {
        #[target_feature(enable = "avx2")]
        fn compress(cpu: Avx2, states: &mut Columns<u32, 8, 8>, blocks: &[&[u8; 64]; 8]) {
            let mut state = states.load::<U32x8>(cpu);
            sha2_rounds::compress::<Sha256, _, _>(cpu, &mut state, &mut words32(cpu, blocks));
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Sha512, 128, 4> for Avx2 {
    type States = Columns<u64, 8, 4>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 128]; 4]) {
        #[target_feature(enable = "avx2")]
        fn compress(cpu: Avx2, states: &mut Columns<u64, 8, 4>, blocks: &[&[u8; 128]; 4]) {
            let mut words = [U64x4::splat(cpu, 0); 16];
            for (i, pair) in words.as_chunks_mut().0.iter_mut().enumerate() {
                let [first, second] = two_words64(cpu, blocks, i);
                *pair = [swap64(first), swap64(second)];
            }
            let mut state = states.load::<U64x4>(cpu);
            sha2_rounds::compress::<Sha512, _, _>(cpu, &mut state, &mut words);
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}

impl Wide<Keccak256, 136, 4> for Avx2 {
    type States = Columns<u64, 25, 4>;

    fn worth(self) -> usize {
        2
    }

    fn compress(self, states: &mut Self::States, blocks: &[&[u8; 136]; 4]) {
        #[target_feature(enable = "avx2")]
        fn compress(cpu: Avx2, states: &mut Columns<u64, 25, 4>, blocks: &[&[u8; 136]; 4]) {
            let mut state = states.load::<U64x4>(cpu);
            for i in 0..8 {
                let [first, second] = two_words64(cpu, blocks, i);
                state[2 * i] = state[2 * i].xor(first);
                state[2 * i + 1] = state[2 * i + 1].xor(second);
            }
            state[16] = state[16].xor(U64x4::load(cpu, &last_words(blocks)));
            keccak::permute(cpu, &mut state);
            states.store(&state);
        }
        // SAFETY: `self` is the witness.
        unsafe { compress(self, states, blocks) }
    }
}
