//! Vouchers and requests as others would make and read them.

mod accept;
mod anchors;
#[path = "../../../ca/tests/ca/certify.rs"]
mod certify;
mod fixed;
mod frozen;
mod fuzz;
mod hostile;
mod json;
mod openssl;
mod request;
mod support;
