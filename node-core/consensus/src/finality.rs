//! Certificates of finality, from what marshal stores.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, FixedBytes};
use commonware_codec::types::lazy::Lazy;
use commonware_consensus::{
    marshal::{core::Mailbox as Marshal, standard::Standard},
    simplex::types::{Finalization, Proposal},
    types::{Epoch, Height, Round, View},
};
use commonware_cryptography::{certificate::Signers, ed25519, sha256::Digest};
use commonware_utils::Participant;
use dolmen_hsm_api::Signature;
use dolmen_types::{Certificate, certificate::RankedSignature};

use crate::{
    block::{Payload, to_digest},
    key::signature_to_commonware,
    scheme::Scheme,
};

/// Hands out certificates once consensus runs.
#[derive(Clone, Default)]
pub(crate) struct Finality(Arc<OnceLock<Marshal<Scheme, Standard<Payload>>>>);

impl Finality {
    /// Where they come from; the first one counts.
    pub(crate) fn provide(&self, marshal: Marshal<Scheme, Standard<Payload>>) {
        let _ = self.0.set(marshal);
    }

    /// The certificate of the block at a height. A box does not have one of each block: what finalizes a block finalizes
    /// those before it.
    pub(crate) async fn certificate(&self, height: u64) -> Option<Certificate> {
        to_certificate(self.0.get()?.get_finalization(Height::new(height)).await?)
    }

    /// Has marshal forget what is below a height: the application has it.
    pub(crate) fn prune(&self, below: Height) {
        if let Some(marshal) = self.0.get() {
            marshal.prune(below);
        }
    }
}

/// `None` where a signature has no valid form, which those in the archive have.
fn to_certificate(finalization: Finalization<Scheme, Digest>) -> Option<Certificate> {
    let Finalization { proposal, certificate } = finalization;
    let signed = certificate.signers.iter().zip(&certificate.signatures);
    let signatures = signed.map(|(signer, signature)| {
        Some(RankedSignature { rank: signer.get(), signature: FixedBytes::from_slice(signature.get()?.as_ref()) })
    });
    Some(Certificate {
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent_view: proposal.parent.get(),
        block: B256::from(proposal.payload.0),
        signatures: signatures.collect::<Option<_>>()?,
    })
}

/// The inverse; `None` where the signers' ranks are not ascending and below the number of validators. Signatures are not
/// checked.
pub(crate) fn to_finalization(certificate: &Certificate, validators: usize) -> Option<Finalization<Scheme, Digest>> {
    let signatures = &certificate.signatures;
    // Commonware keeps signatures in the order of the ranks.
    if !signatures.is_sorted_by_key(|signed| signed.rank) {
        return None;
    }
    let ranks = signatures.iter().map(|signed| Participant::new(signed.rank));
    let signers = Signers::new(u32::try_from(validators).ok()?, ranks).ok()?;
    let signature = |signed: &RankedSignature| signature_to_commonware(&Signature(signed.signature.0));
    let round = Round::new(Epoch::new(certificate.epoch), View::new(certificate.view));
    Some(Finalization {
        proposal: Proposal::new(round, View::new(certificate.parent_view), to_digest(certificate.block)),
        certificate: ed25519::certificate::Certificate {
            signers,
            signatures: signatures.iter().map(|signed| Lazy::from(signature(signed))).collect(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(ranks: &[u32]) -> Certificate {
        let signed = |rank: &u32| {
            let byte = u8::try_from(*rank + 1).expect("few");
            RankedSignature { rank: *rank, signature: FixedBytes::repeat_byte(byte) }
        };
        let signatures = ranks.iter().map(signed).collect();
        Certificate { epoch: 3, view: 300, parent_view: 298, block: B256::repeat_byte(7), signatures }
    }

    #[test]
    fn a_certificate_is_the_same_after_the_way_there_and_back() {
        let there = to_finalization(&certificate(&[0, 2, 3]), 4).expect("in order, and of four");
        assert_eq!(to_certificate(there), Some(certificate(&[0, 2, 3])));
    }

    #[test]
    fn ranks_that_are_none_are_refused() {
        for ranks in [&[0, 2, 4][..], &[0, 2, 2], &[2, 0, 3]] {
            assert!(to_finalization(&certificate(ranks), 4).is_none(), "{ranks:?}");
        }
    }
}
