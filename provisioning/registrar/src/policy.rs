//! What an organisation decides about the boxes that come.
//!
//! ```toml
//! retry-seconds = 30                # what boxes that wait are told: 1 to 3600
//! waiting-max = 100                 # boxes that wait for an approval: 0 to 1000
//! ldevid-days = 365                 # how long certificates of boxes hold
//! appraisal-hours-max = 24          # how old a box's last appraisal may be when it is given a certificate
//! attestation-hours = 24            # how often an enrolled box shows that it is the same
//! attestation-grace-hours = 48      # how much later it may be
//! on-drift = "alarm"                # what becomes of one that is not: "alarm", "demote" or "retire"
//!
//! [approve]                         # which boxes nobody has to approve
//! serials = ["S4EVNX0M123456"]
//! makers = ["9f86d081…"]            # all boxes of these makers: SHA-256 of the root's certificate, DER
//! ```
//!
//! What is left out is as here, but nothing is in `[approve]`. Which TPMs, images and firmware are taken is the policy of
//! appraisals ([`dolmen_provisioning_appraisal::Policy`]).

use std::collections::BTreeSet;

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Serial;
use serde::Deserialize;

use crate::limits::{POLICY_BYTES_MAX, WAITING_MAX};

const HOUR_SECONDS: u64 = 60 * 60;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;
/// Ten years: more than a box lives.
const DAYS_MAX: u64 = 3_650;

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Larger than any.
    #[error("the policy has {0} bytes, {POLICY_BYTES_MAX} at most can be; approve by makers instead of serial numbers")]
    Bytes(usize),
    /// No such file.
    #[error("the policy cannot be read; correct it where the cause says")]
    Toml(#[source] toml::de::Error),
    /// A number that makes no sense.
    #[error("{name} is {found}, it can be {from} to {to}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it says.
        found: u64,
        /// The least.
        from: u64,
        /// The most.
        to: u64,
    },
    /// A certificate would be refused before it is renewed.
    #[error(
        "attestation-hours is {attestation}, appraisal-hours-max {appraisal}: boxes could not renew; attest more often"
    )]
    Renewal {
        /// How often boxes attest.
        attestation: u64,
        /// How old an attestation may be.
        appraisal: u64,
    },
}

/// What becomes of a box that is not what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// Somebody is told.
    #[default]
    Alarm,
    /// It votes no more.
    Demote,
    /// It is one of the chain's no more.
    Retire,
}

