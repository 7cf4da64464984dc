//! What becomes of each request, in the order of joining.

mod admission;
mod attest;
mod certify;
mod departure;
mod enrol;
mod known;
mod report;
mod voucher;

pub(crate) use enrol::check_alarm;
