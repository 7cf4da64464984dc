//! Who hears what in an epoch. Votes, and certificates that lead to a block but do not end in one, are for those who vote;
//! finality is for all boxes. A box that follows reads nothing else (`epochs.rs`), and sending it the rest would cost those
//! who vote four messages a block and box instead of one.

use std::{sync::Arc, time::SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{CheckedSender, LimitedSender, Recipients, Sender};
use commonware_runtime::IoBufs;

use crate::{Peer, key::to_commonware};

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

/// Sends certificates: those of finality to the others too.
#[derive(Clone)]
pub(crate) struct Certificates<S, P> {
    to_voters: ToVoters<S>,
    /// Says which boxes this one is to be connected with.
    peers: P,
    /// What it said last, and those of them that do not vote.
    said: Arc<[Peer]>,
    followers: Arc<[PublicKey]>,
}

impl<S: Sender<PublicKey = PublicKey>, P: Fn() -> Arc<[Peer]>> Certificates<S, P> {
    pub(crate) fn new(sender: S, voters: Arc<[PublicKey]>, peers: P) -> Self {
        Self { to_voters: ToVoters::new(sender, voters), peers, said: Arc::from([]), followers: Arc::from([]) }
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
                followers = Some((self.to_voters.sender.clone(), own));
            }
        }
        Ok(CheckedCertificates { voters: self.to_voters.check(recipients)?, followers })
    }
}

/// Sends one certificate.
pub(crate) struct CheckedCertificates<'a, S: Sender + 'a> {
    voters: S::Checked<'a>,
    followers: Option<(S, Arc<[PublicKey]>)>,
}

impl<'a, S: Sender<PublicKey = PublicKey> + 'a> CheckedSender for CheckedCertificates<'a, S> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.voters.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into();
        if let Some((mut sender, followers)) = self.followers
            && message.chunk_at(0).and_then(<[u8]>::first) == Some(&FINALIZATION)
        {
            let _ = sender.send(Recipients::Some(followers.to_vec()), message.clone(), priority);
        }
        self.voters.send(message, priority)
    }
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

    #[test]
    fn followers_hear_of_finality_alone() {
        let key = |seed| PrivateKey::from_seed(seed).public_key();
        let peer = |seed| Peer { public_key: from_commonware(&key(seed)), address: ([127, 0, 0, 1], 1).into() };
        let voters: Arc<[_]> = [key(1), key(2)].into();
        let (wire, boxes) = (Wire::default(), Arc::new(Mutex::new(Arc::<[Peer]>::from([peer(1), peer(2), peer(8)]))));
        let said = boxes.clone();
        let mut certificates = Certificates::new(wire.clone(), voters.clone(), move || said.lock().clone());
        let mut tell = |kind: u8, to| {
            let _ = certificates.send(to, vec![kind, 7], true);
            std::mem::take(&mut *wire.0.lock())
        };
        for kind in [0, 1] {
            assert_eq!(tell(kind, Recipients::All), [(voters.to_vec(), vec![kind, 7])]);
        }
        let finality = [(vec![key(8)], vec![2, 7]), (voters.to_vec(), vec![2, 7])];
        assert_eq!(tell(2, Recipients::All), finality);
        assert_eq!(tell(2, Recipients::One(key(9))), [(vec![key(9)], vec![2, 7])], "who asks is answered");
        // A box that is admitted hears it from then on.
        *boxes.lock() = [peer(1), peer(2), peer(8), peer(9)].into();
        assert_eq!(tell(2, Recipients::All)[0].0, [key(8), key(9)]);

        let _ = ToVoters::new(wire.clone(), voters.clone()).send(Recipients::All, vec![5], true);
        assert_eq!(*wire.0.lock(), [(voters.to_vec(), vec![5])]);
    }
}
