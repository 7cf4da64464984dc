//! How far a box is, for people and metrics.

/// How far a box is. Later ones are nearer to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody's: it looks for registrars.
    Discovering,
    /// Nobody's: it waits until it may ask again.
    Pausing,
    /// Nobody's: it calls a registrar.
    Connecting,
    /// Nobody's: it asks a registrar for a voucher.
    Asking,
    /// It follows a voucher, and writes down whose it is.
    TakingOwnership,
    /// It has an owner, and shows its TPM and its image.
    Attesting,
    /// It asks its owner for a certificate.
    Enrolling,
    /// It has a certificate, and asks for its chain.
    FetchingBundle,
    /// It knows its chain, and waits to be admitted.
    AwaitingAdmission,
    /// It is one of the chain's.
    Member,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Discovering,
        Self::Pausing,
        Self::Connecting,
        Self::Asking,
        Self::TakingOwnership,
        Self::Attesting,
        Self::Enrolling,
        Self::FetchingBundle,
        Self::AwaitingAdmission,
        Self::Member,
    ];

    /// Its name in logs and metrics, which never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Discovering => "discovering",
            Self::Pausing => "pausing",
            Self::Connecting => "connecting",
            Self::Asking => "asking",
            Self::TakingOwnership => "taking-ownership",
            Self::Attesting => "attesting",
            Self::Enrolling => "enrolling",
            Self::FetchingBundle => "fetching-bundle",
            Self::AwaitingAdmission => "awaiting-admission",
            Self::Member => "member",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_in_order() {
        assert!(Phase::ALL.is_sorted());
        let codes: std::collections::HashSet<_> = Phase::ALL.map(Phase::code).into_iter().collect();
        assert_eq!(codes.len(), Phase::ALL.len());
    }
}
