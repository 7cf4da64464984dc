//! What the firmware starts: systemd-boot, and the kernel with all that it needs in one signed file; and what both leave
//! in a box's TPM.

use std::collections::BTreeMap;

use dolmen_image_bundle::{Hash, Measurements};
use dolmen_image_uki::{
    authenticode::{self, AuthenticodeError, Signing},
    measure::{
        Guid, MeasureError, Measurement, PcrSignatures, Phase, SecureBoot, boot_path, certificate_list,
        kernel_is_measured, phases, replay, uki,
    },
    pe::{Image, PeError},
    uki::{StubVersion, Uki, UkiError},
};

use crate::keys::Keys;

/// In which phase a TPM opens the data partition: once the initrd is left, nothing can any more.
const UNLOCKING: &[Phase] = &[Phase::EnterInitrd];
/// Phases after which the manifest says what register 11 holds.
const PREDICTED: [&[Phase]; 2] = [UNLOCKING, &[Phase::EnterInitrd, Phase::LeaveInitrd]];

/// Why there are no boot files.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The UKI.
    #[error(transparent)]
    Uki(#[from] UkiError),
    /// A file that is none for the firmware.
    #[error("{what} is no image that firmware starts")]
    Image {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: PeError,
    },
    /// A signature.
    #[error("cannot sign {what}")]
    Sign {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: AuthenticodeError,
    },
    /// A prediction.
    #[error("cannot predict what the image leaves in a TPM")]
    Measure(#[from] MeasureError),
    /// The kernel would be measured another time, which no prediction counts.
    #[error("the stub has the firmware load the kernel; take systemd-boot-efi of Debian 13 or later")]
    Stub,
}

/// What boot files are made of.
#[derive(Clone, Copy, Debug)]
pub struct Ingredients<'a> {
    /// systemd's stub.
    pub stub: &'a [u8],
    /// The kernel, a bzImage.
    pub linux: &'a [u8],
    /// Its release, as `uname -r` tells it.
    pub uname: &'a str,
    /// The initrd, compressed.
    pub initrd: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// The image's `os-release`.
    pub os_release: &'a str,
}

impl Ingredients<'_> {
    /// A signed UKI. With `unlocks` it carries the signature by which a TPM opens the data partition.
    ///
    /// # Errors
    ///
    /// [`BootError`].
    pub fn sign_uki(&self, keys: &Keys, seconds: u64, unlocks: bool) -> Result<Vec<u8>, BootError> {
        let Self { stub, linux, uname, initrd, command_line, os_release } = *self;
        let mut parts = Uki {
            stub,
            linux,
            initrds: &[initrd],
            ucode: None,
            cmdline: command_line,
            os_release,
            uname,
            sbat: None,
            pcrpkey: unlocks.then_some(keys.pcr_pem.as_str()),
            pcrsig: None,
            splash: None,
        };
        let what = "the UKI";
        let mut file = parts.assemble()?;
        let signatures;
        if unlocks {
            let measured = uki(&Image::parse(&file).map_err(|source| BootError::Image { what, source })?)?;
            signatures = PcrSignatures::sign(&measured, &[UNLOCKING], &keys.pcr_key, &keys.pcr)?.json();
            parts.pcrsig = Some(&signatures);
            file = parts.assemble()?;
        }
        sign(what, &file, keys, seconds)
    }
}

/// Signs a file for Secure Boot, with a fixed time.
///
/// # Errors
///
/// [`BootError::Sign`].
pub fn sign(what: &'static str, file: &[u8], keys: &Keys, seconds: u64) -> Result<Vec<u8>, BootError> {
    let signing = Signing { key: &keys.db_key, certificate: &keys.db, time: Some(seconds) };
    authenticode::sign(file, &signing).map_err(|source| BootError::Sign { what, source })
}

/// What registers 4, 7 and 11 of a box's TPM hold once it has started these two signed files with the keys' certificates
/// in its firmware, which `owner` put there.
///
/// # Errors
///
/// [`BootError`].
pub fn predict(loader: &[u8], file: &[u8], keys: &Keys, owner: &Guid) -> Result<Measurements, BootError> {
    let image = |what, bytes| Image::parse(bytes).map_err(|source| BootError::Image { what, source });
    let (loader, file) = (image("systemd-boot", loader)?, image("the UKI", file)?);
    if kernel_is_measured(StubVersion::of(&file)?, true) {
        return Err(BootError::Stub);
    }
    let list = |certificate| certificate_list(*owner, certificate);
    let (pk, kek, db) = (list(&keys.pk)?, list(&keys.kek)?, list(&keys.db)?);
    let secure_boot = SecureBoot { secure_boot: &[1], pk: &pk, kek: &kek, db: &db, dbx: &[] };
    let sections = uki(&file)?;
    let mut pcr11 = BTreeMap::new();
    for path in PREDICTED {
        let name: Vec<&str> = path.iter().map(|phase| phase.word()).collect();
        pcr11.insert(name.join(":"), value(&[&sections[..], &phases(path)].concat(), 11));
    }
    Ok(Measurements {
        pcr4: value(&boot_path(&[&loader, &file]), 4),
        pcr7: value(&secure_boot.measurements(&[&loader, &file])?, 7),
        pcr11,
    })
}

