//! A log file of records that only grows: what an authority or a registrar did, and what its state is made of.
//!
//! Each record is a line of JSON, an [`Entry`]. It has its number, the SHA-256 of the line before it and, last, a sum over
//! itself, so that no line can be changed, taken out or put elsewhere without [`JournalError::Damaged`] naming it.
//! Whoever rewrites the file from some line to its end is found by those who know a later [`Head`]: write it down
//! elsewhere now and then.
//!
//! ```text
//! {"number":1,"prev":"0000…","time":1800000000,"record":{…},"sum":"5d41…"}
//! {"number":2,"prev":"9f86…","time":1800000007,"record":{…},"sum":"7c21…"}
//! ```
//!
//! - `sed -n 1p FILE | sha256sum` gives the `prev` of line 2.
//! - `sum` is the SHA-256 of the line up to the comma before it.
//!
//! [`Journal::append`] returns once the disk has the line. Only one process has a journal open to write. A write that power
//! ended is a last line without its end: it was never reported as written, and opening the journal drops it. Other damage
//! is refused, since nobody can know what the line said.
//!
//! [`Reader`] reads a journal that somebody else may be writing.

mod entry;
mod error;
mod journal;
mod limits;
mod reader;

pub use entry::{Entry, Head, LineHash};
pub use error::{Damage, JournalError};
pub use journal::Journal;
pub use reader::{Reader, verify};
