//! The answer file of a stick: what the installer does without asking, signed so that no stick that somebody leaves
//! behind erases a box.
//!
//! ```toml
//! action = "install"
//! disk = "S64ANS0T123456"
//! min_bytes = 100_000_000_000
//! then = "reboot"
//! ```
//!
//! `answer.toml.sig` has the 64 bytes of an Ed25519 signature by a release key over `"dolmen-answer-v1\0"` and the
//! file's bytes.

use serde::{Deserialize, Serialize};

use crate::{
    ReleaseKey, Sign, SignError,
    key::{SIGNATURE_BYTES, message, signer_of},
    limits::{ANSWER_BYTES_MAX, DISK_NAME_BYTES_MAX},
};

/// What an answer file's signature is for.
const DOMAIN: &[u8] = b"dolmen-answer-v1\0";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// On which disk or machine.
    pub action: Action,
    /// The disk: its serial number, its name in `/dev/disk/by-id`, or its path. None where there is one that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Bytes that the disk has to have, besides what the image needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// Of the screens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// When all is done.
    #[serde(default)]
    pub then: Then,
    /// Does it once on every machine: a machine for which the stick has a marker is left alone, so that one that
    /// starts from the stick again is not installed again.
    #[serde(default = "yes")]
    pub once: bool,
}

/// What an installer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Installs on a disk that no image of ours is on. What is there is lost.
    Install,
    /// Installs on a box, and keeps its data.
    ReimageKeep,
    /// Installs on a box. Its data are lost.
    ReimageWipe,
    /// Checks the stick's bundle, and changes nothing.
    Verify,
    /// Writes what support asks for to the stick.
    Support,
}

/// Of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Chinese, simplified.
    Zh,
}

/// What the machine does in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Powers off, so that somebody can take the stick out.
    #[default]
    Poweroff,
    /// Starts again.
    Reboot,
}

/// Why an answer file is not followed.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Larger than any.
    #[error("the answer file has {0} bytes, 16384 at most can be; write a shorter one and sign it")]
    Bytes(usize),
    /// No signature.
    #[error("answer.toml.sig has {0} bytes, a signature has 64; sign the answer file again")]
    SignatureBytes(usize),
    /// Nobody that is trusted signed it.
    #[error(
        "the answer file is signed by none of the release keys of this stick; sign it again if it is yours, or remove it \
         and choose in the menu"
    )]
    Signature,
    /// No answer file.
    #[error("the answer file cannot be read; correct it and sign it again")]
    Toml(#[source] toml::de::Error),
    /// No disk has this name.
    #[error("{0:?} is no name of a disk; give a serial number, a name in /dev/disk/by-id or a path, and sign again")]
    Disk(String),
    /// It cannot be written.
    #[error("the answer file cannot be written; write it by hand and sign it")]
    Write(#[source] toml::ser::Error),
    /// The key did not sign.
    #[error("the release key does not sign; look at its device")]
    Sign(#[source] SignError),
    /// A device that signs by another key, or otherwise.
    #[error("the signature does not fit the public half of the release key; look whether the device is the key's")]
    WrongSignature,
}

impl Answer {
    /// Reads `answer.toml`, if `signature`, which is `answer.toml.sig`, is by one of `keys`. This is checked before the
    /// file is parsed.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Bytes`], [`AnswerError::SignatureBytes`], [`AnswerError::Signature`], and what
    /// [`parse`](Self::parse) says.
    pub fn verify(file: &[u8], signature: &[u8], keys: &[ReleaseKey]) -> Result<Self, AnswerError> {
        check_bytes(file)?;
        let signature = signature.try_into().map_err(|_| AnswerError::SignatureBytes(signature.len()))?;
        signer_of(keys, &message(DOMAIN, file), signature).ok_or(AnswerError::Signature)?;
        Self::parse(file)
    }

    /// Reads `answer.toml`, whoever wrote it: for those who are about to sign.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Bytes`], [`AnswerError::Toml`] and [`AnswerError::Disk`].
    pub fn parse(file: &[u8]) -> Result<Self, AnswerError> {
        check_bytes(file)?;
        let answer: Self = toml::from_slice(file).map_err(AnswerError::Toml)?;
        answer.check()?;
        Ok(answer)
    }

    /// The file that says so.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Disk`] and [`AnswerError::Write`].
    pub fn to_toml(&self) -> Result<String, AnswerError> {
        self.check()?;
        toml::to_string(self).map_err(AnswerError::Write)
    }

    fn check(&self) -> Result<(), AnswerError> {
        let is_name = |name: &&String| {
            !name.is_empty() && name.len() <= DISK_NAME_BYTES_MAX && !name.contains(|c: char| c.is_control())
        };
        match &self.disk {
            Some(disk) if !is_name(&disk) => Err(AnswerError::Disk(disk.clone())),
            _ => Ok(()),
        }
    }
}

/// Signs an answer file, if it is one: the bytes of `answer.toml.sig`.
///
/// # Errors
///
/// What [`Answer::parse`] says, [`AnswerError::Sign`] and [`AnswerError::WrongSignature`].
pub fn sign(file: &[u8], key: &dyn Sign) -> Result<[u8; SIGNATURE_BYTES], AnswerError> {
    Answer::parse(file)?;
    let message = message(DOMAIN, file);
    let signature = key.sign(&message).map_err(AnswerError::Sign)?;
    if !key.public_key().verify(&message, &signature) {
        return Err(AnswerError::WrongSignature);
    }
    Ok(signature)
}

fn check_bytes(file: &[u8]) -> Result<(), AnswerError> {
    if file.len() > ANSWER_BYTES_MAX {
        return Err(AnswerError::Bytes(file.len()));
    }
    Ok(())
}

const fn yes() -> bool {
    true
}
