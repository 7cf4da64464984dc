//! Directories of authorities, and OpenSSL as those who get what they sign.

mod maker;
mod organisation;
mod support;
