//! Runs a client on a network, and writes what it wants written.

use std::{
    collections::VecDeque,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dolmen_store::{
    StoreError,
    snapshot::{Filling, Pivot},
};
use dolmen_types::PublicKey;
use tokio::{task::JoinError, time};

use crate::{Action, Client, ClientError, Event, Fault, Report};

/// Longest time between two events that the client sees.
const TICK: Duration = Duration::from_millis(500);

/// Messages from and to other boxes. Requests of theirs are none of the client's: who implements this answers them, or
/// drops them ([`is_request`](crate::is_request)).
pub trait SyncNetwork: Send {
    /// Sends a message to a peer; it may get lost. Waits for as long as the network takes no more.
    fn send(&mut self, to: PublicKey, message: Bytes) -> impl Future<Output = ()> + Send;

    /// Waits for the next event. May be dropped before it is there, and must then lose none.
    fn next(&mut self) -> impl Future<Output = NetworkEvent> + Send;

    /// Peers that can be reached now; changes since are events.
    fn peers(&self) -> Vec<PublicKey>;

    /// Takes no more messages of a peer, which did what no correct box does.
    fn ban(&mut self, peer: PublicKey, fault: &Fault);
}

/// What happens on a network.
#[derive(Clone, Debug)]
pub enum NetworkEvent {
    /// A peer can be reached.
    Connected(PublicKey),
    /// It cannot be reached any more.
    Gone(PublicKey),
    /// A message of a peer.
    Message {
        /// The peer.
        from: PublicKey,
        /// The message.
        message: Bytes,
    },
    /// The network has ended.
    Closed,
}

/// Knows which blocks are the chain's.
pub trait PivotCheck: Send {
    /// Whether a block that a peer offers is the chain's: whether enough validators of its epoch signed its
    /// certificate, and its header commits to the record. Asked again after half a minute where it is not.
    fn check(&mut self, pivot: &Pivot) -> impl Future<Output = bool> + Send;
}

/// Why a state was not fetched. What was written until then is there for the next time.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be done.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no network any more.
    #[error("the network ended before the state was fetched; start the box again to go on")]
    Closed,
    /// A bug.
    #[error("fetching a state stopped in a panic; please report the message above, and start the box again to go on")]
    Panicked(#[source] JoinError),
}

/// Runs a client until the database is whole. It can then be closed, and opened as a chain's. `report` is called
/// twice a second or so, and at the end.
///
/// Checking and writing run on the runtime's blocking threads, one event at a time.
pub async fn drive<N: SyncNetwork, C: PivotCheck>(
    mut client: Client,
    filling: Arc<Filling>,
    network: &mut N,
    check: &mut C,
    mut report: impl FnMut(&Report) + Send,
) -> Result<(), DriveError> {
    let start = Instant::now();
    let mut ticked = start;
    let mut events: VecDeque<Event> = network.peers().into_iter().map(Event::Connected).collect();
    loop {
        let event = match events.pop_front() {
            Some(event) => event,
            // A flood of messages must not keep the client from seeing the time pass.
            None if ticked.elapsed() >= TICK => Event::Tick,
            None => match time::timeout(TICK, network.next()).await {
                Ok(NetworkEvent::Connected(peer)) => Event::Connected(peer),
                Ok(NetworkEvent::Gone(peer)) => Event::Gone(peer),
                Ok(NetworkEvent::Message { from, message }) => Event::Message { from, message },
                Ok(NetworkEvent::Closed) => return Err(DriveError::Closed),
                Err(_) => Event::Tick,
            },
        };
        let is_tick = matches!(event, Event::Tick);
        if is_tick {
            ticked = Instant::now();
        }
        let now_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let filling = filling.clone();
        let step = tokio::task::spawn_blocking(move || {
            let actions = client.handle(event, now_ms);
            let written = write_all(&filling, &actions);
            (client, actions, written)
        });
        let (stepped, actions, written) = step.await.map_err(DriveError::Panicked)?;
        written?;
        client = stepped;
        let is_end = actions.iter().any(|action| matches!(action, Action::Done));
        if is_tick || is_end {
            report(&client.report());
        }
        for action in actions {
            match action {
                Action::Write(_) => {}
                Action::Send { to, message } => network.send(to, message).await,
                Action::Ban { peer, fault } => {
                    tracing::warn!(%peer, error = &fault as &dyn std::error::Error, "a peer is banned");
                    network.ban(peer, &fault);
                }
                Action::Offered { peer, pivot } => {
                    if check.check(&pivot).await {
                        events.push_back(Event::Trusted(pivot));
                    } else {
                        tracing::warn!(%peer, height = pivot.number(), hash = %pivot.hash(), "a peer offers a block that is not known to be the chain's");
                    }
                }
                Action::Done => return Ok(()),
                Action::Failed(error) => return Err(error.into()),
            }
        }
    }
}

fn write_all(filling: &Filling, actions: &[Action]) -> Result<(), StoreError> {
    actions.iter().try_for_each(|action| match action {
        Action::Write(write) => filling.apply(write),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests;
