//! The crate's public side, with images and keys that the tests make, and against the tools that do the same.

mod fuzz;
mod image;
mod measure;
mod sbsign;
mod signature;
mod support;
mod systemd;
mod tpm;
mod vectors;
