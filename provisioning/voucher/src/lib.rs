//! Vouchers: how a box learns whose it is. The authority that sold the box (the MASA) signs that the box with this
//! serial number belongs to the organisation with this certificate.
//!
//! - [`Voucher`] and [`VoucherRequest`] are the texts, JSON (RFC 8366 §5.3, RFC 8995 §3).
//! - [`cms`](dolmen_provisioning_ca::cms) signs them and checks signatures: CMS SignedData (RFC 5652) of the type
//!   [`JSON_VOUCHER`].
//! - [`accept`] is the box's rule: which voucher it follows.
//! - [`check_request`] is the rule of the authority: which request it answers with a voucher. [`VoucherBuilder::sold`]
//!   is for those that it signs when it sells a box.
//!
//! A box that asks has made up a nonce, and the voucher repeats it. A voucher that was made without being asked, which
//! is sold with the box or comes on a stick, has an [`OwnershipEpoch`] instead: the box keeps a counter in its TPM and
//! follows only an epoch that is greater. So nothing rests on a clock: validity periods of certificates and the times
//! in vouchers are for people, and no decision here looks at them.
//!
//! Nothing here does IO, reads a clock or has randomness: nonces and times are passed in. Bytes from anywhere may come
//! in: the answer is a value or an error that says what does not hold. Bounds on what is read stand in `limits.rs`.

mod json;
mod limits;
mod masa;
mod pledge;
mod prior;
mod refusal;
mod request;
mod roots;
mod values;
mod voucher;

pub use json::{JSON_VOUCHER, JsonError};
pub use masa::{SaleError, VoucherBuilder, check_request};
pub use pledge::{Accepted, Expectation, Registrar, RegistrarError, accept};
pub use prior::PledgeRequest;
pub use refusal::{Refusal, RequestRefusal, Whose};
pub use request::{Form, VoucherRequest};
pub use roots::{IdevidRoots, MasaRoots, OrganisationRoots};
pub use values::{KeyIdentifier, Nonce, OwnershipEpoch, SerialNumber, ValueError};
pub use voucher::{Assertion, Freshness, Voucher};
