//! Runs a client on a network, and writes what it wants written.

use std::{
    collections::VecDeque,
    future::Future,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dolmen_governance::LightError;
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

/// Knows which blocks are the chain's. Is asked on a blocking thread.
pub trait PivotCheck: Send + 'static {
    /// Whether a block that a peer offers is the chain's: whether enough validators of its epoch signed its
    /// certificate, and its header commits to the record.
    fn check(&mut self, pivot: Pivot) -> Result<Checked, DriveError>;

    /// Takes in what a peer says are the next links, as far as they hold, durably.
    fn link(&mut self, links: Vec<Pivot>) -> Result<Linked, DriveError>;
}

/// What is known of a block that a peer offers.
#[derive(Debug)]
pub enum Checked {
    /// It is the chain's; with a certificate and a record that are right, whatever it came with.
    Chain(Box<Pivot>),
    /// It is of a later epoch than the last whose validators are known.
    Unlinked {
        /// The epoch whose validators are known.
        known: u64,
        /// The block's.
        epoch: u64,
    },
    /// No correct box offers it.
    Lie(Fault),
}

/// What came of links.
#[derive(Debug)]
pub struct Linked {
    /// The epoch whose validators are known now.
    pub epoch: u64,
    /// What was wrong with the first that did not hold.
    pub lie: Option<Fault>,
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
    /// The signatures could not be checked, or the chain's records could not be read.
    #[error("what the other boxes offer cannot be checked; see the cause, and start the box again to go on")]
    Check(#[source] Box<LightError>),
    /// Who was told of the progress ended it.
    #[error("fetching a state was ended")]
    Ended,
    /// There is no network any more.
    #[error("the network ended before the state was fetched; start the box again to go on")]
    Closed,
    /// A bug.
    #[error("fetching a state stopped in a panic; please report the message above, and start the box again to go on")]
    Panicked(#[source] JoinError),
}

/// Runs a client until the database is whole. It can then be closed, and opened as a chain's. `report` is called
/// twice a second or so, and at the end; before the end it may break off, and what was written until then stays.
///
/// Checking and writing run on the runtime's blocking threads, one event at a time.
pub async fn drive<N: SyncNetwork, C: PivotCheck>(
    mut client: Client,
    filling: Arc<Filling>,
    network: &mut N,
    mut check: C,
    mut report: impl FnMut(&Report) -> ControlFlow<()> + Send,
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
            let settled = settle(&filling, &mut check, actions);
            (client, check, settled)
        });
        let settled;
        (client, check, settled) = step.await.map_err(DriveError::Panicked)?;
        let (actions, answers) = settled?;
        events.extend(answers);
        let is_end = actions.iter().any(|action| matches!(action, Action::Done));
        if is_tick || is_end {
            let is_over = report(&client.report()).is_break();
            if is_over && !is_end {
                return Err(DriveError::Ended);
            }
        }
        for action in actions {
            match action {
                // Settled.
                Action::Write(_) | Action::Offered { .. } | Action::Links { .. } => {}
                Action::Send { to, message } => network.send(to, message).await,
                Action::Ban { peer, fault } => {
                    tracing::warn!(%peer, error = &fault as &dyn std::error::Error, "a peer is banned");
                    network.ban(peer, &fault);
                }
                Action::Done => return Ok(()),
                Action::Failed(error) => return Err(error.into()),
            }
        }
    }
}

/// Does what needs the disk and the processor, and says what came of it. What is left is the network's.
fn settle<C: PivotCheck>(
    filling: &Filling,
    check: &mut C,
    actions: Vec<Action>,
) -> Result<(Vec<Action>, Vec<Event>), DriveError> {
    let (mut left, mut events) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Write(write) => filling.apply(&write)?,
            Action::Offered { peer, pivot } => events.push(match check.check(*pivot)? {
                Checked::Chain(pivot) => Event::Trusted(pivot),
                Checked::Unlinked { known, epoch } => Event::Unlinked { peer, known, epoch },
                Checked::Lie(fault) => Event::Caught { peer, fault },
            }),
            Action::Links { peer, links } => {
                let Linked { epoch, lie } = check.link(links)?;
                events.push(Event::Linked { epoch });
                events.extend(lie.map(|fault| Event::Caught { peer, fault }));
            }
            other => left.push(other),
        }
    }
    Ok((left, events))
}

#[cfg(test)]
mod tests;
