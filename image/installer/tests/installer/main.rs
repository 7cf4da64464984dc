//! The installer on disks in memory and in files: what it writes, what it refuses, and what is left when it is stopped.

mod hostile;
mod image;
mod luks;
mod machine;
mod medium;
mod power;
mod session;
mod tools;
mod write;
