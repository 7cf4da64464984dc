//! A box's first boot, and its life from then on, against a model of the world: registrars of two organisations, a network
//! that loses and mixes up messages, a TPM's counter, a disk, clocks, and power that goes at any time. Vouchers,
//! certificates, bundles and admissions are real, made with real keys; the TPM's part of the appraisal is a model, with
//! real messages.

mod crash;
mod frozen;
mod hostile;
mod house;
mod keep;
mod keep_clock;
mod keep_crash;
mod keep_properties;
mod keep_refusals;
mod machine;
mod offers;
mod properties;
mod refusals;
mod registrar;
mod resume;
mod straight;
mod support;
mod unexpected;
