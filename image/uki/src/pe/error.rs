//! Why an image is not taken.

/// Why an image is not taken, or cannot take what is to be added.
#[derive(Debug, thiserror::Error)]
pub enum PeError {
    /// Not what its headers announce.
    #[error("the image ends within its {0}; copy it again whole")]
    Truncated(&'static str),
    /// More than is ever needed.
    #[error("the image has {found} {what}, {limit} at most are read; it is no boot file, or leave something out of it")]
    TooLarge {
        /// Bytes, or sections.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Something else than a PE32+ image for x86-64.
    #[error("the image is no {expected}; take a boot file for x86-64")]
    Kind {
        /// What was looked for.
        expected: &'static str,
    },
    /// Headers that contradict each other, so that programs would read different things in them.
    #[error("the image's headers are damaged: {0}; take it from its maker again")]
    Headers(&'static str),
    /// A section that lies where it cannot.
    #[error("the image's section {name} is damaged: {reason}; take the image from its maker again")]
    Section {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A signature says nothing about an image that is to be changed.
    #[error("the image is signed; remove the signature before you change the image")]
    Signed,
    /// A name that the table has no room for.
    #[error("a section's name has 1 to 8 bytes, not {0}; shorten it")]
    Name(usize),
    /// Two sections of a name: only the first would be found.
    #[error("the image has a section {0} already; leave one of them out")]
    Duplicate(String),
    /// No place in the headers.
    #[error("the headers have no room for another section; take a stub with larger headers, as systemd 257 has")]
    NoRoom,
    /// No place in a section.
    #[error("{found} bytes do not fit into the section {name}, which has room for {limit}; shorten its text")]
    SectionFull {
        /// Its name.
        name: String,
        /// Bytes that were to be there.
        found: usize,
        /// Bytes that it has.
        limit: usize,
    },
}
