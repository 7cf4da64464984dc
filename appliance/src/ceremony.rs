//! What `dolmen ca` and `dolmen masa` share: when something is signed, and how people compare certificates.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use dolmen_provisioning_ca::{Certificate, UnixTime};
use dolmen_provisioning_ceremony::Moment;

/// Now, with random bytes for one certificate.
pub(crate) fn moment() -> anyhow::Result<Moment> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970; set it")?;
    Ok(Moment { now: UnixTime::from_secs(now.as_secs())?, random: rand::random() })
}

/// SHA-256, in pairs of digits with colons between them, as browsers show it.
pub(crate) fn fingerprint(certificate: &Certificate) -> String {
    certificate.fingerprint().map(|byte| format!("{byte:02X}")).join(":")
}
