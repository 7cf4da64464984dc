//! Bundles that are right, that are not, and that hostile hands made; and OpenSSL as the other side.

mod answer;
mod frozen;
mod hostile;
mod openssl;
mod read;
mod refuse;
mod support;
