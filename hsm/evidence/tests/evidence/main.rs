//! Evidence that tpm2-tools and swtpm made, keys that no TPM holds, and bytes that nobody meant.

mod attest;
mod certificate;
mod credential;
mod event_log;
mod fuzz;
mod public;
mod support;
