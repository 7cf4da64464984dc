//! What goes wrong at the box's end, by codes that stay.
//!
//! A report has the box's word or a registrar's. A code says the same whoever's it is, so that none of these is one of a
//! registrar's: logs and alarms go by the code alone.

/// What goes wrong at the box's end: it cannot do its part, or cannot make anything of what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody could be looked for.
    Discovery,
    /// No connection was made, or it was lost before the answer.
    Connection,
    /// An answer that this protocol does not know.
    Answer,
    /// Whoever answers shows no certificates that can be read.
    ServerCertificates,
    /// Whoever answers is no registrar of the owner.
    ServerNotOwner,
    /// The TPM does not say its ownership epoch.
    EpochUnread,
    /// The TPM does not raise it.
    EpochNotRaised,
    /// No nonce was made up.
    Nonce,
    /// No request for a voucher was made.
    VoucherRequest,
    /// A key did not sign.
    Signature,
    /// The TPM does not say what it is, or the logs were not gathered.
    Attestation,
    /// The TPM does not answer a challenge.
    Response,
    /// No request for a certificate was made.
    Request,
    /// One was made by another key than that of the present certificate.
    RequestOtherKey,
    /// No request for admission was made.
    AdmissionRequest,
    /// The disk does not take the record.
    Record,
    /// The record is a former owner's.
    RecordSuperseded,
    /// What is to be quoted cannot be read.
    QuoteRequest,
    /// A challenge that cannot be read.
    Challenge,
    /// As what the box was admitted cannot be read.
    Role,
    /// A step failed that cannot.
    Step,
}

impl Fault {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 21] = [
        Self::Discovery,
        Self::Connection,
        Self::Answer,
        Self::ServerCertificates,
        Self::ServerNotOwner,
        Self::EpochUnread,
        Self::EpochNotRaised,
        Self::Nonce,
        Self::VoucherRequest,
        Self::Signature,
        Self::Attestation,
        Self::Response,
        Self::Request,
        Self::RequestOtherKey,
        Self::AdmissionRequest,
        Self::Record,
        Self::RecordSuperseded,
        Self::QuoteRequest,
        Self::Challenge,
        Self::Role,
        Self::Step,
    ];

    /// Its name in logs and metrics, which never changes.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Discovery => "discovery-failed",
            Self::Connection => "connection-failed",
            Self::Answer => "answer-strange",
            Self::ServerCertificates => "server-certificates",
            Self::ServerNotOwner => "server-not-owner",
            Self::EpochUnread => "epoch-unread",
            Self::EpochNotRaised => "epoch-not-raised",
            Self::Nonce => "nonce-failed",
            Self::VoucherRequest => "voucher-request-failed",
            Self::Signature => "signature-failed",
            Self::Attestation => "attestation-failed",
            Self::Response => "response-failed",
            Self::Request => "request-not-made",
            Self::RequestOtherKey => "request-other-key",
            Self::AdmissionRequest => "admission-request-failed",
            Self::Record => "record-not-stored",
            Self::RecordSuperseded => "record-superseded",
            Self::QuoteRequest => "quote-request-damaged",
            Self::Challenge => "challenge-damaged",
            Self::Role => "role-damaged",
            Self::Step => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes in a file: what its `match`es lead to. That way none can be left out.
    fn codes(source: &'static str) -> BTreeSet<&'static str> {
        let is_code =
            |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).filter(is_code).collect()
    }

    /// By which a registrar refuses, whatever the box sent; and those of the crates that judge for it. What judges
    /// vouchers and bundles judges them in the same way at both ends.
    fn registrars() -> BTreeSet<&'static str> {
        let sources = [
            include_str!("../../registrar/src/code.rs"),
            include_str!("../../registrar/src/call.rs"),
            include_str!("../../appraisal/src/refusal.rs"),
            include_str!("../../appraisal/src/again.rs"),
            include_str!("../../bundle/src/refusal.rs"),
            include_str!("../../voucher/src/refusal.rs"),
        ];
        sources.into_iter().flat_map(codes).collect()
    }

    #[test]
    fn a_code_has_one_meaning() {
        let registrars = registrars();
        for known in
            ["certificate-damaged", "box-alarmed", "ek-other", "drift-register", "request-failed", "unknown-path"]
        {
            assert!(registrars.contains(known), "{known}");
        }
        let own = Fault::ALL.map(Fault::code);
        let all: BTreeSet<_> = own.into_iter().collect();
        assert_eq!(all.len(), own.len());
        let sources = [include_str!("trust.rs"), include_str!("owner.rs"), include_str!("pledge/seek.rs")];
        let judged: BTreeSet<_> = sources.into_iter().flat_map(codes).collect();
        for known in ["cacerts-damaged", "record-voucher", "voucher-offers-full"] {
            assert!(judged.contains(known), "{known}");
        }
        for code in all.union(&judged) {
            assert!(!registrars.contains(code), "{code} is a registrar's, too");
        }
        assert!(all.is_disjoint(&judged));
    }
}
