//! Signing ceremonies: what an organisation's authority ([`Organisation`]) and a maker of boxes ([`Maker`]) sign, and the
//! directory that remembers it.
//!
//! ```text
//! organisation                          maker
//! root ── registrar                     root ── issuing ── idevid of each box
//!      └─ issuing ── ldevid of boxes         └─ masa: signs vouchers
//! ```
//!
//! In a directory the file `journal` is what counts: everything that was signed is in it, whole, before it leaves the
//! directory. The other files are made from it, for people and programs. So power lost at any moment loses nothing that
//! anybody has seen, and who has the journal can say to the last certificate and voucher what the keys were used for.
//!
//! Keys are not in the directory's journal: they are [`Signer`](dolmen_hsm_api::Signer)s that callers open, wherever they
//! live. Clock and randomness come from callers too, as a [`Moment`].

mod birth;
mod encoding;
mod error;
mod files;
mod limits;
mod maker;
mod moment;
mod organisation;

pub use birth::{Birth, BirthError};
pub use error::CeremonyError;
pub use files::{read_certificates, read_request, write_certificates};
pub use maker::{Ledger, LedgerError, Machine, Maker, MakerKeys, MakerRecord, Sale};
pub use moment::Moment;
pub use organisation::{Organisation, OrganisationRecord, Wanted};
