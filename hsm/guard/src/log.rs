//! The log of votes: which writes happen in which order, and what a start makes of what it finds.

use std::io;

use dolmen_hsm_api::Lease;

use crate::{
    Kind, Round,
    disk::Disk,
    record::{HEADER_BYTES, Header, RECORD_BYTES, RECORDS_AT, Record},
    vote::{Signed, Votes},
};

/// Votes that are remembered: three a view, and simplex looks back ten.
pub(crate) const RECORDS: u64 = 4096;

/// What a log is when it is made; `lost` if it takes the place of one.
pub(crate) fn blank(scope: [u8; 32], records: u64, lost: bool) -> Vec<u8> {
    let mut bytes = Header { lost, ..Header::new(scope) }.encode();
    bytes.resize(length(records), 0);
    bytes
}

fn length(records: u64) -> usize {
    usize::try_from(RECORDS_AT).expect("two pages") + usize::try_from(records).expect("few") * RECORD_BYTES
}

/// An open log.
pub(crate) struct Log<D> {
    disk: D,
    records: u64,
    header: Header,
    /// The next record's number.
    next: u64,
    /// See [`Record::floor`].
    floor: Option<Round>,
    /// What is in the ring, by place.
    ring: Vec<Option<(Round, Kind)>>,
    votes: Votes,
}

/// What a start finds.
pub(crate) enum Found<D> {
    /// A log, and whether all its records are whole.
    Log(Box<Log<D>>, bool),
    /// Neither header can be read, or a part of the file is gone.
    NoHeader(D),
}

impl<D: Disk> Log<D> {
    /// Reads a log of so many records.
    pub(crate) fn open(disk: D, records: u64) -> io::Result<Found<D>> {
        let mut bytes = vec![0; length(records)];
        match disk.read(0, &mut bytes) {
            // What was cut off may be votes.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Found::NoHeader(disk)),
            read => read?,
        }
        let (headers, ring) = bytes.split_at(usize::try_from(RECORDS_AT).expect("two pages"));
        let headers = headers.chunks(usize::try_from(HEADER_BYTES).expect("a page")).filter_map(Header::decode);
        let Some(header) = headers.max_by_key(|header| header.generation) else { return Ok(Found::NoHeader(disk)) };
        Ok(Self::read(disk, records, header, ring))
    }

    /// Gives a log whose headers are lost a new one that signs nothing up to `fence`.
    pub(crate) fn renew(disk: D, records: u64, scope: [u8; 32], fence: Round) -> io::Result<Self> {
        let header = Header::new(scope);
        let mut log = Self {
            disk,
            records,
            header,
            next: 0,
            floor: None,
            ring: vec![None; places(records)],
            votes: Votes::default(),
        };
        log.fence(fence, None)?;
        // What is in the ring came from elsewhere and would be taken for this log's.
        let blank = vec![0; RECORD_BYTES];
        for place in 0..records {
            log.disk.write(offset(place), &blank)?;
        }
        log.disk.sync()?;
        Ok(log)
    }

    fn read(disk: D, records: u64, header: Header, ring: &[u8]) -> Found<D> {
        let found: Vec<_> = ring.chunks(RECORD_BYTES).map(Record::decode).collect();
        let last = found.iter().flatten().max_by_key(|record| record.sequence).copied();
        let mut log = Self {
            disk,
            records,
            header,
            next: last.map_or(0, |record| record.sequence + 1),
            floor: last.and_then(|record| record.floor),
            ring: vec![None; places(records)],
            votes: Votes::default(),
        };
        let (mut whole, since) = (true, log.header.since);
        for (place, (record, bytes)) in (0..records).zip(found.iter().zip(ring.chunks(RECORD_BYTES))) {
            let expected = log.expected(place);
            match record {
                Some(record) if Some(record.sequence) == expected => {
                    log.ring[places(place)] = Some((record.signed.round, record.signed.kind));
                    log.votes.insert(&record.signed);
                }
                // Nothing was ever written there.
                None if expected.is_none() && bytes.iter().all(|byte| *byte == 0) => {}
                // Damage that a fence covers already.
                _ if expected.is_some_and(|expected| expected < since) => {}
                _ => whole = false,
            }
        }
        Found::Log(Box::new(log), whole)
    }

