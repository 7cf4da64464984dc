//! The bytes of the log: two headers, then a ring of records. All numbers are big endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4,096 | header, even generations |
//! | 4,096 | 4,096 | header, odd generations |
//! | 8,192 + 512 i | 512 | records whose sequence number is i modulo their count |
//!
//! A record fills a sector of its own, so that a write that power cuts short spoils no other. Each ends with SHA-256
//! of what is before it.

use dolmen_hsm_api::{Lease, Signature};
use sha2::{Digest as _, Sha256};

use crate::{Kind, Round, vote::Signed};

/// What the file begins with; the last character is the version.
const MAGIC: &[u8; 16] = b"dolmen-guard-001";
/// Where the two headers are.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// Where records begin.
pub(crate) const RECORDS_AT: u64 = 2 * HEADER_BYTES;
/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = 512;
const DIGEST: usize = 32;

/// What is written seldom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Goes up with each write; says which of the two is the newer.
    pub(crate) generation: u64,
    /// The key and the chain that the log is for.
    pub(crate) scope: [u8; 32],
    /// How far this log may sign, and the counter that allowed it; the counter is 0 where there is none.
    pub(crate) lease: Lease,
    /// The lease that was last tried for: the counter may have it already, and each later try ends after it.
    pub(crate) intent: Lease,
    /// The last round in which nothing is signed, since another may have; none is the first of all.
    pub(crate) fence: Option<Round>,
    /// The log was made beside a chain's data, so an earlier one is lost: the first vote asked for says where to fence.
    pub(crate) lost: bool,
    /// Records before this one were damaged, and the fence covers them.
    pub(crate) since: u64,
    /// The next record's number when the lease was taken: those from it on are in the lease.
    pub(crate) leased_at: u64,
}

impl Header {
    pub(crate) const fn new(scope: [u8; 32]) -> Self {
        let none = Lease { counter: 0, epoch: 0, view: 0 };
        Self { generation: 0, scope, lease: none, intent: none, fence: None, lost: false, since: 0, leased_at: 0 }
    }
}

/// A vote, as it lies in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// From 0 on, without gaps.
    pub(crate) sequence: u64,
    /// The highest round whose record the ring has lost, the one that the next write overwrites included.
    pub(crate) floor: Option<Round>,
    pub(crate) signed: Signed,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(MAGIC);
        writer.number(self.generation);
        writer.bytes(&self.scope);
        writer.lease(self.lease);
        writer.lease(self.intent);
        writer.round(self.fence);
        writer.number(u64::from(self.lost));
        writer.number(self.since);
        writer.number(self.leased_at);
        writer.seal(usize::try_from(HEADER_BYTES).expect("a page"))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::open(bytes)?;
        if reader.bytes::<16>()? != *MAGIC {
            return None;
        }
        let (generation, scope) = (reader.number()?, reader.bytes()?);
        let (lease, intent, fence) = (reader.lease()?, reader.lease()?, reader.round()?);
        let (lost, since, leased_at) = (reader.number()? == 1, reader.number()?, reader.number()?);
        Some(Self { generation, scope, lease, intent, fence, lost, since, leased_at })
    }
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.sequence);
        writer.round(self.floor);
        let Signed { round, kind, digest, signature } = self.signed;
        writer.round(Some(round));
        let kind = Kind::ALL.iter().position(|other| *other == kind).expect("all kinds are listed");
        writer.number(kind as u64);
        writer.bytes(&digest);
        writer.bytes(&signature.0);
        writer.seal(RECORD_BYTES)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::open(bytes)?;
        let (sequence, floor, round) = (reader.number()?, reader.round()?, reader.round()??);
        let kind = *Kind::ALL.get(usize::try_from(reader.number()?).ok()?)?;
        let (digest, signature) = (reader.bytes()?, Signature(reader.bytes()?));
        Some(Self { sequence, floor, signed: Signed { round, kind, digest, signature } })
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn lease(&mut self, Lease { counter, epoch, view }: Lease) {
        [counter, epoch, view].into_iter().for_each(|number| self.number(number));
    }

    fn round(&mut self, round: Option<Round>) {
        let Round { epoch, view } = round.unwrap_or_default();
        self.number(u64::from(round.is_some()));
        self.number(epoch);
        self.number(view);
    }

    /// Pads to a length and appends the digest.
    fn seal(mut self, length: usize) -> Vec<u8> {
        self.0.resize(length - DIGEST, 0);
        let digest = Sha256::digest(&self.0);
        self.bytes(&digest);
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// None unless the digest fits.
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let (body, digest) = bytes.split_last_chunk::<DIGEST>()?;
        (Sha256::digest(body)[..] == digest[..]).then_some(Self(body))
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn lease(&mut self) -> Option<Lease> {
        Some(Lease { counter: self.number()?, epoch: self.number()?, view: self.number()? })
    }

    fn round(&mut self) -> Option<Option<Round>> {
        let (some, epoch, view) = (self.number()?, self.number()?, self.number()?);
        Some((some == 1).then_some(Round { epoch, view }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let round = Round { epoch: 1, view: 2 };
        let signed = Signed { round, kind: Kind::Finalize, digest: [3; 32], signature: Signature([4; 64]) };
        Record { sequence: 5, floor: Some(Round { epoch: 0, view: 6 }), signed }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lease = Lease { counter: 7, epoch: 8, view: 9 };
        for fence in [None, Some(Round { epoch: 1, view: 0 })] {
            let header = Header {
                generation: 10,
                lease,
                intent: lease,
                fence,
                lost: true,
                since: 12,
                leased_at: 13,
                ..Header::new([11; 32])
            };
            assert_eq!(Header::decode(&header.encode()), Some(header));
        }
        assert_eq!(Record::decode(&record().encode()), Some(record()));
    }

    /// A log that an update cannot read would silence the box, or let it sign twice.
    #[test]
    fn the_bytes_are_frozen() {
        let lease = Lease { counter: 7, epoch: 8, view: 9 };
        let header =
            Header { generation: 10, lease, intent: lease, since: 12, leased_at: 13, ..Header::new([11; 32]) }.encode();
        let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&header), "1931a4bf307bcf09141067d92944efd445b3595f472f0fcfb633d9966f76073b");
        assert_eq!(hex(&record().encode()), "d41875a3de0e6e729e59d090306a82e99a39d86b01d8df68f330bdaf682f02ee");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = record().encode();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&changed), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
    }
}
