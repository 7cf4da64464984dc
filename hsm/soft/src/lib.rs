//! Keys in encrypted files: for boxes without a TPM or HSM, for development, and for what no device can do.
//!
//! A key is one file of its directory, `NAME.key`, mode 0600: a JSON object with the secret under AES-256-GCM and a key
//! that Argon2id (RFC 9106) makes of a passphrase. What is not secret in it is authenticated with it. While a key is
//! open its secret is in this process's memory; it is wiped when the last user lets go.

mod file;
mod passphrase;
mod store;

pub use store::SoftStore;

#[cfg(test)]
mod tests;
