//! Judging boxes: with TPMs of software that made real evidence, and with bytes that nobody should take.

mod again;
mod appraisal;
mod frozen;
mod machine;
mod measured;
mod mutated;
mod policy;
mod references;
mod refused;
mod support;
