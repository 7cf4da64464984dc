//! Variables of the firmware, of which systemd-boot and systemd-stub set some.

use std::{
    io,
    path::{Path, PathBuf},
};

use uuid::{Uuid, uuid};

use crate::file;

/// Whose variables systemd's are. Boot Loader Interface, UAPI Group.
const LOADER: Uuid = uuid!("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
/// Whose variables those of UEFI are, 2.10 §3.3.
const GLOBAL: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// `efivarfs` has the variable's attributes before its value.
const ATTRIBUTE_BYTES: usize = 4;

/// Why a variable cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the firmware's variable {name}")]
pub struct VariableError {
    /// Its name.
    pub name: String,
    /// The kernel's reason.
    #[source]
    pub source: io::Error,
}

/// The firmware's variables.
#[derive(Clone, Debug)]
pub struct Variables(PathBuf);

impl Variables {
    /// This machine's, where `efivarfs` is mounted.
    #[must_use]
    pub fn of_machine() -> Self {
        Self::at("/sys/firmware/efi/efivars")
    }

    /// Those in a directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Whether the firmware checks signatures of what it starts.
    ///
    /// # Errors
    ///
    /// [`VariableError`].
    pub fn secure_boot(&self) -> Result<bool, VariableError> {
        Ok(self.read("SecureBoot", GLOBAL)?.is_some_and(|value| value == [1]))
    }

    /// The unique GUID of the partition from which systemd-boot, or a UKI without it, was started.
    ///
    /// # Errors
    ///
    /// [`VariableError`].
    pub fn booted_from(&self) -> Result<Option<Uuid>, VariableError> {
        Ok(self.loader_text("LoaderDevicePartUUID")?.and_then(|text| text.parse().ok()))
    }

    /// The running UKI on its partition, `\EFI\Linux\dolmen_1.2.3+2-1.efi`, if systemd-boot counts its tries: whoever
    /// finds the boot good renames it, and until then the next boots may be given to another one.
    ///
    /// # Errors
    ///
    /// [`VariableError`].
    pub fn counted_path(&self) -> Result<Option<String>, VariableError> {
        self.loader_text("LoaderBootCountPath")
    }

    /// A variable of systemd's that holds text: UTF-16, ended by a NUL.
    ///
    /// # Errors
    ///
    /// [`VariableError`].
    pub fn loader_text(&self, name: &str) -> Result<Option<String>, VariableError> {
        let text = |value: Vec<u8>| {
            let (units, _) = value.as_chunks();
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        };
        Ok(self.read(name, LOADER)?.map(text))
    }

    /// A variable's value; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`VariableError`].
    pub fn read(&self, name: &str, vendor: Uuid) -> Result<Option<Vec<u8>>, VariableError> {
        match file::read(&self.path(name, vendor)) {
            Ok(bytes) => Ok(Some(bytes.get(ATTRIBUTE_BYTES..).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(VariableError { name: name.to_owned(), source }),
        }
    }

    fn path(&self, name: &str, vendor: Uuid) -> PathBuf {
        Path::new(&self.0).join(format!("{name}-{vendor}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn values_follow_the_attributes() {
        let directory = tempfile::tempdir().unwrap();
        let variables = Variables::at(directory.path());
        let write = |name: &str, vendor, value: &[u8]| {
            fs::write(variables.path(name, vendor), [&[6, 0, 0, 0], value].concat()).unwrap();
        };
        assert_eq!((variables.counted_path().unwrap(), variables.secure_boot().unwrap()), (None, false));

        let text = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        write("LoaderBootCountPath", LOADER, &text("\\EFI\\Linux\\dolmen_1+2-1.efi"));
        write("LoaderDevicePartUUID", LOADER, &text("0CC10000-0000-4000-8000-000000000002"));
        write("SecureBoot", GLOBAL, &[1]);
        assert_eq!(variables.counted_path().unwrap().unwrap(), "\\EFI\\Linux\\dolmen_1+2-1.efi");
        assert_eq!(variables.booted_from().unwrap(), Some(uuid!("0cc10000-0000-4000-8000-000000000002")));
        assert!(variables.secure_boot().unwrap());

        // What is no such text, and what is cut short.
        write("LoaderDevicePartUUID", LOADER, &text("none"));
        write("LoaderBootCountPath", LOADER, &[0x00, 0xd8, b'a']);
        assert_eq!(variables.booted_from().unwrap(), None);
        assert_eq!(variables.counted_path().unwrap().unwrap(), "\u{fffd}");
        fs::write(variables.path("SecureBoot", GLOBAL), [6]).unwrap();
        assert!(!variables.secure_boot().unwrap());
    }
}
