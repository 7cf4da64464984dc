//! Watching: every box's finalized blocks from its event stream, and the transactions in them from one box.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    client::{BlockHashes, Rpc},
    devnet::BoxDescription,
    load::Flight,
};
use crate::http;

/// Blocks seen and not yet processed: a minute of blocks from four boxes.
const QUEUE: usize = 16_384;
/// Longest silence of an event stream: boxes send their status every 2 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Largest event.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Of a block's transactions, the first and every one this far on is sampled.
const SAMPLE_STEP: usize = 50;
/// Blocks asked for in one request.
const BLOCKS_MAX: usize = 32;

/// A finalized block as a box's event stream reports it.
#[derive(Clone, Debug, Deserialize)]
struct BlockEvent {
    number: u64,
    transactions: usize,
    /// From the proposal to the box's durable commit; `null` for a block that it fetched later.
    finality_ms: Option<f64>,
}

struct Seen {
    /// The box's place.
    node: usize,
    event: BlockEvent,
    at: Instant,
}

/// A finalized block with transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// When its event came from the first box.
    pub(super) at: Instant,
    /// Transactions in it.
    pub(super) transactions: usize,
    /// Gas that they used.
    pub(super) gas_used: u64,
}

/// A box's finality of a block with transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finality {
    /// When the event came.
    pub(super) at: Instant,
    /// Milliseconds from the proposal to the durable commit there; `None` where the box fetched the block later.
    pub(super) ms: Option<f64>,
}

/// What was seen since the start.
#[derive(Default)]
pub(super) struct Log {
    /// Blocks with transactions, in order.
    pub(super) blocks: Vec<Block>,
    /// One for each box and block with transactions.
    pub(super) finality: Vec<Finality>,
    /// For each transaction of the load, when its block was seen and how long after it was due, in milliseconds.
    pub(super) client: Vec<(Instant, f64)>,
    /// Transactions of blocks that this program did not send, or that were in an earlier block too.
    pub(super) unknown: usize,
    /// When the first box told of a block, with or without transactions, in order.
    pub(super) arrivals: Vec<(u64, Instant)>,
    /// Some transactions of every block.
    pub(super) sample: Vec<B256>,
}

impl Log {
    /// How many blocks came between two times, with or without transactions.
    pub(super) fn blocks(&self, start: Instant, end: Instant) -> u64 {
        let within = self.arrivals.iter().filter(|(_, at)| (start..end).contains(at));
        let mut numbers = within.map(|(number, _)| *number);
        // By their numbers: a slow reader misses events.
        let Some(first) = numbers.next() else { return 0 };
        numbers.next_back().unwrap_or(first) - first + 1
    }
}

/// Follows the chain.
pub(super) struct Watcher {
    /// What was seen so far.
    pub(super) log: Arc<Mutex<Log>>,
    streams: JoinSet<anyhow::Result<()>>,
    seen: mpsc::Receiver<Seen>,
    rpc: Rpc,
    flight: Arc<Flight>,
    /// The next block to be looked into.
    next: u64,
}

impl Watcher {
    /// Opens every box's event stream. `rpc` is a client of the first box, of whose blocks the transactions are read
    /// from the one after its head on.
    pub(super) async fn open(boxes: &[BoxDescription], rpc: Rpc, flight: Arc<Flight>) -> anyhow::Result<Self> {
        let (sender, seen) = mpsc::channel(QUEUE);
        let mut streams = JoinSet::new();
        for (node, description) in boxes.iter().enumerate() {
            let url = format!("{}/api/v1/events", description.ui.trim_end_matches('/'));
            let client = reqwest::Client::builder().no_proxy().read_timeout(SILENCE_MAX);
            let client =
                http::showing(http::trusting(client, &description.certificate)?, &description.token)?.build()?;
            let response = client.get(&url).header("accept", "text/event-stream").send().await;
            let response = response.and_then(reqwest::Response::error_for_status);
            let response = response.with_context(|| format!("open the event stream of {}", description.name))?;
            streams.spawn(read_events(response, node, description.name.clone(), sender.clone()));
        }
        let next = rpc.height().await? + 1;
        Ok(Self { log: Arc::default(), streams, seen, rpc, flight, next })
    }

    /// Follows the chain until something fails; the result is never `Ok`.
    pub(super) async fn follow(mut self) -> anyhow::Result<std::convert::Infallible> {
        loop {
            tokio::select! {
                Some(ended) = self.streams.join_next() => ended.context("a reader of events panicked")??,
                Some(seen) = self.seen.recv() => self.see(seen).await?,
            }
        }
    }

