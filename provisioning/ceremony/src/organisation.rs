//! An organisation's root: it certifies registrars and the authorities that they issue with.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::Signer;
use dolmen_provisioning_ca::{
    Authority, Certificate, Crl, GeneralName, Order, Profile, Request, Serial, Subject, UnixTime,
    register::{Event, Reason, Register},
};
use dolmen_provisioning_journal::Journal;
use openssl::x509::X509Crl;
use serde::{Deserialize, Serialize};

use crate::{CeremonyError, Moment, files};

/// The file of all that was signed.
const JOURNAL: &str = "journal";
/// What others trust.
const ROOT: &str = "root.pem";
/// The last list of revoked certificates.
const CRL: &str = "crl.pem";

/// A line of an organisation's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrganisationRecord {
    /// The first one: the root was made.
    Founded {
        /// What the organisation is called.
        organisation: String,
        /// The root.
        root: Certificate,
    },
    /// What the root did since.
    Root {
        /// What.
        event: Event,
    },
}

/// A certificate that is asked for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// [`Profile::Registrar`] or [`Profile::Issuing`].
    pub profile: Profile,
    /// Shows that somebody holds the key. Nothing else is taken from it.
    pub request: &'a Request,
    /// What the holder is called, within the organisation.
    pub common_name: &'a str,
    /// How clients of TLS call it.
    pub alt_names: Vec<GeneralName>,
    /// How long it holds; not longer than the root does.
    pub days: u32,
}

/// An organisation's directory, open to sign. No other process has it open.
#[derive(Debug)]
pub struct Organisation {
    directory: PathBuf,
    journal: Journal<OrganisationRecord>,
    name: String,
    root: Certificate,
    register: Register,
}

impl Organisation {
    /// Makes the root of an organisation, in a directory of its own.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Founded`] where the directory has one.
    pub async fn found(
        directory: &Path,
        name: &str,
        key: Arc<dyn Signer>,
        days: u32,
        moment: Moment,
    ) -> Result<Self, CeremonyError> {
        fs::create_dir_all(directory).map_err(|source| CeremonyError::Io { path: directory.into(), source })?;
        let (mut journal, entries) = Journal::open(&directory.join(JOURNAL))?;
        if !entries.is_empty() {
            return Err(CeremonyError::Founded(directory.into()));
        }
        let subject = Subject::new(name, &format!("{name} root")).map_err(CeremonyError::Name)?;
        let validity = moment.validity(days, UnixTime::MAX).map_err(CeremonyError::Time)?;
        let root = Authority::root(key, subject, validity, moment.serial()).await.map_err(CeremonyError::Issue)?;
        let root = root.certificate().clone();
        let record = OrganisationRecord::Founded { organisation: name.to_owned(), root: root.clone() };
        journal.append(moment.now.as_secs(), record)?;
        let this =
            Self { directory: directory.into(), journal, name: name.to_owned(), root, register: Register::default() };
        this.write_root()?;
        Ok(this)
    }

    /// Opens an organisation's directory.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::NotFounded`], and what is wrong with its journal.
    pub fn open(directory: &Path) -> Result<Self, CeremonyError> {
        let path = directory.join(JOURNAL);
        // Opening a journal makes one.
        if !path.exists() {
            return Err(CeremonyError::NotFounded(directory.into()));
        }
        let (journal, entries) = Journal::open(&path)?;
        let mut entries = entries.into_iter();
        let Some(OrganisationRecord::Founded { organisation, root }) = entries.next().map(|entry| entry.record) else {
            return Err(CeremonyError::NotFounded(directory.into()));
        };
        let mut register = Register::default();
        for entry in entries {
            let OrganisationRecord::Root { event } = entry.record else {
                return Err(CeremonyError::NotFounded(directory.into()));
            };
            let line = entry.number;
            register.apply(&event).map_err(|source| CeremonyError::Register { line, source })?;
        }
        let this = Self { directory: directory.into(), journal, name: organisation, root, register };
        this.write_root()?;
        Ok(this)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> &Certificate {
        &self.root
    }

    /// What was issued and revoked.
    #[must_use]
    pub const fn register(&self) -> &Register {
        &self.register
    }

    /// Issues a certificate to a registrar, or to the authority that it issues with.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`]; nothing has left the directory then.
    pub async fn issue(
        &mut self,
        key: Arc<dyn Signer>,
        wanted: Wanted<'_>,
        moment: Moment,
    ) -> Result<Certificate, CeremonyError> {
        if !matches!(wanted.profile, Profile::Registrar | Profile::Issuing) {
            return Err(CeremonyError::Profile(wanted.profile.name()));
        }
        let order = Order {
            profile: wanted.profile,
            subject: Subject::new(&self.name, wanted.common_name).map_err(CeremonyError::Name)?,
            key: wanted.request.public_key(),
            alt_names: wanted.alt_names,
            validity: moment.validity(wanted.days, self.root.validity().not_after()).map_err(CeremonyError::Time)?,
            serial: moment.serial(),
        };
        let certificate = self.authority(key)?.issue(&order).await.map_err(CeremonyError::Issue)?;
        self.record(Event::Issued { certificate: certificate.clone() }, moment.now)?;
        Ok(certificate)
    }

    /// Revokes a certificate, for good. Others learn it from the next [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// [`CeremonyError::NotRevoked`].
    pub fn revoke(&mut self, serial: &Serial, reason: Reason, moment: Moment) -> Result<(), CeremonyError> {
        self.record(Event::Revoked { serial: serial.clone(), reason, date: moment.now }, moment.now)
    }

    /// Signs the list of what was revoked, which promises a later one within so many days, and writes it to `crl.pem`.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`].
    pub async fn list(&mut self, key: Arc<dyn Signer>, days: u32, moment: Moment) -> Result<Crl, CeremonyError> {
        let until = moment.validity(days, UnixTime::MAX).map_err(CeremonyError::Time)?.not_after();
        let list = self.register.next_list(moment.now, until);
        let crl = self.authority(key)?.revoke(&list).await.map_err(CeremonyError::Crl)?;
        let event = Event::Listed { number: list.number, this_update: list.this_update, next_update: list.next_update };
        self.record(event, moment.now)?;
        let path = self.directory.join(CRL);
        let pem = X509Crl::from_der(crl.der()).and_then(|crl| crl.to_pem());
        files::replace(&path, &pem.map_err(|source| CeremonyError::Certificates { path: path.clone(), source })?)?;
        Ok(crl)
    }

    fn authority(&self, key: Arc<dyn Signer>) -> Result<Authority, CeremonyError> {
        Authority::new(self.root.clone(), Vec::new(), key).map_err(CeremonyError::Authority)
    }

    fn record(&mut self, event: Event, now: UnixTime) -> Result<(), CeremonyError> {
        self.register.check(&event).map_err(CeremonyError::NotRevoked)?;
        self.journal.append(now.as_secs(), OrganisationRecord::Root { event: event.clone() })?;
        self.register.apply(&event).map_err(CeremonyError::NotRevoked)
    }

    /// Where power was lost before the file was written.
    fn write_root(&self) -> Result<(), CeremonyError> {
        let path = self.directory.join(ROOT);
        if path.exists() { Ok(()) } else { files::write_certificates(&path, std::slice::from_ref(&self.root)) }
    }
}