/// A policy in which each part makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    file: File,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    retry_seconds: u32,
    waiting_max: usize,
    ldevid_days: u64,
    appraisal_hours_max: u64,
    attestation_hours: u64,
    attestation_grace_hours: u64,
    on_drift: OnDrift,
    approve: Approve,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Approve {
    serials: BTreeSet<Serial>,
    makers: Vec<Hash>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            retry_seconds: 30,
            waiting_max: 100,
            ldevid_days: 365,
            appraisal_hours_max: 24,
            attestation_hours: 24,
            attestation_grace_hours: 48,
            on_drift: OnDrift::Alarm,
            approve: Approve::default(),
        }
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the mistake.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::Bytes(text.len()));
        }
        let file: File = toml::from_str(text).map_err(PolicyError::Toml)?;
        let hours_max = DAYS_MAX * 24;
        let ranges = [
            ("retry-seconds", file.retry_seconds.into(), 1, HOUR_SECONDS),
            ("waiting-max", file.waiting_max as u64, 0, WAITING_MAX as u64),
            ("ldevid-days", file.ldevid_days, 1, DAYS_MAX),
            ("appraisal-hours-max", file.appraisal_hours_max, 1, hours_max),
            ("attestation-hours", file.attestation_hours, 1, hours_max),
            ("attestation-grace-hours", file.attestation_grace_hours, 0, hours_max),
        ];
        for (name, found, from, to) in ranges {
            if !(from..=to).contains(&found) {
                return Err(PolicyError::Range { name, found, from, to });
            }
        }
        let (attestation, appraisal) = (file.attestation_hours, file.appraisal_hours_max);
        if attestation > appraisal {
            return Err(PolicyError::Renewal { attestation, appraisal });
        }
        Ok(Self { file })
    }

    /// Whether nobody has to approve a box. `maker` is SHA-256 of the certificate that its own leads to.
    pub(crate) fn approves(&self, serial: &Serial, maker: Hash) -> bool {
        self.file.approve.serials.contains(serial) || self.file.approve.makers.contains(&maker)
    }

    pub(crate) const fn retry_seconds(&self) -> u32 {
        self.file.retry_seconds
    }

    pub(crate) const fn waiting_max(&self) -> usize {
        self.file.waiting_max
    }

    pub(crate) const fn ldevid_seconds(&self) -> u64 {
        self.file.ldevid_days * DAY_SECONDS
    }

    /// How old the last appraisal or attestation of a box may be when it is given a certificate.
    pub(crate) const fn appraisal_seconds_max(&self) -> u64 {
        self.file.appraisal_hours_max * HOUR_SECONDS
    }

    /// After how long a box attests again.
    pub(crate) const fn attestation_seconds(&self) -> u64 {
        self.file.attestation_hours * HOUR_SECONDS
    }

    /// After how long it is an alarm that it did not.
    pub(crate) const fn overdue_seconds(&self) -> u64 {
        self.attestation_seconds() + self.file.attestation_grace_hours * HOUR_SECONDS
    }

    pub(crate) const fn on_drift(&self) -> OnDrift {
        self.file.on_drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Policy::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_as_documented() {
        let documented = "retry-seconds = 30\nwaiting-max = 100\nldevid-days = 365\nappraisal-hours-max = 24\n\
                          attestation-hours = 24\nattestation-grace-hours = 48\non-drift = \"alarm\"\n";
        let policy = Policy::parse("").unwrap();
        assert_eq!(policy, Policy::parse(documented).unwrap());
        assert!(!policy.approves(&"A".parse().unwrap(), Hash::of(b"maker")));
        assert_eq!((policy.ldevid_seconds(), policy.overdue_seconds()), (31_536_000, 259_200));
    }

    #[test]
    fn boxes_are_approved_by_serial_number_or_maker() {
        let maker = Hash::of(b"maker");
        let text = format!("on-drift = \"retire\"\n[approve]\nserials = [\"A\"]\nmakers = [\"{maker}\"]\n");
        let policy = Policy::parse(&text).unwrap();
        let other = Hash::of(b"other");
        let cases = [("A", other, true), ("B", other, false), ("B", maker, true)];
        for (serial, maker, expected) in cases {
            assert_eq!(policy.approves(&serial.parse().unwrap(), maker), expected, "{serial}");
        }
        assert_eq!(policy.on_drift(), OnDrift::Retire);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, expected) in [
            ("retry-seconds = 0", "retry-seconds is 0, it can be 1 to 3600"),
            ("retry-seconds = 3601", "retry-seconds is 3601, it can be 1 to 3600"),
            ("waiting-max = 1001", "waiting-max is 1001, it can be 0 to 1000"),
            ("ldevid-days = 0", "ldevid-days is 0, it can be 1 to 3650"),
            ("attestation-hours = 25", "attestation-hours is 25, appraisal-hours-max 24: boxes could not renew"),
            ("unknown = 1", "the policy cannot be read"),
            ("on-drift = \"ignore\"", "the policy cannot be read"),
            ("[approve]\nserials = [\" \"]", "the policy cannot be read"),
            ("[approve]\nmakers = [\"AB\"]", "the policy cannot be read"),
            ("[approve]\nall = true", "the policy cannot be read"),
        ] {
            assert!(error(text).starts_with(expected), "{text}: {}", error(text));
        }
        assert!(matches!(Policy::parse(&"#".repeat((1 << 20) + 1)), Err(PolicyError::Bytes(_))));
    }
}
