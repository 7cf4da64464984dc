//! A box that joined by a registrar, as long as it runs: it shows itself, and renews its certificate.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use dolmen_node::Node;
use dolmen_provisioning_pledge::{Keeper, Outcome, Pledge, Record, Step};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, block_in_place},
};

use super::{
    driver::{Driver, Home, is_owned},
    report::{Report, Reporter},
};
use crate::ceremony;

/// Between two looks whether the box has the whole chain.
const LOOK: Duration = Duration::from_millis(250);

/// Keeps a box in its registrar's good books until it is dropped.
pub(crate) struct Keeping {
    task: JoinHandle<()>,
    reports: watch::Receiver<Option<Report>>,
    asks: Arc<Notify>,
}

impl Keeping {
    /// Begins, if a registrar had the box admitted; others have no registrar that asks for anything.
    ///
    /// A box whose record does not hold votes on without: its people are told.
    pub(crate) fn start(home: Home, node: Arc<Node>) -> Option<Self> {
        if !is_owned(&home.directory) {
            return None;
        }
        let (tell, reports) = watch::channel(None);
        let asks = Arc::new(Notify::new());
        let asked = asks.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = keep(home, node, tell, &asked).await {
                let error = format!("{error:#}");
                tracing::error!(error, "this box neither attests nor renews its certificate any more");
            }
        });
        Some(Self { task, reports, asks })
    }

    /// How things stand; none before the first look.
    pub(crate) fn reports(&self) -> watch::Receiver<Option<Report>> {
        self.reports.clone()
    }

    /// Whoever wants another certificate for the box says so there.
    pub(crate) fn asks(&self) -> Arc<Notify> {
        self.asks.clone()
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(home: Home, node: Arc<Node>, tell: watch::Sender<Option<Report>>, asked: &Notify) -> anyhow::Result<()> {
    // The TPM is asked who the box is.
    let mut driver = block_in_place(|| Driver::new(home))?;
    let record = driver.record()?.context("the record of the box's owner is gone")?;
    check_owner(&mut driver, &record).await?;
    let mut keeper = Keeper::resume(record, driver.identity())
        .context("what this box knows of its owner does not hold; decommission it and have it join anew")?;
    let mut reporter = Reporter::new(driver.directory());
    // The registrar has a box made a validator that has shown itself after it had the chain.
    let mut behind = true;
    loop {
        let report = Report::of_keeper(&keeper, now()?);
        reporter.tell(&report);
        tell.send_replace(Some(report));
        if behind && node.syncing().is_none() {
            behind = false;
            keeper.attest_now();
        }
        let step = keeper.next();
        let outcome = match step {
            Step::Wait { .. } => tokio::select! {
                outcome = driver.perform(step) => outcome,
                () = caught_up(&node), if behind => continue,
                () = asked.notified() => {
                    tracing::info!("another certificate is asked for");
                    keeper.renew_now();
                    Outcome::Waited
                }
            },
            step => driver.perform(step).await,
        };
        keeper.done(outcome, now()?)?;
    }
}

/// Tells the registrar that the box is decommissioned, within so long.
pub(crate) async fn leave(home: Home, within: Duration) -> anyhow::Result<()> {
    let mut driver = block_in_place(|| Driver::new(home))?;
    let record = driver.record()?.context("the record of the box's owner is gone")?;
    let mut keeper = Keeper::resume(record, driver.identity())?;
    keeper.leave();
    let left = async {
        loop {
            let step = keeper.next();
            if matches!(step, Step::Left) {
                return Ok(());
            }
            let outcome = driver.perform(step).await;
            keeper.done(outcome, now()?)?;
        }
    };
    let left: Result<anyhow::Result<()>, _> = tokio::time::timeout(within, left).await;
    left.unwrap_or_else(|_| {
        let why = keeper.last_refusal().or(keeper.last_failure());
        Err(anyhow::anyhow!("{}", why.map_or("it does not answer", |report| report.message())))
    })
}

/// Whether the record is the present owner's, by the TPM's ownership epoch.
async fn check_owner(driver: &mut Driver, record: &Record) -> anyhow::Result<()> {
    let mut pledge = Pledge::resume(Some(record.clone()), driver.identity()).context("the record does not hold")?;
    loop {
        let step = pledge.next();
        match step {
            Step::Joined { .. } => return Ok(()),
            Step::ReadEpoch | Step::RaiseEpoch(_) => {}
            _ => {
                let why = pledge.last_refusal().map_or("it is no member's", |refusal| refusal.message());
                anyhow::bail!("the record of the box's owner counts no more: {why}; decommission the box");
            }
        }
        let outcome = driver.perform(step).await;
        if let Outcome::Failed(why) = &outcome {
            anyhow::bail!("the TPM does not tell the ownership epoch: {why}");
        }
        pledge.done(outcome)?;
    }
}

async fn caught_up(node: &Node) {
    while node.syncing().is_some() {
        tokio::time::sleep(LOOK).await;
    }
}

fn now() -> anyhow::Result<u64> {
    Ok(ceremony::moment()?.now.as_secs())
}
