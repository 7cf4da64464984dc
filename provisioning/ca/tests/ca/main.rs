//! The authority, its messages, and OpenSSL as the other side.

mod certificate;
mod chain;
mod crl;
mod est;
mod forge;
mod frozen;
mod issue;
mod mutate;
mod openssl;
mod profiles;
mod request;
mod support;
