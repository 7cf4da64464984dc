//! Vouchers and requests as others would make and read them. Certificates are made here, by OpenSSL.

mod accept;
mod fixed;
mod frozen;
mod hostile;
mod json;
mod message;
mod openssl;
mod path;
mod request;
mod sign;
mod support;
