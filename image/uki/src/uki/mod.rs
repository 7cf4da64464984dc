//! Unified kernel images: one PE file with all that boots, so that one signature covers it and one register of the TPM
//! says what ran.
//!
//! Sources: UAPI.5 "Unified Kernel Image", systemd-stub(7), and ukify(1), whose version 257 makes the same bytes but
//! for the checksum, which it leaves out.

mod error;
mod sbat;
mod stub;

pub use error::UkiError;
pub use stub::StubVersion;

use crate::pe::{Builder, Content, Image, PeError};

/// Fields of `os-release` of which systemd-boot wants one: it calls the entry by it.
const NAMES: [&str; 4] = ["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"];
/// Where cpio archives begin, when one follows another: the kernel skips zeros up to a multiple of it.
const INITRD_ALIGNMENT: usize = 4;

/// What a UKI is made of. The same parts make the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Uki<'a> {
    /// systemd's `linuxx64.efi.stub`, unsigned.
    pub stub: &'a [u8],
    /// The kernel, a bzImage.
    pub linux: &'a [u8],
    /// Archives that make up the first file system, one after the other; none if the kernel has its own.
    pub initrds: &'a [&'a [u8]],
    /// Microcode, an uncompressed archive that the kernel reads before the others. From systemd 256 on.
    pub ucode: Option<&'a [u8]>,
    /// The kernel's command line, without a line's end. Under Secure Boot nobody can pass another.
    pub cmdline: &'a str,
    /// `os-release`(5), by which systemd-boot names and sorts entries.
    pub os_release: &'a str,
    /// The kernel's release, as `uname -r` tells it.
    pub uname: &'a str,
    /// SBAT for this UKI, with its header; none for a general line. Those of stub and kernel are added. All of it has
    /// to fit where the stub has its own: 512 bytes in systemd 257, 256 in 252, where a header alone adds nothing.
    pub sbat: Option<&'a str>,
    /// The public key, PEM, that [`pcrsig`](Self::pcrsig) can be checked with. The stub hands both to the initrd.
    pub pcrpkey: Option<&'a str>,
    /// Signatures of register 11, as [`measure::PcrSignatures`](crate::measure::PcrSignatures) makes them. They are not
    /// measured: build without, predict, sign, and build again.
    pub pcrsig: Option<&'a str>,
    /// A picture to be shown, BMP.
    pub splash: Option<&'a [u8]>,
}

impl Uki<'_> {
    /// Puts it together. It is not signed yet.
    ///
    /// # Errors
    ///
    /// [`UkiError`] says which part is not what it should be.
    pub fn assemble(&self) -> Result<Vec<u8>, UkiError> {
        let stub = Image::parse(self.stub).map_err(UkiError::Stub)?;
        let kernel = Image::parse(self.linux).map_err(UkiError::Kernel)?;
        StubVersion::of(&stub)?;
        self.check_texts()?;
        let sbat = sbat::merge(&stub, &kernel, self.sbat)?;
        let initrd = join(self.initrds);
        let mut builder = Builder::new(&stub).map_err(UkiError::Stub)?;
        // The firmware goes by the outer image, and the kernel runs in what memory it gives that.
        if !kernel.is_nx_compatible() {
            builder.clear_nx_compatible();
        }
        let sections: [(&str, Option<&[u8]>); 10] = [
            (".osrel", Some(self.os_release.as_bytes())),
            (".cmdline", Some(self.cmdline.as_bytes())),
            (".uname", Some(self.uname.as_bytes())),
            (".splash", self.splash),
            (".pcrpkey", self.pcrpkey.map(str::as_bytes)),
            (".linux", Some(self.linux)),
            (".initrd", Some(&initrd)),
            (".ucode", self.ucode),
            (".sbat", Some(&sbat)),
            (".pcrsig", self.pcrsig.map(str::as_bytes)),
        ];
        for (name, data) in sections {
            // The stub takes no notice of empty ones, and measures none.
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                add(&mut builder, name, data).map_err(|source| UkiError::Section { name, source })?;
            }
        }
        builder.finish().map_err(UkiError::Stub)
    }

    fn check_texts(&self) -> Result<(), UkiError> {
        let text = |name, reason| Err(UkiError::Text { name, reason });
        // Without a section the stub takes what it is called with, under Secure Boot too.
        if self.cmdline.is_empty() {
            return text(".cmdline", "is empty, so that anybody at the boot menu could give another");
        }
        // The stub would put spaces in their place, and leave those at the beginning out.
        if self.cmdline.contains(char::is_control) || self.cmdline.starts_with(' ') {
            return text(".cmdline", "begins with a space, or has line ends or other control characters in it");
        }
        if self.uname.is_empty() || self.uname.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return text(".uname", "is no kernel's release");
        }
        let mut fields = self.os_release.lines().filter_map(|line| Some(line.split_once('=')?.0));
        if !fields.any(|field| NAMES.contains(&field)) {
            return text(".osrel", "has none of PRETTY_NAME, IMAGE_ID, NAME and ID, so that systemd-boot ignores it");
        }
        if self.os_release.contains('\0') {
            return text(".osrel", "has a zero byte in it");
        }
        Ok(())
    }
}

/// Adds a section, or fills the stub's own: only the first of a name is found.
fn add(builder: &mut Builder, name: &str, data: &[u8]) -> Result<(), PeError> {
    if name == ".sbat" && builder.contains(name) {
        return builder.replace(name, data);
    }
    builder.append(name, data, if name == ".linux" { Content::Code } else { Content::Data })
}

/// The archives one after the other, each padded; a single one as it is.
fn join(initrds: &[&[u8]]) -> Vec<u8> {
    if let [single] = initrds {
        return single.to_vec();
    }
    let mut joined = Vec::with_capacity(initrds.iter().map(|initrd| initrd.len() + INITRD_ALIGNMENT).sum());
    for initrd in initrds {
        joined.extend_from_slice(initrd);
        joined.resize(joined.len().next_multiple_of(INITRD_ALIGNMENT), 0);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_begin_at_multiples_of_four() {
        assert_eq!(join(&[b"one"]), b"one");
        assert_eq!(join(&[b"one", b"four", b"", b"three"]), b"one\0fourthree\0\0\0");
        assert_eq!(join(&[]), b"");
    }
}
