//! Joining without a network: a stick that somebody carries takes the place of the connection between a box and its
//! registrar. What is asked and answered is the same, and so are those who decide: the machine of `provisioning/pledge`
//! and the registrar of `provisioning/registrar`.
//!
//! ```text
//! box                      stick                          registrar
//!  |                          <-- reply-0: voucher ---------- |   written ahead
//!  | followed: the box has an owner                           |
//!  | letter-1: cacerts, enrolment, report -->                 |
//!  |                          <-- reply-1: certs, challenge - |
//!  | letter-2: response, simpleenroll, bundle -->             |
//!  |                          <-- reply-2: LDevID, bundle --- |
//!  | letter-3: admission, by the LDevID -->                   |
//!  |                          <-- reply-3: role ------------- |   or 202: put the stick in again later
//! ```
//!
//! So a stick goes to the registrar three times, after one that was prepared there. It cannot be less often without
//! giving up a rule: a challenge answers an enrolment, a response answers the challenge, and an admission names the
//! chain and is signed by a key whose certificate answered the response. A box that gets no prepared stick writes a
//! letter without requests first, and is given its voucher with the reply: a fourth time.
//!
//! # Messages
//!
//! Both are JSON in CMS SignedData ([`cms`](dolmen_provisioning_ca::cms), content type `id-data`), which
//! `openssl cms -verify` reads.
//!
//! - A [`Letter`] is signed by the box: by its maker's certificate (IDevID), and by its organisation's (LDevID) once it
//!   has one. Its requests are those that the box would have sent over a connection, and the certificates in the
//!   message are those that TLS would have shown of it.
//! - A [`Reply`] is signed by the registrar. It names the letter by SHA-256, and the certificates in it are those that
//!   TLS would have shown of the registrar.
//!
//! Files are called `dolmen/BOX/letter-7.cms` and `dolmen/BOX/reply-7.cms` ([`directory`], [`Name`]). Whatever a name
//! says, what counts is signed.
//!
//! # What a connection gave, and what takes its place
//!
//! | TLS | here |
//! |---|---|
//! | the peer holds the key of its certificate | it signed the message |
//! | an answer is to this request | the reply has the letter's hash, and answers stand in the order of the requests |
//! | nothing is sent twice | letters have numbers that grow, and the registrar keeps its last reply to each certificate |
//! | the registrar is the box's owner's | every reply's signer leads to what the voucher pinned, before an answer is given on |
//! | a request goes to that owner alone | the letter names him, and other organisations refuse it |
//! | the bundle goes to who holds the LDevID | the request for its certificate, by that key, is in the same letter |
//! | nobody else reads it | **nothing**: whoever holds the stick reads it |
//!
//! There is no secret in it: the challenge is of use to one TPM, and keys stay where they are. But who has the stick
//! learns the box's TPM, its firmware's log, the genesis file and the addresses of the chain's boxes. Carry it
//! accordingly.
//!
//! Before a box has an owner it writes who it is, and nothing else. It believes no reply then, but offers the vouchers
//! in it to the machine, which follows one as it does any voucher from a stick: by its signature, serial number and
//! ownership epoch. Once it has followed one it connects anew, and says by that to whom replies have to lead. Vouchers
//! with a nonce do not come by stick, since a box has its nonce in memory alone.
//!
//! # Letters again
//!
//! The registrar keeps the last reply to each certificate of a box, a file: that is all that has to be remembered here,
//! and it says by its own signature to which letter and number it is. [`Arrived::visit`] is told of it:
//!
//! - The same letter again: what was done or refused is not done again. Answers that say when to come again, such as
//!   202 for an admission that was not decided, are asked for anew, so a stick can be put in until all is done.
//! - A letter with a greater number: it is answered.
//! - Another letter: nothing in it is done. The reply says which number is the next, and a box that has lost its record
//!   goes on with a new letter.
//!
//! A challenge for a letter waits for a week
//! (`dolmen_provisioning_registrar::Registrar::handle_carried`), in memory: after a restart of the registrar the
//! response is refused, and the box begins anew with its next letter.
//!
//! # Power
//!
//! The box stores each letter before it goes onto the stick ([`Task::Store`]), and each reply before the machine hears
//! of it. After a loss of power it goes on with the same letter: what it was made of is taken from it and not made
//! again (an enrolment, a response, requests for a certificate and for admission), so that its reply still fits.
//!
//! A registrar stores the reply before anybody gets it. If power goes before that, the letter is answered anew: all
//! requests may be repeated but the response, after which the box begins anew.
//!
//! # Drivers
//!
//! The box's, for each step of the machine, and whenever a stick with a reply comes:
//!
//! ```text
//! let outcome = loop {
//!     match carrier.take(&step) {
//!         Task::Yours => break perform(step),
//!         Task::Done(outcome) => break outcome,
//!         Task::Perform(other) => carrier.performed(perform(other)?)?,
//!         Task::Sign { key, unsigned } => carrier.performed(Outcome::Signed(sign(key, unsigned)?))?,
//!         Task::Store(record) => { write(record)?; carrier.performed(Outcome::Stored)? }
//!         Task::Post(post) => { put(post); offers.extend(carrier.receive(&wait_for_reply()?)?) }
//!     }
//! };
//! pledge.done(outcome)?;
//! for voucher in offers.drain(..) { pledge.offer_voucher(&voucher) }
//! ```
//!
//! The registrar's, for each letter, with the kept replies under lock:
//!
//! ```text
//! let arrived = Arrived::verify(&letter, &office)?;
//! let mut visit = arrived.visit(kept(arrived.signer()), &office)?;
//! while let Some(asked) = visit.next() { visit.answered(handle_carried(asked)?) }
//! match visit.finish(vouchers, &office)? {
//!     Finished::Kept(reply) => put(reply),
//!     Finished::Unsigned { unsigned, keep } => { let reply = sign(unsigned)?; if keep { store(&reply)? } put(reply) }
//! }
//! ```
//!
//! Nothing here does IO, reads a clock or draws random numbers. Bytes from anywhere may come in; bounds on them stand
//! in `limits.rs`.

mod carrier;
mod content;
mod letter;
pub mod limits;
mod name;
mod path;
mod refusal;
mod reply;
mod visit;

pub use carrier::{Carrier, CarrierRecordError, Post, Task, UnexpectedOutcome};
pub use content::{Body, ContentError};
pub use letter::{LETTER_MESSAGE_BYTES_MAX, Letter, Method, Request};
pub use name::{DIRECTORY, Kind, Name, NameError, directory};
pub use refusal::{LetterRefusal, ReplyRefusal};
pub use reply::{Answer, REPLY_MESSAGE_BYTES_MAX, Reply};
pub use visit::{Arrived, Asked, Finished, Office, Standing, Visit};
