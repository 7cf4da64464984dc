//! A box and its registrar: the first boot (zero-touch), and what comes after it. Both are machines of
//! `provisioning/pledge`, which decide everything.

use anyhow::Context as _;
use dolmen_provisioning_bundle::Bundle;
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_pledge::{Pledge, Role, Step};
use tokio::sync::watch;

use self::{driver::Driver, report::Reporter, stick::Stick};
pub(crate) use self::{
    driver::{Home, LDEVID, is_owned},
    keep::{Keeping, leave},
    report::{Report, Trouble},
    settings::Provisioning,
};

mod driver;
mod evidence;
mod keep;
mod metrics;
mod report;
mod settings;
mod stick;

/// What a box has in its directory by its registrar.
pub(crate) const FILES: [&str; 3] = [driver::RECORD, stick::RECORD, report::FILE];

/// What came of a first boot.
pub(crate) struct Joined {
    /// The chain, by its organisation's word.
    pub(crate) bundle: Bundle,
    /// As what the box was admitted.
    pub(crate) role: Role,
    /// Its certificate, and those that vouch for it.
    pub(crate) ldevid: Vec<Certificate>,
}

/// Goes on with the box's first boot where it was left, until the box is one of its chain's.
pub(crate) async fn join(home: Home, tell: &watch::Sender<Option<Report>>) -> anyhow::Result<Joined> {
    let mut driver = Driver::new(home)?;
    let mut pledge = Pledge::resume(driver.record()?, driver.identity())
        .context("what this box knows of its owner does not hold; `dolmen box decommission` lets it begin anew")?;
    let mut reporter = Reporter::new(driver.directory());
    let mut stick = Stick::new(driver.stick(), driver.directory(), driver.identity().serial_number().clone())?;
    loop {
        let report = Report::of_pledge(&pledge);
        reporter.tell(&report);
        tell.send_replace(Some(report));
        let step = pledge.next();
        if let Step::Joined { bundle, role, ldevid } = step {
            return Ok(Joined { bundle: bundle.clone(), role, ldevid: ldevid.to_vec() });
        }
        let outcome = stick.perform(&mut driver, step).await;
        pledge.done(outcome)?;
        for voucher in stick.offers() {
            if let Err(refusal) = pledge.offer_voucher(&voucher) {
                tracing::debug!(%refusal, "a voucher on the stick is not taken");
            }
        }
    }
}

/// What the chain calls a box: its serial number, as far as names of boxes have its characters.
pub(crate) fn name(serial: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    serial.chars().map(|c| if allowed(c) { c } else { '-' }).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_called_by_their_serial_numbers() {
        assert_eq!(name("BOX-0001"), "BOX-0001");
        assert_eq!(name("a b/c"), "a-b-c");
        assert_eq!(name(&"x".repeat(64)).len(), 32);
    }
}
