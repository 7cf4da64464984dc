//! The vector suite: what must hold for our engine on every code path of the machine it runs on, and for the libraries
//! beside it.
//!
//! | module | what |
//! |---|---|
//! | `wycheproof`, `standards` | vectors of others |
//! | `edges` | inputs that only an attacker makes, by the rules at [`Algorithm`](dolmen_accel_api::Algorithm) |
//! | `batches` | bad signatures at any places of a batch, of any size |
//! | `differential` | seeded cases, each put to two implementations of others |
//! | `hostile` | streams of keys against the memory for tables |
//! | `paths` | the code paths, and how a case is put to all of them |
//! | `curve`, `support` | curves to make cases with, cases |
//!
//! `DOLMEN_FUZZ_CASES` sets how many cases the differential tests make in all, `DOLMEN_FUZZ_SEED` which.
#![cfg(test)]

mod batches;
mod curve;
mod differential;
mod edges;
mod hostile;
mod paths;
mod standards;
mod support;
mod wycheproof;
