//! A box's first boot against a model of the world: registrars of two organisations, a network that loses and mixes up
//! messages, a TPM's counter, a disk, and power that goes at any time. Vouchers, certificates, bundles and admissions are
//! real, made with real keys; the TPM's part of the appraisal is a model, with real messages.

mod crash;
mod frozen;
mod hostile;
mod machine;
mod offers;
mod properties;
mod refusals;
mod registrar;
mod resume;
mod straight;
mod support;
mod unexpected;
