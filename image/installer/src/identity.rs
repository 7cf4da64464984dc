//! Which machine this is.

use std::path::Path;

use dolmen_image_bundle::Version;
use dolmen_image_disk::gpt::Uuid;

/// Characters of a name in a file's name.
const NAME_CHARS_MAX: usize = 40;

/// UUIDs that makers leave in many machines.
const COMMON_UUIDS: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
];
/// Serial numbers that are none, in lower case.
const COMMON_SERIALS: [&str; 10] = [
    "to be filled by o.e.m.",
    "default string",
    "system serial number",
    "serial number",
    "not specified",
    "not applicable",
    "none",
    "n/a",
    "0123456789",
    "123456789",
];

/// What a machine's firmware says of it (SMBIOS 3.7 §7.2), as far as it tells this machine from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The system's UUID.
    pub uuid: Option<Uuid>,
    /// The system's serial number, on its label as a rule.
    pub serial: Option<String>,
}

impl Identity {
    /// Of this machine. `dmi` is `/sys/class/dmi/id`.
    #[must_use]
    pub fn read(dmi: &Path) -> Self {
        let text = |name: &str| {
            let text = std::fs::read_to_string(dmi.join(name)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Self::of(text("product_uuid").as_deref(), text("product_serial").as_deref())
    }

    /// Of what the firmware says. What many machines say counts for nothing.
    #[must_use]
    pub fn of(uuid: Option<&str>, serial: Option<&str>) -> Self {
        let uuid = uuid.filter(|uuid| !COMMON_UUIDS.contains(&uuid.to_ascii_lowercase().as_str()));
        let serial = serial.map(str::trim).filter(|serial| {
            let same = serial.bytes().all(|byte| Some(byte) == serial.bytes().next());
            !same && !COMMON_SERIALS.contains(&serial.to_ascii_lowercase().as_str())
        });
        Self { uuid: uuid.and_then(|uuid| uuid.parse().ok()), serial: serial.map(str::to_owned) }
    }

    /// What this machine's files on the stick are called by: the serial number, which a person can find on the machine,
    /// or the UUID.
    #[must_use]
    pub fn label(&self) -> String {
        let serial = self.serial.as_deref().map(file_name).filter(|name| !name.is_empty());
        serial.or_else(|| self.uuid.map(|uuid| uuid.to_string())).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Name of the file that says that this machine was done with this version; none for a machine that cannot be told
    /// from others.
    #[must_use]
    pub fn marker(&self, version: &Version) -> Option<String> {
        let serial = || self.serial.as_deref().map(file_name).filter(|name| !name.is_empty());
        let machine = self.uuid.map(|uuid| uuid.to_string()).or_else(serial)?;
        Some(format!("done-{machine}-{version}"))
    }
}

/// As much of a text as a file's name can have anywhere.
fn file_name(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4C4C4544-0044-4D10-8056-B4C04F4D3533";

    #[test]
    fn a_machine_is_named_by_what_only_it_has() {
        let version = Version::new(1, 2, 3);
        let machine = Identity::of(Some(UUID), Some(" 7DM/SM53 "));
        assert_eq!(machine.label(), "7DMSM53");
        assert_eq!(machine.marker(&version).unwrap(), "done-4c4c4544-0044-4d10-8056-b4c04f4d3533-1.2.3");
        assert_eq!(Identity::of(None, Some("7DMSM53")).marker(&version).unwrap(), "done-7DMSM53-1.2.3");
        assert_eq!(Identity::of(Some(UUID), None).label(), UUID.to_lowercase());
    }

    #[test]
    fn what_many_machines_say_is_nothing() {
        for uuid in COMMON_UUIDS {
            assert_eq!(Identity::of(Some(&uuid.to_uppercase()), None), Identity::default());
        }
        for serial in COMMON_SERIALS.into_iter().chain(["", "0000000", "To Be Filled By O.E.M."]) {
            assert_eq!(Identity::of(Some("no uuid"), Some(serial)), Identity::default(), "{serial}");
        }
        assert_eq!(Identity::default().marker(&Version::new(1, 0, 0)), None);
        assert_eq!(Identity::of(None, Some("数据..")).label(), "unknown");
    }
}
