//! The harness itself, with a program of a hundred bytes in place of the image: what Secure Boot lets start, what waits
//! say, what outlives a boot, and that nothing is left behind.

mod computer;
mod drives;
mod program;
mod secure_boot;
mod support;
mod waiting;
