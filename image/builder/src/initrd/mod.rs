//! The first file system of a box, and of a stick: one program, and the modules that it loads.
//!
//! ```text
//! /init             the program, static
//! /modules/*.ko     modules, decompressed
//! /modules.load     their names, in the order in which they are to be loaded
//! /etc              initrd-release, which is the image's os-release
//! /proc /sys /dev /run /sysroot, empty
//! ```

mod cpio;

use std::io;

pub use cpio::{Cpio, CpioError};

/// Folders for the program to mount on.
const FOLDERS: [&str; 6] = ["dev", "etc", "proc", "run", "sys", "sysroot"];
/// zstd's level: 1 MB less than its default makes of 30, in 4 s.
const LEVEL: i32 = 19;

/// Why there is no initrd.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// The archive.
    #[error(transparent)]
    Cpio(#[from] CpioError),
    /// Its compression.
    #[error("cannot compress the initrd")]
    Compress(#[source] io::Error),
    /// A time that the archive cannot have.
    #[error(
        "the time {0} is after 2106, which no archive for the kernel holds; set SOURCE_DATE_EPOCH to an earlier one"
    )]
    Time(u64),
}

/// What is in an initrd.
#[derive(Clone, Copy, Debug)]
pub struct Initrd<'a> {
    /// The program.
    pub init: &'a [u8],
    /// Names and bytes of modules, in the order in which they are to be loaded.
    pub modules: &'a [(String, Vec<u8>)],
    /// The image's `os-release`.
    pub os_release: &'a str,
    /// Files at its top: names and bytes.
    pub files: &'a [(&'a str, &'a [u8])],
}

impl Initrd<'_> {
    /// Puts it together, compressed with zstd. `seconds` is the time of all files.
    ///
    /// # Errors
    ///
    /// [`InitrdError`].
    pub fn assemble(&self, seconds: u64) -> Result<Vec<u8>, InitrdError> {
        let mut cpio = Cpio::new(u32::try_from(seconds).map_err(|_| InitrdError::Time(seconds))?);
        for folder in FOLDERS {
            cpio.folder(folder)?;
        }
        cpio.file("etc/initrd-release", self.os_release.as_bytes())?;
        cpio.program("init", self.init)?;
        cpio.folder("modules")?;
        let mut list = String::new();
        for (name, bytes) in self.modules {
            cpio.file(&format!("modules/{name}"), bytes)?;
            list.push_str(name);
            list.push('\n');
        }
        cpio.file("modules.load", list.as_bytes())?;
        for (name, bytes) in self.files {
            cpio.file(name, bytes)?;
        }
        zstd::bulk::compress(&cpio.finish()?, LEVEL).map_err(InitrdError::Compress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    #[test]
    fn it_lists_modules_in_their_order() {
        let modules = [("b.ko".to_owned(), vec![2; 9]), ("a.ko".to_owned(), vec![1; 5])];
        let release = [("release.pem", &b"key"[..])];
        let initrd = Initrd { init: b"init", modules: &modules, os_release: "ID=dolmen\n", files: &release };
        let compressed = initrd.assemble(1_790_000_000).unwrap();
        assert_eq!(initrd.assemble(1_790_000_000).unwrap(), compressed);
        let archive = zstd::bulk::decompress(&compressed, 1 << 20).unwrap();
        let mut extract = process::command("cpio", ["--extract", "--to-stdout", "--quiet", "modules.load"]);
        let list = process::feed(&mut extract, &mut |pipe| pipe.write_all(&archive)).unwrap();
        assert_eq!(list, b"b.ko\na.ko\n");
        assert!(matches!(initrd.assemble(1 << 32), Err(InitrdError::Time(_))));
    }
}
