//! Sending: each lane feeds one box over one connection, in batches, within a bound of unfinalized transactions.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, map::B256Map};
use anyhow::{Context as _, ensure};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    client::{BATCH_MAX, Rpc},
    sign::Signed,
    workload::Setup,
};

/// Lanes for each box: while one waits for an answer, another's batch is being read.
pub(super) const LANES_PER_BOX: usize = 2;
/// A lane at saturation waits until it may send this many: single transactions would cost a request each.
const BATCH_MIN: usize = 50;
/// At a fixed rate a lane sends what became due at most this often.
const TICK: Duration = Duration::from_millis(1);
/// Unfinalized transactions at a fixed rate at most: half of a pool. A chain that falls this far behind is loaded no
/// further, and its throughput then shows as below the rate.
const RATE_IN_FLIGHT: usize = 32_768;
/// Seconds of a steady load that are signed at a time: some 20 KB of memory for each transaction a second.
const SUPPLY_S: u64 = 60;
/// Refused transactions whose reason is kept for the report.
const REASONS_MAX: usize = 10;

/// How fast to send.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// As fast as transactions are finalized, with this many under way.
    Saturate {
        /// Over all lanes.
        in_flight: usize,
    },
    /// This many a second over all lanes, whatever the chain does.
    Rate(f64),
}

/// A transaction on its way.
struct Pending {
    lane: usize,
    /// When it was due: at saturation, when it was sent.
    due: Instant,
}

/// All transactions that are sent and not finalized.
pub(super) struct Flight {
    pending: Mutex<B256Map<Pending>>,
    /// How many more each lane may send.
    room: Vec<Semaphore>,
    /// How many each lane may have under way.
    room_max: usize,
    refused: AtomicU64,
    reasons: Mutex<Vec<String>>,
    stop: watch::Sender<bool>,
}

impl Flight {
    /// Nothing under way yet; what may be is shared out over `lanes`.
    pub(super) fn new(lanes: usize, pace: Pace) -> Arc<Self> {
        let in_flight = match pace {
            Pace::Saturate { in_flight } => in_flight,
            Pace::Rate(_) => RATE_IN_FLIGHT,
        };
        let room_max = in_flight.div_ceil(lanes);
        Arc::new(Self {
            pending: Mutex::default(),
            room: (0..lanes).map(|_| Semaphore::new(room_max)).collect(),
            room_max,
            refused: AtomicU64::new(0),
            reasons: Mutex::default(),
            stop: watch::Sender::new(false),
        })
    }

    /// Notes that transactions are in a finalized block, and returns when each was due; `None` for one that this
    /// program did not send, or that was finalized before.
    pub(super) fn finalized(&self, hashes: &[B256]) -> Vec<Option<Instant>> {
        let mut pending = self.pending.lock().expect("no holder of the lock panics");
        let mut land = |hash| {
            let Pending { lane, due } = pending.remove(hash)?;
            self.room[lane].add_permits(1);
            Some(due)
        };
        hashes.iter().map(&mut land).collect()
    }

    /// How many are on their way.
    pub(super) fn len(&self) -> usize {
        self.pending.lock().expect("no holder of the lock panics").len()
    }

    /// Some of those on their way, for an error message.
    pub(super) fn some(&self, count: usize) -> Vec<B256> {
        self.pending.lock().expect("no holder of the lock panics").keys().take(count).copied().collect()
    }

    /// How many the boxes refused, and the first reasons.
    pub(super) fn refused(&self) -> (u64, Vec<String>) {
        let reasons = self.reasons.lock().expect("no holder of the lock panics").clone();
        (self.refused.load(Ordering::Acquire), reasons)
    }

    /// Ends sending, in all lanes.
    fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Becomes true when sending ends.
    fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    fn depart(&self, lane: usize, batch: &[(Signed, Instant)]) {
        let mut pending = self.pending.lock().expect("no holder of the lock panics");
        for (signed, due) in batch {
            pending.insert(signed.hash, Pending { lane, due: *due });
        }
    }

    fn refuse(&self, hash: &B256, reason: String) {
        self.pending.lock().expect("no holder of the lock panics").remove(hash);
        self.refused.fetch_add(1, Ordering::AcqRel);
        let mut reasons = self.reasons.lock().expect("no holder of the lock panics");
        if reasons.len() < REASONS_MAX {
            reasons.push(reason);
        }
        // The account's later nonces cannot be executed any more.
        self.stop();
    }
}

