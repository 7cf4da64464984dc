//! The peer-to-peer channels, their quotas, and the transport's settings.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use alloy_primitives::B256;
use commonware_cryptography::{ChaCha20Poly1305, ed25519::PublicKey};
use commonware_p2p::{Address, authenticated::lookup};
use commonware_runtime::Quota;
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize, ordered::Map};

use crate::{
    Peer,
    fair::Share,
    key::{TransportKey, to_commonware},
};

/// Messages a second that one peer may send on a channel; a mailbox holds one second's worth of every peer.
pub(crate) struct Channel {
    pub(crate) id: u64,
    per_second: u32,
}

/// Notarize, nullify and finalize votes: two a view as a rule, and the fastest chain measured passes 150 views a second.
/// Beyond the quota votes are dropped and views wait for their time-outs; mailboxes are as large as the quota.
pub(crate) const VOTES: Channel = Channel { id: 0, per_second: 512 };
/// Certificates: two a view as a rule.
pub(crate) const CERTIFICATES: Channel = Channel { id: 1, per_second: 512 };
/// Requests for certificates that a box missed.
pub(crate) const RESOLVER: Channel = Channel { id: 2, per_second: 128 };
/// Proposed blocks, one a view from its leader.
pub(crate) const BLOCKS: Channel = Channel { id: 3, per_second: 128 };
/// Requests for finalized blocks, and the answers.
pub(crate) const BACKFILL: Channel = Channel { id: 4, per_second: 256 };
/// Transactions in batches.
pub(crate) const GOSSIP: Channel = Channel { id: 5, per_second: 256 };
/// Heights, once a second.
pub(crate) const STATUS: Channel = Channel { id: 6, per_second: 4 };
/// Parts of states, for boxes that join: what they ask for, and the answers. A box that joins has four requests out with
/// each of the others, which take some 10 ms to answer at best.
pub(crate) const SYNC: Channel = Channel { id: 7, per_second: 64 };

/// What one peer may send of the blocks that are decoded, as a number of the largest blocks.
pub(crate) struct BlockShare {
    per_second: u32,
}

/// More than one peer's part of what a chain can execute, and half of a core's time to decode at worst.
pub(crate) const BLOCK_SHARE: BlockShare = BlockShare { per_second: 16 };
/// Proposed blocks of one peer that wait to be decoded: views pass one by one, so two would be usual.
const BLOCKS_WAITING: NonZeroUsize = NZUsize!(8);

impl BlockShare {
    pub(crate) fn of(&self, block_bytes_max: usize) -> Share {
        let bytes = u32::try_from(block_bytes_max).unwrap_or(u32::MAX).saturating_mul(self.per_second);
        let bytes_per_second = NonZeroU32::new(bytes).expect("a genesis allows no empty block");
        Share { messages: BLOCKS_WAITING, bytes_per_second }
    }
}

impl Channel {
    pub(crate) fn quota(&self) -> Quota {
        Quota::per_second(NonZeroU32::new(self.per_second).expect("quotas are not zero"))
    }
}

pub(crate) type Handshake = Cups<Sake<TransportKey>, ChaCha20Poly1305>;

/// Room for boxes beside this one, at least: the transport's queues are as long as all of them together may send, and
/// made at the start.
const PEERS_ROOM: usize = 15;

/// The boxes that there is room for until the next start, this one among them.
pub(crate) fn room(peers: usize) -> NonZeroUsize {
    NonZeroUsize::new(1 + PEERS_ROOM.max(2 * peers)).expect("one more than a count")
}

/// Clocks of two boxes may differ by this much; get the time before joining.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);

/// What sessions between the boxes of a chain are bound to.
pub(crate) fn namespace(genesis: &B256) -> Vec<u8> {
    [b"dolmen-p2p".as_slice(), genesis.as_slice()].concat()
}

pub(crate) fn config(
    signer: TransportKey,
    namespace: &[u8],
    listen: SocketAddr,
    max_message_size: u32,
    room: NonZeroUsize,
) -> lookup::Config<Handshake> {
    let sake = Sake {
        signer,
        synchrony_bound: CLOCK_SKEW_MAX,
        max_handshake_age: 2 * CLOCK_SKEW_MAX,
        version: sake::Version::V1,
    };
    lookup::Config {
        // Boxes of one site share an address and may be behind a gateway: the key authenticates, not the address.
        allow_private_ips: true,
        bypass_ip_check: true,
        allow_dns: false,
        // A restarted box must be back within a second or two, not the minute that suits the open internet.
        peer_connection_cooldown: Duration::from_secs(1),
        dial_frequency: Duration::from_millis(500),
        dial_timeout: Duration::from_secs(5),
        ping_frequency: Duration::from_secs(5),
        max_concurrent_handshakes: NZU32!(64),
        allowed_handshake_rate_per_ip: Quota::per_second(NZU32!(16)),
        allowed_handshake_rate_per_subnet: Quota::per_second(NZU32!(64)),
        // The queues are as long as all peers of so many sets may send; who leaves stays a peer until its epoch ends.
        tracked_peer_sets: NZUsize!(1),
        // A peer that sent an invalid signature is kept out this long, then may try again after its repair.
        block_duration: Duration::from_mins(10),
        ..lookup::Config::recommended(
            Cups::new(sake, cups::Version::V1),
            namespace,
            listen,
            room,
            max_message_size,
            NZUsize!(1024),
        )
    }
}

/// The boxes to be connected with, this one among them, as the transport is told: the first ones, where there is no room
/// for more, which it would end at.
pub(crate) fn peers(
    own: &PublicKey,
    listen: SocketAddr,
    peers: &[Peer],
    room: NonZeroUsize,
) -> Map<PublicKey, Address> {
    let others = peers
        .iter()
        .take(room.get() - 1)
        .filter_map(|peer| Some((to_commonware(&peer.public_key).ok()?, peer.address.into())));
    Map::from_iter_dedup(std::iter::once((own.clone(), listen.into())).chain(others))
}

#[cfg(test)]
mod tests {
    use commonware_cryptography::{Signer as _, ed25519};

    use super::*;
    use crate::key::from_commonware;

    /// More of them would end the transport, and with it the box.
    #[test]
    fn no_more_peers_are_tracked_than_there_is_room_for() {
        let key = |seed| ed25519::PrivateKey::from_seed(seed).public_key();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let others: Vec<_> = (1..=40).map(|seed| Peer { public_key: from_commonware(&key(seed)), address }).collect();
        for started_with in [0, 3, 10, 40] {
            let room = room(started_with);
            let tracked = peers(&key(0), address, &others, room);
            assert_eq!(tracked.len(), room.get().min(others.len() + 1), "{started_with}");
            assert!(tracked.keys().position(&key(0)).is_some(), "its own is one of them");
        }
    }
}
