//! Certificates of finality: who holds the genesis file can check any block with them, and needs to trust no box.
//!
//! The validators of an epoch sign, to finalize a block (simplex, "Simplex Consensus", Chan and Pass, 2023),
//!
//! ```text
//! length of the namespace (LEB128) | namespace | epoch (LEB128) | view (LEB128) | parent's view (LEB128) | block hash
//! namespace = "dolmen" | genesis hash | epoch (8 bytes, big-endian) | keccak256(set) | "_FINALIZE"
//! set       = number of validators (LEB128) | their Ed25519 public keys, ascending
//! ```
//!
//! A certificate says the ranks of its signers among them, which is why the set is part of what they sign. More than two
//! thirds of the validators must have signed: a quorum of n is n - (n - 1) / 3.

use alloy_primitives::{B256, FixedBytes, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::{PublicKey, genesis::VALIDATORS_MAX};

/// The votes of a quorum to finalize a block.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Certificate {
    /// The epoch of the view.
    pub epoch: u64,
    /// The view in which the block was finalized.
    pub view: u64,
    /// The view of the proposal that this one follows.
    pub parent_view: u64,
    /// The block's hash.
    pub block: B256,
    /// Who signed, by rank.
    pub signatures: Vec<RankedSignature>,
}

/// A validator's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct RankedSignature {
    /// The validator's place among the epoch's public keys in ascending order.
    pub rank: u32,
    /// Ed25519 (RFC 8032), checked as in ZIP 215.
    pub signature: FixedBytes<64>,
}

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not the encoding of a certificate.
    #[error("the certificate is not valid RLP")]
    Rlp(#[from] alloy_rlp::Error),
    /// It is for another block.
    #[error("the certificate is for block {found}, not for {expected}")]
    Block {
        /// The certificate's.
        found: B256,
        /// The one asked for.
        expected: B256,
    },
    /// Too few signed.
    #[error("{signers} of {validators} validators signed, {quorum} must")]
    Quorum {
        /// Signatures.
        signers: usize,
        /// The set's size.
        validators: usize,
        /// The least.
        quorum: usize,
    },
    /// The signers are not in ascending order or not in the set.
    #[error("the signers' ranks are not ascending below {validators}")]
    Ranks {
        /// The set's size.
        validators: usize,
    },
}

/// What a certificate comes down to: one message, and who is said to have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What they signed.
    pub message: Vec<u8>,
    /// Each signer with its signature.
    pub signatures: Vec<(PublicKey, [u8; 64])>,
}

/// Validators of so many that must sign: n - f of n = 3f + 1, and as safe where n is another number.
pub const fn quorum(validators: usize) -> usize {
    validators - validators.saturating_sub(1) / 3
}

/// What every signature of an epoch's validators begins with. The keys may come in any order.
pub fn namespace(genesis: &B256, epoch: u64, validators: &[PublicKey]) -> Vec<u8> {
    let mut keys = validators.to_vec();
    keys.sort_unstable();
    let mut set = Vec::with_capacity(2 + 32 * keys.len());
    write_leb128(&mut set, keys.len() as u64);
    keys.iter().for_each(|key| set.extend_from_slice(&key.0));
    [b"dolmen".as_slice(), genesis.as_slice(), &epoch.to_be_bytes(), keccak256(set).as_slice()].concat()
}

