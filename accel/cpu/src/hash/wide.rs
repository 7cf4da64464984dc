//! Keeps the lanes of a wide implementation busy with messages.

use super::{
    cursor::Cursor,
    function::{Function, finish},
    word::Word,
};

/// A CPU's instructions, named by their witness, that take one block of each of `L` messages at once.
pub(super) trait Wide<F: Function<B>, const B: usize, const L: usize>: Copy {
    /// The chaining values of all lanes.
    type States: Table<F::State>;

    /// With fewer busy lanes than this, one message after the other is faster: the lanes take the same time whether they
    /// are busy or not. Numbers and the figures beside them are measured (Sapphire Rapids, 64-byte messages).
    fn worth(self) -> usize;

    /// Takes one block into each lane's state.
    fn compress(self, states: &mut Self::States, blocks: &[&[u8; B]; L]);
}

/// States of several messages, stored as the wide code wants them.
pub(super) trait Table<S> {
    /// Every lane in the same state.
    fn new(state: &S) -> Self;
    /// One lane's state.
    fn get(&self, lane: usize) -> S;
    /// Replaces one lane's state.
    fn set(&mut self, lane: usize, state: &S);
}

/// Word by word, the lanes side by side.
#[repr(align(64))]
pub(super) struct Columns<T, const WORDS: usize, const L: usize>([[T; L]; WORDS]);

impl<T: Copy + Default, const WORDS: usize, const L: usize> Table<[T; WORDS]> for Columns<T, WORDS, L> {
    #[inline(always)]
    fn new(state: &[T; WORDS]) -> Self {
        let mut rows = [[T::default(); L]; WORDS];
        for (row, word) in rows.iter_mut().zip(state) {
            *row = [*word; L];
        }
        Self(rows)
    }

    #[inline(always)]
    fn get(&self, lane: usize) -> [T; WORDS] {
        let mut state = [T::default(); WORDS];
        for (word, row) in state.iter_mut().zip(&self.0) {
            *word = row[lane];
        }
        state
    }

    #[inline(always)]
    fn set(&mut self, lane: usize, state: &[T; WORDS]) {
        for (row, word) in self.0.iter_mut().zip(state) {
            row[lane] = *word;
        }
    }
}

impl<T, const WORDS: usize, const L: usize> Columns<T, WORDS, L> {
    /// All states, to compute with.
    #[inline(always)]
    pub(super) fn load<W: Word<Row = [T; L]>>(&self, cpu: W::Cpu) -> [W; WORDS] {
        let mut state = [W::load(cpu, &self.0[0]); WORDS];
        for (word, row) in state.iter_mut().zip(&self.0) {
            *word = W::load(cpu, row);
        }
        state
    }

    /// Takes all states back.
    #[inline(always)]
    pub(super) fn store<W: Word<Row = [T; L]>>(&mut self, state: &[W; WORDS]) {
        for (row, word) in self.0.iter_mut().zip(state) {
            word.store(row);
        }
    }
}

/// Keccak-256's last message words, one of each block. Its rate is 17 words, and the transposition takes even numbers.
#[inline(always)]
pub(super) fn last_words<const L: usize>(blocks: &[&[u8; 136]; L]) -> [u64; L] {
    let mut words = [0; L];
    for (word, block) in words.iter_mut().zip(blocks) {
        *word = block.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }
    words
}

/// Hashes `L` messages at once. A lane whose message ends takes the next one, so lengths may differ freely.
pub(super) fn wide<F: Function<B>, C: Wide<F, B, L>, const B: usize, const L: usize, const N: usize>(
    cpu: C,
    messages: &[[&[u8]; N]],
    digests: &mut [F::Digest],
) {
    let mut queue = messages.iter().zip(digests);
    let mut lanes: [Option<Cursor<'_, N, F::Digest>>; L] = std::array::from_fn(|_| queue.next().map(Cursor::new));
    let mut busy = lanes.iter().flatten().count();
    let mut states = C::States::new(&F::INITIAL);
    let mut buffers = [[0; B]; L];
    let worth = cpu.worth();
    while busy >= worth {
        // An idle lane hashes zeros; nobody reads the result.
        let mut blocks = [&[0; B]; L];
        for ((block, buffer), lane) in blocks.iter_mut().zip(&mut buffers).zip(&mut lanes) {
            if let Some(cursor) = lane {
                *block = cursor.next_block::<F, B>(buffer);
            }
        }
        cpu.compress(&mut states, &blocks);
        // Messages of one length end together. Filling the table anew is then cheaper than lane by lane.
        let together = lanes.iter().all(|lane| lane.as_ref().is_some_and(|cursor| cursor.done));
        for (i, lane) in lanes.iter_mut().enumerate() {
            let Some(cursor) = lane.take_if(|cursor| cursor.done) else { continue };
            *cursor.digest = F::digest(&states.get(i));
            *lane = queue.next().map(Cursor::new);
            if lane.is_none() {
                busy -= 1;
            } else if !together {
                states.set(i, &F::INITIAL);
            }
        }
        if together {
            states = C::States::new(&F::INITIAL);
        }
    }
    // What the last lanes still hold goes on one by one, and with it all that no lane took.
    for (i, lane) in lanes.into_iter().enumerate() {
        if let Some(cursor) = lane {
            finish::<F, B, N>(cursor, states.get(i));
        }
    }
    for message in queue {
        finish::<F, B, N>(Cursor::new(message), F::INITIAL);
    }
}
