//! Chain bundles and admissions as registrars and boxes make and read them.

mod admission;
mod chain;
mod frozen;
mod hostile;
mod openssl;
mod support;
