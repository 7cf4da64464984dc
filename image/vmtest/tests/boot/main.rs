//! The image itself in virtual machines, as it is booted, broken, updated and installed: `make test-boot`.
//!
//! `DOLMEN_IMAGE` is the directory that `dolmen-image` has built, with the test keys. Every test has machines of its own
//! and never touches what is in there. All but one are ignored elsewhere: without KVM a boot takes a minute, and a test
//! consists of several.
//!
//! What does not hold panics (`assert!`), while its machine is still there: then the machine's artefacts are kept.
//!
//! What a box says of itself are the markers in [`markers`]. What it did is looked up on its disk and in its TPM, where
//! that is to be seen from outside.

mod r#box;
mod image;
mod join;
mod machines;
mod markers;
mod node;
mod release;
mod sealing;
mod secure_boot;
mod slots;
mod usb;
mod web;
