//! What is in the data's file system, and where else it shows.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use dolmen_image_boot::mount::{self, FileSystem, MountFlags};
use dolmen_image_disk::gpt::Uuid;
use rustix::rand::{GetRandomFlags, getrandom};

/// The node's user.
const USER: &str = "dolmen";

/// Directories of `/data`, their modes, and whether they are the node's.
const DIRECTORIES: [(&str, u32, bool); 5] = [
    ("dolmen", 0o750, true),
    ("update", 0o750, true),
    ("log", 0o755, false),
    ("config", 0o755, false),
    // What the node's page sets, and the next start uses.
    ("config/network", 0o750, true),
];

/// Settings of networks: a box has a handful of ports.
const NETWORKS_MAX: usize = 64;
/// Bytes of one of them.
const NETWORK_BYTES_MAX: u64 = 64 << 10;

/// Makes the directories of `data` that are missing. A directory of the node's belongs to that user, if `passwd` has it.
pub(crate) fn make_directories(data: &Path, passwd: &Path) -> Result<()> {
    let owner = owner(&fs::read_to_string(passwd).unwrap_or_default());
    for (name, mode, nodes) in DIRECTORIES {
        let directory = data.join(name);
        make_directory(&directory, mode).with_context(|| format!("cannot make {}", directory.display()))?;
        if let Some((user, group)) = owner.filter(|_| nodes) {
            std::os::unix::fs::chown(&directory, Some(user), Some(group))
                .with_context(|| format!("cannot give {} to {USER}", directory.display()))?;
        }
    }
    Ok(())
}

/// The node's user and group. passwd(5).
fn owner(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == USER)?;
    Some((line.get(2)?.parse().ok()?, line.get(3)?.parse().ok()?))
}

fn make_directory(directory: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Nobody but root can have put a link there; a mode that was made without the power failing is kept.
    ensure_directory(directory)
}

fn ensure_directory(directory: &Path) -> io::Result<()> {
    if fs::symlink_metadata(directory)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Makes the machine's id if there is none yet, or what is there is none. machine-id(5).
pub(crate) fn make_machine_id(path: &Path) -> Result<()> {
    let valid = |text: &str| {
        text.trim_end().len() == 32 && text.trim_end().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if fs::read_to_string(path).is_ok_and(|text| valid(&text)) {
        return Ok(());
    }
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty())?;
    // As systemd makes them: UUIDs of version 4.
    let id = format!("{}\n", uuid_of(random).simple());
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    Ok(fs::rename(temporary, path)?)
}

fn uuid_of(mut random: [u8; 16]) -> Uuid {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    Uuid::from_bytes(random)
}

/// Copies the settings of networks to where systemd-networkd looks for them. Links and other things are left out.
pub(crate) fn copy_networks(from: &Path, to: &Path) -> Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "network") || !entry.file_type()?.is_file() {
            continue;
        }
        copied += 1;
        ensure!(copied <= NETWORKS_MAX, "more than {NETWORKS_MAX} files");
        let mut settings = Vec::new();
        File::open(&path)?.take(NETWORK_BYTES_MAX + 1).read_to_end(&mut settings)?;
        ensure!(settings.len() as u64 <= NETWORK_BYTES_MAX, "{} is too large", path.display());
        let copy = to.join(entry.file_name());
        fs::write(&copy, settings)?;
        // systemd-networkd is not root.
        fs::set_permissions(copy, Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Writes what only root may read.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Shows the log's directory and the machine's id where systemd looks for them. `/var` is in memory, if the image has
/// nothing else there.
pub(crate) fn bind(data: &Path) -> Result<()> {
    let (root, var) = (Path::new("/"), Path::new("/var"));
    if fs::metadata(root)?.dev() == fs::metadata(var)?.dev() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        FileSystem { source: "tmpfs", kind: "tmpfs", flags, options: "mode=0755,size=25%" }.mount(var)?;
    }
    let log = var.join("log");
    fs::create_dir_all(&log)?;
    mount::bind(&data.join("log"), &log)?;
    mount::bind(&data.join("config/machine-id"), Path::new("/etc/machine-id"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_there_once_and_for_all() {
        let directory = tempfile::tempdir().unwrap();
        let passwd = directory.path().join("passwd");
        // Whoever runs the test owns what it makes.
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        fs::write(&passwd, format!("root:x:0:0::/:/bin/sh\nbad\n{USER}:x:{user}:{group}::/:\n")).unwrap();
        make_directories(directory.path(), &passwd).unwrap();
        let mode = |name: &str| fs::metadata(directory.path().join(name)).unwrap().mode() & 0o7777;
        let modes = ["dolmen", "update", "log", "config", "config/network"].map(mode);
        assert_eq!(modes, [0o750, 0o750, 0o755, 0o755, 0o750]);
        fs::write(directory.path().join("log/kept"), "").unwrap();
        fs::set_permissions(directory.path().join("log"), Permissions::from_mode(0o2755)).unwrap();
        make_directories(directory.path(), &passwd).unwrap();
        assert!(directory.path().join("log/kept").exists() && mode("log") == 0o2755);

        fs::remove_dir(directory.path().join("dolmen")).unwrap();
        std::os::unix::fs::symlink("log", directory.path().join("dolmen")).unwrap();
        make_directories(directory.path(), &passwd).unwrap_err();
    }

    #[test]
    fn the_nodes_user_is_found() {
        let passwd = format!("root:x:0:0::/:/bin/sh\n{USER}s:x:1:2::/:\n{USER}:x:990:991::/:\n");
        assert_eq!(owner(&passwd), Some((990, 991)));
        for passwd in ["", "root:x:0:0::/:\n", "dolmen\n", "dolmen:x:many:1::/:\n"] {
            assert_eq!(owner(passwd), None, "{passwd}");
        }
    }

    #[test]
    fn a_machine_keeps_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("machine-id");
        let id = || fs::read_to_string(&path).unwrap();
        make_machine_id(&path).unwrap();
        let first = id();
        assert_eq!(first.len(), 33);
        assert_eq!(first.trim_end().parse::<Uuid>().unwrap().get_version_num(), 4);
        make_machine_id(&path).unwrap();
        assert_eq!(id(), first);
        for damaged in ["", "uninitialized\n", &first.to_uppercase(), &"0".repeat(31)] {
            fs::write(&path, damaged).unwrap();
            make_machine_id(&path).unwrap();
            assert!(id() != damaged && id() != first, "{damaged}");
        }
    }

    #[test]
    fn networks_are_copied_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        copy_networks(&from, &to).unwrap();
        assert!(!to.exists());

        fs::create_dir_all(from.join("d.network")).unwrap();
        fs::write(from.join("10-lan.network"), "[Match]\n").unwrap();
        fs::write(from.join("10-lan.network.bak"), "").unwrap();
        std::os::unix::fs::symlink("/etc/shadow", from.join("evil.network")).unwrap();
        copy_networks(&from, &to).unwrap();
        let names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["10-lan.network"]);
        assert_eq!(fs::metadata(to.join("10-lan.network")).unwrap().mode() & 0o777, 0o644);

        fs::write(from.join("large.network"), vec![b' '; 64 << 10 | 1]).unwrap();
        copy_networks(&from, &to).unwrap_err();
    }

    #[test]
    fn keys_are_for_root_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("recovery-key");
        write_private(&path, "key\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
