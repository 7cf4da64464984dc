//! What the system's service manager is told of a box (sd_notify(3)). Where none started it, all of this does nothing.

use sd_notify::NotifyState;

/// The box serves.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The box goes on. Must come more often than the manager's `WatchdogSec`, which restarts a box that is silent.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The box ends in order.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The box ends in order, and the same process begins again: the manager wants to know when (sd_notify(3), `RELOADING`).
pub(crate) fn beginning_again() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told when the box began again"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how the box is, and may restart it");
    }
}
