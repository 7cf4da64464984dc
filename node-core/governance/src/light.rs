//! A light client: who holds the genesis file knows which blocks are final, and needs to trust no box.
//!
//! The genesis file names the validators of epoch zero, and block zero's hash commits to them. A block is final when a
//! quorum of its epoch's validators signed a certificate of its hash, or of the hash of a later block that leads back
//! to it. An epoch's last block commits in `requestsHash` to the record of the next epoch, with the next validators. So
//! from epoch to epoch the client needs a header, its certificate and a record; what it skips is proven by hashes.
//!
//! No IO, no clock: whoever has headers, certificates and records hands them in.

use alloy_consensus::Header;
use alloy_primitives::B256;
use dolmen_accel_api::{Algorithm, BatchVerifier, EngineError, Message, Verdict, VerifyJob};
use dolmen_types::{Certificate, Epochs, PublicKey, certificate::CertificateError};

use crate::{EpochRecord, RecordError, requests_hash};

/// Why something proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// The block is of an epoch whose validators the client does not know.
    #[error("block {height} is of epoch {found}, but the validators known are those of epoch {known}")]
    Epoch {
        /// The block's height.
        height: u64,
        /// Its epoch.
        found: u64,
        /// The client's epoch.
        known: u64,
    },
    /// The certificate was made in another epoch than the block's.
    #[error("the certificate of block {height} is of epoch {found}, the block is of epoch {expected}")]
    CertificateEpoch {
        /// The block's height.
        height: u64,
        /// The certificate's epoch.
        found: u64,
        /// The block's epoch.
        expected: u64,
    },
    /// The certificate is no quorum's, or another block's.
    #[error("the certificate of block {height} does not prove it")]
    Certificate {
        /// The block's height.
        height: u64,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// A signature does not hold.
    #[error("the certificate of block {height} has a signature that is not of validator {key}")]
    Signature {
        /// The block's height.
        height: u64,
        /// Who is said to have signed.
        key: PublicKey,
    },
    /// The signatures could not be checked; says nothing about the certificate.
    #[error("the signatures in the certificate of block {height} could not be checked")]
    Engine {
        /// The block's height.
        height: u64,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// Only an epoch's last block leads to the next epoch.
    #[error("block {height} is not the last of epoch {epoch}")]
    NotLast {
        /// The block's height.
        height: u64,
        /// The client's epoch.
        epoch: u64,
    },
    /// The record is not the one that the block commits to.
    #[error("the record of epoch {epoch} has the hash {found}, block {height} commits to {expected}")]
    Commitment {
        /// The record's epoch.
        epoch: u64,
        /// The last block before it.
        height: u64,
        /// Hash of the record.
        found: B256,
        /// `requestsHash` of the block.
        expected: B256,
    },
    /// The record does not decode, although the chain commits to it.
    #[error("the record of epoch {epoch} cannot be read; use a program as new as the chain's boxes")]
    Record {
        /// The epoch.
        epoch: u64,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// The record is of another epoch.
    #[error("the record of epoch {epoch} says that it is of epoch {found}")]
    RecordEpoch {
        /// The epoch asked for.
        epoch: u64,
        /// The epoch in the record.
        found: u64,
    },
}

/// Knows the validators of one epoch, and checks certificates by them.
#[derive(Clone, Debug)]
pub struct LightClient {
    genesis: B256,
    epochs: Epochs,
    epoch: u64,
    validators: Vec<PublicKey>,
}

impl LightClient {
    /// A client that knows what the genesis file says: the hash of block zero and the validators of epoch zero.
    pub const fn new(genesis: B256, epochs: Epochs, validators: Vec<PublicKey>) -> Self {
        Self { genesis, epochs, epoch: 0, validators }
    }

    /// A client that takes the record of an epoch on trust, such as one in this box's own database.
    pub fn trusting(genesis: B256, epochs: Epochs, epoch: u64, record: &[u8]) -> Result<Self, LightError> {
        Ok(Self { genesis, epochs, epoch, validators: validators_in(epoch, record)? })
    }

    /// The epoch whose validators it knows.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Those validators.
    pub fn validators(&self) -> &[PublicKey] {
        &self.validators
    }

    /// Checks that a quorum of the epoch's validators finalized the block with this header.
    pub fn check(
        &self,
        header: &Header,
        certificate: &Certificate,
        verifier: &dyn BatchVerifier,
    ) -> Result<(), LightError> {
        self.check_hash(header.number, &header.hash_slow(), certificate, verifier)
    }

    /// As [`Self::check`], for who has hashed the header already.
    pub fn check_hash(
        &self,
        height: u64,
        hash: &B256,
        certificate: &Certificate,
        verifier: &dyn BatchVerifier,
    ) -> Result<(), LightError> {
        let epoch = self.epochs.of(height);
        if epoch != self.epoch {
            return Err(LightError::Epoch { height, found: epoch, known: self.epoch });
        }
        if certificate.epoch != epoch {
            return Err(LightError::CertificateEpoch { height, found: certificate.epoch, expected: epoch });
        }
        let signed = certificate
            .signed(hash, &self.genesis, &self.validators)
            .map_err(|source| LightError::Certificate { height, source })?;
        let jobs: Vec<_> = signed
            .signatures
            .iter()
            .map(|(key, signature)| VerifyJob { key: &key.0, message: Message::Bytes(&signed.message), signature })
            .collect();
        let mut verdicts = vec![Verdict::Invalid; jobs.len()];
        verifier
            .verify(Algorithm::Ed25519, &jobs, &mut verdicts)
            .map_err(|source| LightError::Engine { height, source })?;
        let wrong = signed.signatures.iter().zip(&verdicts).find(|(_, verdict)| !verdict.is_valid());
        wrong.map_or(Ok(()), |((key, _), _)| Err(LightError::Signature { height, key: *key }))
    }

    /// Goes on to the next epoch: by the last block of this one, its certificate, and the record that it commits to.
    pub fn advance(
        &mut self,
        header: &Header,
        certificate: &Certificate,
        record: &[u8],
        verifier: &dyn BatchVerifier,
    ) -> Result<(), LightError> {
        self.check(header, certificate, verifier)?;
        self.enter(header, record)
    }

    /// Goes on to the next epoch after `header`, whose certificate has been checked.
    pub fn enter(&mut self, header: &Header, record: &[u8]) -> Result<(), LightError> {
        let (height, epoch) = (header.number, self.epoch);
        if self.epochs.of(height) != epoch || !self.epochs.is_last(height) {
            return Err(LightError::NotLast { height, epoch });
        }
        self.validators = committed_validators(header, epoch + 1, record)?;
        self.epoch = epoch + 1;
        Ok(())
    }
}

/// The validators in the record of `epoch`, which `header`, the last one before it, must commit to.
fn committed_validators(header: &Header, epoch: u64, record: &[u8]) -> Result<Vec<PublicKey>, LightError> {
    let (found, expected) = (requests_hash(record), header.requests_hash.unwrap_or_default());
    if found != expected {
        return Err(LightError::Commitment { epoch, height: header.number, found, expected });
    }
    validators_in(epoch, record)
}

fn validators_in(epoch: u64, record: &[u8]) -> Result<Vec<PublicKey>, LightError> {
    let record = EpochRecord::decode(record).map_err(|source| LightError::Record { epoch, source })?;
    if record.epoch == epoch {
        Ok(record.keys().collect())
    } else {
        Err(LightError::RecordEpoch { epoch, found: record.epoch })
    }
}

#[cfg(test)]
mod tests;
