//! What a box gets from its organisation.

use std::net::SocketAddr;

use dolmen_provisioning_ca::{
    Certificate, UnixTime,
    chain::{Purpose, Rules},
    cms::{self, ContentType, Unsigned},
};
use dolmen_provisioning_voucher::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::{
    ContentError, Hash, Refusal,
    content::{self, Content, check_bytes, present},
    hash::key,
    limits::{BUNDLE_BYTES_MAX, GENESIS_BYTES_MAX, NAME_CHARACTERS_MAX, PEERS_MAX, ROOT_BYTES_MAX, ROOTS_MAX},
};

/// All that a box has to know of its chain. Holding one says nothing about who wrote it: [`Bundle`] does.
///
/// The JSON is `{"format":"dolmen-chain-bundle-v1","body":{...}}` with the members below; others are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainBundle {
    /// The box that it is for.
    pub serial_number: SerialNumber,
    /// When it was made; for people. A box does not look at it.
    pub issued_at: UnixTime,
    /// The chain's number (EIP-155), not 0.
    pub chain_id: u64,
    /// The genesis file, as it is.
    pub genesis: String,
    /// Hash of block zero: what the genesis file has to lead to.
    pub genesis_hash: Hash,
    /// A block to begin from, instead of block zero.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Boxes to call first; more are found on the chain.
    pub peers: Vec<Peer>,
    /// Whose the box is on the chain.
    pub organisation: Organisation,
    /// The roots of all organisations that the chain knows, for whoever asks whose a certificate is. Boxes take each
    /// other's calls by the consensus keys that the chain has, and look at none of these.
    pub organisation_roots: Vec<Certificate>,
    /// Hash of the appraisal on which the organisation took the box; none where it did not ask for one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub appraisal: Option<Hash>,
}

/// A block that the organisation vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A box of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its consensus key, Ed25519. Whether it is a point is not checked here.
    #[serde(with = "key")]
    pub public_key: [u8; 32],
    /// Where it is reached.
    pub address: SocketAddr,
}

/// A member of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Its number on the chain, not 0.
    pub id: u32,
    /// What people call it.
    pub name: String,
}

/// What a box knows when it is given a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// Its serial number.
    pub serial_number: &'a SerialNumber,
    /// What its owner's certificates lead to: the one that its voucher pinned, or its owner's root.
    pub owner: &'a Certificate,
}

/// What the message is about.
const BUNDLE: ContentType = ContentType::data(BUNDLE_BYTES_MAX);

/// Bytes of a message with a chain bundle.
pub(crate) const MESSAGE_BYTES_MAX: usize = BUNDLE.message_bytes_max();

/// A chain bundle that a registrar of the box's owner signed for this box. Only [`ChainBundle::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    content: ChainBundle,
    registrar: Certificate,
}

impl Bundle {
    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &ChainBundle {
        &self.content
    }

    /// Who signed it.
    #[must_use]
    pub const fn registrar(&self) -> &Certificate {
        &self.registrar
    }
}

impl ChainBundle {
    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`ContentError`] for what [`from_json`](Self::from_json) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, ContentError> {
        content::write(self)
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// [`ContentError`].
    pub fn from_json(json: &[u8]) -> Result<Self, ContentError> {
        content::read(json)
    }

    /// What a registrar's key has to sign, so that it becomes a message. The first of `chain` is the registrar's
    /// certificate.
    ///
    /// # Errors
    ///
    /// [`Refusal::Content`] and [`Refusal::Damaged`].
    pub fn to_sign(&self, chain: &[Certificate]) -> Result<Unsigned, Refusal> {
        let json = self.to_json().map_err(Refusal::Content)?;
        cms::to_sign(BUNDLE, &json, chain).map_err(Refusal::Damaged)
    }

    /// Whether a box takes a message in DER for its bundle:
    ///
    /// 1. Somebody of its owner's signed it.
    /// 2. That is a registrar: its certificate is for registrars.
    /// 3. It is a bundle, and for this box.
    ///
    /// Times are not looked at: the box does not know the time.
    ///
    /// # Errors
    ///
    /// [`Refusal`], by the first of these that does not hold.
    pub fn verify(message: &[u8], expectation: &Expectation<'_>) -> Result<Bundle, Refusal> {
        let owner = std::slice::from_ref(expectation.owner);
        let verified = cms::verify(message, BUNDLE, owner, &Rules::timeless(Purpose::Registrar))?;
        let content = Self::from_json(verified.content()).map_err(Refusal::Content)?;
        if content.serial_number != *expectation.serial_number {
            let (found, expected) = (content.serial_number, expectation.serial_number.clone());
            return Err(Refusal::Serial { found, expected });
        }
        Ok(Bundle { content, registrar: verified.signer().clone() })
    }
}

impl Content for ChainBundle {
    const WHAT: &'static str = "chain bundle";
    const FORMAT: &'static str = "dolmen-chain-bundle-v1";
    const BYTES_MAX: usize = BUNDLE_BYTES_MAX;

    fn check(&self) -> Result<(), ContentError> {
        check_bytes("the genesis file", self.genesis.len(), GENESIS_BYTES_MAX)?;
        if self.genesis.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ContentError::Invalid("the genesis file has control characters"));
        }
        if self.chain_id == 0 || self.organisation.id == 0 {
            return Err(ContentError::Invalid("the number of the chain or of the organisation is 0"));
        }
        let name = &self.organisation.name;
        check_bytes("the name of the organisation", name.chars().count(), NAME_CHARACTERS_MAX)?;
        if name.chars().any(char::is_control) {
            return Err(ContentError::Invalid("the name of the organisation has control characters"));
        }
        check_bytes("the list of peers", self.peers.len(), PEERS_MAX)?;
        if self.peers.iter().any(|peer| peer.address.port() == 0 || peer.address.ip().is_unspecified()) {
            return Err(ContentError::Invalid("the address of a peer cannot be called"));
        }
        check_bytes("the list of roots", self.organisation_roots.len(), ROOTS_MAX)?;
        let longest = self.organisation_roots.iter().map(|root| root.der().len()).max();
        check_bytes("a root certificate", longest.unwrap_or(0), ROOT_BYTES_MAX)
    }
}
