//! The bounds, each with the reason for its number.

use dolmen_hsm_evidence::PCRS;

/// Bytes of a certificate. Makers' have 800 to 1,600.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 16 << 10;
/// Certificates between a TPM's and its root that a box sends along. Makers' chains have one to three.
pub(crate) const CHAIN_CERTIFICATES_MAX: usize = 4;
/// Bytes of `TPM2B_PUBLIC`. One of RSA-3072 with a policy has some 470.
pub(crate) const PUBLIC_BYTES_MAX: usize = 1024;
/// Bytes of `TPMS_ATTEST`. A certify with names by SHA-512 has some 260.
pub(crate) const STATEMENT_BYTES_MAX: usize = 1024;
/// Bytes of `TPMT_SIGNATURE`: RSA-4096's and its algorithms.
pub(crate) const SIGNATURE_BYTES_MAX: usize = 6 + 512;
/// Bytes in `TPM2B_ID_OBJECT`: two digests by SHA-512 and their lengths.
pub(crate) const ID_OBJECT_BYTES_MAX: usize = 4 + 2 * 64;
/// Bytes in `TPM2B_ENCRYPTED_SECRET`: a number of RSA-4096.
pub(crate) const ENCRYPTED_SECRET_BYTES_MAX: usize = 512;
/// Bytes of the firmware's log. A server's boot leaves 30 to 300 KiB.
pub(crate) const FIRMWARE_LOG_BYTES_MAX: usize = 1 << 20;
/// Bytes of systemd's log. A boot leaves some 10 records of 300 bytes.
pub(crate) const USERSPACE_LOG_BYTES_MAX: usize = 64 << 10;
/// Characters of an image's version, as in its manifest.
pub(crate) const VERSION_BYTES_MAX: usize = 64;
/// Characters of a machine's serial number. RFC 8995 leaves it open; makers print 7 to 30.
pub(crate) const SERIAL_BYTES_MAX: usize = 64;

/// What a message has besides its members' bytes: names of members, digests, numbers.
const FRAME_BYTES_MAX: usize = 1024;
/// What a register with its number and its digits takes in JSON.
const REGISTER_JSON_BYTES_MAX: usize = 80;

/// Bytes of a quote and its registers in JSON.
const QUOTE_JSON_BYTES_MAX: usize =
    base64_bytes(STATEMENT_BYTES_MAX) + base64_bytes(SIGNATURE_BYTES_MAX) + PCRS * REGISTER_JSON_BYTES_MAX;
/// Bytes of both logs in JSON.
const LOGS_JSON_BYTES_MAX: usize = base64_bytes(FIRMWARE_LOG_BYTES_MAX) + base64_bytes(USERSPACE_LOG_BYTES_MAX);
/// Bytes of an enrolment: what its members have at most.
pub(crate) const ENROLMENT_JSON_BYTES_MAX: usize = FRAME_BYTES_MAX
    + (1 + CHAIN_CERTIFICATES_MAX) * base64_bytes(CERTIFICATE_BYTES_MAX)
    + 3 * base64_bytes(PUBLIC_BYTES_MAX)
    + base64_bytes(STATEMENT_BYTES_MAX)
    + base64_bytes(SIGNATURE_BYTES_MAX)
    + LOGS_JSON_BYTES_MAX;
/// Bytes of a challenge, or of the request for a later quote, which is shorter.
pub(crate) const CHALLENGE_JSON_BYTES_MAX: usize =
    FRAME_BYTES_MAX + base64_bytes(ID_OBJECT_BYTES_MAX) + base64_bytes(ENCRYPTED_SECRET_BYTES_MAX);
/// Bytes of a response.
pub(crate) const RESPONSE_JSON_BYTES_MAX: usize = FRAME_BYTES_MAX + QUOTE_JSON_BYTES_MAX;
/// Bytes of a later attestation.
pub(crate) const REATTESTATION_JSON_BYTES_MAX: usize =
    FRAME_BYTES_MAX + base64_bytes(PUBLIC_BYTES_MAX) + QUOTE_JSON_BYTES_MAX + LOGS_JSON_BYTES_MAX;
/// Bytes of an acknowledgement: its names and a number.
pub(crate) const ACKNOWLEDGEMENT_JSON_BYTES_MAX: usize = 128;

/// Bytes of a policy: a few hundred roots of 2 KB, or some thousand registered boxes.
pub(crate) const POLICY_BYTES_MAX: usize = 1 << 20;
/// Certificates that a policy trusts. All makers together have some hundred.
pub(crate) const ROOTS_MAX: usize = 256;
/// Images that an organisation keeps reference values of: years of releases.
pub(crate) const IMAGES_MAX: usize = 256;
/// Bytes of an appraisal. Ours have some 900; all 24 registers twice would be 1,600.
pub(crate) const APPRAISAL_BYTES_MAX: usize = 4 << 10;

/// Characters of so many bytes in Base64.
pub(crate) const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}
