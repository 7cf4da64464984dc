//! Disks and their partitions, as the kernel shows them before any udev runs.

mod disk;
mod slot;
#[cfg(test)]
mod tests;

pub use disk::{BlockDevices, Disk};
pub use slot::{Partitions, PartitionsError, Slot};
