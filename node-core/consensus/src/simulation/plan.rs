//! What a seed means: what the network is like, and what happens to the boxes.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::application::Step;

/// Four boxes vote at first, of which one may be faulty, and two more may take their places.
pub(super) const BOXES: usize = 6;
pub(super) const SEATS: usize = 4;
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

/// Something that happens to a box from one height of the chain to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is killed, and started again.
    Crash,
    /// It is killed, and comes back with its blocks and its log of votes, but with nothing that consensus stored: it goes
    /// on from the last block that it has a certificate of.
    Loss,
    /// Nobody hears it, and it hears nobody.
    Cut,
}

/// What a seed means.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) latency_ms: (u64, u64),
    pub(super) jitter_ms: u64,
    /// Messages delivered, percent.
    pub(super) delivered: u64,
    pub(super) lie: Option<Lie>,
    /// Trouble, whose, from which height, and to which. One at a time: more than f boxes are never away.
    pub(super) troubles: Vec<(Trouble, usize, u64, u64)>,
    /// Heights at which all of them lose power.
    pub(super) blackouts: Vec<u64>,
    /// What the organisation changes, and from which height on. The contract refuses some of it.
    pub(super) changes: Vec<(u64, Step)>,
    /// Seconds after which a validator is silent; blocks are a second apart.
    pub(super) silent_after_s: u64,
    /// All honest boxes come to this height.
    pub(super) target: u64,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
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
            let kind = match (seed % 6, dice.random_range(0..2_u8)) {
                (1, _) => Trouble::Cut,
                (_, 0) => Trouble::Crash,
                _ => Trouble::Loss,
            };
            // A box that lost its votes is most dangerous while others still wait for them. Until it has caught up it is
            // the one that may be faulty.
            let (away, rest) = if kind == Trouble::Loss { (0, 5) } else { (dice.random_range(1..8_u64), 0) };
            let back = height + away;
            troubles.push((kind, dice.random_range(0..BOXES), height, back));
            height = near_a_boundary(&mut dice, back + rest + 1);
        }
        // The spare boxes follow, then seats change hands.
        let mut changes: Vec<_> =
            (SEATS..BOXES).map(|index| (1, Step::Admit(index, dice.random_range(0..2_u8) > 0))).collect();
        let mut from = 2;
        while changes.len() < 20 {
            from += dice.random_range(0..4);
            let index = dice.random_range(usize::from(lie.is_some())..BOXES);
            changes.push(match dice.random_range(0..8_u8) {
                0 if troubles.is_empty() && lie.is_none() => (from, Step::Retire(index)),
                1..=3 => (from, Step::Demote(index)),
                _ => (from, Step::Promote(index)),
            });
        }
        let silent_after_s = if dice.random_range(0..2_u8) == 0 { 0 } else { 9 };
        Self {
            seed,
            latency_ms: (dice.random_range(1..20), dice.random_range(20..60)),
            jitter_ms: dice.random_range(0..10),
            delivered: dice.random_range(92..=100),
            lie,
            target: troubles
                .last()
                .map_or(3 * EPOCH_BLOCKS, |(.., back)| back + EPOCH_BLOCKS)
                .max(height + EPOCH_BLOCKS),
            troubles,
            blackouts,
            changes,
            silent_after_s,
        }
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
