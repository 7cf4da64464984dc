//! The authority, its messages, and OpenSSL as the other side.

mod certificate;
mod certify;
mod chain;
mod crl;
mod est;
mod forge;
mod frozen;
mod fuzz;
mod issue;
mod message;
mod mutate;
mod openssl;
mod path;
mod profiles;
mod register;
mod request;
mod sign;
mod support;
