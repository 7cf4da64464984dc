//! How far a client is.

use dolmen_types::PublicKey;

/// What a client is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody that it is connected with keeps the state of a block that it trusts.
    Waiting,
    /// Someone keeps a state, and it fetches the links that lead to the block, to check it.
    Links,
    /// It fetches accounts and slots, and code on the way.
    State,
    /// It fetches the blocks, and what is missing of the code.
    Blocks,
    /// It has all.
    Done,
}

/// How far a client is, for people.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is at.
    pub phase: Phase,
    /// Height of the block whose state it fetches; 0 where there is none yet.
    pub height: u64,
    /// The epoch whose validators it knows, as far as it had to ask.
    pub epoch: u64,
    /// How much of the accounts it has, of 1, by their hashed keys.
    pub accounts: f64,
    /// Storages large enough to be fetched by themselves that are not whole.
    pub storages_open: usize,
    /// Code that it lacks, so far.
    pub codes_missing: usize,
    /// Blocks that it lacks, once it knows their headers.
    pub blocks_missing: usize,
    /// Parts of tries taken since the start.
    pub parts: u64,
    /// Bytes of answers taken since the start.
    pub bytes: u64,
    /// Connected peers, in order of their keys.
    pub peers: Vec<PeerReport>,
}

/// What came of a peer since it was last connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its key.
    pub peer: PublicKey,
    /// Whether it keeps the state that is being fetched.
    pub serves: bool,
    /// Answers that were taken.
    pub answers: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests that it did not answer in time.
    pub timeouts: u64,
    /// Requests that it has not answered yet.
    pub in_flight: usize,
}
