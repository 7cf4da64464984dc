use alloy_primitives::{Address, FixedBytes};
use dolmen_accel_library::{Library, Signs};
use dolmen_types::Epochs;
use dolmen_types::certificate::{CertificateError, RankedSignature};

use super::*;
use crate::{EpochValidator, Parameters};

const GENESIS: B256 = B256::repeat_byte(9);
const EPOCH_BLOCKS: u64 = 20;

fn signer(seed: u8) -> Box<dyn Signs> {
    Library::Ed25519Dalek.signer(Algorithm::Ed25519, &[seed; 32]).expect("every secret is an Ed25519 key")
}

fn public_key(signer: &dyn Signs) -> PublicKey {
    PublicKey(signer.public_key().try_into().expect("32 bytes"))
}

/// What `signers` of a set sign to finalize a block.
fn certify(epoch: u64, block: B256, validators: &[PublicKey], signers: &[&dyn Signs]) -> Certificate {
    let mut keys = validators.to_vec();
    keys.sort_unstable();
    let mut ranked: Vec<_> = signers
        .iter()
        .map(|signer| (keys.iter().position(|key| *key == public_key(*signer)).expect("of the set"), *signer))
        .collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    let blank =
        |rank: usize| RankedSignature { rank: u32::try_from(rank).expect("a small set"), signature: FixedBytes::ZERO };
    let signatures = ranked.iter().map(|(rank, _)| blank(*rank)).collect();
    let mut certificate = Certificate { epoch, view: 9, parent_view: 8, block, signatures };
    let message = certificate.signed(&block, &GENESIS, validators).expect("a quorum").message;
    for (signed, (_, signer)) in certificate.signatures.iter_mut().zip(ranked) {
        signed.signature = FixedBytes::from_slice(&signer.sign(Message::Bytes(&message)));
    }
    certificate
}

fn epochs() -> Epochs {
    Epochs::new(EPOCH_BLOCKS.try_into().unwrap())
}

/// Four validators, whose secrets are these numbers and the three after.
struct Set(Vec<Box<dyn Signs>>);

impl Set {
    fn new(first: u8) -> Self {
        Self((first..first + 4).map(signer).collect())
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.0.iter().map(|signer| public_key(&**signer)).collect()
    }

    fn certify(&self, epoch: u64, header: &Header) -> Certificate {
        let signers: Vec<_> = self.0.iter().skip(1).map(|signer| &**signer).collect();
        certify(epoch, header.hash_slow(), &self.keys(), &signers)
    }

    /// The record of an epoch in which this set votes.
    fn record(&self, epoch: u64) -> Vec<u8> {
        let mut keys = self.keys();
        keys.sort_unstable();
        let validators = keys.into_iter().map(|key| EpochValidator {
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
        EpochRecord { epoch, validators: validators.collect(), parameters }.encode().to_vec()
    }
}

/// An epoch's last header, which commits to a record.
fn last(epoch: u64, record: &[u8]) -> Header {
    let number = (epoch + 1) * EPOCH_BLOCKS - 1;
    Header { number, requests_hash: Some(requests_hash(record)), ..Default::default() }
}

#[test]
fn the_sets_of_all_epochs_are_followed() {
    let engine = dolmen_accel_library::baseline();
    let sets = [Set::new(1), Set::new(3), Set::new(20), Set::new(20)];
    let mut client = LightClient::new(GENESIS, epochs(), sets[0].keys());
    for (epoch, pair) in (0..).zip(sets.windows(2)) {
        let record = pair[1].record(epoch + 1);
        let header = last(epoch, &record);
        client.advance(&header, &pair[0].certify(epoch, &header), &record, &engine).unwrap();
        assert_eq!(client.epoch(), epoch + 1);
        let later = Header { number: header.number + 3, ..Default::default() };
        client.check(&later, &pair[1].certify(epoch + 1, &later), &engine).unwrap();
    }
    let mut keys = sets[3].keys();
    keys.sort_unstable();
    assert_eq!(client.validators(), keys);
}

#[test]
fn what_proves_nothing_is_refused() {
    let engine = dolmen_accel_library::baseline();
    let (ours, next) = (Set::new(1), Set::new(3));
    let client = LightClient::new(GENESIS, epochs(), ours.keys());
    let header = Header { number: 5, ..Default::default() };
    let good = ours.certify(0, &header);
    client.check(&header, &good, &engine).unwrap();
    // Another block.
    let other = Header { gas_used: 1, ..header.clone() };
    let error = client.check(&other, &good, &engine).unwrap_err();
    assert!(matches!(error, LightError::Certificate { height: 5, source: CertificateError::Block { .. } }), "{error}");
    // Another set, with two signers in both.
    let error = client.check(&header, &next.certify(0, &header), &engine).unwrap_err();
    assert!(matches!(error, LightError::Signature { height: 5, .. }), "{error}");
    // A signature less, and one that is another's.
    let mut few = good.clone();
    few.signatures.pop();
    let error = client.check(&header, &few, &engine).unwrap_err();
    assert!(matches!(error, LightError::Certificate { source: CertificateError::Quorum { .. }, .. }), "{error}");
    let mut forged = good.clone();
    forged.signatures[2].signature = forged.signatures[0].signature;
    let error = client.check(&header, &forged, &engine).unwrap_err();
    assert!(matches!(error, LightError::Signature { .. }), "{error}");
    // Another chain's.
    let elsewhere = LightClient::new(B256::repeat_byte(8), epochs(), ours.keys());
    assert!(matches!(elsewhere.check(&header, &good, &engine), Err(LightError::Signature { .. })));
    // Of another epoch than the block's, and of an epoch that the client is not in.
    let error = client.check(&header, &ours.certify(1, &header), &engine).unwrap_err();
    assert!(matches!(error, LightError::CertificateEpoch { found: 1, expected: 0, .. }), "{error}");
    let later = Header { number: EPOCH_BLOCKS, ..Default::default() };
    let error = client.check(&later, &ours.certify(1, &later), &engine).unwrap_err();
    assert!(matches!(error, LightError::Epoch { found: 1, known: 0, .. }), "{error}");
}

#[test]
fn an_epoch_is_entered_by_its_own_record_alone() {
    let engine = dolmen_accel_library::baseline();
    let (ours, next) = (Set::new(1), Set::new(3));
    let record = next.record(1);
    let client = LightClient::new(GENESIS, epochs(), ours.keys());
    let advance = |header: &Header, record: &[u8]| {
        let mut client = client.clone();
        let advanced = client.advance(header, &ours.certify(0, header), record, &engine);
        // Whoever is refused stays where it was.
        assert!(advanced.is_ok() || (client.epoch() == 0 && client.validators() == ours.keys()));
        advanced
    };
    let header = last(0, &record);
    advance(&header, &record).unwrap();
    assert!(matches!(advance(&header, &ours.record(1)), Err(LightError::Commitment { epoch: 1, .. })));
    let early = Header { number: header.number - 1, ..header.clone() };
    assert!(matches!(advance(&early, &record), Err(LightError::NotLast { .. })));
    let skipped = next.record(2);
    let error = advance(&last(0, &skipped), &skipped).unwrap_err();
    assert!(matches!(error, LightError::RecordEpoch { epoch: 1, found: 2 }), "{error}");
    assert!(matches!(advance(&last(0, b"none"), b"none"), Err(LightError::Record { epoch: 1, .. })));
}
