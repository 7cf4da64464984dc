//! What systemd-boot told this start, in variables of the firmware.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use crate::{UpdateError, limits::VARIABLE_BYTES_MAX};

/// systemd-boot's vendor GUID ("The Boot Loader Interface").
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Bytes of attributes before the value, in efivarfs.
const ATTRIBUTES_BYTES: usize = 4;

/// The path of the UKI with its counter. Only there if it has one.
pub(crate) const BOOT_COUNT_PATH: &str = "LoaderBootCountPath";
/// The name of the UKI that was started, as it was when the menu was made.
pub(crate) const ENTRY_SELECTED: &str = "LoaderEntrySelected";

/// A text of systemd-boot's; none where it set none.
pub(crate) fn read(folder: &Path, name: &'static str) -> Result<Option<String>, UpdateError> {
    let operation = "read what systemd-boot says in the firmware's variables";
    let mut bytes = Vec::new();
    match File::open(folder.join(format!("{name}-{VENDOR}"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(UpdateError::Io { operation, source }),
        Ok(file) => {
            let read = file.take(VARIABLE_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|source| UpdateError::Io { operation, source })?;
        }
    }
    text(&bytes).map(Some).ok_or(UpdateError::Variable { name })
}

/// UTF-16, low byte first, that ends with a zero.
fn text(bytes: &[u8]) -> Option<String> {
    let value = bytes.get(ATTRIBUTES_BYTES..)?;
    let (units, rest) = value.as_chunks();
    let too_long = bytes.len() as u64 > VARIABLE_BYTES_MAX;
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let (zero, units) = units.split_last()?;
    if !rest.is_empty() || too_long || *zero != 0 || units.contains(&0) {
        return None;
    }
    String::from_utf16(units).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn values_are_utf16_after_attributes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
        assert_eq!(read(folder.path(), BOOT_COUNT_PATH).unwrap(), None);
        let value = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let path = "\\EFI\\Linux\\dolmen_1.2.3+2-1.efi";
        fs::write(&file, [&[6, 0, 0, 0], &value(path)[..], &[0, 0]].concat()).unwrap();
        assert_eq!(read(folder.path(), BOOT_COUNT_PATH).unwrap().as_deref(), Some(path));
        for wrong in [
            vec![],
            vec![6, 0, 0, 0],
            [&[6, 0, 0, 0], &value(path)[..]].concat(),
            [&[6, 0, 0, 0], &value(path)[..], &[0, 0, 0]].concat(),
            [&[6, 0, 0, 0], &value(path)[..], &[0, 0, 0, 0]].concat(),
            vec![6, 0, 0, 0, 0x00, 0xd8, 0, 0],
            [&[6, 0, 0, 0], &value(&"a".repeat(4096))[..], &[0, 0]].concat(),
        ] {
            fs::write(&file, &wrong).unwrap();
            assert!(matches!(read(folder.path(), BOOT_COUNT_PATH), Err(UpdateError::Variable { .. })), "{wrong:?}");
        }
    }
}