    async fn see(&mut self, Seen { node, event, at }: Seen) -> anyhow::Result<()> {
        if event.transactions > 0 {
            let mut log = self.log.lock().expect("no holder of the lock panics");
            log.finality.push(Finality { at, ms: event.finality_ms });
        }
        if node == 0 {
            self.log.lock().expect("no holder of the lock panics").arrivals.push((event.number, at));
        }
        if node != 0 || event.number < self.next {
            return Ok(());
        }
        if event.number == self.next && event.transactions == 0 {
            self.next += 1;
            return Ok(());
        }
        // Also those whose events were lost, because the box sends no slow reader more than it can hold.
        let numbers: Vec<u64> = (self.next..=event.number).collect();
        for numbers in numbers.chunks(BLOCKS_MAX) {
            let params = numbers.iter().map(|number| json!([format!("{number:#x}"), false])).collect();
            for (number, block) in numbers.iter().zip(self.rpc.batch("eth_getBlockByNumber", params).await?) {
                let block: Option<BlockHashes> = serde_json::from_value(block).context("read a block")?;
                let block =
                    block.with_context(|| format!("{} finalized block {number} but has not got it", self.rpc.name))?;
                self.look_into(&block, at);
            }
        }
        self.next = event.number + 1;
        Ok(())
    }

    fn look_into(&self, block: &BlockHashes, at: Instant) {
        if block.transactions.is_empty() {
            return;
        }
        let due = self.flight.finalized(&block.transactions);
        let mut log = self.log.lock().expect("no holder of the lock panics");
        let gas_used = block.gas_used.saturating_to();
        log.blocks.push(Block { at, transactions: block.transactions.len(), gas_used });
        log.sample.extend(block.transactions.iter().step_by(SAMPLE_STEP));
        log.unknown += due.iter().filter(|due| due.is_none()).count();
        let waits = due.into_iter().flatten().map(|due| (at, at.saturating_duration_since(due).as_secs_f64() * 1000.0));
        log.client.extend(waits);
    }
}

/// Reads a box's server-sent events, and passes its blocks on while there is a receiver.
async fn read_events(
    mut response: reqwest::Response,
    node: usize,
    name: String,
    sender: mpsc::Sender<Seen>,
) -> anyhow::Result<()> {
    let mut parser = EventParser::default();
    while let Some(chunk) = response.chunk().await.with_context(|| format!("read the event stream of {name}"))? {
        let at = Instant::now();
        parser.push(&chunk)?;
        while let Some((kind, data)) = parser.next_event() {
            if kind != "block" {
                continue;
            }
            let event = serde_json::from_str(&data).with_context(|| format!("read a block event of {name}"))?;
            if sender.send(Seen { node, event, at }).await.is_err() {
                return Ok(());
            }
        }
    }
    bail!("{name} closed its event stream")
}

/// Splits a `text/event-stream` into events (HTML standard, section 9.2).
#[derive(Default)]
struct EventParser {
    buffer: Vec<u8>,
}

impl EventParser {
    fn push(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        ensure!(self.buffer.len() + chunk.len() <= EVENT_BYTES_MAX, "an event is longer than {EVENT_BYTES_MAX} bytes");
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// The next complete event: its type and data.
    fn next_event(&mut self) -> Option<(String, String)> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let event = String::from_utf8_lossy(&event);
        let field = |name: &str| {
            let values = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        Some((field("event"), field("data")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_stream_is_cut() {
        let stream = b": hello\n\nevent: block\ndata: {\"number\":1}\n\nevent:status\ndata:a\ndata: b\n\nevent: bl";
        for cut in 0..stream.len() {
            let mut parser = EventParser::default();
            let mut events = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                parser.push(part).unwrap();
                events.extend(std::iter::from_fn(|| parser.next_event()));
            }
            let pair = |kind: &str, data: &str| (kind.to_owned(), data.to_owned());
            assert_eq!(events, [pair("", ""), pair("block", "{\"number\":1}"), pair("status", "a\nb")]);
            assert_eq!(parser.buffer, b"event: bl");
        }
        assert!(EventParser::default().push(&vec![b'x'; EVENT_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn blocks_count_by_their_numbers_wherever_an_event_was_missed() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let log = Log { arrivals: vec![(1, at(0)), (2, at(1)), (5, at(2)), (6, at(3))], ..Log::default() };
        assert_eq!(log.blocks(at(0), at(4)), 6);
        assert_eq!(log.blocks(at(1), at(3)), 4);
        assert_eq!(log.blocks(at(1), at(2)), 1);
        assert_eq!(log.blocks(at(4), at(5)), 0);
    }

    #[test]
    fn block_events_may_lack_the_finality() {
        let event: BlockEvent =
            serde_json::from_str(r#"{"number":3,"hash":"0x","transactions":2,"finality_ms":null}"#).unwrap();
        assert_eq!((event.number, event.transactions, event.finality_ms), (3, 2, None));
    }
}
