//! Which blocks are the chain's, for who knows its genesis file alone.

use std::sync::Arc;

use alloy_primitives::B256;
use dolmen_accel_api::BatchVerifier;
use dolmen_governance::{LightClient, LightError};
use dolmen_store::snapshot::{Filling, Pivot};
use dolmen_types::{Epochs, PublicKey};

use crate::{Checked, DriveError, Fault, Linked, PivotCheck};

/// A light client, with the links that led it on in the database that is being filled.
pub struct Trust {
    filling: Arc<Filling>,
    epochs: Epochs,
    light: LightClient,
    verifier: Arc<dyn BatchVerifier>,
}

impl Trust {
    /// Goes on from the links that the database has, or from what the genesis file says: the hash of block zero, and the
    /// validators of epoch zero.
    pub fn new(
        filling: Arc<Filling>,
        genesis: B256,
        epochs: Epochs,
        validators: Vec<PublicKey>,
        verifier: Arc<dyn BatchVerifier>,
    ) -> Result<Self, DriveError> {
        let light = match filling.last_record()? {
            Some((epoch, record)) => LightClient::trusting(genesis, epochs, epoch, &record)
                .map_err(|error| DriveError::Check(Box::new(error)))?,
            None => LightClient::new(genesis, epochs, validators),
        };
        Ok(Self { filling, epochs, light, verifier })
    }

    /// Goes on by a link of the epoch whose validators are known. What keeps this box from judging it is its error, all
    /// else the peer's.
    fn advance(&mut self, link: &Pivot) -> Result<Option<Fault>, DriveError> {
        let advanced = self.light.advance(link.header(), link.certificate(), link.record(), &*self.verifier);
        match advanced {
            Ok(()) => Ok(None),
            // A record is read only once a certified header commits to it: then it is this program that is too old.
            Err(error @ (LightError::Engine { .. } | LightError::Record { .. })) => {
                Err(DriveError::Check(Box::new(error)))
            }
            Err(error) => Ok(Some(Fault::Link { height: link.number(), source: Box::new(error) })),
        }
    }
}

impl PivotCheck for Trust {
    fn check(&mut self, pivot: Pivot) -> Result<Checked, DriveError> {
        let (height, known) = (pivot.number(), self.light.epoch());
        let epoch = self.epochs.of(height);
        if epoch > known {
            return Ok(Checked::Unlinked { known, epoch });
        }
        if epoch < known {
            return Ok(match self.filling.link(height)? {
                // What a certificate and a record prove is the same, but those of the peer were not checked.
                Some(link) if link.hash() == pivot.hash() => Checked::Chain(Box::new(link)),
                Some(link) => Checked::Lie(Fault::OtherLink { height, expected: link.hash(), found: pivot.hash() }),
                None => {
                    let source = Box::new(LightError::NotLast { height, epoch });
                    Checked::Lie(Fault::Link { height, source })
                }
            });
        }
        if let Some(fault) = self.advance(&pivot)? {
            return Ok(Checked::Lie(fault));
        }
        self.filling.keep_links(std::slice::from_ref(&pivot))?;
        Ok(Checked::Chain(Box::new(pivot)))
    }

    fn link(&mut self, links: Vec<Pivot>) -> Result<Linked, DriveError> {
        let (mut kept, mut ended) = (Vec::new(), Ok(None));
        for link in links {
            // From an answer that was late: it is known already.
            if self.epochs.of(link.number()) < self.light.epoch() {
                continue;
            }
            ended = self.advance(&link);
            if !matches!(ended, Ok(None)) {
                break;
            }
            kept.push(link);
        }
        // At once: each write waits for the disk.
        self.filling.keep_links(&kept)?;
        Ok(Linked { epoch: self.light.epoch(), lie: ended? })
    }
}

#[cfg(test)]
mod tests;
