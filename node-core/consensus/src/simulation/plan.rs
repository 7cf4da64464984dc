//! What a seed means: how many boxes there are, what the network is like, and what happens to the boxes.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::application::Step;

/// The box that lies, where one does; it votes at first, and proposes nothing.
pub(super) const LIAR: usize = 0;
/// The shortest epoch that takes the deliveries that marshal has out at a time.
pub(super) const EPOCH_BLOCKS: u64 = 6;
/// How a box lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// It votes for a block and for others, and for none, in each view.
    Equivocate,
    /// It sends old messages, changed or not, on any channel.
    Anything,
    /// It votes as it should, but signs for another chain.
    Elsewhere,
}

/// Something that happens to a box, and passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// It is killed, and started again.
    Crash,
    /// It is killed, and comes back with its blocks and its log of votes, but with nothing that consensus stored: it goes
    /// on from the last block that it has a certificate of.
    Loss,
    /// Nobody hears it, and it hears nobody.
    Cut,
}

/// When something passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// When the others have come to a height.
    Height(u64),
    /// After so long: the others may have to wait for the box.
    After(Duration),
}

/// A harm, whose, and from which height of the chain on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) harm: Harm,
    pub(super) whose: usize,
    pub(super) from: u64,
    pub(super) until: Until,
}

impl Trouble {
    /// Whether it is over at a height, having lasted so long.
    pub(super) fn is_over(&self, height: u64, lasted: Duration) -> bool {
        match self.until {
            Until::Height(last) => height >= last,
            Until::After(span) => lasted >= span,
        }
    }
}

/// What links are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) latency_ms: (u64, u64),
    pub(super) jitter_ms: u64,
    /// Messages delivered, percent.
    pub(super) delivered: u64,
}

impl Links {
    fn draw(dice: &mut StdRng) -> Self {
        Self {
            latency_ms: (dice.random_range(1..20), dice.random_range(20..60)),
            jitter_ms: dice.random_range(0..10),
            delivered: dice.random_range(92..=100),
        }
    }
}

/// What a seed means.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) boxes: usize,
    /// So many of the boxes, the first ones, vote at first, and never fewer are to.
    pub(super) seats: usize,
    pub(super) links: Links,
    pub(super) lie: Option<Lie>,
    /// The box that dies, and from which height on.
    pub(super) dead: Option<(usize, u64)>,
    /// One at a time.
    pub(super) troubles: Vec<Trouble>,
    /// Heights at which all of them lose power.
    pub(super) blackouts: Vec<u64>,
    /// What the organisation changes, and from which height on. The contract refuses some of it.
    pub(super) changes: Vec<(u64, Step)>,
    /// Seconds after which a validator is silent, 0 for never; blocks are a second apart.
    pub(super) silent_after_s: u64,
    /// All boxes that last come to this height.
    pub(super) target: u64,
}

impl Plan {
    /// Four seats, of which one may be faulty: a box lies, or one after the other has trouble, or all lose power.
    pub(super) fn of_four(seed: u64) -> Self {
        let (boxes, seats) = (6, 4);
        let mut dice = StdRng::seed_from_u64(seed);
        let lie = match seed % 6 {
            2 => Some(Lie::Equivocate),
            3 => Some(Lie::Anything),
            5 => Some(Lie::Elsewhere),
            _ => None,
        };
        let mut troubles = Vec::new();
        let mut height = near_a_boundary(&mut dice, 1);
        let mut blackouts = Vec::new();
        while seed % 6 == 4 && blackouts.len() < 3 {
            blackouts.push(height);
            height = near_a_boundary(&mut dice, height + 2);
        }
        while seed % 6 < 2 && troubles.len() < 4 {
            let harm = match (seed % 6, dice.random_range(0..2_u8)) {
                (1, _) => Harm::Cut,
                (_, 0) => Harm::Crash,
                _ => Harm::Loss,
            };
            // A box that lost its votes is most dangerous while others still wait for them. Until it has caught up it is
            // the one that may be faulty.
            let (away, rest) = if harm == Harm::Loss { (0, 5) } else { (dice.random_range(1..8_u64), 0) };
            let back = height + away;
            let whose = dice.random_range(0..boxes);
            troubles.push(Trouble { harm, whose, from: height, until: Until::Height(back) });
            height = near_a_boundary(&mut dice, back + rest + 1);
        }
        // The spare boxes follow, then seats change hands.
        let mut changes: Vec<_> =
            (seats..boxes).map(|index| (1, Step::Admit(index, dice.random_range(0..2_u8) > 0))).collect();
        let mut from = 2;
        while changes.len() < 20 {
            from += dice.random_range(0..4);
            let index = dice.random_range(usize::from(lie.is_some())..boxes);
            changes.push(match dice.random_range(0..8_u8) {
                0 if troubles.is_empty() && lie.is_none() => (from, Step::Retire(index)),
                1..=3 => (from, Step::Demote(index)),
                _ => (from, Step::Promote(index)),
            });
        }
        let silent_after_s = if dice.random_range(0..2_u8) == 0 { 0 } else { 9 };
        // Two epochs at least, where nothing takes longer.
        let least = if troubles.is_empty() { 2 * EPOCH_BLOCKS } else { 0 };
        Self {
            seed,
            boxes,
            seats,
            links: Links::draw(&mut dice),
            lie,
            dead: None,
            troubles,
            blackouts,
            changes,
            silent_after_s,
            target: height.max(least) + EPOCH_BLOCKS,
        }
    }

