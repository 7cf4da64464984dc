//! What must hold when a seed was played.

use std::sync::Weak;

use alloy_primitives::B256;
use commonware_cryptography::{Signer as _, ed25519};
use dolmen_accel_api::{Algorithm, BatchVerifier as _, Message, Verdict, VerifyJob};
use dolmen_governance::{EpochRecord, requests_hash};
use dolmen_types::{Block, Certificate, PublicKey};

use super::{
    application::{Applied, Step},
    plan::{EPOCH_BLOCKS, Harm, LIAR},
    world::{Handles, World, engine},
};
use crate::key::from_commonware;

impl World {
    /// No two honest boxes have different blocks at a height, and each has the states that its blocks name.
    pub(super) fn check_chains(&self) {
        let seed = self.plan.seed;
        let chains: Vec<_> = self.plan.honest().map(|index| self.disks[index].lock().clone()).collect();
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        for height in 0..longest {
            let mut blocks = chains.iter().filter_map(|chain| chain.get(height)).map(|applied| applied.block.hash());
            let first = blocks.next();
            assert!(blocks.all(|block| Some(block) == first), "seed {seed}: a fork at height {height}");
        }
        for Applied { block, state, .. } in chains.iter().flatten() {
            assert_eq!(state.root(), block.header().state_root, "seed {seed}: the state at height {}", block.number());
        }
    }

    /// Who was to be replaced votes no more. Where silence counts, the contract may keep a set instead.
    pub(super) fn check_seats(&self) {
        if self.plan.silent_after_s > 0 {
            return;
        }
        let left: Vec<_> = self
            .plan
            .changes
            .iter()
            .filter_map(|(_, step)| match step {
                Step::Replace(index, _) => Some(from_commonware(&self.keys[*index].public_key())),
                _ => None,
            })
            .collect();
        for index in self.plan.lasting() {
            let record = self.disks[index].lock().iter().rev().find_map(|applied| applied.record.clone());
            let (epoch, record) = record.expect("that of epoch zero at least");
            let votes = EpochRecord::decode(&record).expect("the contract's own").keys().find(|key| left.contains(key));
            assert!(votes.is_none(), "seed {}: {votes:?} votes in epoch {epoch}", self.plan.seed);
        }
    }

    /// Checks every certificate that the boxes have, as somebody would who has the genesis file and their answers alone.
    pub(super) async fn check_certificates(&self, handles: &Handles) {
        let (genesis, seed) = (self.genesis.hash(), self.plan.seed);
        let finality = handles.finality.lock().clone();
        for (index, finality) in &finality {
            let disk = self.disks[*index].lock().clone();
            let mut sets: Vec<Vec<PublicKey>> = Vec::new();
            for Applied { block, record, certificate, .. } in &disk {
                let (height, epoch) = (block.number(), block.number() / EPOCH_BLOCKS);
                let last = (height + 1).is_multiple_of(EPOCH_BLOCKS);
                if height > 0 {
                    let set = &sets[usize::try_from(epoch).expect("few epochs")];
                    // A box that lost what consensus stored has those from before in its database.
                    match finality.certificate(height).await.or_else(|| certificate.clone()) {
                        Some(certificate) => {
                            assert_eq!(certificate.epoch, epoch, "seed {seed}: height {height} was finalized elsewhen");
                            assert!(proves(&certificate, block, &genesis, set), "seed {seed}: height {height}");
                            for other in sets.iter().filter(|other| *other != set) {
                                let mistaken = proves(&certificate, block, &genesis, other);
                                assert!(!mistaken, "seed {seed}: height {height} counts for another set");
                            }
                        }
                        None => assert!(!last, "seed {seed}: box {index} cannot prove the end of epoch {epoch}"),
                    }
                }
                if let Some((_, record)) = record {
                    // The genesis is known; what follows hangs on the certified header before it.
                    let committed = block.header().requests_hash == Some(requests_hash(record));
                    assert!(committed || height == 0, "seed {seed}: height {height}");
                    sets.push(EpochRecord::decode(record).expect("the contract's own").keys().collect());
                }
            }
        }
    }

    /// Who lies is kept out by somebody, and nobody else is. Takes who keeps out whom.
    pub(super) fn check_kept_out(&self, blocked: &[(ed25519::PublicKey, ed25519::PublicKey)]) {
        let (liar, lies, seed) = (self.keys[LIAR].public_key(), self.plan.lie.is_some(), self.plan.seed);
        let found = blocked.iter().any(|(_, to)| *to == liar);
        assert!(found || !lies, "seed {seed}: nobody noticed the liar");
        for (from, to) in blocked {
            assert!(lies && (*to == liar || *from == liar), "seed {seed}: an honest box is kept out");
        }
    }

    /// No box was asked for two votes that conflict, unless it had lost what it voted before.
    pub(super) fn check_guards(&self, handles: &Handles) {
        for guard in handles.guards.lock().iter().filter_map(Weak::upgrade) {
            let status = guard.status();
            // Without its journal simplex may ask for other votes; only the guard keeps it from a fault then.
            let lost = self.plan.troubles.iter().any(|trouble| trouble.harm == Harm::Loss);
            let asked = status.conflicts > 0 && self.plan.blackouts.is_empty() && !lost;
            assert!(!asked && status.fence.is_none(), "seed {}: {status:?}", self.plan.seed);
        }
    }
}

/// Whether a certificate is of a block, by a quorum of these validators.
fn proves(certificate: &Certificate, block: &Block, genesis: &B256, validators: &[PublicKey]) -> bool {
    let Ok(signed) = certificate.signed(&block.hash(), genesis, validators) else { return false };
    let jobs: Vec<_> = signed
        .signatures
        .iter()
        .map(|(key, signature)| VerifyJob { key: &key.0, message: Message::Bytes(&signed.message), signature })
        .collect();
    let mut verdicts = vec![Verdict::Invalid; jobs.len()];
    engine().verify(Algorithm::Ed25519, &jobs, &mut verdicts).expect("the engine works");
    verdicts.into_iter().all(Verdict::is_valid)
}
