//! The form of files of blocks and of the data in backups: records, each of which proves all bytes before it unchanged.
//!
//! ```text
//! file   = magic (8 bytes) | version (2) | content (1) | genesis hash (32) | first height (8) | last (8) | records
//! record = kind (1) | length (4) | payload | first 8 bytes of SHA-256 of everything before them in the file
//! end    = a record of kind 255 with the number of records before it (8) | SHA-256 of everything before that record
//! ```
//!
//! Numbers are big-endian. Because a record's check covers all before it, a record that was changed, left out, repeated
//! or moved is noticed at its place, and because the end counts, so is a file that was cut. The checks find accidents;
//! that a file is the chain's is proven by what is in it.

use std::io::{self, Read, Write};

use alloy_primitives::B256;
use dolmen_types::{BlockError, certificate::CertificateError};
use sha2::{Digest as _, Sha256};

/// The bytes after the letters show a file that was sent as text.
const MAGIC: [u8; 8] = *b"dolmen\r\n";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 59;
const CHECK_BYTES: usize = 8;
/// Above the receipts of a block with the highest gas limit full of logs, 125 MB; memory is taken as bytes come.
const RECORD_BYTES_MAX: u32 = 256 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Blocks with certificates and records of epochs, for others.
    Export,
    /// The same of a backup, whose full ones have receipts too.
    BackupBlocks,
    /// The state at one height.
    BackupState,
}

impl Content {
    const fn code(self) -> u8 {
        match self {
            Self::Export => 1,
            Self::BackupBlocks => 2,
            Self::BackupState => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Export, Self::BackupBlocks, Self::BackupState].into_iter().find(|content| content.code() == code)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Export => "exported blocks",
            Self::BackupBlocks => "blocks of a backup",
            Self::BackupState => "the state of a backup",
        }
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RLP of a block.
    Block,
    /// RLP of the last block's certificate.
    Certificate,
    /// Number of the next epoch (8 bytes) and its record.
    EpochRecord,
    /// The last block's receipts, as they are stored.
    Receipts,
    /// Hashed key (32 bytes) and RLP of an account.
    Account,
    /// Slots of the last account: hashed key (32 bytes), length (1), value without leading zeros, each.
    Slots,
    /// Code.
    Code,
    /// The end.
    End,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Block,
        Self::Certificate,
        Self::EpochRecord,
        Self::Receipts,
        Self::Account,
        Self::Slots,
        Self::Code,
        Self::End,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Block => 1,
            Self::Certificate => 2,
            Self::EpochRecord => 3,
            Self::Receipts => 4,
            Self::Account => 5,
            Self::Slots => 6,
            Self::Code => 7,
            Self::End => 255,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Certificate => "certificate",
            Self::EpochRecord => "record of an epoch",
            Self::Receipts => "receipts",
            Self::Account => "account",
            Self::Slots => "slots",
            Self::Code => "code",
            Self::End => "end",
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("it cannot be read; check the disk")]
    Read(#[source] io::Error),
    /// It ends before its end.
    #[error("it ends too early: some of it was not written or not copied; fetch it again")]
    Cut,
    /// It is something else.
    #[error("it does not begin like a file of Dolmen's, or it was sent as text; give another, or fetch it again")]
    Magic,
    /// It has another form.
    #[error("it has version {0} of the format, which this program does not read; use the matching release")]
    Version(u16),
    /// It holds something else.
    #[error("it holds {found}, not {expected}; give another")]
    Content {
        /// What it holds.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// It is of another chain.
    #[error("it is of the chain with genesis {found}, not of {expected}; give a file of this chain")]
    OtherChain {
        /// The genesis hash in it.
        found: B256,
        /// The chain's.
        expected: B256,
    },
    /// A check does not fit.
    #[error("bytes in it have changed since it was written; fetch it again")]
    Changed,
    /// A length that no record has.
    #[error("it has a record of {0} bytes, more than any can have")]
    TooLong(u32),
    /// A kind of record that this version does not have.
    #[error("it has a record of the unknown kind {0}")]
    Kind(u8),
    /// A record that does not belong where it is.
    #[error("it has a record where none of its kind belongs: {0}")]
    Misplaced(&'static str),
    /// A record that does not decode.
    #[error("it has a record that does not decode: {0}")]
    Malformed(&'static str),
    /// Its end counts otherwise.
    #[error("it has {found} records, its end says {claimed}")]
    Count {
        /// Records in it.
        found: u64,
        /// Records that its end says.
        claimed: u64,
    },
    /// There is more after its end.
    #[error("bytes follow its end")]
    Trailing,
    /// A block that is none.
    #[error("it has a block that is none")]
    Block(#[from] BlockError),
    /// A certificate that is none.
    #[error("it has a certificate that is none")]
    Certificate(#[from] CertificateError),
}

/// What a file says of itself at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) content: Content,
    /// Hash of block zero.
    pub(crate) genesis: B256,
    /// Height of the first block in it; for a state, the height that it is after.
    pub(crate) first: u64,
    /// Height of the last block; below `first` where there is none.
    pub(crate) last: u64,
}

impl FileHeader {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10] = self.content.code();
        bytes[11..43].copy_from_slice(self.genesis.as_slice());
        bytes[43..51].copy_from_slice(&self.first.to_be_bytes());
        bytes[51..].copy_from_slice(&self.last.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Fault> {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(number)
        };
        if bytes[..8] != MAGIC {
            return Err(Fault::Magic);
        }
        let version = u16::from_be_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let content = Content::from_code(bytes[10]).ok_or(Fault::Magic)?;
        Ok(Self { content, genesis: B256::from_slice(&bytes[11..43]), first: number(43), last: number(51) })
    }
}

/// Writes a file record by record.
pub(crate) struct RecordWriter<W> {
    out: W,
    digest: Sha256,
    records: u64,
}

impl<W: Write> RecordWriter<W> {
    pub(crate) fn new(mut out: W, header: &FileHeader) -> io::Result<Self> {
        let header = header.encode();
        out.write_all(&header)?;
        Ok(Self { out, digest: Sha256::new_with_prefix(header), records: 0 })
    }

    pub(crate) fn write(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::other(format!("a {} of {} bytes fits no record", kind.name(), payload.len()));
        let length = u32::try_from(payload.len()).ok().filter(|length| *length <= RECORD_BYTES_MAX);
        let mut head = [kind.code(), 0, 0, 0, 0];
        head[1..].copy_from_slice(&length.ok_or_else(too_long)?.to_be_bytes());
        for bytes in [&head[..], payload] {
            self.digest.update(bytes);
            self.out.write_all(bytes)?;
        }
        let check = check(&self.digest);
        self.digest.update(check);
        self.records += 1;
        self.out.write_all(&check)
    }

    /// Writes the end, and gives back what was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let end = end(self.records, &self.digest);
        self.write(Kind::End, &end)?;
        Ok(self.out)
    }
}

fn check(digest: &Sha256) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.clone().finalize()[..CHECK_BYTES]);
    check
}