    /// Seven seats, of which two may be faulty, and are: one box lies, and another one dies. Their seats go to others, the
    /// liar's in half of the seeds. That leaves a quorum and no more, so the chain waits for whoever else has trouble.
    pub(super) fn of_seven(seed: u64) -> Self {
        let (boxes, seats) = (10, 7);
        let mut dice = StdRng::seed_from_u64(seed);
        let lie = match seed / 5 % 3 {
            0 => Lie::Equivocate,
            1 => Lie::Anything,
            _ => Lie::Elsewhere,
        };
        let dead = dice.random_range(LIAR + 1..seats);
        let earliest = dice.random_range(1..2 * EPOCH_BLOCKS);
        let death = near_a_boundary(&mut dice, earliest);
        let healthy: Vec<_> = (LIAR + 1..boxes).filter(|index| *index != dead).collect();
        let mut troubles = Vec::new();
        let mut height = near_a_boundary(&mut dice, 1);
        while troubles.len() < 4 {
            // None loses what consensus stored, which would make it a third faulty box.
            let harm = if dice.random_range(0..2_u8) == 0 { Harm::Crash } else { Harm::Cut };
            let whose = healthy[dice.random_range(0..healthy.len())];
            let until = Until::After(Duration::from_millis(dice.random_range(200..6000)));
            troubles.push(Trouble { harm, whose, from: height, until });
            height = near_a_boundary(&mut dice, height + 2);
        }
        // Both are replaced early in an epoch: the contract refuses it where two have left in that epoch already.
        let next_epoch = (death + 1).next_multiple_of(EPOCH_BLOCKS);
        let mut changes = BTreeMap::from([(1, Step::Admit(7, dice.random_range(0..2_u8) > 0))]);
        changes.insert(next_epoch + dice.random_range(0..2_u64) * EPOCH_BLOCKS, Step::Replace(dead, 9));
        if dice.random_range(0..2_u8) == 0 {
            changes.insert(next_epoch + dice.random_range(0..2_u64) * EPOCH_BLOCKS + 1, Step::Replace(LIAR, 8));
        } else {
            changes.insert(2, Step::Admit(8, dice.random_range(0..2_u8) > 0));
        }
        let settled = changes.keys().copied().fold(height, u64::max);
        // One a block, so that none waits for those before it.
        for from in 3..6 * EPOCH_BLOCKS {
            let index = healthy[dice.random_range(0..healthy.len())];
            let step = match dice.random_range(0..10_u8) {
                0 => Step::Retire(index),
                1..=3 => Step::Demote(index),
                4..=6 => Step::Promote(index),
                _ => continue,
            };
            changes.entry(from).or_insert(step);
        }
        Self {
            seed,
            boxes,
            seats,
            lie: Some(lie),
            dead: Some((dead, death)),
            troubles,
            blackouts: Vec::new(),
            changes: changes.into_iter().collect(),
            // A box may miss a turn unheard, also among ten of which two propose nothing.
            silent_after_s: if dice.random_range(0..2_u8) == 0 { 0 } else { 16 },
            links: Links::draw(&mut dice),
            target: settled + 2 * EPOCH_BLOCKS,
        }
    }

    /// The boxes that do not lie.
    pub(super) fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.boxes).filter(|index| self.lie.is_none() || *index != LIAR)
    }

    /// Those of them that do not die.
    pub(super) fn lasting(&self) -> impl Iterator<Item = usize> + '_ {
        self.honest().filter(|index| self.dead.is_none_or(|(dead, _)| dead != *index))
    }
}

/// A height from `least` on: in most cases that of an epoch's last block, or beside it.
fn near_a_boundary(dice: &mut StdRng, least: u64) -> u64 {
    let boundary = (least + 1).next_multiple_of(EPOCH_BLOCKS);
    match dice.random_range(0..4_u8) {
        0 => least + dice.random_range(0..3),
        _ => (boundary + dice.random_range(0..3) - 2).max(least),
    }
}