    /// The number of the record that a place should hold; none where the ring has not come so far.
    fn expected(&self, place: u64) -> Option<u64> {
        let behind = (self.next + self.records - 1 - place % self.records) % self.records;
        self.next.checked_sub(behind + 1)
    }

    /// Writes the newest record once more. What was read may be in the system's memory alone, where a sync of the last
    /// process failed; the next sync makes it last.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        let Some(place) = self.next.checked_sub(1).map(|last| last % self.records) else { return Ok(()) };
        let mut bytes = vec![0; RECORD_BYTES];
        self.disk.read(offset(place), &mut bytes)?;
        self.disk.write(offset(place), &bytes)
    }

    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) const fn votes(&self) -> &Votes {
        &self.votes
    }

    /// The last round in which there is a vote.
    pub(crate) fn reached(&self) -> Round {
        let remembered = self.ring.iter().flatten().map(|(round, _)| *round).max();
        remembered.max(self.floor).unwrap_or_default()
    }

    pub(crate) const fn floor(&self) -> Option<Round> {
        self.floor
    }

    /// Makes a signed vote last.
    pub(crate) fn append(&mut self, signed: Signed) -> io::Result<()> {
        let (place, after) = (self.next % self.records, (self.next + 1) % self.records);
        // What the write after this one overwrites counts as forgotten now: that write may be cut short.
        let forgotten = self.ring[places(after)].map(|(round, _)| round);
        let floor = self.floor.max(forgotten);
        let record = Record { sequence: self.next, floor, signed };
        self.disk.write(offset(place), &record.encode())?;
        self.disk.sync()?;
        if let Some((round, kind)) = self.ring[places(place)].replace((signed.round, signed.kind)) {
            self.votes.forget(round, kind);
        }
        self.votes.insert(&signed);
        self.floor = floor;
        self.next += 1;
        Ok(())
    }

    /// Signs nothing any more up to `until`, also where the disk fails now. Damaged records are behind that, and so is the
    /// counter's lease, which the log takes for its own.
    pub(crate) fn fence(&mut self, until: Round, stamp: Option<Lease>) -> io::Result<()> {
        let fence = self.header.fence.max(Some(until));
        self.header.fence = fence;
        let lease = stamp.unwrap_or(self.header.lease);
        let header = Header { fence, lease, lost: false, since: self.next, ..self.header };
        // In both headers: with one of them damaged, the other must not say less.
        self.write_header(header)?;
        self.write_header(header)
    }

    /// Whether there are votes in the lease.
    pub(crate) const fn has_used_lease(&self) -> bool {
        self.next > self.header.leased_at
    }

    /// Notes the lease that is about to be taken, also where the disk fails: the note may have got through. The counter's
    /// last one, which may be the one noted before, is this log's.
    pub(crate) fn intend(&mut self, last: Option<Lease>, intent: Lease) -> io::Result<()> {
        self.header.intent = intent;
        self.write_header(Header { lease: last.unwrap_or(self.header.lease), ..self.header })
    }

    /// Signs up to the end of a lease.
    pub(crate) fn lease(&mut self, lease: Lease) -> io::Result<()> {
        self.write_header(Header { lease, intent: lease, leased_at: self.next, ..self.header })
    }

    /// Takes fences away and the counter's lease for the log's own.
    pub(crate) fn release(&mut self, lease: Lease) -> io::Result<()> {
        let header = Header { lease, fence: None, lost: false, since: self.next, ..self.header };
        self.write_header(header)?;
        self.write_header(header)
    }

    fn write_header(&mut self, header: Header) -> io::Result<()> {
        let header = Header { generation: self.header.generation + 1, ..header };
        self.disk.write(header.generation % 2 * HEADER_BYTES, &header.encode())?;
        self.disk.sync()?;
        self.header = header;
        Ok(())
    }
}

fn places(count: u64) -> usize {
    usize::try_from(count).expect("a log has few records")
}

fn offset(place: u64) -> u64 {
    RECORDS_AT + place * RECORD_BYTES as u64
}
