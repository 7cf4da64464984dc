//! Why a box is not taken.

use dolmen_hsm_evidence::{Attributes, EvidenceError};
use dolmen_image_bundle::{Hash, SecurityVersion, Version};

use crate::{Drift, Serial};

/// Why a box is not taken, or not any more. Each reason has a [`code`](Self::code) that stays.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No maker vouches for the TPM, and nobody registered it.
    #[error(
        "the TPM of {0} has no certificate and no registered endorsement key; add its key to registered-eks after a \
         look at the machine"
    )]
    EkUnregistered(Serial),
    /// No maker vouches for the TPM, and registering it does not help.
    #[error("the TPM of {0} has no certificate, and the policy takes none without; see without-certificate")]
    EkUncertified(Serial),
    /// A machine with another TPM than the organisation knows.
    #[error(
        "{serial} has the endorsement key {found}, registered is {registered}; look whether its mainboard is another"
    )]
    EkOther {
        /// The machine.
        serial: Serial,
        /// What the policy has.
        registered: Hash,
        /// What the box sent.
        found: Hash,
    },
    /// A maker that is not trusted.
    #[error("no trusted root vouches for the TPM; add its maker's root to ek-roots if the organisation trusts it")]
    EkUntrusted(#[source] EvidenceError),
    /// No certificate of an endorsement key.
    #[error("the certificate of the TPM cannot be used; have the box read it from its TPM again")]
    EkCertificate(#[source] EvidenceError),
    /// A program.
    #[error("the TPM is {0}, which keeps no secret from its machine's owner; use a machine with a TPM of hardware")]
    TpmSoftware(&'static str),
    /// Perhaps a program.
    #[error("nothing is known of the TPM's maker {0:?}; add it to hardware-makers if it makes chips")]
    TpmMaker(String),
    /// No endorsement key.
    #[error("the endorsement key cannot be used; have the box read it from its TPM again")]
    EkKey(#[source] EvidenceError),
    /// Another TPM's certificate.
    #[error("the certificate is another TPM's; have the box send both from one TPM")]
    EkMismatch(#[source] EvidenceError),
    /// No attestation key.
    #[error("the attestation key cannot be read; have the box send its public area again")]
    AkKey(#[source] EvidenceError),
    /// A key that would sign anything.
    #[error("the attestation key has the attributes {0:?}, by which its word proves nothing; make it by our template")]
    AkAttributes(Attributes),
    /// No device key.
    #[error("the LDevID cannot be read; have the box send its public area again")]
    LdevidKey(#[source] EvidenceError),
    /// A key that can leave its TPM, or does not sign what it is given.
    #[error("the LDevID has the attributes {0:?}; make it by our template, so that it cannot leave its TPM")]
    LdevidAttributes(Attributes),
    /// The attestation key did not certify it.
    #[error("the attestation key did not sign the certification of the LDevID; make both in one TPM")]
    CertificationSignature(#[source] EvidenceError),
    /// Made for another machine.
    #[error("the certification of the LDevID is for another serial number; certify it again for this one")]
    CertificationNonce(#[source] EvidenceError),
    /// Of another key.
    #[error("the certification is of another key than the LDevID; send the public area of the certified key")]
    CertificationOther(#[source] EvidenceError),
    /// No certification.
    #[error("the certification of the LDevID cannot be used; have the box certify it again")]
    Certification(#[source] EvidenceError),
    /// Nothing can be wrapped for this endorsement key.
    #[error("no credential can be made for the endorsement key; use one of the templates for P-256, P-384 or RSA")]
    Credential(#[source] EvidenceError),
    /// Not the TPM with both keys.
    #[error(
        "the box did not open the credential; its endorsement and attestation keys are in different TPMs or in none"
    )]
    Activation,
    /// The attestation key did not quote.
    #[error("the attestation key did not sign the quote; send the quote of the key that was enrolled")]
    QuoteSignature(#[source] EvidenceError),
    /// An old quote.
    #[error("the quote is not for this challenge; have the box quote again with the nonce it was given")]
    QuoteReplayed(#[source] EvidenceError),
    /// Other registers.
    #[error("the quote is not of the registers that were asked for; have the box quote those")]
    QuoteSelection(#[source] EvidenceError),
    /// Other values.
    #[error("the registers sent are not those that the TPM quoted; read and quote them in one go")]
    QuoteDigest(#[source] EvidenceError),
    /// No quote.
    #[error("the quote cannot be used; have the box quote again")]
    Quote(#[source] EvidenceError),
    /// No log of firmware.
    #[error("the firmware's log cannot be read; have the box send it again")]
    FirmwareLog(#[source] EvidenceError),
    /// No log of systemd.
    #[error("systemd's log cannot be read; have the box send it again")]
    UserspaceLog(#[source] EvidenceError),
    /// Something was measured that no log has, or logged that was not measured.
    #[error(
        "register {register} holds {quoted}, its log leads to {replayed}; something ran that is not logged: read the log"
    )]
    LogMismatch {
        /// The first such register.
        register: u8,
        /// By the logs.
        replayed: Hash,
        /// By the TPM.
        quoted: Hash,
    },
    /// An image that may not run.
    #[error("the policy does not allow the image {0}; update the box, or add the version to versions")]
    ImageForbidden(Version),
    /// An image of which there are no values.
    #[error("there is no manifest of the image {0}; give the registrar its manifest.json and manifest.json.sig")]
    ImageUnknown(Version),
    /// An image for tests.
    #[error("the image {0} trusts keys that everybody has; install one that was built with --production")]
    ImageTestKeys(Version),
    /// Another root file system than the image's.
    #[error("the box runs the root hash {found}, the image {version} has {expected}; install the released image")]
    ImageRoot {
        /// The image.
        version: Version,
        /// By its manifest.
        expected: Hash,
        /// By the box.
        found: Hash,
    },
    /// Something else ran than the image.
    #[error("register {register} holds {quoted}, the image {version} leaves {expected}; compare the box's log with it")]
    PcrMismatch {
        /// The first such register.
        register: u8,
        /// The image that the box says it runs.
        version: Version,
        /// By its manifest.
        expected: Hash,
        /// By the TPM.
        quoted: Hash,
    },
    /// An image with a hole that is known.
    #[error("the image has the security version {found}, the policy asks for {min}; update the box")]
    SecurityVersion {
        /// By its manifest.
        found: SecurityVersion,
        /// By the policy.
        min: SecurityVersion,
    },
    /// In the middle of a boot, where the data's key can be had.
    #[error("the box is in the boot phase {0:?}; have it attest when it has left its initrd")]
    BootPhase(String),
    /// Not as it was.
    #[error(
        "the box is not as it was when it enrolled; if the change was yours, allow it, so that the box can enrol anew"
    )]
    Drift(#[source] Drift),
}

impl Refusal {
    /// A name for logs and metrics. It never changes, whatever the texts become.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EkUnregistered(_) => "ek-unregistered",
            Self::EkUncertified(_) => "ek-uncertified",
            Self::EkOther { .. } => "ek-other",
            Self::EkUntrusted(_) => "ek-untrusted",
            Self::EkCertificate(_) => "ek-certificate",
            Self::TpmSoftware(_) => "tpm-software",
            Self::TpmMaker(_) => "tpm-maker",
            Self::EkKey(_) => "ek-key",
            Self::EkMismatch(_) => "ek-mismatch",
            Self::AkKey(_) => "ak-key",
            Self::AkAttributes(_) => "ak-attributes",
            Self::LdevidKey(_) => "ldevid-key",
            Self::LdevidAttributes(_) => "ldevid-attributes",
            Self::CertificationSignature(_) => "certification-signature",
            Self::CertificationNonce(_) => "certification-nonce",
            Self::CertificationOther(_) => "certification-other",
            Self::Certification(_) => "certification",
            Self::Credential(_) => "credential",
            Self::Activation => "activation",
            Self::QuoteSignature(_) => "quote-signature",
            Self::QuoteReplayed(_) => "quote-replayed",
            Self::QuoteSelection(_) => "quote-selection",
            Self::QuoteDigest(_) => "quote-digest",
            Self::Quote(_) => "quote",
            Self::FirmwareLog(_) => "firmware-log",
            Self::UserspaceLog(_) => "userspace-log",
            Self::LogMismatch { .. } => "log-mismatch",
            Self::ImageForbidden(_) => "image-forbidden",
            Self::ImageUnknown(_) => "image-unknown",
            Self::ImageTestKeys(_) => "image-test-keys",
            Self::ImageRoot { .. } => "image-root",
            Self::PcrMismatch { .. } => "pcr-mismatch",
            Self::SecurityVersion { .. } => "security-version",
            Self::BootPhase(_) => "boot-phase",
            Self::Drift(drift) => drift.code(),
        }
    }
}
