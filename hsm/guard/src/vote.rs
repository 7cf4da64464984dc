//! What a vote is, and which votes conflict. No IO.

use std::{collections::BTreeMap, fmt};

use dolmen_hsm_api::Signature;

/// When a vote is cast: a view of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round {
    /// The epoch.
    pub epoch: u64,
    /// The view within it.
    pub view: u64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {} of epoch {}", self.view, self.epoch)
    }
}

/// What a vote says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// This block is valid.
    Notarize,
    /// This view shall have no block.
    Nullify,
    /// This block is notarized, and this box will not nullify the view.
    Finalize,
}

impl Kind {
    /// All of them; a log's records have their place in it.
    pub(crate) const ALL: [Self; 3] = [Self::Notarize, Self::Nullify, Self::Finalize];

    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notarize => "notarize",
            Self::Nullify => "nullify",
            Self::Finalize => "finalize",
        }
    }

    /// Those whose votes it conflicts with: any of another kind, and other blocks' of its own.
    const fn excludes(self) -> &'static [Self] {
        match self {
            Self::Notarize => &[],
            Self::Nullify => &[Self::Finalize],
            Self::Finalize => &[Self::Nullify],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A vote to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote<'a> {
    /// When.
    pub round: Round,
    /// What it says.
    pub kind: Kind,
    /// The bytes that are signed, which name the block.
    pub message: &'a [u8],
}

/// A vote that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) round: Round,
    pub(crate) kind: Kind,
    /// SHA-256 of the message.
    pub(crate) digest: [u8; 32],
    pub(crate) signature: Signature,
}

/// What is to be done with a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Sign it.
    Sign,
    /// It was signed.
    Known(Signature),
    /// It conflicts with one of this kind.
    Conflict(Kind),
}

/// The votes that are remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Votes(BTreeMap<(Round, Kind), ([u8; 32], Signature)>);

impl Votes {
    pub(crate) fn decide(&self, round: Round, kind: Kind, digest: &[u8; 32]) -> Decision {
        match self.0.get(&(round, kind)) {
            Some((known, signature)) if known == digest => Decision::Known(*signature),
            Some(_) => Decision::Conflict(kind),
            None => {
                let excluded = kind.excludes().iter().find(|other| self.0.contains_key(&(round, **other)));
                excluded.map_or(Decision::Sign, |other| Decision::Conflict(*other))
            }
        }
    }

    pub(crate) fn insert(&mut self, signed: &Signed) {
        self.0.insert((signed.round, signed.kind), (signed.digest, signed.signature));
    }

    pub(crate) fn forget(&mut self, round: Round, kind: Kind) {
        self.0.remove(&(round, kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_simplex_faults() {
        let (round, later) = (Round { epoch: 0, view: 5 }, Round { epoch: 1, view: 5 });
        for first in Kind::ALL {
            let mut votes = Votes::default();
            let signature = Signature([1; 64]);
            votes.insert(&Signed { round, kind: first, digest: [1; 32], signature });
            for second in Kind::ALL {
                let faults = [(Kind::Nullify, Kind::Finalize), (Kind::Finalize, Kind::Nullify)];
                let other_kind = faults.contains(&(first, second));
                let expected = |same_block: bool| match (first == second, same_block) {
                    (true, true) => Decision::Known(signature),
                    (true, false) => Decision::Conflict(first),
                    (false, _) if other_kind => Decision::Conflict(first),
                    (false, _) => Decision::Sign,
                };
                assert_eq!(votes.decide(round, second, &[1; 32]), expected(true), "{first}, {second}");
                assert_eq!(votes.decide(round, second, &[2; 32]), expected(false), "{first}, {second}");
                assert_eq!(votes.decide(later, second, &[2; 32]), Decision::Sign);
            }
        }
    }
}
