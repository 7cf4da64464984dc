//! What an organisation asks of its boxes.
//!
//! ```toml
//! versions = ["1.2.0", "1.2.1"]     # images that may run
//! security-version-min = 3          # and what they must have at least
//! registers = [4, 7, 11]            # what has to be as the image's manifest says
//! firmware-registers = "pin"        # 0 to 3, 5 and 6 stay as they were at enrolment; or "ignore"
//! test-keys = false                 # images that trust keys that everybody has
//! hardware-only = true              # no TPMs that are programs
//! hardware-makers = []              # makers of chips that are in no list yet: "id:" and 8 digits
//! without-certificate = false       # TPMs without a maker's certificate, if their endorsement key is registered
//! ek-roots = ["-----BEGIN CERTIFICATE-----..."]
//!
//! [registered-eks]                  # SHA-256 of the endorsement key (SubjectPublicKeyInfo, DER) by serial number
//! "S4EVNX0M123456" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! ```
//!
//! `tpm2_readpublic -f pem -o ek.pem -c 0x81010001` and `openssl pkey -pubin -in ek.pem -outform DER | sha256sum` tell the
//! hash of such a key. `versions` has to be there. What else is left out is as here, but `ek-roots` and `registered-eks`
//! are empty and `security-version-min` is 1. A machine whose key is registered enrols with that key and no other. Registering a key is the organisation's word that it looked
//! at the machine itself: without a certificate nothing else says that the TPM is hardware.

use std::collections::{BTreeMap, BTreeSet};

use dolmen_image_bundle::{Hash, SecurityVersion, Version};
use openssl::{error::ErrorStack, x509::X509};
use serde::Deserialize;

use crate::{
    Selection, Serial,
    limits::{CERTIFICATE_BYTES_MAX, POLICY_BYTES_MAX, ROOTS_MAX},
    maker::{self, Maker},
};

/// Registers that manifests of images have values of. Without the last nobody knows which image runs, nor how far it
/// booted.
const PREDICTED: [u8; 3] = [4, 7, IMAGE];
/// The register of the image's content and of the phases of its boot.
const IMAGE: u8 = 11;
/// Registers of the firmware and its settings, which no image predicts.
const FIRMWARE: [u8; 6] = [0, 1, 2, 3, 5, 6];

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Larger than any.
    #[error("the policy has {0} bytes, {POLICY_BYTES_MAX} at most can be; take out roots that no box needs")]
    Bytes(usize),
    /// No such file.
    #[error("the policy cannot be read; correct it where the cause says")]
    Toml(#[source] toml::de::Error),
    /// More than all makers have.
    #[error("ek-roots has {0} certificates, {ROOTS_MAX} at most can be; take out those that no box needs")]
    Roots(usize),
    /// No certificate.
    #[error("ek-roots[{index}] is no certificate in PEM; copy it from the maker's page once more")]
    Root {
        /// Which, from 0.
        index: usize,
        /// OpenSSL's words.
        #[source]
        source: ErrorStack,
    },
    /// A certificate that is too large to be one of a maker.
    #[error("ek-roots[{index}] has {found} bytes, {CERTIFICATE_BYTES_MAX} at most can be; take the maker's own")]
    RootBytes {
        /// Which, from 0.
        index: usize,
        /// Bytes of its DER.
        found: usize,
    },
    /// No number of a maker.
    #[error("hardware-makers has {0:?}; write \"id:\" and the 8 digits that the certificates have")]
    Maker(String),
    /// A maker of programs, declared one of chips.
    #[error("hardware-makers has {id:?}, which is {name}; say hardware-only = false if its boxes may enrol")]
    SoftwareMaker {
        /// The number.
        id: String,
        /// What it is.
        name: &'static str,
    },
    /// A register without reference values.
    #[error("registers has {0}, of which images' manifests say nothing; take some of 4, 7 and 11")]
    Register(u8),
    /// Nothing says which image runs.
    #[error("registers lacks {IMAGE}, which alone tells images and the phases of their boot; add it")]
    ImageRegister,
    /// No image.
    #[error("versions is empty, so that no box can enrol; add the versions that may run")]
    Versions,
    /// No box.
    #[error("no box can enrol: add ek-roots, or without-certificate = true and registered-eks")]
    Nobody,
}

