//! What a registrar knows: what the records of its journal make together.

use std::collections::{BTreeMap, BTreeSet};

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Appraisal, AppraisalError, Counters, Serial};
use dolmen_provisioning_ca::{self as ca, Certificate, CrlReason, Revocation, UnixTime};

use crate::{
    Event, Record, Role, Step,
    limits::{NONCES_MAX, VOUCHERS_MAX},
    record::{OVERDUE, VERSION},
};

/// Why a record does not follow those before it. A journal that a registrar wrote has no such record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It begins otherwise.
    #[error("the journal does not begin as a registrar's; give the registrar's own journal")]
    NotBegun,
    /// It begins twice.
    #[error("the journal begins a second time; give the registrar's own journal")]
    BegunTwice,
    /// Another form of records.
    #[error(
        "the journal has records of version {0}, this program knows {VERSION}; use the program that wrote it, or newer"
    )]
    Version(u32),
    /// Another organisation's.
    #[error(
        "the journal is of the organisation with the root {found}, this registrar's is {expected}; take its own journal"
    )]
    Organisation {
        /// By the journal.
        found: Hash,
        /// By the settings.
        expected: Hash,
    },
    /// A box that never came.
    #[error("the journal says something of the box {0}, which never came; give the whole journal")]
    UnknownBox(Serial),
    /// An appraisal that is none.
    #[error("the journal's appraisal of {serial} cannot be read")]
    Appraisal {
        /// The box.
        serial: Serial,
        /// What is wrong with it.
        #[source]
        source: AppraisalError,
    },
    /// Something that is only said of boxes that did something else before.
    #[error("the journal says of the box {0} what cannot be said of it yet; give the whole journal")]
    Order(Serial),
    /// After the year 9999.
    #[error("the journal has a time after the year 9999: {0}")]
    Time(u64),
}

/// Whether a box may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody has to say.
    Waiting,
    /// It may.
    Approved,
    /// It may not, for this reason.
    Declined(String),
    /// It was cast out, for this reason.
    Revoked(String),
    /// This box came in its place.
    Replaced(Serial),
}

/// A request for a voucher, by its hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of its nonce.
    pub nonce: Option<Hash>,
    /// Of the message.
    pub message: Hash,
}

/// What was found about a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraised {
    /// At its enrolment.
    pub appraisal: Appraisal,
    /// How often its TPM had been started when it was last judged.
    pub seen: Counters,
    /// When it was last judged, seconds since 1970.
    pub at: u64,
}

/// How a box stands on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It asked, and nothing is decided.
    Asked,
    /// It is one of the chain's.
    Admitted(Role),
    /// It will not be one, for this reason.
    TurnedAway(String),
    /// It was one.
    Retired,
}

/// A box, as its registrar knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxState {
    /// SHA-256 of its maker's certificate.
    pub idevid: Hash,
    /// When it first came, seconds since 1970.
    pub since: u64,
    /// Whether it may join.
    pub standing: Standing,
    /// Its last requests for vouchers, the latest last.
    pub asked: Vec<Asked>,
    /// The latest of them as it was sent, where there was no voucher.
    pub wanted: Option<Vec<u8>>,
    /// SHA-256 of the voucher that it was given.
    pub voucher: Option<Hash>,
    /// What it said of its voucher, and why.
    pub voucher_report: Option<(bool, Option<String>)>,
    /// What it said of its certificate, and why.
    pub enrolment_report: Option<(bool, Option<String>)>,
    /// What was found about it.
    pub appraised: Option<Appraised>,
    /// Its certificates that hold, the latest last.
    pub certificates: Vec<Certificate>,
    /// SHA-256 of the last bundle that it was given.
    pub bundle: Option<Hash>,
    /// What it asked of the chain, and how it stands there.
    pub membership: Option<(String, Membership)>,
    /// What it asked before, by another key that may be one of the chain's: that key is retired first, and the present
    /// request comes after that.
    pub former: Option<String>,
    /// Since when it asks for that, seconds since 1970.
    pub asked_since: Option<u64>,
    /// When it was last admitted as what it was not before, seconds since 1970. What it showed by then was of another
    /// role, or of none.
    pub admitted: Option<u64>,
    /// Whether it has shown itself since then. Times alone do not tell: both may be in one second.
    pub shown: bool,
    /// In whose place it comes.
    pub replaces: Option<Serial>,
    /// Why somebody should look at it.
    pub alarm: Option<String>,
    /// Whether its next enrolment may find other firmware.
    pub may_change: bool,
}

/// All that a registrar has to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    organisation: Option<Hash>,
    boxes: BTreeMap<Serial, BoxState>,
    expected: BTreeSet<Serial>,
    vouchers: BTreeMap<Serial, Vec<u8>>,
    revoked: BTreeMap<ca::Serial, Revocation>,
    crl_number: u64,
}

