//! What is read and made at most. Whoever sends more sends something else.

/// Bytes of the genesis file, as text: a consortium's has some 20 KB, of which a root certificate is 2 KB and a funded
/// account 100 bytes. One with ten thousand accounts fits.
pub const GENESIS_BYTES_MAX: usize = 1 << 20;
/// Boxes that a new one may call: more than vote (128), with some that follow.
pub const PEERS_MAX: usize = 256;
/// Roots of organisations: as many as a chain has organisations.
pub const ROOTS_MAX: usize = 64;
/// Bytes of a root certificate: as many as a genesis file takes.
pub const ROOT_BYTES_MAX: usize = 4 << 10;
/// Characters of an organisation's name (RFC 5280, `ub-organization-name`).
pub const NAME_CHARACTERS_MAX: usize = 64;
/// Bytes of the request in an admission: what `dolmen gov request` writes has some 600.
pub const REQUEST_BYTES_MAX: usize = 4 << 10;

/// What a text has besides its long members: names of members, hashes, numbers.
const FRAME_BYTES_MAX: usize = 2 << 10;
/// A peer: a key of 64 digits, an address of 47 characters at most, and the names of both.
const PEER_BYTES_MAX: usize = 160;
/// Bytes of JSON for one byte of text at most: `\u001f`.
const ESCAPE_BYTES_MAX: usize = 6;

/// Bytes of a chain bundle's JSON. Control characters other than ends of lines are not in a genesis file: what JSON makes
/// of quotes and ends of lines has two bytes.
pub const BUNDLE_BYTES_MAX: usize = FRAME_BYTES_MAX
    + 2 * GENESIS_BYTES_MAX
    + PEERS_MAX * PEER_BYTES_MAX
    + ROOTS_MAX * (ROOT_BYTES_MAX.div_ceil(3) * 4 + 3)
    + ESCAPE_BYTES_MAX * NAME_CHARACTERS_MAX;
/// Bytes of an admission's JSON.
pub const ADMISSION_BYTES_MAX: usize = FRAME_BYTES_MAX + 2 * REQUEST_BYTES_MAX;
/// Bytes of a message with a chain bundle: its JSON, who signed it, and their certificates.
pub const BUNDLE_MESSAGE_BYTES_MAX: usize = crate::chain::MESSAGE_BYTES_MAX;
/// Bytes of a message with an admission.
pub const ADMISSION_MESSAGE_BYTES_MAX: usize = crate::admission::MESSAGE_BYTES_MAX;