/// A policy in which each part makes sense by itself and with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    versions: BTreeSet<Version>,
    security_version_min: SecurityVersion,
    registers: Selection,
    pins_firmware: bool,
    takes_test_keys: bool,
    hardware_only: bool,
    hardware_makers: BTreeSet<u32>,
    takes_uncertified: bool,
    ek_roots: Vec<Vec<u8>>,
    registered_eks: BTreeMap<Serial, Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    versions: BTreeSet<Version>,
    #[serde(default = "first")]
    security_version_min: SecurityVersion,
    #[serde(default = "predicted")]
    registers: Selection,
    #[serde(default)]
    firmware_registers: FirmwareRegisters,
    #[serde(default)]
    test_keys: bool,
    #[serde(default = "yes")]
    hardware_only: bool,
    #[serde(default)]
    hardware_makers: Vec<String>,
    #[serde(default)]
    without_certificate: bool,
    #[serde(default)]
    ek_roots: Vec<String>,
    #[serde(default)]
    registered_eks: BTreeMap<Serial, Hash>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FirmwareRegisters {
    #[default]
    Pin,
    Ignore,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the mistake.
    pub fn parse(file: &str) -> Result<Self, PolicyError> {
        if file.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::Bytes(file.len()));
        }
        let file: File = toml::from_str(file).map_err(PolicyError::Toml)?;
        if file.versions.is_empty() {
            return Err(PolicyError::Versions);
        }
        if let Some(register) = file.registers.iter().find(|register| !PREDICTED.contains(register)) {
            return Err(PolicyError::Register(*register));
        }
        if !file.registers.contains(&IMAGE) {
            return Err(PolicyError::ImageRegister);
        }
        if file.ek_roots.is_empty() && (!file.without_certificate || file.registered_eks.is_empty()) {
            return Err(PolicyError::Nobody);
        }
        Ok(Self {
            versions: file.versions,
            security_version_min: file.security_version_min,
            registers: file.registers,
            pins_firmware: file.firmware_registers == FirmwareRegisters::Pin,
            takes_test_keys: file.test_keys,
            hardware_only: file.hardware_only,
            hardware_makers: hardware_makers(&file.hardware_makers)?,
            takes_uncertified: file.without_certificate,
            ek_roots: roots(&file.ek_roots)?,
            registered_eks: file.registered_eks,
        })
    }

    /// Whether a version may run.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.versions.contains(version)
    }

    pub(crate) const fn security_version_min(&self) -> SecurityVersion {
        self.security_version_min
    }

    /// Registers that have to be as an image's manifest says.
    pub(crate) const fn registers(&self) -> &Selection {
        &self.registers
    }

    /// Registers that have to stay as they were at enrolment.
    pub(crate) fn pinned(&self) -> Selection {
        if self.pins_firmware { FIRMWARE.into() } else { Selection::new() }
    }

    pub(crate) const fn takes_test_keys(&self) -> bool {
        self.takes_test_keys
    }

    pub(crate) const fn hardware_only(&self) -> bool {
        self.hardware_only
    }

    /// What is known of a maker here.
    pub(crate) fn maker(&self, id: u32) -> Maker {
        if self.hardware_makers.contains(&id) { Maker::Hardware } else { Maker::of(id) }
    }

    pub(crate) const fn takes_uncertified(&self) -> bool {
        self.takes_uncertified
    }

    /// Certificates, DER.
    pub(crate) fn ek_roots(&self) -> &[Vec<u8>] {
        &self.ek_roots
    }

    /// The only endorsement key that a machine may have; none where none is registered.
    pub(crate) fn registered_ek(&self, serial: &Serial) -> Option<Hash> {
        self.registered_eks.get(serial).copied()
    }
}

fn hardware_makers(texts: &[String]) -> Result<BTreeSet<u32>, PolicyError> {
    let id = |text: &String| {
        let id = maker::parse(text).ok_or_else(|| PolicyError::Maker(text.clone()))?;
        match Maker::of(id) {
            Maker::Software(name) => Err(PolicyError::SoftwareMaker { id: text.clone(), name }),
            Maker::Hardware | Maker::Unknown => Ok(id),
        }
    };
    texts.iter().map(id).collect()
}

fn roots(pems: &[String]) -> Result<Vec<Vec<u8>>, PolicyError> {
    if pems.len() > ROOTS_MAX {
        return Err(PolicyError::Roots(pems.len()));
    }
    let root = |(index, pem): (usize, &String)| {
        let der = X509::from_pem(pem.as_bytes()).and_then(|certificate| certificate.to_der());
        let der = der.map_err(|source| PolicyError::Root { index, source })?;
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(PolicyError::RootBytes { index, found: der.len() });
        }
        Ok(der)
    };
    pems.iter().enumerate().map(root).collect()
}

const fn first() -> SecurityVersion {
    SecurityVersion::FIRST
}

fn predicted() -> Selection {
    PREDICTED.into()
}

const fn yes() -> bool {
    true
}
