//! Whether every program and library of a root finds the libraries that it needs, in the versions that it needs.
//!
//! A program that was built on another release than the image's starts nowhere if the image's C library is older: a
//! build says so, and a box does not have to.

use std::collections::{BTreeMap, BTreeSet};

use object::{
    Endianness, FileKind,
    elf::{DT_NEEDED, DT_RUNPATH, FileHeader64},
    read::elf::{Dyn as _, FileHeader as _},
};

use crate::tree::{Kind, Tree, TreeError};

/// Where the dynamic linker of Debian for x86-64 looks.
const FOLDERS: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib"];
const MAGIC: &[u8] = b"\x7fELF";

type Elf = FileHeader64<Endianness>;

/// Why a program would not start.
#[derive(Debug, thiserror::Error)]
pub enum LibrariesError {
    /// A file that cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file that begins as a program and is none.
    #[error("{file} of the root is damaged")]
    Damaged {
        /// Which.
        file: String,
        /// What is wrong.
        #[source]
        source: object::read::Error,
    },
    /// A library is missing.
    #[error(
        "{file} needs the library {library}, which is not in the image; add its package to `install` in the recipe, \
         or keep it from being dropped"
    )]
    Missing {
        /// Who needs it.
        file: String,
        /// Which.
        library: String,
    },
    /// It is too old.
    #[error(
        "{file} needs {version} of {library}, and the image's is older: build it on Debian {suite} or an older release"
    )]
    Version {
        /// Who needs it.
        file: String,
        /// Which library.
        library: String,
        /// Which of its versions.
        version: String,
        /// What the image is made of.
        suite: &'static str,
    },
    /// A library that the recipe asks for.
    #[error("the recipe's [root] wants the library {0}, which is not in the image; add its package to `install`")]
    Asked(String),
}

/// What a program or library needs and has.
#[derive(Debug, Default)]
struct Needs {
    libraries: Vec<String>,
    folders: Vec<String>,
    /// Versions of libraries that it needs.
    versions: Vec<(String, String)>,
    /// Versions that it has itself.
    defines: BTreeSet<String>,
}

/// Checks all of them, and that the libraries are there that the recipe names.
///
/// # Errors
///
/// [`LibrariesError`] names the first that is missing, and who needs it.
pub(super) fn check(root: &Tree, asked: &[String]) -> Result<(), LibrariesError> {
    let mut all = BTreeMap::new();
    for (path, node) in root.iter() {
        let Kind::File(content) = &node.kind else { continue };
        // Modules of the kernel, and files for other machines, need no libraries.
        if content.bytes() < 64 || path.contains("/modules/") || !path.starts_with("usr/") {
            continue;
        }
        let mut magic = [0; 4];
        let read = content.open().and_then(|mut content| content.read_exact(&mut magic));
        read.map_err(|source| TreeError::Read { path: path.to_owned(), source })?;
        if magic == MAGIC {
            let damaged = |source| LibrariesError::Damaged { file: path.to_owned(), source };
            all.insert(path.to_owned(), needs(&root.read(path)?, path).map_err(damaged)?);
        }
    }
    for (file, needs) in &all {
        for library in &needs.libraries {
            // A library's own folder too: whoever loads it from there has loaded its neighbours already.
            let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            let found = find(root, &[&needs.folders[..], &[beside]].concat(), library)?;
            let missing = || LibrariesError::Missing { file: file.clone(), library: library.clone() };
            let provider = all.get(&found.ok_or_else(missing)?).ok_or_else(missing)?;
            let wanted = needs.versions.iter().filter(|(from, _)| from == library);
            for (_, version) in wanted {
                if !provider.defines.contains(version) {
                    let (file, library, version) = (file.clone(), library.clone(), version.clone());
                    return Err(LibrariesError::Version { file, library, version, suite: "13" });
                }
            }
        }
    }
    for library in asked {
        if find(root, &[], library)?.is_none() {
            return Err(LibrariesError::Asked(library.clone()));
        }
    }
    Ok(())
}

