//! What the chain says of its governance, and the certificates that prove its blocks.

use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use dolmen_execution::EpochPreview;
use dolmen_governance::EpochRecord;
use dolmen_store::{StateReader, StoreError};
use dolmen_types::{Certificate, Epochs, PublicKey};

use crate::{Backend, RpcError};

/// Who votes in an epoch and what its blocks obey, with what proves it.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// What holds in it.
    pub record: EpochRecord,
    /// The record as the contract answered it.
    pub encoded: Bytes,
    /// Number of its first block.
    pub first_block: u64,
    /// Number of its last block, made or not.
    pub last_block: u64,
    /// The certificate of the last block before it, whose `requestsHash` commits to the record; none for epoch 0, which
    /// the genesis file settles.
    pub certificate: Option<BlockCertificate>,
}

/// A certificate of finality with what tells whom and what it is of.
#[derive(Clone, Debug)]
pub struct BlockCertificate {
    /// Number of its block.
    pub number: u64,
    /// The certificate.
    pub certificate: Certificate,
    /// The validators that signed, in the order of the signatures.
    pub signers: Vec<PublicKey>,
}

/// The governance contract after a block.
pub struct GovernanceState<'a> {
    backend: &'a Backend,
    header: Header,
    state: Box<dyn StateReader>,
}

impl Backend {
    /// How blocks are divided into epochs.
    pub const fn epochs(&self) -> Epochs {
        self.parts.epochs
    }

    /// An epoch by number, that of the next block where none is given; `None` where it has not begun.
    pub fn epoch(&self, number: Option<u64>) -> Result<Option<Epoch>, RpcError> {
        let epochs = self.epochs();
        let latest = epochs.after(self.head().block.number());
        let number = number.unwrap_or(latest);
        if number > latest {
            return Ok(None);
        }
        let (record, encoded) = self.epoch_record(number)?;
        let first_block = epochs.first(number).unwrap_or(u64::MAX);
        let certificate = match first_block.checked_sub(1) {
            Some(last) => self.certificate(BlockId::number(last))?,
            None => None,
        };
        let last_block = epochs.last(number).unwrap_or(u64::MAX);
        Ok(Some(Epoch { record, encoded, first_block, last_block, certificate }))
    }

    /// The certificate of the block that a parameter names, or of the first later one of its epoch that has one; `None`
    /// where there is none yet, nor such a block.
    pub fn certificate(&self, id: BlockId) -> Result<Option<BlockCertificate>, RpcError> {
        let Some(asked) = self.number_of(id)? else { return Ok(None) };
        let Some((number, certificate)) = self.store().certificate_from(asked)? else { return Ok(None) };
        // The last block of an epoch always has one: a later one would be signed by another set.
        if self.epochs().of(number) != self.epochs().of(asked) {
            return Ok(None);
        }
        let (record, _) = self.epoch_record(certificate.epoch)?;
        let signer = |rank: u32| record.validators.get(usize::try_from(rank).ok()?).map(|validator| validator.key);
        let signers: Option<Vec<_>> = certificate.signatures.iter().map(|signed| signer(signed.rank)).collect();
        let damaged = || StoreError::Damaged { what: "certificate", key: number.to_string() };
        Ok(Some(BlockCertificate { number, signers: signers.ok_or_else(damaged)?, certificate }))
    }

    /// The governance contract after the block that a parameter names.
    pub fn governance(&self, id: BlockId) -> Result<GovernanceState<'_>, RpcError> {
        let (header, state) = self.state(id)?;
        Ok(GovernanceState { backend: self, header, state })
    }

    /// The record of an epoch that has begun, decoded and as it was answered.
    fn epoch_record(&self, epoch: u64) -> Result<(EpochRecord, Bytes), RpcError> {
        let damaged = || StoreError::Damaged { what: "record of an epoch", key: epoch.to_string() };
        let encoded = self.store().epoch_record(epoch)?.ok_or_else(damaged)?;
        if encoded.is_empty() {
            return Err(RpcError::NotGoverned);
        }
        let record = EpochRecord::decode(&encoded).map_err(|_| damaged())?;
        Ok((record, encoded))
    }
}

impl GovernanceState<'_> {
    /// The block.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Asks the contract.
    pub fn ask<C: SolCall>(&self, call: &C) -> Result<C::Return, RpcError> {
        let Self { backend, header, state } = self;
        let answer = backend.parts.executor.ask(&**state, &**backend.store(), header, call)?;
        answer.ok_or(RpcError::NotGoverned)
    }

    /// What holds for the next block.
    pub fn record(&self) -> Result<EpochRecord, RpcError> {
        let (record, _) = self.backend.epoch_record(self.backend.epochs().after(self.header.number))?;
        Ok(record)
    }

    /// What the end of the epoch would bring if it came now.
    pub fn preview_epoch(&self) -> Result<EpochPreview, RpcError> {
        let Self { backend, header, state } = self;
        let preview = backend.parts.executor.preview_epoch(&**state, &**backend.store(), header)?;
        preview.ok_or(RpcError::NotGoverned)
    }
}
