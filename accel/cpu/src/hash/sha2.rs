//! SHA-256 and SHA-512 (FIPS 180-4).

use super::function::{Function, big_endian, pad_with_length};

/// SHA-256: blocks of 64 bytes, digests of 32.
pub(super) struct Sha256;

impl Function<64> for Sha256 {
    type State = [u32; 8];
    type Digest = [u8; 32];

    const INITIAL: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    const MARK: u8 = 0x80;
    const TRAILER: usize = 8;

    #[inline(always)]
    fn finish_padding(block: &mut [u8; 64], message_len: usize) {
        pad_with_length(block, message_len);
    }

    fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
        // Uses the SHA instructions where the CPU has them.
        sha2::block_api::compress256(state, blocks);
    }

    #[inline(always)]
    fn digest(state: &[u32; 8]) -> [u8; 32] {
        big_endian(state)
    }
}

/// SHA-512: blocks of 128 bytes, digests of 64.
pub(super) struct Sha512;

impl Function<128> for Sha512 {
    type State = [u64; 8];
    type Digest = [u8; 64];

    const INITIAL: [u64; 8] = [
        0x6a09_e667_f3bc_c908,
        0xbb67_ae85_84ca_a73b,
        0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1,
        0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b,
        0x5be0_cd19_137e_2179,
    ];
    const MARK: u8 = 0x80;
    const TRAILER: usize = 16;

    #[inline(always)]
    fn finish_padding(block: &mut [u8; 128], message_len: usize) {
        pad_with_length(block, message_len);
    }

    fn compress(state: &mut [u64; 8], blocks: &[[u8; 128]]) {
        sha2::block_api::compress512(state, blocks);
    }

    #[inline(always)]
    fn digest(state: &[u64; 8]) -> [u8; 64] {
        let mut digest = [0; 64];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}
