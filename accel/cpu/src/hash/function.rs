//! A hash function by itself, one message at a time.

use std::slice;

use super::cursor::Cursor;

/// A hash function. Blocks have `B` bytes.
pub(super) trait Function<const B: usize> {
    /// The chaining value.
    type State: Copy;
    /// The result.
    type Digest;

    /// The chaining value before the first block.
    const INITIAL: Self::State;
    /// The padding's first byte, which follows the message.
    const MARK: u8;
    /// Bytes that the padding needs at the last block's end, beside the mark.
    const TRAILER: usize;

    /// Completes the last block, which so far has the message's rest, the mark and zeros.
    fn finish_padding(block: &mut [u8; B], message_len: usize);
    /// Takes whole blocks into the state.
    fn compress(state: &mut Self::State, blocks: &[[u8; B]]);
    /// The digest, after the last block.
    fn digest(state: &Self::State) -> Self::Digest;
}

/// Hashes message after message.
pub(super) fn scalar<F: Function<B>, const B: usize, const N: usize>(
    messages: &[[&[u8]; N]],
    digests: &mut [F::Digest],
) {
    for message in messages.iter().zip(digests) {
        finish::<F, B, N>(Cursor::new(message), F::INITIAL);
    }
}

/// Hashes the rest of one message.
pub(super) fn finish<F: Function<B>, const B: usize, const N: usize>(
    mut cursor: Cursor<'_, N, F::Digest>,
    mut state: F::State,
) {
    let mut buffer = [0; B];
    while !cursor.done {
        let whole = cursor.whole_blocks();
        let blocks = if whole.is_empty() { slice::from_ref(cursor.next_block::<F, B>(&mut buffer)) } else { whole };
        F::compress(&mut state, blocks);
    }
    *cursor.digest = F::digest(&state);
}

/// Padding of SM3 and SHA-2: the message's length in bits as a big-endian number at the block's end.
#[inline]
pub(super) fn pad_with_length<const B: usize>(block: &mut [u8; B], message_len: usize) {
    // 61 bits of a length in bytes cover all of memory.
    let bits = message_len as u64 * 8;
    if let Some(end) = block.last_chunk_mut() {
        *end = bits.to_be_bytes();
    }
}

/// Big-endian digest of a state of eight words of 32 bits.
#[inline(always)]
pub(super) fn big_endian(state: &[u32; 8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}