fn end(records: u64, before: &Sha256) -> [u8; 40] {
    let mut end = [0; 40];
    end[..8].copy_from_slice(&records.to_be_bytes());
    end[8..].copy_from_slice(&before.clone().finalize());
    end
}

/// Reads a file record by record.
pub(crate) struct RecordReader<R> {
    input: R,
    digest: Sha256,
    records: u64,
    header: FileHeader,
    ended: bool,
}

impl<R: Read> RecordReader<R> {
    /// Reads the beginning. `input` should be buffered: records are read in pieces.
    pub(crate) fn new(mut input: R) -> Result<Self, Fault> {
        let mut header = [0; HEADER_BYTES];
        read(&mut input, &mut header)?;
        let digest = Sha256::new_with_prefix(header);
        Ok(Self { input, digest, records: 0, header: FileHeader::decode(&header)?, ended: false })
    }

    pub(crate) const fn header(&self) -> &FileHeader {
        &self.header
    }

    /// The next record, `None` after the last one. Then the file is known to be whole.
    pub(crate) fn read(&mut self) -> Result<Option<(Kind, Vec<u8>)>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let before = self.digest.clone();
        let mut head = [0; 5];
        read(&mut self.input, &mut head)?;
        let [code, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        if length > RECORD_BYTES_MAX {
            return Err(Fault::TooLong(length));
        }
        let mut payload = Vec::new();
        // Memory is taken as bytes come: a length proves nothing yet.
        let bytes = self.input.by_ref().take(u64::from(length)).read_to_end(&mut payload).map_err(fault)?;
        if u64::try_from(bytes).ok() != Some(u64::from(length)) {
            return Err(Fault::Cut);
        }
        self.digest.update(head);
        self.digest.update(&payload);
        let mut found = [0; CHECK_BYTES];
        read(&mut self.input, &mut found)?;
        if found != check(&self.digest) {
            return Err(Fault::Changed);
        }
        self.digest.update(found);
        let kind = Kind::from_code(code).ok_or(Fault::Kind(code))?;
        if kind == Kind::End {
            self.check_end(&payload, &before)?;
            self.ended = true;
            return Ok(None);
        }
        self.records += 1;
        Ok(Some((kind, payload)))
    }

    fn check_end(&mut self, payload: &[u8], before: &Sha256) -> Result<(), Fault> {
        let claimed = payload.first_chunk().map(|claimed| u64::from_be_bytes(*claimed));
        let claimed = claimed.filter(|_| payload.len() == 40).ok_or(Fault::Malformed("the end"))?;
        if claimed != self.records {
            return Err(Fault::Count { found: self.records, claimed });
        }
        if *payload != end(claimed, before) {
            return Err(Fault::Changed);
        }
        match self.input.read_exact(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(Fault::Read(error)),
            Ok(()) => Err(Fault::Trailing),
        }
    }
}

fn read(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), Fault> {
    input.read_exact(bytes).map_err(fault)
}

fn fault(error: io::Error) -> Fault {
    if error.kind() == io::ErrorKind::UnexpectedEof { Fault::Cut } else { Fault::Read(error) }
}

#[cfg(test)]
mod tests;
