//! Cuts a message of several parts into padded blocks.

use super::function::Function;

/// How far a message, the concatenation of its parts, has been cut into blocks.
pub(super) struct Cursor<'m, const N: usize, D> {
    parts: &'m [&'m [u8]; N],
    /// The part that the next byte comes from, and where in it.
    part: usize,
    offset: usize,
    message_len: usize,
    /// The padding's first byte is in a block.
    marked: bool,
    /// The last block was cut.
    pub(super) done: bool,
    /// Where the digest goes.
    pub(super) digest: &'m mut D,
}

impl<'m, const N: usize, D> Cursor<'m, N, D> {
    #[inline]
    pub(super) fn new((parts, digest): (&'m [&'m [u8]; N], &'m mut D)) -> Self {
        let message_len = parts.iter().map(|part| part.len()).sum();
        Self { parts, part: 0, offset: 0, message_len, marked: false, done: false, digest }
    }

    /// The whole blocks that lie in the current part, which need no copy.
    #[inline]
    pub(super) fn whole_blocks<const B: usize>(&mut self) -> &'m [[u8; B]] {
        let Some(part) = self.parts.get(self.part) else { return &[] };
        let (blocks, _) = part[self.offset..].as_chunks();
        self.offset += blocks.len() * B;
        blocks
    }

    /// The next block: in the message itself where one part holds it all, else put together in `buffer`.
    #[inline]
    pub(super) fn next_block<'b, F: Function<B>, const B: usize>(&mut self, buffer: &'b mut [u8; B]) -> &'b [u8; B]
    where
        'm: 'b,
    {
        if let Some(block) = self.parts.get(self.part).and_then(|part| part[self.offset..].first_chunk()) {
            self.offset += B;
            return block;
        }
        *buffer = [0; B];
        let mut used = self.copy_into(buffer);
        // A block that the message fills leaves the padding to the next one.
        if used < B {
            if !self.marked {
                buffer[used] = F::MARK;
                used += 1;
                self.marked = true;
            }
            if used + F::TRAILER <= B {
                F::finish_padding(buffer, self.message_len);
                self.done = true;
            }
        }
        buffer
    }

    /// Copies what the block has room for and returns how much that was.
    #[inline]
    fn copy_into(&mut self, block: &mut [u8]) -> usize {
        let mut used = 0;
        while let Some(part) = self.parts.get(self.part) {
            let rest = &part[self.offset..];
            let free = &mut block[used..];
            let n = rest.len().min(free.len());
            copy(&mut free[..n], &rest[..n]);
            used += n;
            if n < rest.len() {
                self.offset += n;
                break;
            }
            self.part += 1;
            self.offset = 0;
        }
        used
    }
}

/// Copies between slices of one length. Parts are often keys or hashes of 32 bytes, for which a call of `memcpy` costs
/// more than the copy: two moves that may overlap do.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let n = from.len();
    match n {
        16..=32 => {
            to[..16].copy_from_slice(&from[..16]);
            to[n - 16..].copy_from_slice(&from[n - 16..]);
        }
        33..=64 => {
            to[..32].copy_from_slice(&from[..32]);
            to[n - 32..].copy_from_slice(&from[n - 32..]);
        }
        _ => to.copy_from_slice(from),
    }
}
