//! Early user space of the image: what runs between the kernel and systemd, on a box and on the installer's stick.
//!
//! Two programs are made of it. `dolmen-initrd` is the first process of a box: it finds the root file system by its
//! root hash and hands over to it. `dolmen-data` runs next, as its child, and opens the encrypted data. Both are linked
//! statically, so that the first can live alone in an initrd. The installer of the stick is built from the same parts.
//!
//! In the order of their use: [`early`] mounts what the kernel shows, [`module`] loads drivers, [`report`] tells people
//! and the kernel's log what happens, [`block`] finds disks and partitions, [`device_mapper`] puts a hash tree over one,
//! [`tpm`] measures phases and keeps the version floor, [`luks`] tells what a partition holds, [`command`] runs the
//! root's tools, [`handover`] leaves the initrd and [`power`] the machine.
//!
//! Whatever is read from disks, variables, the TPM and consoles is not trusted: the answer is a value or an error, and
//! memory is bounded by `limits.rs`. Where a path is a parameter, it is for tests, which show made-up trees.

pub mod block;
pub mod command;
pub mod command_line;
pub mod console;
pub mod device_mapper;
pub mod early;
pub mod efi;
mod file;
pub mod handover;
mod limits;
pub mod luks;
pub mod module;
pub mod mount;
pub mod os_release;
pub mod power;
pub mod report;
pub mod tpm;
