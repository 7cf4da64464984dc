//! The field engineer's stick: checks the image that it carries, and writes it to a box's disk.
//!
//! [`session`] is one power-on, from the first screen to the last; read it first. What it decides and does is in parts of
//! one subject each:
//!
//! | | |
//! |---|---|
//! | [`target`] | which disk is meant |
//! | [`prior`] | what is on it |
//! | [`plan`] | what an installation does to it, or why it is refused |
//! | [`mod@write`] | doing it, in an order in which no half-written disk passes for a whole one |
//! | [`erase`] | destroying the keys of what was encrypted |
//! | [`installed`] | looking at what is installed |
//! | [`support`] | what support asks for |
//! | [`layout`], [`boot_files`], [`esp`] | the disk of a box, which the image's builder makes from the same parts |
//! | [`stick`], [`journal`], [`identity`] | the stick, its log, and the marker that keeps a machine from being done twice |
//! | [`boot_next`] | the firmware's way to the disk |
//! | [`usb`] | writing a stick: `dolmen usb write` |
//!
//! Decisions take values and give values; disks are anything that implements [`disk::Disk`], and the machine is a
//! [`machine::Machine`], so that all of it runs on files and in memory. Nothing on a disk, on the stick or in the
//! firmware is trusted: the bundle and the answer file are by their signatures, and all else is bounded by `limits.rs`.

pub mod boot_files;
pub mod boot_next;
pub mod device;
pub mod disk;
pub mod erase;
pub mod esp;
pub mod identity;
pub mod installed;
pub mod journal;
pub mod layout;
mod limits;
pub mod machine;
mod mark;
pub mod plan;
pub mod prior;
pub mod session;
pub mod stick;
pub mod support;
pub mod target;
mod texts;
pub mod usb;
pub mod write;
