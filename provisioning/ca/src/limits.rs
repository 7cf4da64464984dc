//! What is read and made at most. Whoever sends more sends something else.

/// Bytes of a certificate: ours have some 700, those of other makers, with RSA of 4096 bits, up to 2 KB. Sets in them are
/// sorted in quadratic time, so that this bounds time too.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a request, which anybody can send: ours have some 500.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Bytes of a revocation list: an entry has some 40, so that this holds [`REVOKED_MAX`] of them.
pub(crate) const CRL_BYTES_MAX: usize = 1 << 20;
/// Entries of a revocation list: more boxes than an organisation has, each revoked more than once.
pub(crate) const REVOKED_MAX: usize = 20_000;
/// Bytes of a certs-only message, before base64.
pub(crate) const CERTS_BYTES_MAX: usize = CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX;
/// Certificates in a certs-only message: an authority, those above it, and room for a change of roots.
pub(crate) const CERTIFICATES_MAX: usize = 16;
/// Certificates in a signed message: a signer's, its authorities', and a root that some send along.
pub(crate) const SIGNED_CERTIFICATES_MAX: usize = 5;
/// Bytes of what says who signed a message and how: OpenSSL writes some 400.
pub(crate) const SIGNERS_BYTES_MAX: usize = 4 << 10;
/// Bytes of a signed message around its content: ours have some 2 KB. It is read before its signature can be checked.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 32 << 10;
/// Certificates that may be given to build a path of: OpenSSL tries them all.
pub(crate) const CANDIDATES_MAX: usize = 32;
/// Certificates between the last one and a root: ours have one, other makers two.
pub(crate) const INTERMEDIATES_MAX: usize = 4;
/// Certificates that are trusted as roots: those of the organisations of a chain.
pub(crate) const ROOTS_MAX: usize = 256;
/// Alternative names of a certificate or request.
pub(crate) const ALT_NAMES_MAX: usize = 16;
/// Characters of a name's part: the upper bounds of RFC 5280, appendix A.1.
pub(crate) const NAME_CHARS_MAX: usize = 64;
/// Bytes of a name of the DNS (RFC 1035 §2.3.4), without its last dot.
pub(crate) const DNS_BYTES_MAX: usize = 253;
/// Bytes of the address of a revocation list, and of other URIs.
pub(crate) const URI_BYTES_MAX: usize = 255;
/// Bytes of what links a request to its session: 12 for TLS 1.2's, 32 for TLS 1.3's (RFC 9266). As base64 it has to fit
/// the 255 characters of a `challengePassword` (RFC 2985 §5.4.1).
pub(crate) const BINDING_BYTES_MAX: usize = 64;
/// Characters of a label in a path of EST.
pub(crate) const LABEL_CHARS_MAX: usize = 64;
/// Characters of a time in a text: nine digits of a second and an offset make 35.
pub(crate) const TIME_CHARS_MAX: usize = 40;
/// Characters of a subject in an error, so that no certificate fills a log.
pub(crate) const SHOWN_CHARS_MAX: usize = 120;

/// Certificates, who signed, and with which digest.
const _: () =
    assert!(SIGNED_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX + 2 * SIGNERS_BYTES_MAX + 1024 <= ENVELOPE_BYTES_MAX);
const _: () = assert!(REVOKED_MAX * 50 <= CRL_BYTES_MAX);
const _: () = assert!(BINDING_BYTES_MAX.div_ceil(3) * 4 <= 255);
