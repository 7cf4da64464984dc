//! Who hears what in an epoch. Votes, and certificates that lead to a block but do not end in one, are for those who vote;
//! finality is for all boxes. A box that follows reads nothing else (`epochs.rs`).
//!
//! It is told of a view's finality by f + 1 of those who vote, by turns: one of them at least is honest, and a box that can
//! reach but one of them hears of every few views, which finalize those between. So a follower costs each voter half a
//! message a block instead of four.

use std::{sync::Arc, time::SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_codec::ReadExt as _;
use commonware_consensus::types::Round;
use commonware_cryptography::{certificate::Scheme as _, ed25519::PublicKey};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients, Sender};
use commonware_runtime::IoBufs;
use commonware_utils::{N3f1, ordered::Quorum as _};

use crate::{Peer, key::to_commonware, scheme::Scheme};

/// How commonware encodes a certificate of finality: the first byte.
const FINALIZATION: u8 = 2;

/// Sends to those who vote what is for all.
#[derive(Clone, Debug)]
pub(crate) struct ToVoters<S> {
    sender: S,
    voters: Arc<[PublicKey]>,
}

impl<S> ToVoters<S> {
    /// `voters` are the others, this box not among them.
    pub(crate) const fn new(sender: S, voters: Arc<[PublicKey]>) -> Self {
        Self { sender, voters }
    }
}

impl<S: LimitedSender<PublicKey = PublicKey>> LimitedSender for ToVoters<S> {
    type PublicKey = PublicKey;
    type Checked<'a>
        = S::Checked<'a>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        self.sender.check(match recipients {
            Recipients::All => Recipients::Some(self.voters.to_vec()),
            some => some,
        })
    }
}

/// In which views a voter tells the followers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    /// Its place among those who vote.
    pub(crate) rank: u64,
    /// How many they are, and how many tell in each view.
    pub(crate) voters: u64,
    pub(crate) tellers: u64,
}

impl Turns {
    /// Those of this box in an epoch; `None` where it does not vote.
    pub(crate) fn of(scheme: &Scheme) -> Option<Self> {
        let count = scheme.participants().len();
        let tellers = u64::from(scheme.participants().max_faults::<N3f1>()) + 1;
        Some(Self { rank: scheme.me()?.index().get().into(), voters: count as u64, tellers })
    }

    const fn is_due(self, view: u64) -> bool {
        (view % self.voters + self.rank) % self.voters < self.tellers
    }
}

/// Sends certificates: those of finality to the others too.
#[derive(Clone)]
pub(crate) struct Certificates<S, P> {
    to_voters: ToVoters<S>,
    turns: Turns,
    /// Says which boxes this one is to be connected with.
    peers: P,
    /// What it said last, and those of them that do not vote.
    said: Arc<[Peer]>,
    followers: Arc<[PublicKey]>,
}

impl<S: Sender<PublicKey = PublicKey>, P: Fn() -> Arc<[Peer]>> Certificates<S, P> {
    pub(crate) fn new(sender: S, voters: Arc<[PublicKey]>, turns: Turns, peers: P) -> Self {
        Self { to_voters: ToVoters::new(sender, voters), turns, peers, said: Arc::from([]), followers: Arc::from([]) }
    }

    /// Those who follow now. Boxes come and go within an epoch, but seldom.
    fn followers(&mut self) -> &Arc<[PublicKey]> {
        let peers = (self.peers)();
        if !Arc::ptr_eq(&peers, &self.said) {
            let keys = peers.iter().filter_map(|peer| to_commonware(&peer.public_key).ok());
            self.followers = keys.filter(|key| !self.to_voters.voters.contains(key)).collect();
            self.said = peers;
        }
        &self.followers
    }
}

impl<S, P> LimitedSender for Certificates<S, P>
where
    S: Sender<PublicKey = PublicKey>,
    P: Fn() -> Arc<[Peer]> + Clone + Send + Sync + 'static,
{
    type PublicKey = PublicKey;
    type Checked<'a>
        = CheckedCertificates<'a, S>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        let mut followers = None;
        if matches!(recipients, Recipients::All) {
            let own = self.followers().clone();
            if !own.is_empty() {
                followers = Some((self.to_voters.sender.clone(), own, self.turns));
            }
        }
        Ok(CheckedCertificates { voters: self.to_voters.check(recipients)?, followers })
    }
}

/// Sends one certificate.
pub(crate) struct CheckedCertificates<'a, S: Sender + 'a> {
    voters: S::Checked<'a>,
    followers: Option<(S, Arc<[PublicKey]>, Turns)>,
}

