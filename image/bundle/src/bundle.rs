//! Reading a bundle once, from the front to the end.

use std::io::{self, ErrorKind, Read};

use sha2::{Digest as _, Sha256};

use crate::{
    BundleError, Hash, Manifest, Part, ReleaseKey, SignedManifest,
    key::SIGNATURE_BYTES,
    limits::MANIFEST_BYTES_MAX,
    write::{MAGIC, padding},
};

/// Bytes that are read at once where nobody else says how many.
const CHUNK_BYTES: usize = 64 << 10;

/// A bundle whose manifest is signed, and whose parts are still to be read.
#[derive(Debug)]
pub struct Bundle<R> {
    reader: R,
    signed: SignedManifest,
    /// How many parts were begun.
    begun: usize,
    /// What is left of the one that was begun last.
    open: Option<OpenPart>,
    /// Nothing that follows an error can be trusted to be what it seems.
    failed: bool,
}

#[derive(Debug)]
struct OpenPart {
    part: Part,
    left: u64,
    hasher: Sha256,
}

/// One part: a [`Read`] that ends where the part does.
///
/// The last bytes come only if all of them are what the manifest says, so that whoever has read to the end has the
/// right part. An error holds a [`BundleError`], which [`io::Error::downcast`] gives back.
#[derive(Debug)]
pub struct PartReader<'a, R> {
    bundle: &'a mut Bundle<R>,
    part: Part,
}

impl<R: Read> Bundle<R> {
    /// Reads up to the first part. One of `keys` must have signed the manifest; this is checked before the manifest is
    /// parsed.
    ///
    /// The reader is read in small pieces: give it a buffer where each read costs a system call.
    ///
    /// # Errors
    ///
    /// [`BundleError::Magic`], [`BundleError::ManifestBytes`], [`BundleError::Truncated`], [`BundleError::Io`],
    /// [`BundleError::Padding`], and what [`SignedManifest::verify`] says.
    pub fn open(mut reader: R, keys: &[ReleaseKey]) -> Result<Self, BundleError> {
        let mut magic = [0; MAGIC.len()];
        fill(&mut reader, &mut magic, "its beginning")?;
        if magic != MAGIC {
            return Err(BundleError::Magic);
        }
        let mut bytes = [0; 4];
        fill(&mut reader, &mut bytes, "its beginning")?;
        let bytes = u32::from_le_bytes(bytes);
        let length = usize::try_from(bytes).ok().filter(|length| (1..=MANIFEST_BYTES_MAX).contains(length));
        let limit = MANIFEST_BYTES_MAX;
        let mut json = vec![0; length.ok_or(BundleError::ManifestBytes { found: bytes.into(), limit })?];
        fill(&mut reader, &mut json, "the manifest")?;
        let mut signature = [0; SIGNATURE_BYTES];
        fill(&mut reader, &mut signature, "the manifest's signature")?;
        let signed = SignedManifest::verify(json, signature, keys)?;
        let before = MAGIC.len() + size_of::<u32>() + signed.json().len() + SIGNATURE_BYTES;
        skip_zeros(&mut reader, padding(before as u64), "the manifest")?;
        Ok(Self { reader, signed, begun: 0, open: None, failed: false })
    }

    /// What the image is.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        self.signed.manifest()
    }

    /// The same with its signature.
    #[must_use]
    pub const fn signed_manifest(&self) -> &SignedManifest {
        &self.signed
    }

    /// The next part, in the order of [`PART_NAMES`](crate::PART_NAMES); none after the last one. What was not read of
    /// the one before is read and checked now.
    ///
    /// # Errors
    ///
    /// What is wrong with the part before, and [`BundleError::Failed`] after an error.
    pub fn next_part(&mut self) -> Result<Option<PartReader<'_, R>>, BundleError> {
        self.read_rest(&mut |_| {})?;
        let Some(&part) = self.manifest().parts.get(self.begun) else { return Ok(None) };
        self.begun += 1;
        self.open = Some(OpenPart { part, left: part.bytes, hasher: Sha256::new() });
        Ok(Some(PartReader { bundle: self, part }))
    }

    /// Reads all parts that were not read yet, and checks them. `progress` is told of every 64 KiB or less how many
    /// bytes of parts are right so far, and how many there are in all.
    ///
    /// # Errors
    ///
    /// What is wrong with a part, and [`BundleError::Failed`] after an error.
    pub fn verify(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), BundleError> {
        let all = self.manifest().parts_bytes();
        loop {
            self.read_rest(&mut |done| progress(done, all))?;
            if self.next_part()?.is_none() {
                return Ok(());
            }
        }
    }

    /// Says that a file ends where its bundle does. Call it after the last part; what is not read by then is read and
    /// checked. Partitions have something behind a bundle, whatever it is.
    ///
    /// # Errors
    ///
    /// [`BundleError::Trailing`], and what [`verify`](Self::verify) says.
    pub fn end(mut self) -> Result<(), BundleError> {
        self.verify(&mut |_, _| {})?;
        match read(&mut self.reader, &mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BundleError::Trailing),
            Err(source) => Err(BundleError::Io { operation: "read the bundle", source }),
        }
    }

    /// Reads the part that was begun last to its end.
    fn read_rest(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), BundleError> {
        let mut chunk = vec![0; if self.open.is_some() { CHUNK_BYTES } else { 0 }];
        while self.read(&mut chunk)? != 0 {
            progress(self.done());
        }
        Ok(())
    }

    /// Bytes of parts that were read.
    fn done(&self) -> u64 {
        let begun: u64 = self.manifest().parts[..self.begun].iter().map(|part| part.bytes).sum();
        begun - self.open.as_ref().map_or(0, |open| open.left)
    }

    /// Reads on in the part that was begun last. 0 at its end, and only if it was right.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        if self.failed {
            return Err(BundleError::Failed);
        }
        self.failed = true;
        let count = self.read_or_fail(buffer)?;
        self.failed = false;
        Ok(count)
    }

    fn read_or_fail(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let Some(open) = &mut self.open else { return Ok(0) };
        let wanted = usize::try_from(open.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..wanted];
        if buffer.is_empty() {
            return Ok(0);
        }
        let name = open.part.name;
        let count = read(&mut self.reader, buffer).map_err(BundleError::io("read the bundle"))?;
        if count == 0 {
            return Err(BundleError::Truncated(name.as_str()));
        }
        open.hasher.update(&buffer[..count]);
        open.left -= count as u64;
        if let Some(open) = self.open.take_if(|open| open.left == 0) {
            if Hash::from_bytes(open.hasher.finalize().into()) != open.part.sha256 {
                return Err(BundleError::Part { name });
            }
            skip_zeros(&mut self.reader, padding(open.part.bytes), name.as_str())?;
        }
        Ok(count)
    }
}

impl<R> PartReader<'_, R> {
    /// What the manifest says of it.
    #[must_use]
    pub const fn part(&self) -> &Part {
        &self.part
    }
}

impl<R: Read> Read for PartReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.bundle.read(buffer)?)
    }
}

/// Reads some bytes, none at the end.
fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8], within: &'static str) -> Result<(), BundleError> {
    reader.read_exact(buffer).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => BundleError::Truncated(within),
        _ => BundleError::Io { operation: "read the bundle", source },
    })
}

/// Reads what fills the last block, which has to be zeros.
fn skip_zeros(reader: &mut impl Read, count: usize, after: &'static str) -> Result<(), BundleError> {
    let mut zeros = vec![0; count];
    fill(reader, &mut zeros, after)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(BundleError::Padding(after));
    }
    Ok(())
}
