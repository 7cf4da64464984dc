//! What is passed to the device mapper: `struct dm_ioctl`, and behind it `struct dm_target_spec` with the target's
//! parameters as text.

use super::{DeviceMapperError, ioctl::Buffer};
use crate::limits::DM_BUFFER_BYTES;

/// Bytes of `struct dm_ioctl`.
pub(super) const HEADER_BYTES: usize = 312;
/// Version 4.0.0 of the interface: kernels take all that are not later than theirs.
const VERSION_MAJOR: u32 = 4;

const VERSION: usize = 0;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const DEV: usize = 40;
const NAME: usize = 48;
const NAME_BYTES: usize = 128;

/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;

/// Bytes of `struct dm_target_spec`, and its fields after the header.
const TARGET_BYTES: usize = 40;
const LENGTH: usize = 8;
const NEXT: usize = 20;
const KIND: usize = 24;
const KIND_BYTES: usize = 16;

/// The only line of a table: a target for the whole device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// Sectors of 512 bytes.
    pub(super) sectors: u64,
    /// The target's name.
    pub(super) kind: &'static str,
    /// What it needs to know.
    pub(super) parameters: &'a str,
}

/// A message of one device.
#[derive(Debug)]
pub(super) struct Message(Box<Buffer>);

impl Message {
    /// One that names the device and says nothing else.
    pub(super) fn new(name: &str) -> Result<Self, DeviceMapperError> {
        // The kernel ends it with a NUL.
        if name.is_empty() || name.len() >= NAME_BYTES || name.contains(['\0', '/']) {
            return Err(DeviceMapperError::Name(name.to_owned()));
        }
        let mut message = Self(Box::new([0; DM_BUFFER_BYTES]));
        message.put(VERSION, &VERSION_MAJOR.to_le_bytes());
        message.put_u32(DATA_SIZE, DM_BUFFER_BYTES);
        message.put_u32(DATA_START, HEADER_BYTES);
        message.put(NAME, name.as_bytes());
        Ok(message)
    }

    /// The device is not to be written.
    pub(super) fn read_only(mut self) -> Self {
        self.put(FLAGS, &READ_ONLY.to_le_bytes());
        self
    }

    /// With a table of this target.
    pub(super) fn with(mut self, target: &Target<'_>) -> Result<Self, DeviceMapperError> {
        let parameters = HEADER_BYTES + TARGET_BYTES;
        // A NUL ends them, and the next target would begin at a multiple of 8.
        let next = (TARGET_BYTES + target.parameters.len() + 1).next_multiple_of(8);
        if HEADER_BYTES + next > DM_BUFFER_BYTES || target.kind.len() >= KIND_BYTES {
            return Err(DeviceMapperError::Table(self.name()));
        }
        self.put_u32(TARGET_COUNT, 1);
        self.put(HEADER_BYTES + LENGTH, &target.sectors.to_le_bytes());
        self.put_u32(HEADER_BYTES + NEXT, next);
        self.put(HEADER_BYTES + KIND, target.kind.as_bytes());
        self.put(parameters, target.parameters.as_bytes());
        Ok(self)
    }

    /// As it is passed to the kernel.
    pub(super) const fn bytes(&self) -> &Buffer {
        &self.0
    }

    /// The device's name.
    pub(super) fn name(&self) -> String {
        let name = self.0[NAME..NAME + NAME_BYTES].split(|byte| *byte == 0).next();
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        self.0[at..at + value.len()].copy_from_slice(value);
    }

    /// Sizes in here are all below 16 KiB.
    fn put_u32(&mut self, at: usize, value: usize) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        self.put(at, &value.to_le_bytes());
    }
}

/// The minor number in an answer. The device mapper's major number is always the same.
pub(super) fn minor(answer: &Buffer) -> u32 {
    let mut device = [0; 8];
    device.copy_from_slice(&answer[DEV..DEV + 8]);
    // `huge_encode_dev` of `linux/kdev_t.h`: the lowest 8 bits, 12 bits of the major number, and the rest.
    let device = u64::from_le_bytes(device);
    u32::try_from(device & 0xff | device >> 12 & 0xf_ff00).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_device() {
        let message = Message::new("root").unwrap();
        let bytes = message.bytes();
        let expected = [
            &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], // version
            &[0x00, 0x40, 0, 0],                       // data_size
            &[0x38, 0x01, 0, 0],                       // data_start
            &[0; 28],                                  // target_count, open_count, flags, event_nr, padding, dev
            b"root\0",
        ];
        let expected = expected.concat();
        assert_eq!((&bytes[..expected.len()], message.name().as_str()), (&expected[..], "root"));
        assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_table_follows_it() {
        let target = Target { sectors: 0x1_0000_0008, kind: "verity", parameters: "1 8:2 8:3" };
        let message = Message::new("root").unwrap().read_only().with(&target).unwrap();
        let bytes = message.bytes();
        assert_eq!((bytes[20..24].to_vec(), bytes[28..32].to_vec()), (vec![1, 0, 0, 0], vec![1, 0, 0, 0]));
        let expected = [
            &[0; 8][..],                   // sector_start
            &[8, 0, 0, 0, 1, 0, 0, 0],     // length
            &[0; 4],                       // status
            &[56, 0, 0, 0],                // next
            b"verity\0\0\0\0\0\0\0\0\0\0", // target_type
            b"1 8:2 8:3\0",
        ];
        let expected = expected.concat();
        assert_eq!(bytes[HEADER_BYTES..HEADER_BYTES + expected.len()], expected);
        assert!(bytes[HEADER_BYTES + expected.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_the_kernel_would_cut_is_refused() {
        for name in ["", "a/b", "a\0b", &"a".repeat(128)] {
            assert!(matches!(Message::new(name), Err(DeviceMapperError::Name(_))), "{name:?}");
        }
        let longest = "a".repeat(127);
        assert_eq!(Message::new(&longest).unwrap().name(), longest);
        let room = DM_BUFFER_BYTES - HEADER_BYTES - TARGET_BYTES - 1;
        for (bytes, fits) in [(room, true), (room + 1, false)] {
            let parameters = "x".repeat(bytes);
            let target = Target { sectors: 8, kind: "verity", parameters: &parameters };
            assert_eq!(Message::new("root").unwrap().with(&target).is_ok(), fits, "{bytes}");
        }
    }

    #[test]
    fn the_minor_number_is_in_two_parts() {
        let mut answer = [0; DM_BUFFER_BYTES];
        // Major 254, minor 0x12345.
        let device = 0x45_u64 | 254 << 8 | 0x123 << 20;
        answer[40..48].copy_from_slice(&device.to_le_bytes());
        assert_eq!(minor(&answer), 0x12345);
    }
}
