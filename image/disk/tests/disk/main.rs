//! Disks that tools of others made and check, that lose power, and that hold what nobody meant.

mod hostile;
mod power;
mod sfdisk;
mod support;
mod veritysetup;
