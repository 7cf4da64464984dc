//! A box's first boot: how it becomes its organisation's, and its chain's (RFC 8995, RFC 7030); and how it stays so.
//!
//! ```text
//!           nothing stored   voucher stored      certificate stored  bundle stored          admission stored
//! Seeking ------------------> Owned ------------> Enrolled ---------> Bundled -------------> Member
//!   ask for a voucher          raise the epoch     fetch the bundle    ask for the admission
//!                              show TPM and image
//!                              ask for a certificate
//! ```
//!
//! [`Pledge`] is a state machine without IO, clock and randomness. [`Pledge::next`] says the one thing to do now, a
//! [`Step`]; whoever drives it does that, and tells what came of it by [`Pledge::done`]. So there is nothing to decide
//! for the driver:
//!
//! ```text
//! loop {
//!     let outcome = match pledge.next() {
//!         Step::Joined { bundle, .. } => break,
//!         step => drive(step).await,
//!     };
//!     pledge.done(outcome)?;
//! }
//! ```
//!
//! Power may go at any time. What has to outlive that is a [`Record`], which [`Step::Store`] has stored; the next start
//! begins with [`Pledge::resume`]. All that the record says is checked again, as if it had just come in: who signed the
//! voucher, whose the certificate is, for which box the bundle is. A record of a former owner is told by the TPM's
//! ownership epoch, which is greater than the record's then, and is passed over.
//!
//! # Order
//!
//! A voucher that is followed is stored first, and then the TPM's epoch is raised to it. Between the two the stored
//! voucher is the one that the next start goes on with; before, the next start asks again, and the same voucher is
//! followed for the same owner; after, no voucher with this epoch or a lower one is followed any more. So a box has one
//! owner for each epoch, whenever power goes.
//!
//! # Later
//!
//! A member goes on with a [`Keeper`], which is driven in the same way and has no end. It works in rounds:
//!
//! ```text
//! at the start; when the registrar said so; when asked to     the certificate has expired, or is none for the registrar;
//!           |                                                 or an operator allowed other firmware
//!           |                                                           |
//! Attest: a quote, by the box's certificate                   Enrol: TPM and image, by its maker's certificate
//!           | two thirds of its life are over                           |
//!           '---------------> Renew: another certificate <--------------'
//!                                     | stored
//!                                     '---> it is shown at once: Attest
//! ```
//!
//! The certificate in use is always the one that is stored. A new one is for the same key and the same box, and leads to
//! the same root, by the same rules as the first.
//!
//! # Whom to trust
//!
//! Hints where a registrar may be are trusted by nobody: each is tried in turn, and who does not prove to be the box's
//! owner costs a pause. The driver's TLS takes any certificate of a server that holds its key (RFC 8995 §5.1), in every
//! step: whose it is, is looked at here, by the certificates that [`Outcome::Connected`] has. From the voucher on, they
//! have to lead to what the voucher pinned. No rule here looks at a time: a keeper's clock says when to do something, and
//! nothing else.

mod answer;
mod appraising;
mod exchange;
mod fault;
mod hint;
mod identity;
mod keeper;
mod limits;
mod member;
mod outcome;
mod owner;
mod phase;
mod pledge;
mod record;
mod report;
mod route;
mod status;
mod step;
mod trust;

pub use hint::{Hint, HintError, Source};
pub use identity::{Identity, IdentityError};
pub use keeper::{Keeper, KeeperPhase};
pub use outcome::{Answer, Discovery, Outcome, Unexpected};
pub use owner::{ResumeError, Role};
pub use phase::Phase;
pub use pledge::{OfferRefusal, Pledge};
pub use record::{Record, RecordError};
pub use report::{Report, Who};
pub use route::backoff_seconds;
pub use step::{Client, Connect, Key, Method, Request, Step, Trust};
pub use trust::CertificateRefusal;