impl<'a, S: Sender<PublicKey = PublicKey> + 'a> CheckedSender for CheckedCertificates<'a, S> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.voters.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into();
        if let Some((mut sender, followers, turns)) = self.followers
            && finalized_view(&message).is_some_and(|view| turns.is_due(view))
        {
            let _ = sender.send(Recipients::Some(followers.to_vec()), message.clone(), priority);
        }
        self.voters.send(message, priority)
    }
}

/// The view of which a certificate is, where it is one of finality.
fn finalized_view(message: &IoBufs) -> Option<u64> {
    let mut rest = message.clone();
    let is_finality = u8::read(&mut rest).is_ok_and(|kind| kind == FINALIZATION);
    is_finality.then(|| Round::read(&mut rest).ok())?.map(|round| round.view().get())
}

#[cfg(test)]
mod tests {
    use commonware_cryptography::{Signer as _, ed25519::PrivateKey};
    use parking_lot::Mutex;

    use super::*;
    use crate::key::from_commonware;

    /// Messages by whom they were for.
    type Sent = Arc<Mutex<Vec<(Vec<PublicKey>, Vec<u8>)>>>;

    #[derive(Clone, Debug, Default)]
    struct Wire(Sent);

    struct Checked(Sent, Vec<PublicKey>);

    impl LimitedSender for Wire {
        type PublicKey = PublicKey;
        type Checked<'a> = Checked;

        fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked, SystemTime> {
            let to = match recipients {
                Recipients::All => panic!("nothing is for all that are connected"),
                Recipients::Some(some) => some,
                Recipients::One(one) => vec![one],
            };
            Ok(Checked(self.0.clone(), to))
        }
    }

    impl CheckedSender for Checked {
        type PublicKey = PublicKey;

        fn recipients(&self) -> Vec<PublicKey> {
            self.1.clone()
        }

        fn send(self, message: impl Into<IoBufs> + Send, _: bool) -> Unreliable<Feedback> {
            let message = message.into();
            self.0.lock().push((self.1, message.chunk_at(0).unwrap().to_vec()));
            Unreliable::Outcome(Feedback::Ok)
        }
    }

    /// Whoever f of them are: dead leaders' views end in no block, and dead voters tell nobody.
    #[test]
    fn each_view_has_its_tellers_and_each_voter_its_views() {
        for (voters, tellers) in [(1, 1), (4, 2), (7, 3), (10, 4)] {
            let turns = |rank| Turns { rank, voters, tellers };
            for view in [0, 1, 5, 1000, u64::MAX] {
                assert_eq!((0..voters).filter(|rank| turns(*rank).is_due(view)).count() as u64, tellers);
            }
            for rank in 0..voters {
                assert_eq!((0..voters).filter(|view| turns(rank).is_due(*view)).count() as u64, tellers);
            }
        }
    }

    #[test]
    fn followers_hear_of_finality_alone() {
        let key = |seed| PrivateKey::from_seed(seed).public_key();
        let peer = |seed| Peer { public_key: from_commonware(&key(seed)), address: ([127, 0, 0, 1], 1).into() };
        let voters: Arc<[_]> = [key(1), key(2)].into();
        let (wire, boxes) = (Wire::default(), Arc::new(Mutex::new(Arc::<[Peer]>::from([peer(1), peer(2), peer(8)]))));
        let said = boxes.clone();
        let turns = Turns { rank: 2, voters: 3, tellers: 1 };
        let mut certificates = Certificates::new(wire.clone(), voters.clone(), turns, move || said.lock().clone());
        // A kind, an epoch and a view.
        let mut tell = |kind: u8, view: u8, to| {
            let _ = certificates.send(to, vec![kind, 7, view], true);
            std::mem::take(&mut *wire.0.lock())
        };
        for (kind, view) in [(0, 4), (1, 4), (2, 5), (2, 6)] {
            assert_eq!(tell(kind, view, Recipients::All), [(voters.to_vec(), vec![kind, 7, view])]);
        }
        let finality = [(vec![key(8)], vec![2, 7, 4]), (voters.to_vec(), vec![2, 7, 4])];
        assert_eq!(tell(2, 4, Recipients::All), finality);
        assert_eq!(tell(2, 5, Recipients::One(key(9))), [(vec![key(9)], vec![2, 7, 5])], "who asks is answered");
        // A box that is admitted hears it from then on.
        *boxes.lock() = [peer(1), peer(2), peer(8), peer(9)].into();
        assert_eq!(tell(2, 7, Recipients::All)[0].0, [key(8), key(9)]);

        let _ = ToVoters::new(wire.clone(), voters.clone()).send(Recipients::All, vec![5], true);
        assert_eq!(*wire.0.lock(), [(voters.to_vec(), vec![5])]);
    }
}
