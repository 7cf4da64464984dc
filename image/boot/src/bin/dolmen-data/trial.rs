//! Whether systemd-boot goes back to another image when this one does not come up.
//!
//! systemd-boot renames a boot file that is to prove itself to `NAME+LEFT-DONE.efi` each time it starts it, and passes
//! over one that has no try left. That helps only where there is another one: a box with a single image would start it
//! again and again.

use std::{fs, path::Path};

use anyhow::Result;
use dolmen_image_boot::efi::Variables;

/// Where boot files are, from the ESP on. Boot Loader Specification, type 2.
const DIRECTORY: &str = "EFI/Linux";

/// Whether the running image is on trial, and there is one to go back to.
///
/// # Errors
///
/// If that cannot be found out.
pub(crate) fn on_trial(variables: &Variables, esp: &Path) -> Result<bool> {
    let Some(counted) = variables.counted_path()? else { return Ok(false) };
    let running = counted.rsplit(['\\', '/']).next().unwrap_or_default().to_ascii_lowercase();
    for entry in fs::read_dir(esp.join(DIRECTORY))? {
        let name = entry?.file_name().to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".efi") && name != running && tries_left(&name) != Some(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nothing for a name that is not counted: that image has proved itself.
fn tries_left(name: &str) -> Option<u32> {
    let counters = name.strip_suffix(".efi")?.rsplit_once('+')?.1;
    let left = counters.split_once('-').map_or(counters, |(left, _)| left);
    left.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(counted: Option<&str>, files: &[&str]) -> bool {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join(DIRECTORY)).unwrap();
        for file in files {
            fs::write(directory.path().join(DIRECTORY).join(file), "").unwrap();
        }
        if let Some(path) = counted {
            let value = path.encode_utf16().flat_map(u16::to_le_bytes);
            let bytes: Vec<u8> = [6, 0, 0, 0].into_iter().chain(value).collect();
            let name = "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        on_trial(&Variables::at(directory.path()), directory.path()).unwrap()
    }

    #[test]
    fn a_trial_needs_another_image() {
        let new = Some("\\EFI\\Linux\\dolmen_2+2-1.efi");
        assert!(trial(new, &["dolmen_1.efi", "dolmen_2+2-1.efi"]));
        assert!(trial(new, &["dolmen_1+1-2.efi", "dolmen_2+2-1.efi"]));
        // A new box, of which this is the first image; firmware that writes capitals; leftovers.
        assert!(!trial(new, &["dolmen_2+2-1.efi"]));
        assert!(!trial(new, &["DOLMEN_2+2-1.EFI", "dolmen_3.efi.tmp"]));
        // Nothing to go back to.
        assert!(!trial(new, &["dolmen_1+0-3.efi", "dolmen_2+2-1.efi"]));
        // Proved.
        assert!(!trial(None, &["dolmen_1.efi", "dolmen_2.efi"]));
    }

    #[test]
    fn without_boot_files_it_cannot_be_known() {
        let directory = tempfile::tempdir().unwrap();
        let variables = Variables::at(directory.path());
        assert!(!on_trial(&variables, directory.path()).unwrap());
        let name = "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
        fs::write(directory.path().join(name), [6, 0, 0, 0, b'a', 0]).unwrap();
        on_trial(&variables, directory.path()).unwrap_err();
    }

    #[test]
    fn counters_are_systemd_boots() {
        for (name, left) in
            [("a_1.efi", None), ("a_1+3.efi", Some(3)), ("a_1+0-3.efi", Some(0)), ("a+b.efi", None), ("a+1", None)]
        {
            assert_eq!(tries_left(name), left, "{name}");
        }
    }
}
