//! The signature engine on a CPU.

mod additions;
mod arith;
mod bls;
mod builder;
mod cache;
pub mod cipher;
mod columns;
mod comb;
mod curve;
pub mod detect;
mod ecdsa;
mod ed25519;
mod engine;
mod field;
pub mod hash;
mod invert;
mod known;
mod memory;
mod point;
mod recover;
mod scalar;
mod scratch;
mod sightings;
mod single;
mod sm2;
mod u256;
mod weierstrass;

pub use detect::{CpuFeatures, Lanes};
pub use engine::{CpuConfig, CpuEngine};

#[cfg(test)]
mod testing;
