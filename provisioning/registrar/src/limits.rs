//! The bounds, each with the reason for its number. Those of messages stand in the crates of the messages.

/// Boxes that a registrar knows, those that are gone among them: an organisation has some hundred.
pub(crate) const BOXES_MAX: usize = 10_000;
/// Boxes that wait for an approval, whatever the policy says: more than anybody would go through by hand.
pub(crate) const WAITING_MAX: usize = 1_000;
/// Boxes that were approved before they came.
pub(crate) const EXPECTED_MAX: usize = BOXES_MAX;
/// Vouchers that are kept: one for each box.
pub(crate) const VOUCHERS_MAX: usize = BOXES_MAX;
/// Bytes of a voucher that is kept: ours have some 3 KB.
pub(crate) const VOUCHER_BYTES_MAX: usize = 16 << 10;
/// Bytes of a box's request for a voucher, which a registrar has to be able to repeat in its own.
pub(crate) const VOUCHER_REQUEST_BYTES_MAX: usize = 32 << 10;
/// Boxes that wait for a voucher, each of whose requests is kept: 32 MiB of them.
pub(crate) const WANTED_MAX: usize = 1_000;
/// Boxes that were given a challenge and have not answered. Each has its logs, 1 MiB at most, in memory.
pub(crate) const CHALLENGES_MAX: usize = 64;
/// How long a challenge waits: a TPM takes seconds, a box that was switched off in between begins anew.
pub(crate) const CHALLENGE_SECONDS: u64 = 300;
/// As [`CHALLENGES_MAX`], of those whose letters come on a stick. They wait long, and take nobody's place on the network.
pub(crate) const CARRIED_CHALLENGES_MAX: usize = 64;
/// How long a challenge waits that goes back on a stick: somebody carries it to another site and comes back.
pub(crate) const CARRIED_CHALLENGE_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Enrolled boxes that were asked for a quote and have not answered. Each has its appraisal in memory, some 2 KB.
pub(crate) const QUOTES_MAX: usize = 1_000;
/// Requests of a box that are remembered, so that none of them is taken again after a later one.
pub(crate) const NONCES_MAX: usize = 8;
/// Certificates of a box that hold: one, some that were lost on their way, and one for each renewal.
pub(crate) const CERTIFICATES_MAX: usize = 16;
/// Certificates that TLS shows of a peer: its own, and those of its authorities.
pub(crate) const PEER_CERTIFICATES_MAX: usize = 5;
/// Bytes of a report on a voucher or an enrolment.
pub(crate) const REPORT_BYTES_MAX: usize = 4 << 10;
/// Bytes of a request for a certificate: 8 KiB in Base64, in lines.
pub(crate) const CERTIFICATE_REQUEST_BYTES_MAX: usize = 12 << 10;
/// Characters of what a peer or a person gives for a reason, and of an error in a record.
pub(crate) const REASON_CHARS_MAX: usize = 300;
/// Characters of an address or of a person's name.
pub(crate) const NAME_CHARS_MAX: usize = 64;
/// Bytes of a policy: some thousand serial numbers.
pub(crate) const POLICY_BYTES_MAX: usize = 1 << 20;

/// Requests that a box can send at once. Joining takes some ten.
pub(crate) const BOX_BURST: u32 = 30;
/// And how long it takes until it can send one more: a box that waits asks once in `retry-seconds`, 30 by default.
pub(crate) const BOX_SECONDS: u64 = 5;
/// When to come again for whoever asked too often: what a box asks on its way to its chain has come back by then.
pub(crate) const RATE_PAUSE_SECONDS: u32 = 60;
/// Refusals of peers that show no certificate of a known maker: all of them together, since addresses are cheap.
pub(crate) const STRANGERS_BURST: u32 = 30;
/// Each is a line of some 500 bytes in the journal: 0.7 MB a day by those who mean harm, 700 days to fill it.
pub(crate) const STRANGERS_SECONDS: u64 = 60;
/// Peers whose requests are counted one by one: all boxes by both of their certificates.
pub(crate) const BUCKETS_MAX: usize = 2 * BOXES_MAX;

const _: () = assert!(WAITING_MAX <= BOXES_MAX && WANTED_MAX <= BOXES_MAX);
