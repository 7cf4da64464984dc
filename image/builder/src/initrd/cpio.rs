//! The archive that the kernel unpacks into its first file system.
//!
//! Source: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`, "newc".

/// Bytes of a header: a magic number and 13 fields of 8 hexadecimal digits.
const HEADER_BYTES: usize = 110;
/// Where names end and where content does: multiples of it.
const ALIGNMENT: usize = 4;
/// Ends an archive.
const TRAILER: &str = "TRAILER!!!";

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// More than a header's fields hold.
    #[error("{0} has 4 GiB or more, which no archive for the kernel holds")]
    TooLarge(String),
    /// Its folder is not there yet, or it is there already, or it is no path.
    #[error("{0} is no new path in a folder that is there")]
    Path(String),
}

/// An archive that is being written. All is root's, and from the same second; the same calls make the same bytes.
#[derive(Debug)]
pub struct Cpio {
    bytes: Vec<u8>,
    seconds: u32,
    names: Vec<String>,
}

impl Cpio {
    /// An empty one, with the time of all that will be in it.
    #[must_use]
    pub const fn new(seconds: u32) -> Self {
        Self { bytes: Vec::new(), seconds, names: Vec::new() }
    }

    /// Adds a folder.
    ///
    /// # Errors
    ///
    /// [`CpioError::Path`].
    pub fn folder(&mut self, path: &str) -> Result<(), CpioError> {
        self.add(path, FOLDER, &[])
    }

    /// Adds a file.
    ///
    /// # Errors
    ///
    /// [`CpioError`].
    pub fn file(&mut self, path: &str, content: &[u8]) -> Result<(), CpioError> {
        self.add(path, FILE, content)
    }

    /// Adds a program.
    ///
    /// # Errors
    ///
    /// [`CpioError`].
    pub fn program(&mut self, path: &str, content: &[u8]) -> Result<(), CpioError> {
        self.add(path, PROGRAM, content)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// None but in theory.
    pub fn finish(mut self) -> Result<Vec<u8>, CpioError> {
        self.append(TRAILER, 0, 0, 1, 0, &[])?;
        Ok(self.bytes)
    }

    fn add(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), CpioError> {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        let known = |path: &str| self.names.iter().any(|name| name == path);
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | "..")) && path != TRAILER;
        if !plain || known(path) || !parent.is_none_or(known) {
            return Err(CpioError::Path(path.to_owned()));
        }
        let links = if mode == FOLDER { 2 } else { 1 };
        // Inodes in the order of entries, from 1: the kernel takes those that are alike for links to one file.
        let inode = u32::try_from(self.names.len() + 1).map_err(|_| CpioError::TooLarge(path.to_owned()))?;
        self.append(path, inode, mode, links, self.seconds, content)?;
        self.names.push(path.to_owned());
        Ok(())
    }

    fn append(
        &mut self,
        name: &str,
        inode: u32,
        mode: u32,
        links: u32,
        seconds: u32,
        content: &[u8],
    ) -> Result<(), CpioError> {
        let number = |length: usize| u32::try_from(length).map_err(|_| CpioError::TooLarge(name.to_owned()));
        let (size, name_size) = (number(content.len())?, number(name.len() + 1)?);
        // inode, mode, uid, gid, links, time, size, device and device number twice each, size of the name, checksum
        let fields = [inode, mode, 0, 0, links, seconds, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend_from_slice(format!("{field:08X}").as_bytes()));
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

const _: () = assert!((HEADER_BYTES - 6) / 8 == 13);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    fn archive() -> Vec<u8> {
        let mut cpio = Cpio::new(1_790_000_000);
        cpio.program("init", b"#!").unwrap();
        cpio.folder("modules").unwrap();
        cpio.file("modules/dm-mod.ko", b"module").unwrap();
        cpio.file("modules.load", b"").unwrap();
        cpio.finish().unwrap()
    }

    #[test]
    fn cpio_reads_it() {
        let bytes = archive();
        let mut command = process::command("cpio", ["--list", "--verbose", "--numeric-uid-gid", "--quiet"]);
        let listed = process::feed(&mut command, &mut |pipe| pipe.write_all(&bytes)).unwrap();
        let listed = String::from_utf8(listed).unwrap();
        let fields = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[2].to_owned(), words[3].to_owned(), words[4].to_owned(), words[8].to_owned())
        };
        let expected = [
            ("-rwxr-xr-x", "2", "init"),
            ("drwxr-xr-x", "0", "modules"),
            ("-rw-r--r--", "6", "modules/dm-mod.ko"),
            ("-rw-r--r--", "0", "modules.load"),
        ];
        let found: Vec<_> = listed.lines().map(fields).collect();
        let owned = |(mode, size, name): (&str, &str, &str)| {
            (mode.to_owned(), "0".to_owned(), "0".to_owned(), size.to_owned(), name.to_owned())
        };
        assert_eq!(found, expected.map(owned));
        // cpio shows the year only of what is older.
        assert_eq!(listed.matches("Sep 21").count(), 4, "{listed}");
    }

    #[test]
    fn bytes_are_where_the_kernel_looks() {
        let bytes = archive();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[6..22], b"00000001000081ED");
        assert_eq!(&bytes[HEADER_BYTES..HEADER_BYTES + 5], b"init\0");
        assert_eq!(&bytes[116..118], b"#!");
        assert_eq!(&bytes[120..126], b"070701");
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        assert_eq!(archive(), bytes);
    }

    #[test]
    fn paths_are_new_and_their_folders_there() {
        let mut cpio = Cpio::new(0);
        cpio.file("a", b"").unwrap();
        for path in ["a", "b/c", "", "/b", "b/", "../b", "TRAILER!!!"] {
            assert!(matches!(cpio.file(path, b""), Err(CpioError::Path(_))), "{path:?}");
        }
    }
}