impl State {
    /// SHA-256 of the organisation's root; none before the first record.
    #[must_use]
    pub const fn organisation(&self) -> Option<Hash> {
        self.organisation
    }

    /// The boxes that came.
    #[must_use]
    pub const fn boxes(&self) -> &BTreeMap<Serial, BoxState> {
        &self.boxes
    }

    /// Boxes that were approved and have not come.
    #[must_use]
    pub const fn expected(&self) -> &BTreeSet<Serial> {
        &self.expected
    }

    /// Vouchers that were brought, as they were signed.
    #[must_use]
    pub const fn vouchers(&self) -> &BTreeMap<Serial, Vec<u8>> {
        &self.vouchers
    }

    /// Certificates that were taken back.
    #[must_use]
    pub const fn revoked(&self) -> &BTreeMap<ca::Serial, Revocation> {
        &self.revoked
    }

    /// The number of the last list of revoked certificates.
    #[must_use]
    pub const fn crl_number(&self) -> u64 {
        self.crl_number
    }

    /// Boxes that wait for somebody to approve them.
    pub fn waiting(&self) -> impl Iterator<Item = &Serial> {
        self.boxes.iter().filter(|(_, one)| one.standing == Standing::Waiting).map(|(serial, _)| serial)
    }

    /// Boxes that wait for a voucher.
    pub fn wanted(&self) -> impl Iterator<Item = &Serial> {
        self.boxes.iter().filter(|(_, one)| one.wanted.is_some()).map(|(serial, _)| serial)
    }

    /// Takes what happened at a time, in seconds since 1970, into account.
    ///
    /// # Errors
    ///
    /// [`StateError`] for what does not follow; nothing has changed then.
    pub fn apply(&mut self, time: u64, record: &Record) -> Result<(), StateError> {
        if self.organisation.is_none() && !matches!(record.what, Event::Began { .. }) {
            return Err(StateError::NotBegun);
        }
        match &record.what {
            Event::Began { version, organisation } => return self.begin(*version, *organisation),
            Event::Seen { serial, idevid } => self.see(time, serial, *idevid),
            Event::Approved { serial } => match self.boxes.get_mut(serial) {
                Some(one) => one.standing = Standing::Approved,
                None => {
                    self.expected.insert(serial.clone());
                }
            },
            Event::Declined { serial, reason } => {
                self.expected.remove(serial);
                if let Some(one) = self.boxes.get_mut(serial) {
                    one.standing = Standing::Declined(reason.clone());
                    one.wanted = None;
                }
            }
            Event::Asked { serial, nonce, message, request } => {
                let one = self.get(serial)?;
                one.asked.push(Asked { nonce: *nonce, message: *message });
                let more = one.asked.len().saturating_sub(NONCES_MAX);
                one.asked.drain(..more);
                one.wanted = request.as_ref().map(|request| request.as_slice().to_vec());
            }
            Event::Imported { serial, voucher } => {
                if self.vouchers.len() < VOUCHERS_MAX || self.vouchers.contains_key(serial) {
                    self.vouchers.insert(serial.clone(), voucher.as_slice().to_vec());
                }
                if let Some(one) = self.boxes.get_mut(serial) {
                    one.wanted = None;
                }
            }
            Event::Given { serial, voucher } => self.get(serial)?.voucher = Some(*voucher),
            Event::Reported { serial, step, status, reason } => {
                let one = self.get(serial)?;
                let report = match step {
                    Step::Voucher => &mut one.voucher_report,
                    Step::Enrolment => &mut one.enrolment_report,
                };
                *report = Some((*status, reason.clone()));
            }
            Event::Bundled { serial, bundle } => self.get(serial)?.bundle = Some(*bundle),
            Event::Alarm { serial, code } => self.get(serial)?.alarm = Some(code.clone()),
            Event::CrlSigned { number } => self.crl_number = *number,
            Event::Exported { .. } | Event::Refused { .. } => {}
            _ => return self.apply_member(time, &record.what),
        }
        Ok(())
    }

