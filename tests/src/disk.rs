//! Disks that fail. The small one for one box is a file system in memory, in a namespace of its own: nobody else sees it,
//! no administrator is needed to mount it, and nothing stays of it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{PATIENCE, process};

/// Mounts the disk and waits for the end of its standard input, which is the test's: the namespace, and with it the disk,
/// is there while a process is in it.
const HOLD: &str = r#"mount -t tmpfs -o "size=$2m,mode=700" tmpfs "$1" && echo mounted && exec cat"#;

/// A mounted disk.
pub struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many MiB over a directory that is there.
    pub fn mount(dir: &Path, mib: u32) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--propagation", "private", "--"]);
        command.args(["sh", "-c", HOLD, "sh"]).arg(dir).arg(mib.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare (util-linux) starts");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("sh says text");
        let disk = Self { holder, dir: dir.to_owned() };
        assert_eq!(
            said, "mounted\n",
            "no disk could be mounted, see the message above; this test needs user namespaces, which the machine or \
             container must allow (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
        );
        disk
    }

    /// What a program that is to see the disk is started through.
    pub fn wrapper(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        let words = ["nsenter", "--target", &holder, "--user", "--mount", "--preserve-credentials", "--"];
        words.map(str::to_owned).to_vec()
    }

    /// A program that sees the disk.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let wrapper = self.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).arg(program);
        command
    }

    /// Writes a file until there is no space left, in place of the one that [`Self::free`] removes.
    pub fn fill(&self) {
        let fill = self.run(r#"exec cat /dev/zero > "$1/filler""#);
        assert!(fill.output.contains("No space left on device"), "{}", fill.output);
    }

    /// Makes the space free again that was filled.
    pub fn free(&self) {
        let freed = self.run(r#"exec rm "$1/filler""#);
        assert!(freed.status.success(), "{}", freed.output);
    }

    /// Makes the disk read-only, or lets it be written again; no file on it may be open for writing.
    pub fn set_read_only(&self, read_only: bool) {
        let access = if read_only { "ro" } else { "rw" };
        // `bind`: that of the mount alone, since the file system's own options name users that the namespace lacks.
        let remounted = self.run(&format!(r#"exec mount -o remount,bind,{access} "$1""#));
        assert!(remounted.status.success(), "{}", remounted.output);
    }

    /// Runs a shell script with the directory as its first argument.
    fn run(&self, script: &str) -> process::Ended {
        process::run(self.command("sh").env("LC_ALL", "C").args(["-c", script, "sh"]).arg(&self.dir), PATIENCE)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Inverts the first bytes of a file, as a disk may that fails; returns what was in it.
pub fn damage(file: &Path) -> Vec<u8> {
    let good = fs::read(file).expect("the file can be read");
    let mut bad = good.clone();
    bad.iter_mut().take(16).for_each(|byte| *byte = !*byte);
    fs::write(file, bad).expect("the file can be written");
    good
}
