//! What a TPM 2.0 states, checked without a TPM: the side of a registrar, a manufacturer or a test.
//!
//! In the order of their use: [`check_ek_certificate`] says that a maker vouches for an endorsement key.
//! [`make_credential`] wraps a secret that only the TPM with that key opens, and only if it holds the attestation key
//! with the given name. From then on that key speaks for the TPM: [`verify_certify`] says that another key is in the
//! same TPM and cannot leave it, and [`verify_quote`] says what its registers (PCRs) hold. An [`EventLog`] and a
//! [`MeasureLog`] say how they came to hold it, and [`compare`] names the first register where the logs and the TPM
//! disagree.
//!
//! Nothing here does IO or reads a clock. Whatever bytes come in, the answer is a value or an [`EvidenceError`] that
//! says what does not hold. Bounds on what is read stand in `limits.rs`.
//!
//! Sources are the Trusted Computing Group's "TPM 2.0 Library" (revision 1.59, cited by part), "PC Client Platform
//! Firmware Profile" (1.05) and "EK Credential Profile" (2.5).

mod attest;
mod certificate;
mod credential;
mod der;
mod error;
mod event_log;
mod hash;
mod key;
mod limits;
mod measure_log;
mod pcr;
mod public;
mod signature;
mod statement;
mod wire;

pub use attest::{Certified, Quote, verify_certify, verify_quote};
pub use certificate::{EkCertificate, Moment, check_ek_certificate};
pub use credential::{Credential, make_credential};
pub use error::EvidenceError;
pub use event_log::{Event, EventDigest, EventLog};
pub use hash::HashAlgorithm;
pub use key::{Curve, PublicKey};
pub use measure_log::{MeasureLog, Measurement};
pub use pcr::{PCRS, Pcrs, compare};
pub use public::{Attributes, Public, Scheme, SchemeAlgorithm, Symmetric};
pub use signature::Signature;
pub use statement::{Attested, Clock, PcrSelection, Statement};
