//! Where things are in a FAT, by its boot sector. Microsoft's "FAT: General Overview of On-Disk Format" 1.03.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{disk::read_at, limits::FOLDER_CLUSTERS_MAX};

/// Bytes of a folder's entry.
const ENTRY_BYTES: u64 = 32;
/// Clusters from which on a FAT is a FAT32, and from which on a FAT16.
const FAT32_CLUSTERS: u64 = 65_525;
const FAT16_CLUSTERS: u64 = 4_085;

/// A FAT16 or FAT32 whose parts lie within its device and not over each other, and whose table has an entry for each
/// cluster.
pub(super) struct Volume {
    fat_at: u64,
    /// Bytes of an entry of the FAT: 2 or 4.
    fat_entry_bytes: u64,
    root: Root,
    data_at: u64,
    clusters: u64,
    cluster_bytes: u64,
}

/// The root folder: its first cluster, or for FAT16 its place and bytes.
enum Root {
    Cluster(u32),
    Fixed(u64, u64),
}

impl Volume {
    /// Reads the boot sector, and checks it: what follows it counts on it without another look.
    ///
    /// # Errors
    ///
    /// The device's, and [`io::ErrorKind::InvalidData`].
    pub(super) fn read(device: &mut (impl Read + Seek)) -> io::Result<Self> {
        let bytes = device.seek(SeekFrom::End(0))?;
        let boot = read_at(device, 0, 512)?;
        let short = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]);
        let (sector, cluster_sectors, fats) = (short(11), u64::from(boot[13]), u64::from(boot[16]));
        let (reserved, root_bytes) = (short(14), short(17) * ENTRY_BYTES);
        let wide = short(22) == 0;
        let fat_sectors = if wide { u64::from(long(36)) } else { short(22) };
        let sectors = if short(19) == 0 { u64::from(long(32)) } else { short(19) };
        let sizes = matches!(sector, 512 | 1024 | 2048 | 4096) && cluster_sectors.is_power_of_two();
        // Only FAT32 has flags and a version, and says where its root and two sectors of the reserved ones are.
        let numbers = short(40) == 0 && short(42) == 0 && short(48) < reserved && short(50) < reserved;
        if !sizes || !(1..=2).contains(&fats) || reserved == 0 || fat_sectors == 0 || (wide && !numbers) {
            return Err(invalid("sizes"));
        }
        let fat_at = reserved * sector;
        let root_at = fat_at + fats * fat_sectors * sector;
        let data_at = root_at + root_bytes;
        let cluster_bytes = cluster_sectors * sector;
        let end = sectors * sector;
        if data_at >= end || end > bytes || root_bytes % sector != 0 || wide != (root_bytes == 0) {
            return Err(invalid("places"));
        }
        let clusters = (end - data_at) / cluster_bytes;
        let fat_entry_bytes = if wide { 4 } else { 2 };
        let kind = if wide { clusters >= FAT32_CLUSTERS } else { (FAT16_CLUSTERS..FAT32_CLUSTERS).contains(&clusters) };
        if !kind || (clusters + 2) * fat_entry_bytes > fat_sectors * sector || clusters > 0x0fff_ffef {
            return Err(invalid("a table"));
        }
        let root = if wide { Root::Cluster(long(44)) } else { Root::Fixed(root_at, root_bytes) };
        let volume = Self { fat_at, fat_entry_bytes, root, data_at, clusters, cluster_bytes };
        match volume.root {
            Root::Cluster(cluster) if !volume.has(cluster) => Err(invalid("a root")),
            _ => Ok(volume),
        }
    }

    /// Where a folder's entries are. The root has no number.
    ///
    /// # Errors
    ///
    /// The device's, and [`io::ErrorKind::InvalidData`] for a folder without an end.
    pub(super) fn places(&self, device: &mut (impl Read + Seek), folder: Option<u32>) -> io::Result<Vec<(u64, usize)>> {
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| invalid("sizes"));
        let mut cluster = match (folder, &self.root) {
            (None, Root::Fixed(at, bytes)) => return Ok(vec![(*at, size(*bytes)?)]),
            (None, Root::Cluster(cluster)) => *cluster,
            (Some(cluster), _) => cluster,
        };
        let mut places = Vec::new();
        // What is no cluster marks an end, or a bad one.
        while self.has(cluster) {
            if places.len() >= FOLDER_CLUSTERS_MAX {
                return Err(invalid("a folder without an end"));
            }
            let at = self.data_at + u64::from(cluster - 2) * self.cluster_bytes;
            places.push((at, size(self.cluster_bytes)?));
            let at = self.fat_at + u64::from(cluster) * self.fat_entry_bytes;
            cluster = match &read_at(device, at, size(self.fat_entry_bytes)?)?[..] {
                [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) & 0x0fff_ffff,
                [a, b] => u16::from_le_bytes([*a, *b]).into(),
                _ => return Err(invalid("a table")),
            };
        }
        Ok(places)
    }

    fn has(&self, cluster: u32) -> bool {
        (2..self.clusters + 2).contains(&u64::from(cluster))
    }
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the FAT has {what} that none of ours has"))
}
