use alloy_consensus::Header;
use alloy_primitives::{Address, FixedBytes};
use dolmen_accel_api::{Algorithm, Message};
use dolmen_accel_library::{Library, Signs};
use dolmen_governance::{EpochRecord, EpochValidator, Parameters, requests_hash};
use dolmen_types::{Certificate, certificate::RankedSignature};

use super::*;
use crate::simulation::{EPOCHS, Source};

/// Four validators, whose secrets are these numbers and the three after.
struct Set(Vec<Box<dyn Signs>>);

impl Set {
    fn new(first: u8) -> Self {
        let signer = |seed: u8| Library::Ed25519Dalek.signer(Algorithm::Ed25519, &[seed; 32]).unwrap();
        let mut signers: Vec<_> = (first..first + 4).map(signer).collect();
        // By rank.
        signers.sort_unstable_by(|one, other| one.public_key().cmp(other.public_key()));
        Self(signers)
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.0.iter().map(|signer| PublicKey(signer.public_key().try_into().unwrap())).collect()
    }

    fn record(&self, epoch: u64) -> EpochRecord {
        let validators = self.keys().into_iter().map(|key| EpochValidator {
            key,
            fee_recipient: Address::from_slice(&key.0[..20]),
            name: key.to_string()[..8].to_owned(),
        });
        let parameters = Parameters {
            gas_limit: 30_000_000,
            base_fee_per_gas: 7,
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            silent_after_s: 0,
        };
        EpochRecord { epoch, validators: validators.collect(), parameters }
    }

    fn certify(&self, genesis: &B256, epoch: u64, block: B256) -> Certificate {
        let signed = |rank: u32| RankedSignature { rank, signature: FixedBytes::ZERO };
        let signatures = (1..4).map(signed).collect();
        let mut certificate = Certificate { epoch, view: 9, parent_view: 8, block, signatures };
        let message = certificate.signed(&block, genesis, &self.keys()).unwrap().message;
        for (signed, signer) in certificate.signatures.iter_mut().zip(&self.0[1..]) {
            signed.signature = FixedBytes::from_slice(&signer.sign(Message::Bytes(&message)));
        }
        certificate
    }
}

/// With all fields that a header has which commits to requests: it would not be read back otherwise.
fn header(number: u64, requests_hash: B256) -> Header {
    Header {
        number,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(requests_hash),
        ..Default::default()
    }
}

/// A chain's links: each epoch has other validators.
struct Chain {
    source: Source,
    links: Vec<Pivot>,
    dir: tempfile::TempDir,
}

impl Chain {
    fn new(epochs: u64) -> Self {
        let source = Source::new(1, 1);
        let genesis = source.origin.block.hash();
        let set = |epoch: u64| Set::new(u8::try_from(1 + 3 * epoch).unwrap());
        let links = (0..epochs).map(|epoch| {
            let record = set(epoch + 1).record(epoch + 1).encode();
            let number = EPOCHS.last(epoch).unwrap();
            let header = header(number, requests_hash(&record));
            let certificate = set(epoch).certify(&genesis, epoch, header.hash_slow());
            Pivot::new(header, certificate, record)
        });
        Self { links: links.collect(), source, dir: tempfile::tempdir().unwrap() }
    }

    /// What a start makes of the directory.
    fn trust(&self) -> Trust {
        let filling = Arc::new(Filling::open(self.dir.path(), &self.source.origin).unwrap());
        let (genesis, verifier) = (self.source.origin.block.hash(), Arc::new(dolmen_accel_library::baseline()));
        Trust::new(filling, genesis, EPOCHS, Set::new(1).keys(), verifier).unwrap()
    }

    /// The link of an epoch with another header.
    fn changed(&self, epoch: usize) -> Pivot {
        let link = &self.links[epoch];
        let header = Header { gas_used: 1, ..link.header().clone() };
        Pivot::new(header, link.certificate().clone(), link.record().clone())
    }
}

#[test]
fn links_lead_from_the_genesis_to_any_block_and_stay() {
    let chain = Chain::new(5);
    let mut trust = chain.trust();
    let last = chain.links[4].clone();
    assert!(matches!(trust.check(last.clone()).unwrap(), Checked::Unlinked { known: 0, epoch: 4 }));
    let linked = trust.link(chain.links[..2].to_vec()).unwrap();
    assert!(linked.epoch == 2 && linked.lie.is_none(), "{linked:?}");
    drop(trust);
    let mut trust = chain.trust();
    assert!(matches!(trust.check(last.clone()).unwrap(), Checked::Unlinked { known: 2, epoch: 4 }));
    // Late ones do no harm.
    let linked = trust.link(chain.links[1..4].to_vec()).unwrap();
    assert!(linked.epoch == 4 && linked.lie.is_none(), "{linked:?}");
    assert!(matches!(trust.check(last.clone()).unwrap(), Checked::Chain(pivot) if *pivot == last));
    // Again, and an earlier one, with what was proven instead of what came.
    let earlier = &chain.links[2];
    let claim = Pivot::new(earlier.header().clone(), last.certificate().clone(), last.record().clone());
    assert!(matches!(trust.check(last.clone()).unwrap(), Checked::Chain(_)));
    assert!(matches!(trust.check(claim).unwrap(), Checked::Chain(pivot) if *pivot == *earlier));
}

#[test]
fn what_is_not_the_chains_is_a_lie() {
    let chain = Chain::new(4);
    let mut trust = chain.trust();
    let linked = trust.link(vec![chain.links[0].clone(), chain.changed(1), chain.links[2].clone()]).unwrap();
    assert_eq!(linked.epoch, 1, "what holds before it counts");
    assert!(matches!(linked.lie, Some(Fault::Link { height: 7, .. })), "{linked:?}");
    // One is left out.
    let linked = trust.link(vec![chain.links[2].clone()]).unwrap();
    assert!(matches!(linked.lie, Some(Fault::Link { height: 11, .. })), "{linked:?}");
    assert!(matches!(trust.check(chain.changed(1)).unwrap(), Checked::Lie(Fault::Link { height: 7, .. })));
    assert!(matches!(trust.check(chain.links[1].clone()).unwrap(), Checked::Chain(_)));
    assert!(matches!(trust.check(chain.changed(0)).unwrap(), Checked::Lie(Fault::OtherLink { height: 3, .. })));
    let header = header(4, B256::ZERO);
    let inner = Pivot::new(header, chain.links[1].certificate().clone(), chain.links[1].record().clone());
    assert!(matches!(trust.check(inner).unwrap(), Checked::Lie(Fault::Link { height: 4, .. })));
}
