//! What the contract's numbers for roles of boxes and for states of proposals are called.

use std::fmt;

/// What a box is to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes finalized blocks and does not vote.
    Follower,
    /// It proposes and votes, from the next epoch on.
    Validator,
    /// It is out for good.
    Retired,
}

impl Role {
    /// The role with a number of the contract's; none for a key that it does not know.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Follower),
            2 => Some(Self::Validator),
            3 => Some(Self::Retired),
            _ => None,
        }
    }

    /// The name in JSON-RPC and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Validator => "validator",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may be voted on.
    Open,
    /// It was approved and carried out.
    Executed,
    /// It can no longer get the approvals that it needs.
    Rejected,
    /// The organisation that made it took it back.
    Withdrawn,
    /// Its time is over.
    Expired,
}

impl Status {
    /// The state with a number of the contract's; none where there is no such proposal.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Open),
            2 => Some(Self::Executed),
            3 => Some(Self::Rejected),
            4 => Some(Self::Withdrawn),
            5 => Some(Self::Expired),
            _ => None,
        }
    }

    /// The name in JSON-RPC and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Executed => "executed",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
