//! The versions in reports are those that were compiled in.

use std::path::Path;

use crate::{Library, library::VERSIONS};

#[test]
fn versions_are_those_of_the_lock_file() {
    // Not through a link to this folder: the workspace that compiles it has the lock file.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let packages: Vec<_> = lock.split("[[package]]").collect();
    let field = |package: &str, field: &str| {
        let line = package.lines().find(|line| line.starts_with(&format!("{field} = "))).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let of =
        |name: &str| packages[1..].iter().filter(|package| field(package, "name") == name).copied().collect::<Vec<_>>();
    let ours = of("dolmen-accel-library")[0];
    for (name, version) in VERSIONS {
        // Where the lock file has several versions, a dependency is written with its own.
        let dependency = ours.lines().find_map(|line| {
            let entry = line.trim().trim_matches(|c| c == '"' || c == ',');
            (entry == name || entry.starts_with(&format!("{name} "))).then_some(entry)
        });
        let locked = match dependency.unwrap_or_else(|| panic!("{name} is a dependency")).split_once(' ') {
            Some((_, version)) => version.to_owned(),
            None => field(of(name)[0], "version"),
        };
        assert_eq!(version, locked, "{name}: src/library.rs and Cargo.lock differ");
    }
}

#[test]
fn every_library_has_a_version_and_a_name_of_its_own() {
    let names = Library::ALL.map(Library::name);
    for (index, library) in Library::ALL.into_iter().enumerate() {
        assert!(library.version().contains(|c: char| c.is_ascii_digit()), "{library}: {}", library.version());
        assert!(!names[..index].contains(&library.name()));
    }
    assert!(Library::OpenSsl.version().starts_with("OpenSSL 3."), "{}", Library::OpenSsl.version());
}