    /// What happens to boxes that were appraised.
    fn apply_member(&mut self, time: u64, event: &Event) -> Result<(), StateError> {
        match event {
            Event::Appraised { serial, appraisal } => {
                let read = Appraisal::from_bytes(appraisal.as_slice());
                let appraisal = read.map_err(|source| StateError::Appraisal { serial: serial.clone(), source })?;
                let one = self.get(serial)?;
                one.appraised = Some(Appraised { seen: appraisal.counters(), appraisal, at: time });
                (one.alarm, one.may_change) = (None, false);
            }
            Event::Attested { serial, resets, restarts, .. } => {
                let one = self.get(serial)?;
                let appraised = one.appraised.as_mut().ok_or_else(|| StateError::Order(serial.clone()))?;
                appraised.seen = Counters { resets: *resets, restarts: *restarts };
                appraised.at = time;
                one.shown = true;
                if one.alarm.as_deref() == Some(OVERDUE) {
                    one.alarm = None;
                }
            }
            Event::Cleared { serial } => {
                let one = self.get(serial)?;
                (one.alarm, one.may_change) = (None, true);
            }
            Event::Issued { serial, certificate } => {
                let one = self.get(serial)?;
                // What is over need not be taken back.
                one.certificates.retain(|held| held.validity().not_after().as_secs() >= time);
                one.certificates.push(certificate.clone());
            }
            Event::Superseded { serial, certificate } => {
                let date = unix(time)?;
                self.get(serial)?.certificates.retain(|held| held != certificate);
                self.revoke(std::slice::from_ref(certificate), Revocation { date, reason: CrlReason::Superseded });
            }
            Event::AdmissionAsked { serial, request } => {
                self.get(serial)?.ask(request);
                self.get(serial)?.asked_since = Some(time);
            }
            Event::AskedAgain { serial } => {
                self.member(serial, Membership::Asked)?;
                self.get(serial)?.asked_since = Some(time);
            }
            Event::Admitted { serial, role } => {
                let (new, one) = (Membership::Admitted(*role), self.get(serial)?);
                let is_new = one.membership.as_ref().is_some_and(|(_, held)| *held != new);
                if is_new {
                    (one.admitted, one.shown) = (Some(time), false);
                }
                self.member(serial, new)?;
            }
            Event::TurnedAway { serial, reason } => self.member(serial, Membership::TurnedAway(reason.clone()))?,
            Event::Retired { serial } => self.member(serial, Membership::Retired)?,
            Event::FormerRetired { serial } => {
                let former = self.get(serial)?.former.take();
                former.ok_or_else(|| StateError::Order(serial.clone()))?;
            }
            Event::Revoked { serial, reason } => {
                let standing = Standing::Revoked(reason.clone());
                self.cast_out(time, serial, standing, CrlReason::PrivilegeWithdrawn)?;
            }
            Event::Left { serial } => {
                self.cast_out(time, serial, Standing::Waiting, CrlReason::CessationOfOperation)?;
                self.get(serial)?.leave();
            }
            Event::Replaced { old, new } => {
                self.get(new)?;
                let standing = Standing::Replaced(new.clone());
                self.cast_out(time, old, standing, CrlReason::CessationOfOperation)?;
                self.get(new)?.replaces = Some(old.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, version: u32, organisation: Hash) -> Result<(), StateError> {
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        if self.organisation.is_some() {
            return Err(StateError::BegunTwice);
        }
        self.organisation = Some(organisation);
        Ok(())
    }

    fn see(&mut self, time: u64, serial: &Serial, idevid: Hash) {
        let standing = if self.expected.remove(serial) { Standing::Approved } else { Standing::Waiting };
        let one = BoxState {
            idevid,
            since: time,
            standing,
            asked: Vec::new(),
            wanted: None,
            voucher: None,
            voucher_report: None,
            enrolment_report: None,
            appraised: None,
            certificates: Vec::new(),
            bundle: None,
            membership: None,
            former: None,
            asked_since: None,
            admitted: None,
            shown: false,
            replaces: None,
            alarm: None,
            may_change: false,
        };
        self.boxes.insert(serial.clone(), one);
    }

    fn get(&mut self, serial: &Serial) -> Result<&mut BoxState, StateError> {
        self.boxes.get_mut(serial).ok_or_else(|| StateError::UnknownBox(serial.clone()))
    }

    fn member(&mut self, serial: &Serial, state: Membership) -> Result<(), StateError> {
        let membership = self.get(serial)?.membership.as_mut();
        membership.ok_or_else(|| StateError::Order(serial.clone()))?.1 = state;
        Ok(())
    }

    fn cast_out(
        &mut self,
        time: u64,
        serial: &Serial,
        standing: Standing,
        reason: CrlReason,
    ) -> Result<(), StateError> {
        let date = unix(time)?;
        let one = self.get(serial)?;
        one.standing = standing;
        one.wanted = None;
        let certificates = std::mem::take(&mut one.certificates);
        self.revoke(&certificates, Revocation { date, reason });
        Ok(())
    }

    fn revoke(&mut self, certificates: &[Certificate], revocation: Revocation) {
        self.revoked.extend(certificates.iter().map(|certificate| (certificate.serial().clone(), revocation)));
    }
}

fn unix(time: u64) -> Result<UnixTime, StateError> {
    UnixTime::from_secs(time).map_err(|_| StateError::Time(time))
}
