//! The bounds of fetching and serving a state, with the reason for each number, and the relations between them. How
//! large a part of a state is stands with the parts: [`RangeLimits`].

use dolmen_store::snapshot::{PIVOTS_KEPT, RangeLimits};

/// Largest message: a part, and what stands around it. Votes go over the same connection and wait behind one message at
/// most, 5 ms on a line of 1 Gbit/s.
pub const MESSAGE_BYTES_MAX: usize = RangeLimits::STANDARD.bytes + (64 << 10);
/// Largest request, which is one for nodes.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Nodes that one request asks for. An extension with the branch below it has 650 bytes at most.
pub const NODES_MAX: usize = 256;
/// Code that one request asks for: 24 KiB each at most (EIP-170), but a tenth of it as a rule.
pub const CODES_MAX: usize = 128;
/// Headers that one request asks for: the pivot's, and those of the blocks before it that the EVM may ask the hash of.
pub const HEADERS_MAX: usize = 1 + BLOCKS_BEFORE;
/// Blocks before the pivot that a box needs: `BLOCKHASH` reaches so far back.
pub const BLOCKS_BEFORE: usize = 256;
/// Bytes of a block that one message carries.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Links that one request asks for: half a message with four validators; with the most that a chain has ten or so fit.
pub const LINKS_MAX: usize = 256;
/// Pivots in a message: as many as a box keeps, and room for more in later versions.
pub const PIVOTS_MAX: usize = 16;

/// Requests that a peer has at a time: the next one is on its way while it answers the last.
pub const IN_FLIGHT: usize = 4;
/// Requests of a peer whose time is over and whose answers are still taken: a slow line is no reason to fetch twice.
pub const LATE: usize = 8;
/// How long an answer may take, milliseconds: four messages of the largest size on a line of 2 Mbit/s.
pub const REQUEST_MS: u64 = 10_000;
/// How long a peer is left alone that did not answer in time, milliseconds; twice as long each time.
pub const SILENT_MS: u64 = 1_000;
/// The longest.
pub const SILENT_MS_MAX: u64 = 60_000;
/// How long a peer is left alone that says it is busy, milliseconds: some allowance is back by then.
pub const BUSY_MS: u64 = 500;
/// How long a peer is left alone that lacks what it was asked for, milliseconds: it may be behind the others.
pub const LACKING_MS: u64 = 5_000;
/// Between two questions for a peer's pivots, milliseconds.
pub const POLL_MS: u64 = 5_000;
/// How long nobody may have the state that is being fetched before it is given up for a later one, milliseconds: peers
/// that restart are back by then.
pub const UNSERVED_MS: u64 = 15_000;
/// How long nothing of a state may come that someone says to keep before it is given up too, milliseconds: who only
/// says so must not hold a box up.
pub const STALLED_MS: u64 = 60_000;
/// Later pivots that are kept in mind.
pub const TRUSTED_MAX: usize = 4;
/// Between two checks of a pivot that could not be told to be the chain's, milliseconds: who checks may know more by
/// then.
pub const OFFER_AGAIN_MS: u64 = 30_000;
/// Pivots in mind that were handed on to be checked.
pub const OFFERED_MAX: usize = 256;

/// What a peer may cost a serving box at once, bytes read or sent.
pub const ALLOWANCE_BYTES: u64 = 16 << 20;
/// And what comes back of it a second: a state of 250 MB in a minute, and a twentieth of a core.
pub const ALLOWANCE_BYTES_PER_SECOND: u64 = 4 << 20;

const _: () = assert!(PIVOTS_KEPT <= PIVOTS_MAX);
const _: () = assert!(NODES_MAX * 650 < MESSAGE_BYTES_MAX);
const _: () = assert!(NODES_MAX * 35 + 100 < REQUEST_BYTES_MAX && CODES_MAX * 33 + 20 < REQUEST_BYTES_MAX);
const _: () = assert!(HEADERS_MAX * 800 < MESSAGE_BYTES_MAX && CHUNK_BYTES + 100 < MESSAGE_BYTES_MAX);
