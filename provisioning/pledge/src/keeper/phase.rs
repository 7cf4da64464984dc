//! What a keeper does, for people and metrics.

/// What a keeper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeeperPhase {
    /// Nothing: all is done for now.
    Resting,
    /// Something is to be done, and it waits until it may ask again.
    Pausing,
    /// It looks for registrars.
    Discovering,
    /// It calls a registrar.
    Connecting,
    /// It shows that it is as it was.
    Attesting,
    /// It asks for another certificate, by the one that it has.
    Renewing,
    /// It asks for another certificate by its maker's, since its own does not hold any more, or it has other
    /// firmware.
    Enrolling,
    /// It tells its registrar that it is decommissioned, or has told it.
    Leaving,
}

impl KeeperPhase {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Resting,
        Self::Pausing,
        Self::Discovering,
        Self::Connecting,
        Self::Attesting,
        Self::Renewing,
        Self::Enrolling,
        Self::Leaving,
    ];

    /// Its name in logs and metrics, which never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Pausing => "pausing",
            Self::Discovering => "discovering",
            Self::Connecting => "connecting",
            Self::Attesting => "attesting",
            Self::Renewing => "renewing",
            Self::Enrolling => "enrolling",
            Self::Leaving => "leaving",
        }
    }
}
