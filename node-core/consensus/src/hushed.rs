//! A sender that is silent while this box signs no votes.
//!
//! Boxes pass over the turns of those from whom they hear nothing, and certificates count as something heard. A box whose
//! key or disk is gone would go on to send certificates that others made, keep its turns, and have everybody wait for
//! each of them to run out. Nobody needs those certificates: who made them sends them too.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use commonware_p2p::{LimitedSender, Recipients};
use dolmen_hsm_guard::Guard;

/// The sender.
#[derive(Clone, Debug)]
pub(crate) struct Hushed<S> {
    sender: S,
    guard: Arc<Guard>,
}

impl<S> Hushed<S> {
    pub(crate) const fn new(sender: S, guard: Arc<Guard>) -> Self {
        Self { sender, guard }
    }
}

impl<S: LimitedSender> LimitedSender for Hushed<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a>
        = S::Checked<'a>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<Self::PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        if self.guard.is_failing() {
            return Err(SystemTime::now() + Duration::from_secs(1));
        }
        self.sender.check(recipients)
    }
}
