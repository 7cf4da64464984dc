//! Certificates of finality, from marshal's archive.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, FixedBytes};
use commonware_consensus::{
    marshal::{core::Mailbox as Marshal, standard::Standard},
    simplex::types::Finalization,
    types::Height,
};
use commonware_cryptography::sha256::Digest;
use dolmen_types::{Certificate, certificate::RankedSignature};

use crate::{block::Payload, scheme::Scheme};

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
