//! A boot of the image that never took place: for development boxes, whose TPMs are programs that no firmware measures
//! into, and for tests.
//!
//! A [`Boot`] is what firmware, stub and initrd would have measured. Whoever plays them extends a TPM by
//! [`Boot::digests`] and puts the two logs where the box looks for them; [`manifest`] is that of an image which leaves
//! just these values, to be signed by a key of one's own. What judges a box by all this is the real thing and cannot tell
//! the difference: such a manifest says that its keys are for tests, so that no production policy takes it.

mod boot;
mod image;

pub use boot::Boot;
pub use image::manifest;
