//! What the image's builder, the installer and the updater share of disks: partition tables ([`gpt`]) and hash trees
//! ([`verity`]).
//!
//! Nothing here opens a file: disks and partitions are passed in as [`Read`](std::io::Read),
//! [`Write`](std::io::Write) and [`Seek`](std::io::Seek). What is read is not trusted: whatever bytes come in, the
//! answer is a value or an error, and memory is bounded by `limits.rs`.

mod bytes;
pub mod gpt;
mod limits;
pub mod verity;
