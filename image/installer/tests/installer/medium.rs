//! Disks in memory, which note down what is done to them.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use dolmen_image_disk::gpt::BlockSize;
use dolmen_image_installer::disk::Disk;

pub(crate) const SECTOR: usize = 512;

/// A disk of any size, of which memory holds the sectors that are not zero.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Medium {
    pub(crate) bytes: u64,
    pub(crate) block_size: BlockSize,
    pub(crate) position: u64,
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    /// What was done, in order, if it is noted down.
    pub(crate) events: Option<Vec<Event>>,
    /// Bytes that no write and no discard may touch.
    pub(crate) untouchable: Range<u64>,
    /// Bytes that can still be read until the disk is pulled out, and all fails.
    pub(crate) pulled_after: u64,
    /// Whether writes fail.
    pub(crate) read_only: bool,
}

/// The place of a byte in its sector.
fn in_sector(position: u64) -> usize {
    usize::try_from(position % SECTOR as u64).expect("less than a sector")
}

/// What was done to a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Write { at: u64, bytes: Vec<u8> },
    Discard(Range<u64>),
    Sync,
}

impl Medium {
    pub(crate) fn new(bytes: u64) -> Self {
        Self::with_blocks(bytes, BlockSize::Bytes512)
    }

    pub(crate) fn with_blocks(bytes: u64, block_size: BlockSize) -> Self {
        let sectors = BTreeMap::new();
        Self {
            bytes,
            block_size,
            position: 0,
            sectors,
            events: None,
            untouchable: 0..0,
            pulled_after: u64::MAX,
            read_only: false,
        }
    }

    /// The same disk as it is now, noting down what is done from now on.
    pub(crate) fn recording(&self) -> Self {
        Self { events: Some(vec![]), ..self.clone() }
    }

    pub(crate) fn get(&self, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut disk = Self { position: at, events: None, ..self.clone() };
        disk.read_exact(&mut bytes).expect("bytes before the end");
        bytes
    }

    /// Changes bytes whoever notes down what is done.
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (number, byte) in (at..).zip(bytes) {
            let (sector, place) = (number / SECTOR as u64, in_sector(number));
            self.sectors.entry(sector).or_insert([0; SECTOR])[place] = *byte;
        }
    }

    /// The sectors of some bytes that are not zero.
    pub(crate) fn content(&self, bytes: &Range<u64>) -> BTreeMap<u64, [u8; SECTOR]> {
        let sectors = bytes.start / SECTOR as u64..bytes.end / SECTOR as u64;
        let kept = self.sectors.range(sectors).filter(|(_, sector)| **sector != [0; SECTOR]);
        kept.map(|(number, sector)| (*number, *sector)).collect()
    }

    /// Sets a sector, whole or only its first bytes.
    pub(crate) fn put_sector(&mut self, sector: u64, bytes: &[u8]) {
        let whole = self.sectors.entry(sector).or_insert([0; SECTOR]);
        whole[..bytes.len()].copy_from_slice(bytes);
        if *whole == [0; SECTOR] {
            self.sectors.remove(&sector);
        }
    }

    fn note(&mut self, event: Event) {
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }

    fn is_there(&self) -> io::Result<()> {
        if self.pulled_after == 0 { Err(io::Error::other("no such device")) } else { Ok(()) }
    }

    fn left(&self, wanted: usize) -> usize {
        usize::try_from(self.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX).min(wanted)
    }

    fn check(&self, bytes: &Range<u64>) {
        let Range { start, end } = self.untouchable;
        assert!(bytes.end <= start || end <= bytes.start || start == end, "{bytes:?} is not to be touched");
    }
}

impl Read for Medium {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = in_sector(self.position);
        let count = self.left(buffer.len()).min(SECTOR - at);
        self.pulled_after = self.pulled_after.saturating_sub(count as u64);
        self.is_there()?;
        let bytes = self.sectors.get(&(self.position / SECTOR as u64)).unwrap_or(&[0; SECTOR]);
        buffer[..count].copy_from_slice(&bytes[at..at + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Medium {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.is_there()?;
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let count = self.left(buffer.len());
        self.check(&(self.position..self.position + count as u64));
        let mut done = 0;
        while done < count {
            let at = in_sector(self.position);
            let some = (count - done).min(SECTOR - at);
            let number = self.position / SECTOR as u64;
            let mut sector = self.sectors.get(&number).copied().unwrap_or([0; SECTOR]);
            sector[at..at + some].copy_from_slice(&buffer[done..done + some]);
            self.put_sector(number, &sector);
            self.note(Event::Write { at: number * SECTOR as u64, bytes: sector.to_vec() });
            self.position += some as u64;
            done += some;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Medium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(0) => self.bytes,
            SeekFrom::Current(by) => self.position.checked_add_signed(by).expect("a place on the disk"),
            SeekFrom::End(_) => panic!("{to:?}"),
        };
        Ok(self.position)
    }
}

impl Disk for Medium {
    fn sync(&mut self) -> io::Result<()> {
        self.is_there()?;
        self.note(Event::Sync);
        Ok(())
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Leaves something behind that was not there before: nobody may count on what a drive gives afterwards.
    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        self.check(&bytes);
        let numbers: Vec<_> =
            self.sectors.range(bytes.start / SECTOR as u64..bytes.end / SECTOR as u64).map(|(n, _)| *n).collect();
        for number in numbers {
            self.sectors.insert(number, [0xdd; SECTOR]);
        }
        self.note(Event::Discard(bytes));
        Ok(())
    }
}
