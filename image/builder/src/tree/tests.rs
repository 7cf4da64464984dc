use std::{fs, io::Write as _, os::unix::fs::symlink};

use super::*;

fn tree(paths: &[&str]) -> Tree {
    let mut tree = Tree::default();
    for path in paths {
        let node = match path.split_once(" -> ") {
            Some((_, target)) => Node::link(target.to_owned()),
            None if path.ends_with('/') => Node::folder(),
            None => Node::file(path.as_bytes()),
        };
        tree.insert(path.split(" -> ").next().unwrap().trim_end_matches('/'), node).unwrap();
    }
    tree
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path).collect()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::try_from((*text).to_owned()).unwrap()).collect()
}

#[test]
fn links_are_followed() {
    let links = ["bin -> usr/bin", "usr/bin/sh -> /bin/dash", "usr/bin/dash", "a -> b", "b -> a", "etc/x -> ../../bin"];
    let tree = tree(&links);
    assert_eq!(tree.resolve("bin/sh").unwrap(), "usr/bin/dash");
    assert_eq!(tree.resolve("etc/x").unwrap(), "usr/bin");
    assert_eq!(tree.resolve("usr/lib/none").unwrap(), "usr/lib/none");
    assert_eq!(tree.read("/bin/sh").unwrap(), b"usr/bin/dash");
    assert!(matches!(tree.resolve("a/c"), Err(TreeError::Loop(_))));
    assert!(matches!(tree.read("bin/bash"), Err(TreeError::NotFound(_))));
}

#[test]
fn what_is_taken_out_leaves_no_empty_folders() {
    let mut tree = tree(&["usr/share/doc/dash/copyright", "usr/share/man/man1/", "usr/bin/dash", "run/"]);
    let rules = patterns(&["usr/share/doc/*/copyright", "usr/share/locale"]);
    assert_eq!(tree.remove(&rules), [&rules[1]]);
    // What was empty before stays.
    let left = ["run", "usr", "usr/bin", "usr/bin/dash", "usr/share", "usr/share/man", "usr/share/man/man1"];
    assert_eq!(paths(&tree), left);
    tree.remove(&patterns(&["usr/share"]));
    assert_eq!(paths(&tree), left[..4]);
}

#[test]
fn a_folder_that_goes_takes_its_content_along() {
    let mut tree = tree(&["usr/lib/a/b", "usr/lib/c"]);
    tree.retain(|path, _| path != "usr/lib/a");
    assert_eq!(paths(&tree), ["usr", "usr/lib", "usr/lib/c"]);
}

#[test]
fn names_in_a_folder() {
    let tree = tree(&["etc/a/b", "etc/c", "etc-d/e"]);
    assert_eq!(tree.names("etc").collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(tree.names("var").count(), 0);
}

#[test]
fn only_paths_are_inserted() {
    for path in ["", "/etc", "a//b", "a/../b", "a/.", "a\0b"] {
        assert!(matches!(Tree::default().insert(path, Node::folder()), Err(TreeError::Path(_))), "{path:?}");
    }
    let mut tree = tree(&["bin -> usr/bin"]);
    assert!(matches!(tree.insert("bin/sh", Node::folder()), Err(TreeError::Parent { .. })));
}

#[test]
fn an_archive_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("usr/{}/{}", "a".repeat(120), "b".repeat(120));
    let link = format!("usr/link -> {}", "c".repeat(150));
    let mut written = tree(&["etc/empty/", "usr/bin/sh -> dash", "usr/bin/dash", &long, &link]);
    written.insert("etc/shadow", Node { mode: 0o640, gid: 42, ..Node::file(*b"root:!*::::::") }).unwrap();
    let path = folder.path().join("root.tar");
    written.write_tar(File::create(&path).unwrap(), 1_790_000_000).unwrap();
    let mut read = Tree::default();
    read.read_tar(&path).unwrap();
    assert_eq!(paths(&read), paths(&written));
    for (path, node) in written.iter() {
        let found = read.get(path).unwrap();
        assert_eq!((found.mode, found.uid, found.gid), (node.mode, node.uid, node.gid), "{path}");
        match (&found.kind, &node.kind) {
            (Kind::Link(found), Kind::Link(target)) => assert_eq!(found, target),
            (Kind::Folder, Kind::Folder) => {}
            _ => assert_eq!(read.read(path).unwrap(), written.read(path).unwrap(), "{path}"),
        }
    }
    // And written again it is the same.
    let (mut first, mut second) = (Vec::new(), Vec::new());
    written.write_tar(&mut first, 7).unwrap();
    read.write_tar(&mut second, 7).unwrap();
    assert!(first == second);
}