fn value(measurements: &[Measurement], register: usize) -> Hash {
    Hash::from_bytes(replay(measurements).values()[register].unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A small image with what a stub says about itself. It passes for a kernel, too, and for a boot loader.
    const STUB: &[u8] = include_bytes!("../../uki/tests/vectors/signed.efi");
    const SECONDS: u64 = 1_790_000_000;

    fn keys() -> Keys {
        Keys::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../keys/test")), false).unwrap()
    }

    fn stub() -> Vec<u8> {
        authenticode::remove(STUB).unwrap()
    }

    fn uki_of(keys: &Keys, command_line: &str, unlocks: bool) -> Vec<u8> {
        let stub = stub();
        let os_release = "ID=dolmen\nVERSION_ID=0.1.0\n";
        let parts =
            Ingredients { stub: &stub, linux: &stub, uname: "6.12.0", initrd: b"initrd", command_line, os_release };
        parts.sign_uki(keys, SECONDS, unlocks).unwrap()
    }

    #[test]
    fn it_is_signed_measured_and_the_same_again() {
        let keys = keys();
        let file = uki_of(&keys, "roothash=1 ro", true);
        assert!(file == uki_of(&keys, "roothash=1 ro", true));
        let image = Image::parse(&file).unwrap();
        authenticode::verify(&image, &[&keys.db]).unwrap();
        let section = |name| image.section(name).map(|section| image.data(section));
        let signatures = PcrSignatures::parse(section(".pcrsig").unwrap()).unwrap();
        let measured = uki(&image).unwrap();
        assert!(signatures.covers(&measured, UNLOCKING, &keys.pcr));
        // In no other phase.
        assert!(
            !signatures.covers(&measured, PREDICTED[1], &keys.pcr) && !signatures.covers(&measured, &[], &keys.pcr)
        );
        assert_eq!(section(".pcrpkey").unwrap(), keys.pcr_pem.as_bytes());
    }

    #[test]
    fn a_stick_opens_nothing() {
        let file = uki_of(&keys(), "console=ttyS0", false);
        let image = Image::parse(&file).unwrap();
        assert!(image.section(".pcrsig").is_none() && image.section(".pcrpkey").is_none());
    }

    #[test]
    fn predictions_are_those_of_the_files() {
        let keys = keys();
        let stub = stub();
        let loader = sign("systemd-boot", &stub, &keys, SECONDS).unwrap();
        let file = uki_of(&keys, "roothash=1 ro", true);
        let owner: Guid = "646f6c6d-656e-4000-8000-000000000001".parse().unwrap();
        let predicted = predict(&loader, &file, &keys, &owner).unwrap();
        assert_eq!(predicted.pcr11.keys().collect::<Vec<_>>(), ["enter-initrd", "enter-initrd:leave-initrd"]);
        let (first, second) = (Image::parse(&loader).unwrap(), Image::parse(&file).unwrap());
        let entered = [&uki(&second).unwrap()[..], &phases(&[Phase::EnterInitrd])].concat();
        let replayed = replay(&entered).values()[11].unwrap();
        assert_eq!(predicted.pcr11["enter-initrd"].as_bytes(), &replayed);
        assert_eq!(predicted.pcr4.as_bytes(), &replay(&boot_path(&[&first, &second])).values()[4].unwrap());
        // Register 7 says by whose authority, not what: another command line, or one more try, changes nothing.
        let other = predict(&loader, &uki_of(&keys, "roothash=2 ro", true), &keys, &owner).unwrap();
        assert_eq!(other.pcr7, predicted.pcr7);
        assert!(other.pcr4 != predicted.pcr4 && other.pcr11 != predicted.pcr11);
    }

    #[test]
    fn what_db_does_not_trust_is_not_predicted() {
        let keys = keys();
        let stub = stub();
        let owner: Guid = "646f6c6d-656e-4000-8000-000000000001".parse().unwrap();
        let error = predict(&stub, &uki_of(&keys, "ro", true), &keys, &owner).unwrap_err();
        assert!(matches!(error, BootError::Measure(MeasureError::Denied { index: 0, .. })), "{error}");
    }
}
