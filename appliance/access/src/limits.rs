//! The bounds, each with the reason for its number.

/// Users of a box: those of one organisation who look after it, with room.
pub(crate) const USERS_MAX: usize = 64;
/// API tokens of a box: some for each thing that watches it.
pub(crate) const TOKENS_MAX: usize = 128;
/// Passkeys of a user: his devices, twice.
pub(crate) const PASSKEYS_MAX: usize = 16;
/// Recovery codes of a user: a list that is printed once.
pub(crate) const RECOVERY_CODES: usize = 8;
/// Groups of four characters, five bits each, of a recovery code: 120 bits. From 112 on a plain hash may keep it (OWASP
/// ASVS 5.0 §6.5.2).
pub(crate) const RECOVERY_GROUPS: usize = 6;
/// The same of a one-time password: 80 bits, which nobody guesses at a server that makes one wait.
pub(crate) const ONE_TIME_GROUPS: usize = 4;
/// How long a one-time password holds: over a weekend.
pub(crate) const ONE_TIME_SECONDS: u64 = 4 * 24 * 60 * 60;

/// Characters of a name.
pub(crate) const NAME_CHARS_MAX: usize = 64;
/// Characters of a password (OWASP ASVS 5.0 §6.2.1 asks for 8 at least).
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of a password: longer ones say no more, and are hashed (OWASP ASVS 5.0 §6.2.9 asks for room for 64 characters).
pub(crate) const PASSWORD_BYTES_MAX: usize = 128;
/// Memory of a stored hash in KiB, its passes and lanes: more than we would ever write, less than hurts a box.
pub(crate) const HASH_MEMORY_KIB_MAX: u32 = 64 << 10;
/// See [`HASH_MEMORY_KIB_MAX`].
pub(crate) const HASH_PASSES_MAX: u32 = 8;
/// See [`HASH_MEMORY_KIB_MAX`].
pub(crate) const HASH_LANES_MAX: u32 = 4;

/// How long a session lasts that nobody uses.
pub(crate) const SESSION_IDLE_SECONDS: u64 = 15 * 60;
/// How long a session lasts: a working day with its breaks (OWASP ASVS 5.0 §7.3).
pub(crate) const SESSION_SECONDS: u64 = 12 * 60 * 60;
/// Sessions of a user: his browsers.
pub(crate) const SESSIONS_PER_USER: usize = 8;
/// Sessions in all.
pub(crate) const SESSIONS_MAX: usize = 256;
/// Days of an API token: somebody looks at each once a year.
pub(crate) const TOKEN_DAYS_MAX: u32 = 366;
/// How old a token's last use on the disk may be: no write for each request.
pub(crate) const LAST_USED_SECONDS: u64 = 60 * 60;

/// How long a ceremony of WebAuthn waits: as long as browsers do.
pub(crate) const CEREMONY_SECONDS: u64 = 5 * 60;
/// Ceremonies that wait, some 2 KB each.
pub(crate) const CEREMONIES_MAX: usize = 512;
/// Of them those from one address: nobody fills the table alone.
pub(crate) const CEREMONIES_PER_SOURCE: usize = 8;
/// How long a TOTP secret waits to be confirmed.
pub(crate) const TOTP_SECONDS: u64 = 10 * 60;

/// Wrong passwords of one user from one address before it has to wait: typing errors.
pub(crate) const PAIR_FREE: u32 = 5;
/// The same of one address, for all users: several people behind one router.
pub(crate) const SOURCE_FREE: u32 = 20;
/// The same of one user, from all addresses he never logged in from.
pub(crate) const USER_FREE: u32 = 50;
/// The first wait, which doubles with each wrong password.
pub(crate) const WAIT_SECONDS: u64 = 2;
/// The longest wait: 100 guesses a day, against 60 bits or 10^6 codes, of which 3 count at once.
pub(crate) const WAIT_SECONDS_MAX: u64 = 15 * 60;
/// When wrong passwords are forgotten.
pub(crate) const FORGET_SECONDS: u64 = 24 * 60 * 60;
/// Addresses, and pairs of users and addresses, whose wrong passwords are counted, 100 bytes each.
pub(crate) const SOURCES_MAX: usize = 4096;
/// Names that are no user's share this many counters.
pub(crate) const UNKNOWN_COUNTERS: usize = 256;
/// Addresses that a user logged in from, which others cannot make wait.
pub(crate) const KNOWN_PER_USER: usize = 4;

/// Passwords that can be hashed at once, and how many a second: 20 ms each, a fifth of one core.
pub(crate) const HASH_BURST: u32 = 16;
/// See [`HASH_BURST`].
pub(crate) const HASHES_PER_SECOND: u32 = 8;
/// Changes that one user can make at once, and how long one more takes: 8,640 a day, 3 MB of journal.
pub(crate) const CHANGES_BURST: u32 = 60;
/// See [`CHANGES_BURST`].
pub(crate) const CHANGES_SECONDS: u64 = 10;
/// Refusals that are recorded at once, and how long one more takes: 1,440 a day, 0.5 MB of journal.
pub(crate) const REFUSALS_BURST: u32 = 120;
/// See [`REFUSALS_BURST`].
pub(crate) const REFUSALS_SECONDS: u64 = 60;

/// Records that are kept in memory, some 300 bytes each: pages that people look at.
pub(crate) const AUDIT_RECENT: usize = 2048;
/// Records of a page.
pub(crate) const AUDIT_PAGE: usize = 200;
/// Characters of an action's target, and of what was said to it.
pub(crate) const AUDIT_CHARS_MAX: usize = 200;
/// Bytes of the file of users: 64 users with 16 passkeys of 2 KB, twice.
pub(crate) const STATE_BYTES_MAX: usize = 4 << 20;

const _: () = assert!(SESSIONS_PER_USER <= SESSIONS_MAX && CEREMONIES_PER_SOURCE <= CEREMONIES_MAX);
const _: () = assert!(WAIT_SECONDS_MAX < FORGET_SECONDS && SESSION_IDLE_SECONDS < SESSION_SECONDS);
