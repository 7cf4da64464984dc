//! The bounds of a node as a whole, with the reason for each number, and the relations between them. What a part bounds
//! within itself stands in that part: `dolmen_rpc::RpcLimits`, `dolmen_pool::PoolConfig`, the consensus crate's `network.rs`.

use std::{num::NonZeroUsize, time::Duration};

use dolmen_pool::gossip::GossipLimits;

/// Unfinalized blocks kept with their results. Consensus extends only notarized blocks, so a handful is usual; each
/// may hold a block's worth of changes, so many would not fit in memory.
pub const SPECULATIVE_BLOCKS_MAX: usize = 32;

/// Blocks above the committed head from which a proposer waits for its disk: half of the layers, so that a commit finds
/// its block executed.
pub const UNCOMMITTED_BLOCKS_MAX: u64 = 16;

/// Blocks waiting for the execution thread: one proposal and one verification a view, and views wait for them.
pub const EXECUTION_QUEUE: usize = 8;

/// Longest time that building a block may take: voters execute the same block within the view.
pub const BUILD_TIME: Duration = Duration::from_millis(200);

/// How far a block's time may lie ahead of this box's clock before the box waits: above the drift of NTP, below the
/// leader timeout.
pub const CLOCK_AHEAD: Duration = Duration::from_millis(500);

/// A proposer is given up this long after the longest wait for a transaction: time to build, send and execute.
pub const LEADER_GRACE: Duration = Duration::from_millis(500);

/// Verified transactions kept by hash, so that a signature is checked once: as many as the pool holds.
pub const SENDER_CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// Bytes of them.
pub const SENDER_CACHE_BYTES: usize = 64 << 20;

/// Gossip messages from peers waiting to be verified; beyond it they are dropped, and announced again by their origin.
pub const GOSSIP_IN_QUEUE: usize = 64;
/// How long the gossip of a box is ignored that sent a message which a correct box never sends: it costs a tenth of a
/// second of one core at most to find out, so a lying box gets a six-hundredth of it. What is ignored comes in blocks.
pub const GOSSIP_IGNORED: Duration = Duration::from_secs(60);
/// Gossip messages: shared with the pool's encoder.
pub const GOSSIP: GossipLimits =
    GossipLimits { message_bytes_max: 262_144, transactions_max: 2048, tx_bytes_max: 131_072 };
/// How long local transactions are gathered before they are announced: one message for many clients' transactions.
pub const GOSSIP_DELAY: Duration = Duration::from_millis(4);

/// Requests of boxes that join, waiting to be answered: those of four such boxes. More are dropped, and asked for again.
/// They have 16 KiB each at most.
pub const SYNC_QUEUE: usize = 16;
/// Bytes a second that this box sends to boxes that join, to all of them together: a sixteenth of a line of 1 Gbit/s,
/// whose rest is for blocks and votes. What one of them may have of it is bounded by itself
/// ([`dolmen_sync::limits::ALLOWANCE_BYTES_PER_SECOND`]).
pub const SYNC_BYTES_PER_SECOND: u64 = 8 << 20;
/// How much longer than answering a request took a box rests from it: so answering takes a quarter of one core at most,
/// which blocks can spare also on two cores.
pub const SYNC_REST: u32 = 3;
/// How long a new box looks for one that keeps a state before it executes all blocks instead: boxes connect within
/// seconds, and one that was restarted answers again within this time.
pub const PIVOT_PATIENCE: Duration = Duration::from_secs(30);
/// Between two lines in the log that say how far fetching a state is.
pub const JOIN_REPORT: Duration = Duration::from_secs(5);

/// Between two rounds of upkeep in the pool: expiry and repeated announcements.
pub const POOL_UPKEEP: Duration = Duration::from_secs(1);

/// Finalized blocks that a slow reader of the event stream may lag behind before it loses some: 5 s at 50 a second.
pub const EVENTS: usize = 256;

/// Finality samples behind the percentiles: about a minute under load.
pub const FINALITY_SAMPLES: usize = 1024;
/// Blocks in the list of recent ones.
pub const RECENT_BLOCKS: usize = 50;

/// A box that is this many blocks behind the height that f + 1 of its peers have reached says that it is syncing.
pub const SYNCING_BLOCKS: u64 = 16;

/// How long a stopping box waits for JSON-RPC requests in progress.
pub const RPC_GRACE: Duration = Duration::from_secs(2);

/// How long a stopping box waits for consensus after that: far longer than a commit takes, and both together end before
/// a supervisor kills the box (systemd after 90 s, `dolmen devnet` after 10 s).
pub const CONSENSUS_GRACE: Duration = Duration::from_secs(5);

/// Threads of the consensus runtime: votes must not wait for the transport, and more would only contend.
pub const CONSENSUS_THREADS: usize = 2;

const _: () =
    assert!(SYNC_BYTES_PER_SECOND >= dolmen_sync::limits::ALLOWANCE_BYTES_PER_SECOND, "one may have its part");
const _: () = assert!(GOSSIP.message_bytes_max > GOSSIP.tx_bytes_max + 30, "the largest transaction fits a message");
const _: () = assert!(CLOCK_AHEAD.as_millis() <= LEADER_GRACE.as_millis(), "waiting for a clock outlives no leader");