/// A sender: some accounts, all of whose transactions go to one box in the order of their nonces.
pub(super) struct Lane {
    /// Its place among the lanes.
    pub(super) index: usize,
    /// Its box.
    pub(super) rpc: Rpc,
    /// Transactions to send.
    pub(super) supply: VecDeque<Signed>,
    /// Position of the next transaction in the plan: how many were sent.
    pub(super) position: u64,
}

/// Lanes with nothing to send yet, each with the next box in turn.
pub(super) fn lanes(boxes: &[Rpc], count: usize) -> Vec<Lane> {
    let lane = |index: usize| {
        let rpc = boxes[index % boxes.len()].clone();
        Lane { index, rpc, supply: VecDeque::new(), position: 0 }
    };
    (0..count).map(lane).collect()
}

/// Gives the lanes `count` more transactions, signed on all processors.
pub(super) async fn supply(setup: &Arc<Setup>, mut lanes: Vec<Lane>, count: u64) -> anyhow::Result<Vec<Lane>> {
    let each = count.div_ceil(lanes.len() as u64);
    // What was signed and not sent comes first.
    let from: Vec<_> = lanes.iter().map(|lane| lane.position + lane.supply.len() as u64).collect();
    let setup = setup.clone();
    let signed = tokio::task::spawn_blocking(move || setup.plan.sign_all(&from, each)).await?;
    for (lane, signed) in lanes.iter_mut().zip(signed) {
        lane.supply.extend(signed);
    }
    Ok(lanes)
}

/// Sends so many transactions a second for as long as it is polled; the result is never `Ok`.
pub(super) async fn keep_up(
    setup: &Arc<Setup>,
    boxes: &[Rpc],
    flight: &Arc<Flight>,
    rate: u32,
) -> anyhow::Result<Infallible> {
    let mut lanes = lanes(boxes, setup.plan.lanes);
    loop {
        lanes = supply(setup, lanes, u64::from(rate) * SUPPLY_S).await?;
        let mut load = Load::start(lanes, flight, Pace::Rate(f64::from(rate)));
        load.ended().await?;
        lanes = load.stop(flight).await?;
        let (refused, reasons) = flight.refused();
        ensure!(refused == 0, "{refused} transactions of the load were refused:\n  {}", reasons.join("\n  "));
    }
}

/// Lanes at work.
pub(super) struct Load {
    tasks: JoinSet<anyhow::Result<Lane>>,
    ended: Vec<Lane>,
}

impl Load {
    /// Starts sending.
    pub(super) fn start(lanes: Vec<Lane>, flight: &Arc<Flight>, pace: Pace) -> Self {
        let count = lanes.len();
        let start = Instant::now();
        flight.stop.send_replace(false);
        let mut tasks = JoinSet::new();
        for lane in lanes {
            let schedule = match pace {
                Pace::Saturate { .. } => None,
                Pace::Rate(rate) => Some(Schedule::new(start, rate, lane.index, count)),
            };
            tasks.spawn(lane.run(flight.clone(), schedule));
        }
        Self { tasks, ended: Vec::new() }
    }

    /// Waits until every lane has ended: it was told to, or one has sent all that it had. Fails as soon as one does.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        while let Some(lane) = self.tasks.join_next().await {
            self.ended.push(lane.context("a sender panicked")??);
        }
        Ok(())
    }

    /// Ends sending; returns the lanes in order.
    pub(super) async fn stop(mut self, flight: &Flight) -> anyhow::Result<Vec<Lane>> {
        flight.stop();
        self.ended().await?;
        self.ended.sort_by_key(|lane| lane.index);
        Ok(self.ended)
    }
}

impl Lane {
    async fn run(mut self, flight: Arc<Flight>, mut schedule: Option<Schedule>) -> anyhow::Result<Self> {
        let mut stopped = flight.stopped();
        while !self.supply.is_empty() {
            let batch = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                batch = self.next_batch(&flight, schedule.as_mut()) => batch?,
            };
            flight.depart(self.index, &batch);
            self.position += batch.len() as u64;
            let refused = self.rpc.send_raw(batch.iter().map(|(signed, _)| &*signed.raw)).await?;
            for (place, error) in refused {
                let (signed, _) = batch.get(place).context("a box answered with an id that was not sent")?;
                flight.refuse(&signed.hash, format!("{} refused transaction {}: {error}", self.rpc.name, signed.hash));
            }
        }
        // Whoever waits for a window in which all lanes send must know.
        if self.supply.is_empty() {
            flight.stop();
        }
        Ok(self)
    }

    /// Waits for the lane's turn and takes what it may send. Dropping the future early loses no transaction.
    async fn next_batch(
        &mut self,
        flight: &Flight,
        schedule: Option<&mut Schedule>,
    ) -> anyhow::Result<Vec<(Signed, Instant)>> {
        let room = &flight.room[self.index];
        let Some(schedule) = schedule else {
            let least = BATCH_MIN.min(self.supply.len()).min(flight.room_max);
            let count = take_room(room, least, BATCH_MAX.min(self.supply.len())).await?;
            let now = Instant::now();
            return Ok(self.supply.drain(..count).map(|signed| (signed, now)).collect());
        };
        let due = schedule.wait().await.min(self.supply.len()).min(BATCH_MAX);
        let count = take_room(room, 1, due).await?;
        Ok(self.supply.drain(..count).map(|signed| (signed, schedule.advance())).collect())
    }
}

