//! Boxes come and go under load, again and again: members admit, promote, demote and retire them, while some are
//! killed, stopped for a while or lose their data. What each takes of the machine is recorded, and bounded.

use std::{
    collections::VecDeque,
    fs, thread,
    time::{Duration, Instant},
};

use dolmen_tests::{
    BOXES, Cluster, Load, Members, PATIENCE, Record, check_receipts, check_same_blocks, seed, validators, wait_for,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// Epochs end every few seconds: each round changes twice who votes.
const EPOCH_BLOCKS: u64 = 20;
/// Boxes at any time: those that vote, and two that follow. A box that is retired leaves its place to a new one.
const PLACES: usize = BOXES + 2;
/// In the first places are boxes that are never stopped: what a process gathers over hundreds of changes shows in them,
/// members ask the first one, and the genesis file tells new boxes where they are. They are demoted and promoted again.
const ELDERS: usize = 2;
/// Accounts that send, and transfers of each a second.
const SENDERS: usize = 2;
const RATE: u32 = 15;
/// Latest blocks that are compared: fewer than the 256 that a box has from before the state with which it joined.
const RECENT: u64 = 100;
/// Where the fees of the first box that is admitted go. Each needs an address of its own.
const FEES: u64 = 0xfee0_0000;

/// Rounds of the short form: one with everything that happens to a validator, one with the rest.
const ROUNDS: u64 = 2;
/// Minutes of the long form; `DOLMEN_CHURN_MINUTES` overrides them.
const SOAK_MINUTES: u64 = 120;
/// What boxes keep in the long form: far less than what there is in the end, so that keeping more would show.
const SOAK_HISTORY: &str = "depth = 1000\nblocks = 2000";

#[test]
fn membership_churns() {
    churn(None, Duration::from_secs(5), |rounds, _| rounds == ROUNDS);
}

#[test]
#[ignore = "runs for hours: make soak"]
fn soak_membership_churns() {
    let length = Duration::from_secs(60 * minutes());
    let record = churn(Some(SOAK_HISTORY), Duration::from_secs(30), |_, elapsed| elapsed >= length);
    record.check_growth();
}

/// Rounds of changes until the end, which depends on how many there were and for how long.
fn churn(history: Option<&'static str>, every: Duration, is_over: impl Fn(u64, Duration) -> bool) -> Record {
    let mut churn = Churn::begin(history, every);
    let (mut round, began) = (0, Instant::now());
    while !is_over(round, began.elapsed()) {
        churn.promote_while_one_is_down();
        churn.take_one_out();
        match round % 3 {
            0 => churn.stop_for_epochs(),
            1 => churn.lose_data(),
            _ => {}
        }
        round += 1;
        let (changes, height) = (churn.changes, churn.cluster.heights().0);
        eprintln!("round {round}: {changes} changes, height {height}, {} transfers", churn.load.confirmed());
    }
    churn.end()
}

/// A chain whose members do not leave it alone.
struct Churn {
    // First, so that it ends before the boxes do.
    load: Load,
    cluster: Cluster,
    members: Members,
    random: StdRng,
    record: Record,
    /// Settings of the boxes: `[history]` in their `box.toml`.
    history: Option<&'static str>,
    /// Places of those who are to vote and of those who follow, in each those first who have done so the longest.
    voters: VecDeque<usize>,
    followers: VecDeque<usize>,
    /// Boxes admitted, and changes of who they are and what they do.
    admitted: u64,
    changes: u64,
}

impl Churn {
    fn begin(history: Option<&'static str>, every: Duration) -> Self {
        let random = StdRng::seed_from_u64(seed());
        let mut cluster = Cluster::prepare_with(BOXES, &["--epoch-blocks", &EPOCH_BLOCKS.to_string()]);
        if let Some(history) = history {
            cluster.chain.boxes.iter().for_each(|own| own.configure("[history]", history));
        }
        (0..BOXES).for_each(|place| cluster.spawn(place));
        cluster.wait_for_height(1);
        let followers: Vec<usize> = (BOXES..PLACES).map(|place| cluster.add_box(&format!("box-{place}"))).collect();
        // The first accounts are the members'.
        let senders = &cluster.chain.accounts[BOXES..BOXES + SENDERS];
        let mut churn = Self {
            load: Load::roam(&cluster.chain, senders, RATE),
            members: Members::asking(&cluster, 0),
            record: Record::begin(every),
            // An elder among two others, so that each of the first rounds takes out another kind.
            voters: VecDeque::from([2, 0, 3, 1]),
            followers: VecDeque::new(),
            admitted: 0,
            changes: 0,
            cluster,
            random,
            history,
        };
        followers.into_iter().for_each(|place| churn.admit(place));
        churn.settle();
        churn
    }

    /// A follower gets a vote while another box is dead.
    fn promote_while_one_is_down(&mut self) {
        let newcomer = self.followers.pop_front().expect("there are always two");
        let victim = self.any_but(newcomer);
        self.cluster.kill9(victim);
        self.change("promote", newcomer);
        self.voters.push_back(newcomer);
        self.wait_for_voters();
        thread::sleep(Duration::from_millis(self.random.random_range(0..1_000)));
        self.cluster.spawn(victim);
        self.settle();
    }

    /// The one who has voted the longest leaves: an elder follows from now on, another box is gone for good, and its
    /// organisation brings a new one.
    fn take_one_out(&mut self) {
        let leaver = self.voters.pop_front().expect("five vote");
        if leaver < ELDERS {
            self.change("demote", leaver);
            self.wait_for_voters();
            self.followers.push_back(leaver);
        } else {
            self.change("retire", leaver);
            self.wait_for_voters();
            self.cluster.stop(leaver);
            self.cluster.replace_box(leaver, &format!("churn-{}", self.admitted));
            self.admit(leaver);
        }
        self.settle();
    }

    /// A box misses who votes in an epoch or two.
    fn stop_for_epochs(&mut self) {
        let place = self.any_but(0);
        self.cluster.stop(place);
        self.cluster.wait_for_progress(2 * EPOCH_BLOCKS);
        self.cluster.spawn(place);
        self.settle();
    }

    /// A follower loses all but its keys, and joins again by the state of a late block.
    fn lose_data(&mut self) {
        let place = *self.followers.iter().find(|place| **place >= ELDERS).expect("no two elders follow at a time");
        self.cluster.stop(place);
        fs::remove_dir_all(self.cluster.node(place).dir().join("data")).expect("it can be removed");
        self.cluster.spawn(place);
        self.settle();
    }

    /// A box that nobody knows joins.
    fn admit(&mut self, place: usize) {
        let own = self.cluster.node(place);
        if let Some(history) = self.history {
            own.configure("[history]", history);
        }
        self.members.admit(own, place % BOXES, &format!("0x{:040x}", FEES + self.admitted));
        self.cluster.spawn(place);
        self.followers.push_back(place);
        self.admitted += 1;
        self.changes += 1;
    }

    /// The members change what the box in a place is.
    fn change(&mut self, how: &str, place: usize) {
        let name = &self.cluster.node(place).name;
        eprintln!("{how} {name}");
        self.members.decide(&["propose", how, name]);
        self.changes += 1;
    }

    /// Any place but this one and those of the elders.
    fn any_but(&mut self, spared: usize) -> usize {
        let places: Vec<usize> = (ELDERS..PLACES).filter(|place| *place != spared).collect();
        places[self.random.random_range(0..places.len())]
    }

    /// Waits for the epoch in which those vote who are to.
    fn wait_for_voters(&mut self) {
        let wanted = self.names();
        wait_for(&format!("an epoch of {wanted:?}"), PATIENCE, || {
            self.cluster.assert_running();
            (sorted(validators(self.cluster.node(0))) == wanted).then_some(())
        });
    }

    fn names(&self) -> Vec<String> {
        sorted(self.voters.iter().map(|place| self.cluster.node(*place).name.clone()).collect())
    }

    /// All boxes are there again and agree on the chain and on who votes, and it takes transactions.
    fn settle(&mut self) {
        self.load.wait_for_more(20, PATIENCE);
        let seen = self.load.take_acknowledged();
        self.cluster.wait_for_progress(3);
        let (boxes, height) = (&self.cluster.chain.boxes, self.cluster.heights().0);
        let recent = height.saturating_sub(RECENT).max(1)..=height;
        check_same_blocks(boxes, recent.clone());
        let seen: Vec<_> = seen.into_iter().filter(|seen| recent.contains(&seen.block_number())).collect();
        check_receipts(boxes, &seen);
        let wanted = self.names();
        for own in boxes {
            assert_eq!(sorted(validators(own)), wanted, "{}", own.name);
        }
        self.record.take_if_due(&self.cluster, self.changes);
    }

    /// Everything that was sent is executed.
    fn end(self) -> Record {
        let Self { load, mut cluster, mut record, changes, .. } = self;
        let acknowledged = load.finish(PATIENCE);
        cluster.wait_for_progress(1);
        check_receipts(&cluster.chain.boxes, &acknowledged);
        record.take(&cluster, changes);
        cluster.stop_all();
        record.print();
        record.check_handles();
        record
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn minutes() -> u64 {
    std::env::var("DOLMEN_CHURN_MINUTES").map_or(SOAK_MINUTES, |text| {
        text.parse().unwrap_or_else(|_| panic!("DOLMEN_CHURN_MINUTES={text} is not a whole number"))
    })
}
