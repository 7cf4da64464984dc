//! What lies on a box's EFI system partition.

use dolmen_image_bundle::Version;

/// Where firmware looks on every disk: systemd-boot.
pub const BOOT_LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// Settings of systemd-boot.
pub const LOADER_CONF: &str = "loader/loader.conf";
/// What they are: it starts the newest image that has tries left and asks nobody.
pub const LOADER_CONF_TEXT: &str = "timeout 0\neditor no\nauto-firmware no\nauto-entries yes\n";
/// The folder of the UKIs.
pub const UKIS: &str = "EFI/Linux";
/// How often an image may be started before it has said that it works.
pub const TRIES: u32 = 3;

/// The path of an image's UKI that has not been started yet, as systemd's Automatic Boot Assessment names it.
#[must_use]
pub fn uki_path(version: &Version) -> String {
    format!("{UKIS}/dolmen_{version}+{TRIES}.efi")
}

/// Whether a file is the UKI of this version, whatever tries it has left.
#[must_use]
pub fn is_uki_of(path: &str, version: &Version) -> bool {
    let name = path.strip_prefix(UKIS).and_then(|rest| rest.strip_prefix('/'));
    let stem = name.and_then(|name| name.strip_prefix("dolmen_")?.strip_suffix(".efi"));
    let rest = stem.and_then(|stem| stem.strip_prefix(version.to_string().as_str()));
    // Left, and perhaps done: +3 or +2-1. A version has no plus.
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('+').is_some_and(|tries| tries.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_version_and_tries() {
        let version = Version::new(1, 2, 3);
        assert_eq!(uki_path(&version), "EFI/Linux/dolmen_1.2.3+3.efi");
        for tries in ["", "+3", "+2-1", "+0-3"] {
            assert!(is_uki_of(&format!("EFI/Linux/dolmen_1.2.3{tries}.efi"), &version));
        }
        for path in ["EFI/Linux/dolmen_1.2.30.efi", "EFI/Linux/dolmen_1.2.3-rc.1.efi", "dolmen_1.2.3.efi", ""] {
            assert!(!is_uki_of(path, &version), "{path}");
        }
    }
}
