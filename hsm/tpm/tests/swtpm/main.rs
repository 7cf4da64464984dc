//! Everything that needs a TPM, each test with a TPM of software of its own.

mod conformance;
mod epoch;
mod evidence;
mod files;
mod idevid;
mod lease;
mod restless;
mod sealing;
mod support;