fn find(root: &Tree, folders: &[String], library: &str) -> Result<Option<String>, TreeError> {
    for folder in folders.iter().map(String::as_str).chain(FOLDERS) {
        let place = root.resolve(&format!("{folder}/{library}"))?;
        if root.get(&place).is_some() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn needs(data: &[u8], path: &str) -> object::read::Result<Needs> {
    let mut needs = Needs::default();
    if FileKind::parse(data)? != FileKind::Elf64 {
        return Ok(needs);
    }
    let elf = Elf::parse(data)?;
    let endian = elf.endian()?;
    let sections = elf.sections(endian, data)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some((dynamic, strings)) = sections.dynamic(endian, data)? else { return Ok(needs) };
    let strings = sections.strings(endian, data, strings)?;
    for entry in dynamic {
        let string = || entry.string(endian, strings).map(text);
        match entry.d_tag(endian) {
            DT_NEEDED => needs.libraries.push(string()?),
            DT_RUNPATH => needs.folders.extend(string()?.split(':').map(|folder| expand(folder, path))),
            _ => {}
        }
    }
    if let Some((mut wanted, strings)) = sections.gnu_verneed(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        while let Some((need, mut versions)) = wanted.next()? {
            let library = text(need.file(endian, strings)?);
            while let Some(version) = versions.next()? {
                needs.versions.push((library.clone(), text(version.name(endian, strings)?)));
            }
        }
    }
    if let Some((mut defined, strings)) = sections.gnu_verdef(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        while let Some((_, mut names)) = defined.next()? {
            if let Some(name) = names.next()? {
                needs.defines.insert(text(name.name(endian, strings)?));
            }
        }
    }
    Ok(needs)
}

fn expand(folder: &str, path: &str) -> String {
    let origin = path.rsplit_once('/').map_or("", |(origin, _)| origin);
    folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::tree::Node;

    /// This test's own program, and the libraries that it runs with.
    fn root(leave_out: &str) -> Tree {
        let mut root = Tree::default();
        let program = std::env::current_exe().unwrap();
        let bytes = fs::metadata(&program).unwrap().len();
        root.insert("usr/bin/test", Node::program(program, bytes)).unwrap();
        let names =
            ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "libssl.so.3", "libcrypto.so.3", "ld-linux-x86-64.so.2"];
        for name in names.iter().filter(|name| **name != leave_out) {
            let place = [format!("/lib/x86_64-linux-gnu/{name}"), format!("/usr/lib/x86_64-linux-gnu/{name}")]
                .into_iter()
                .map(PathBuf::from)
                .find(|place| place.exists())
                .unwrap();
            let bytes = fs::metadata(&place).unwrap().len();
            root.insert(&format!("usr/lib/x86_64-linux-gnu/{name}"), Node::program(place, bytes)).unwrap();
        }
        root
    }

    #[test]
    fn a_program_finds_its_libraries() {
        check(&root(""), &["libm.so.6".to_owned()]).unwrap();
        let error = check(&root("libc.so.6"), &[]).unwrap_err();
        assert!(matches!(&error, LibrariesError::Missing { library, .. } if library == "libc.so.6"), "{error}");
        let error = check(&root(""), &["libtss2-esys.so.0".to_owned()]).unwrap_err();
        assert!(matches!(&error, LibrariesError::Asked(library) if library == "libtss2-esys.so.0"), "{error}");
    }

    #[test]
    fn a_library_that_is_too_old_is_named() {
        let mut root = root("");
        // libm defines none of the versions of libc.
        let node = root.get("usr/lib/x86_64-linux-gnu/libm.so.6").unwrap().clone();
        root.insert("usr/lib/x86_64-linux-gnu/libc.so.6", node).unwrap();
        let error = check(&root, &[]).unwrap_err();
        assert!(matches!(&error, LibrariesError::Version { library, .. } if library == "libc.so.6"), "{error}");
    }

    #[test]
    fn damage_is_an_error() {
        let mut damaged = b"\x7fELF\x02\x01\x01".to_vec();
        damaged.resize(4096, 0xff);
        let mut root = Tree::default();
        root.insert("usr/bin/x", Node::file(damaged)).unwrap();
        assert!(matches!(check(&root, &[]), Err(LibrariesError::Damaged { .. })));
    }

    #[test]
    fn folders_relative_to_a_program() {
        assert_eq!(expand("$ORIGIN/../lib", "usr/bin/x"), "usr/bin/../lib");
        assert_eq!(expand("/usr/lib/systemd", "usr/bin/x"), "usr/lib/systemd");
    }
}
