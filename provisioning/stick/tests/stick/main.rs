//! A box and its registrar, with a stick between them. Both are real: the machine of `provisioning/pledge` with a TPM
//! of software, and the registrar of `provisioning/registrar`. What is made up is the box's disk, the stick, and who
//! carries it.

mod formats;
mod hostile;
mod joining;
#[path = "../../../registrar/tests/registrar/machine.rs"]
#[allow(dead_code, reason = "the tests of registrars need more of it")]
mod machine;
#[path = "../../../appraisal/tests/appraisal/measured.rs"]
mod measured;
mod power;
mod replays;
mod site;
#[path = "../../../appraisal/tests/appraisal/support.rs"]
#[allow(dead_code, reason = "the tests of appraisals need more of it")]
mod support;
#[path = "../../../registrar/tests/registrar/world.rs"]
#[allow(dead_code, reason = "the tests of registrars need more of it")]
mod world;
