//! A registrar, the boxes that come to it, and what becomes of them.

mod carried;
mod frozen;
mod hostile;
mod join;
mod life;
mod machine;
#[path = "../../../appraisal/tests/appraisal/measured.rs"]
mod measured;
mod member;
mod random;
mod rejoin;
#[path = "../../../appraisal/tests/appraisal/support.rs"]
#[allow(dead_code, reason = "the tests of appraisals need more of it")]
mod support;
mod tpm;
mod vouchers;
mod world;
