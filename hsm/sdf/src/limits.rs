//! The bounds, each with the reason for its number.

/// Signatures that may wait for the device: at the 100 a second of a slow one, over half a second's work. A vote that
/// waits longer has lost its view.
pub(crate) const QUEUE_MAX: usize = 64;
/// Sessions of one device, unless the configuration says otherwise. Cards sign in a few units at once.
pub(crate) const SESSIONS_MAX: usize = 4;
/// Indexes that a list asks for, unless the configuration says otherwise: small devices have so many keys.
pub(crate) const KEYS_MAX: u32 = 32;
/// Bytes of a password. Makers allow 8 to 64.
pub(crate) const PASSWORD_MAX: usize = 256;
/// Bytes of a wrapped SM4 key: 16 in ECB, 48 with an initialisation vector and padding, more with a maker's header.
pub(crate) const WRAPPED_MAX: usize = 512;
/// Bytes that one call hashes. Every device takes so many.
pub(crate) const HASH_CHUNK: usize = 4096;
/// Bytes of a secret that is sealed, as `dolmen_hsm_api::Sealer` has it.
pub(crate) const SECRET_MAX: usize = 64;
