//! Why there is no UKI.

use crate::pe::PeError;

/// Why a UKI cannot be put together, or a stub is none.
#[derive(Debug, thiserror::Error)]
pub enum UkiError {
    /// The stub is no image, or has no room.
    #[error("cannot build on the stub; take linuxx64.efi.stub of the package systemd-boot-efi")]
    Stub(#[source] PeError),
    /// The kernel is no image.
    #[error("the kernel is no image that a stub can start; take a bzImage with EFI stub (CONFIG_EFI_STUB) for x86-64")]
    Kernel(#[source] PeError),
    /// An image that is not made by systemd-stub.
    #[error("the image does not say which systemd-stub it begins with; take linuxx64.efi.stub of systemd")]
    StubVersion,
    /// A stub that measures other things.
    #[error("the image begins with systemd-stub {0}, which measures otherwise; take version 252 or later")]
    StubTooOld(u32),
    /// The result cannot be an image.
    #[error("cannot add the section {name}")]
    Section {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: PeError,
    },
    /// A text that its reader would read otherwise.
    #[error("the text of {name} {reason}; write it anew")]
    Text {
        /// The section.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Revocation data that shim and systemd-boot do not read.
    #[error("{of} is not SBAT: it has no line that begins with `sbat,1`; write such a line first, or leave it out")]
    Sbat {
        /// Whose.
        of: &'static str,
    },
}