impl Certificate {
    /// Decodes one of at most [`VALIDATORS_MAX`] signatures.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, CertificateError> {
        // Before anything is decoded that takes more memory than its bytes.
        const BYTES_MAX: usize = 128 + VALIDATORS_MAX * 80;
        if bytes.len() > BYTES_MAX {
            return Err(alloy_rlp::Error::Custom("more bytes than a certificate has").into());
        }
        let certificate = <Self as alloy_rlp::Decodable>::decode(&mut bytes)?;
        if bytes.is_empty() { Ok(certificate) } else { Err(alloy_rlp::Error::UnexpectedLength.into()) }
    }

    /// What must be checked to know that a quorum of `validators` finalized `block` in the certificate's epoch: every
    /// signature over the message. That the certificate names them proves nothing yet.
    pub fn signed(&self, block: &B256, genesis: &B256, validators: &[PublicKey]) -> Result<Signed, CertificateError> {
        if self.block != *block {
            return Err(CertificateError::Block { found: self.block, expected: *block });
        }
        let (signers, quorum) = (self.signatures.len(), quorum(validators.len()));
        if signers < quorum {
            return Err(CertificateError::Quorum { signers, validators: validators.len(), quorum });
        }
        let mut keys = validators.to_vec();
        keys.sort_unstable();
        let ascending = self.signatures.windows(2).all(|pair| pair[0].rank < pair[1].rank);
        let signer = |signed: &RankedSignature| {
            let key = keys.get(usize::try_from(signed.rank).ok()?)?;
            Some((*key, signed.signature.0))
        };
        let signatures: Option<Vec<_>> = self.signatures.iter().map(signer).collect();
        let signatures = signatures.filter(|_| ascending && !validators.is_empty());
        let signatures = signatures.ok_or(CertificateError::Ranks { validators: validators.len() })?;
        let namespace = [&namespace(genesis, self.epoch, validators)[..], b"_FINALIZE"].concat();
        let mut message = Vec::with_capacity(namespace.len() + 64);
        write_leb128(&mut message, namespace.len() as u64);
        message.extend_from_slice(&namespace);
        for number in [self.epoch, self.view, self.parent_view] {
            write_leb128(&mut message, number);
        }
        message.extend_from_slice(self.block.as_slice());
        Ok(Signed { message, signatures })
    }
}

/// Appends a number as unsigned LEB128.
fn write_leb128(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(ranks: &[u32]) -> Certificate {
        let signatures = ranks.iter().map(|&rank| RankedSignature { rank, signature: FixedBytes::repeat_byte(7) });
        Certificate {
            epoch: 3,
            view: 300,
            parent_view: 299,
            block: B256::repeat_byte(1),
            signatures: signatures.collect(),
        }
    }

    fn validators(count: u8) -> Vec<PublicKey> {
        (0..count).rev().map(|byte| PublicKey([byte; 32])).collect()
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        for (validators, least) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7), (128, 86)] {
            assert_eq!(quorum(validators), least, "{validators}");
        }
    }

    #[test]
    fn what_was_signed_is_told_by_rank() {
        let (genesis, block) = (B256::repeat_byte(2), B256::repeat_byte(1));
        let signed = certificate(&[0, 1, 3]).signed(&block, &genesis, &validators(4)).unwrap();
        assert_eq!(signed.signatures.iter().map(|(key, _)| key.0[0]).collect::<Vec<_>>(), [0, 1, 3]);
        // The namespace: a word, two hashes, the epoch and what is signed for.
        assert_eq!(signed.message[0], 6 + 32 + 8 + 32 + 9);
        assert_eq!(signed.message[1..7], *b"dolmen");
        assert_eq!(signed.message[88..], [&[3, 0xac, 2, 0xab, 2][..], &[1; 32]].concat());
    }

    #[test]
    fn certificates_that_prove_nothing_are_refused() {
        let (genesis, block) = (B256::repeat_byte(2), B256::repeat_byte(1));
        let check = |ranks: &[u32], count| certificate(ranks).signed(&block, &genesis, &validators(count)).map(drop);
        assert_eq!(check(&[0, 1], 4), Err(CertificateError::Quorum { signers: 2, validators: 4, quorum: 3 }));
        for ranks in [&[0, 1, 1][..], &[0, 2, 1], &[0, 1, 4]] {
            assert_eq!(check(ranks, 4), Err(CertificateError::Ranks { validators: 4 }), "{ranks:?}");
        }
        assert_eq!(check(&[], 0), Err(CertificateError::Ranks { validators: 0 }));
        let other = certificate(&[0, 1, 2]).signed(&genesis, &genesis, &validators(4));
        assert_eq!(other, Err(CertificateError::Block { found: block, expected: genesis }));
    }

    #[test]
    fn encodings_are_read_back_and_others_refused() {
        let certificate = certificate(&[0, 1, 3]);
        let bytes = alloy_rlp::encode(&certificate);
        assert_eq!(Certificate::decode(&bytes), Ok(certificate));
        assert!(Certificate::decode(&bytes[1..]).is_err());
        assert!(Certificate::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Certificate::decode(&vec![0xc0; 1 << 20]).is_err());
    }
}
