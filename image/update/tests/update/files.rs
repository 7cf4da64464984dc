//! The same over files: an image of a disk, folders for the ESP and for firmware variables.

use std::{collections::BTreeMap, fs, io::Cursor, path::Path};

use dolmen_image_update::{Paths, UpdateError, Updater};
use tempfile::TempDir;

use crate::{
    images::{Image, keys},
    world::{State, Tpm},
};

/// A box in a folder.
fn installed(state: &State) -> (TempDir, Paths) {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |name| folder.path().join(name);
    let paths = Paths { disk: at("disk"), esp: at("efi"), efivars: at("efivars") };
    fs::write(&paths.disk, &state.disk).expect("a file");
    for (path, content) in state.esp.values() {
        let file = paths.esp.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, content).expect("a file");
    }
    fs::create_dir(&paths.efivars).expect("a folder");
    (folder, paths)
}

/// What is there now.
fn state(paths: &Paths) -> State {
    fn add(state: &mut State, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                add(state, root, &path);
            } else {
                let name = path.strip_prefix(root).expect("below it").to_str().expect("text").to_owned();
                state.put(&name, &fs::read(&path).expect("a file"));
            }
        }
    }
    let mut state = State { disk: fs::read(&paths.disk).expect("the disk"), esp: BTreeMap::new() };
    add(&mut state, &paths.esp, &paths.esp);
    state
}

fn variable(paths: &Paths, name: &str, text: &str) {
    let value: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let file = paths.efivars.join(format!("{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"));
    fs::write(file, [&[6, 0, 0, 0], &value[..]].concat()).expect("a file");
}

#[test]
fn a_box_is_updated_and_goes_back() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let (folder, paths) = installed(&State::installed(&one));
    let bundle = folder.path().join("dolmen-2.0.0.bundle");
    fs::write(&bundle, two.bundle()).unwrap();
    let mut tpm = Tpm::default();

    let mut updater = Updater::open(&paths, one.running()).unwrap();
    let mut file = fs::File::open(&bundle).unwrap();
    updater.apply(&mut file, &keys(), &mut tpm, &mut |_, _| {}).unwrap();
    // Only one at a time.
    let mut second = Updater::open(&paths, one.running()).unwrap();
    assert!(matches!(second.bless(&mut tpm), Err(UpdateError::Locked)));
    drop(updater);
    second.bless(&mut tpm).unwrap();
    drop(second);
    assert_eq!(state(&paths).entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0+3.efi"]);
    assert_eq!(state(&paths).start(&[&two.boot]).unwrap(), two.version);

    // systemd-boot counts and tells.
    let (before, after) = ("dolmen_2.0.0+3.efi", "dolmen_2.0.0+2-1.efi");
    fs::rename(paths.esp.join("EFI/Linux").join(before), paths.esp.join("EFI/Linux").join(after)).unwrap();
    variable(&paths, "LoaderBootCountPath", &format!("\\EFI\\Linux\\{after}"));
    variable(&paths, "LoaderEntrySelected", before);
    let status = Updater::open_to_look(&paths, two.running()).unwrap().status().unwrap();
    assert!(status.counted && status.pinned.is_none());
    assert_eq!(status.selected.as_deref(), Some(before));

    Updater::open(&paths, two.running()).unwrap().bless(&mut tpm).unwrap();
    assert_eq!(state(&paths).entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0.efi"]);
    Updater::open(&paths, two.running()).unwrap().rollback(&mut tpm).unwrap();
    let status = Updater::open_to_look(&paths, two.running()).unwrap().status().unwrap();
    assert_eq!(status.pinned.as_deref(), Some("dolmen_1.0.0.efi"));
    assert_eq!(state(&paths).start(&[&two.boot]).unwrap(), one.version);
}

#[test]
fn a_variable_that_is_no_text_is_named() {
    let one = Image::new("1.0.0", 1);
    let (_folder, paths) = installed(&State::installed(&one));
    fs::write(paths.efivars.join("LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), [6, 0, 0, 0, 1]).unwrap();
    let error = Updater::open_to_look(&paths, one.running()).unwrap().status().unwrap_err();
    assert!(matches!(error, UpdateError::Variable { name: "LoaderEntrySelected" }), "{error}");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let (_folder, paths) = installed(&State::installed(&one));
    let mut looking = Updater::open_to_look(&paths, one.running()).unwrap();
    let error =
        looking.apply(&mut Cursor::new(two.bundle()), &keys(), &mut Tpm::default(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, UpdateError::Io { operation: "write to the slot", .. }), "{error}");
    assert_eq!(state(&paths).start(&[&one.boot]).unwrap(), one.version);
    let missing = Paths { disk: paths.disk.with_extension("missing"), ..paths };
    assert!(matches!(Updater::open(&missing, one.running()), Err(UpdateError::Io { .. })));
}