#[test]
fn tar_reads_it_too() {
    let mut archive = Vec::new();
    tree(&["usr/bin/dash", "bin -> usr/bin", "run/"]).write_tar(&mut archive, 0).unwrap();
    let mut command = crate::process::command("tar", ["--list", "--verbose", "--numeric-owner", "--file=-"]);
    let listed = crate::process::feed(&mut command, &mut |pipe| pipe.write_all(&archive)).unwrap();
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("drwxr-xr-x 0/0               0 1970-01-01 00:00 ./\n"), "{listed}");
    assert!(listed.contains("lrwxrwxrwx 0/0               0 1970-01-01 00:00 bin -> usr/bin\n"), "{listed}");
    assert!(listed.contains("-rw-r--r-- 0/0              12 1970-01-01 00:00 usr/bin/dash\n"), "{listed}");
}

#[test]
fn rights_of_owners_and_devices_do_not_come_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.tar");
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    let mut add = |name: &str, kind, mode, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        if link.is_empty() {
            builder.append_data(&mut header, name, io::empty()).unwrap();
        } else {
            builder.append_link(&mut header, name, link).unwrap();
        }
    };
    add("./bin/su", tar::EntryType::Regular, 0o4755, "");
    add("./bin/sg", tar::EntryType::Link, 0o2755, "./bin/su");
    add("./tmp", tar::EntryType::Directory, 0o1777, "");
    add("./dev/null", tar::EntryType::Char, 0o666, "");
    builder.into_inner().unwrap().flush().unwrap();
    let mut tree = Tree::default();
    tree.read_tar(&path).unwrap();
    assert_eq!(paths(&tree), ["bin", "bin/sg", "bin/su", "tmp"]);
    assert_eq!((tree.get("bin/su").unwrap().mode, tree.get("bin/sg").unwrap().mode), (0o755, 0o755));
    assert_eq!(tree.get("tmp").unwrap().mode, 0o1777);
}

#[test]
fn archives_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.tar");
    let mut archive = Vec::new();
    tree(&["usr/bin/dash"]).write_tar(&mut archive, 0).unwrap();
    // Flipped bytes are refused or harmless, and never a panic.
    for at in 0..archive.len().min(2048) {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x81;
        fs::write(&path, damaged).unwrap();
        let _ = Tree::default().read_tar(&path);
    }
    fs::write(&path, [1; 4096]).unwrap();
    assert!(matches!(Tree::default().read_tar(&path), Err(TreeError::Archive { .. })));
}

#[test]
fn a_folder_is_laid_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc/systemd")).unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("etc/hostname"), "dolmen\n").unwrap();
    fs::write(folder.path().join("data/.keep"), "").unwrap();
    symlink("/dev/null", folder.path().join("etc/systemd/x.service")).unwrap();
    let mut tree = tree(&["etc/hostname", "etc/hosts"]);
    tree.overlay(folder.path()).unwrap();
    assert_eq!(paths(&tree), ["data", "etc", "etc/hostname", "etc/hosts", "etc/systemd", "etc/systemd/x.service"]);
    assert_eq!(tree.read_text("etc/hostname").unwrap(), "dolmen\n");
}
