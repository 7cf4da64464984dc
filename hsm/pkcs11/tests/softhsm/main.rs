//! The backend against SoftHSM, behind a library that has the faults of real tokens.
//!
//! | module | what |
//! |---|---|
//! | `device` | a SoftHSM of a test's own, and its faults |
//! | `conformance` | what every store of keys must do |
//! | `pins` | who may log in, and how often a PIN is tried |
//! | `names` | which token and key a name means, and what a key may sign for |
//! | `rotation` | rotations that stop half-way |
//! | `trap` | a device that signs ECDSA on the curve of SM2 |
//!
//! They take the packages softhsm2 and gcc.
#![cfg(test)]

mod conformance;
mod device;
mod names;
mod pins;
mod rotation;
mod trap;