/// Takes room for at least `least` transactions, waiting for it, and for up to `most` if there is more. The lane that
/// calls is the only one that takes from `room`.
async fn take_room(room: &Semaphore, least: usize, most: usize) -> anyhow::Result<usize> {
    let permits = |count: usize| u32::try_from(count).context("more transactions at once than a semaphore counts");
    room.acquire_many(permits(least)?).await.context("the room for transactions is closed")?.forget();
    let more = room.available_permits().min(most.saturating_sub(least));
    room.try_acquire_many(permits(more)?).context("another lane took this lane's room")?.forget();
    Ok(least + more)
}

/// When a lane's transactions are due, at a fixed rate.
struct Schedule {
    first: Instant,
    interval_s: f64,
    next: u64,
    last_wake: Instant,
}

impl Schedule {
    /// The share of lane `index` out of `lanes`, between the other lanes' transactions.
    fn new(start: Instant, rate: f64, index: usize, lanes: usize) -> Self {
        let first = start + Duration::from_secs_f64(index as f64 / rate);
        Self { first, interval_s: lanes as f64 / rate, next: 0, last_wake: start }
    }

    fn due(&self, position: u64) -> Instant {
        self.first + Duration::from_secs_f64(self.interval_s * position as f64)
    }

    /// Waits until a transaction is due; returns how many are, at most one batch.
    async fn wait(&mut self) -> usize {
        tokio::time::sleep_until(self.due(self.next).max(self.last_wake + TICK).into()).await;
        self.last_wake = Instant::now();
        (self.next..).take(BATCH_MAX).take_while(|position| self.due(*position) <= self.last_wake).count()
    }

    /// Counts one transaction as sent; returns when it was due.
    fn advance(&mut self) -> Instant {
        self.next += 1;
        self.due(self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(n: u8) -> Signed {
        Signed { hash: B256::repeat_byte(n), raw: "0x".into() }
    }

    #[tokio::test]
    async fn room_comes_back_with_finality() {
        let flight = Flight::new(2, Pace::Saturate { in_flight: 8 });
        assert_eq!(take_room(&flight.room[0], 2, 10).await.unwrap(), 4);
        let now = Instant::now();
        flight.depart(0, &[(signed(1), now), (signed(2), now)]);
        assert_eq!(flight.len(), 2);
        let landed = flight.finalized(&[signed(2).hash, signed(3).hash, signed(2).hash]);
        assert_eq!(landed, [Some(now), None, None], "what is unknown or twice in the chain is not counted");
        assert_eq!((flight.len(), flight.room[0].available_permits()), (1, 1));
        assert_eq!(flight.room[1].available_permits(), 4);
    }

    #[test]
    fn a_refusal_ends_the_load() {
        let flight = Flight::new(1, Pace::Rate(1.0));
        flight.depart(0, &[(signed(1), Instant::now())]);
        flight.refuse(&signed(1).hash, "because".to_owned());
        assert_eq!(flight.refused(), (1, vec!["because".to_owned()]));
        assert_eq!(flight.len(), 0);
        assert!(*flight.stopped().borrow());
    }

    #[tokio::test]
    async fn lanes_together_keep_the_rate() {
        let start = Instant::now();
        let mut due: Vec<_> = (0..4)
            .flat_map(|lane| {
                let mut schedule = Schedule::new(start, 1000.0, lane, 4);
                (0..25).map(move |_| schedule.advance()).collect::<Vec<_>>()
            })
            .collect();
        due.sort_unstable();
        for (n, due) in due.into_iter().enumerate() {
            assert_eq!((due - start).as_micros().div_ceil(1000), n as u128);
        }
        let mut late = Schedule::new(start, 1e6, 0, 1);
        tokio::time::sleep_until((start + Duration::from_millis(2)).into()).await;
        assert_eq!(late.wait().await, BATCH_MAX, "what was missed is due, a batch at a time");
    }
}
