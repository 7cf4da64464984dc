//! The requests that a stick carries. What they are is written down where boxes make them and registrars answer them.

pub(crate) const REQUEST_VOUCHER: &str = "/.well-known/brski/requestvoucher";
pub(crate) const VOUCHER_STATUS: &str = "/.well-known/brski/voucher_status";
pub(crate) const CACERTS: &str = "/.well-known/est/cacerts";
pub(crate) const ENROLMENT: &str = "/.well-known/dolmen/enrolment";
pub(crate) const RESPONSE: &str = "/.well-known/dolmen/response";
pub(crate) const SIMPLEENROLL: &str = "/.well-known/est/simpleenroll";
pub(crate) const ENROLLSTATUS: &str = "/.well-known/brski/enrollstatus";
pub(crate) const BUNDLE: &str = "/.well-known/dolmen/bundle";
pub(crate) const ADMISSION: &str = "/.well-known/dolmen/admission";

/// Whether a request tells what became of something: whatever the answer, the box goes on.
pub(crate) fn is_report(path: &str) -> bool {
    matches!(path, VOUCHER_STATUS | ENROLLSTATUS)
}
