//! A maker of boxes: certifies them at the factory, and signs the vouchers that say whose they are (MASA).

mod ledger;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::Signer;
use dolmen_provisioning_ca::{
    Authority, Certificate, ObjectIdentifier, Order, Profile, PublicKey, Serial, Subject, UnixTime, chain::Roots,
    cms::to_sign,
};
use dolmen_provisioning_journal::Journal;
use dolmen_provisioning_voucher::{
    IdevidRoots, JSON_VOUCHER, KeyIdentifier, OrganisationRoots, OwnershipEpoch, SerialNumber, Voucher, VoucherBuilder,
    check_request,
};

pub use ledger::{Ledger, LedgerError, Machine, MakerRecord, Sale};

use crate::{Birth, CeremonyError, Moment, files, limits::SALE_BATCH};

/// The file of all that was signed.
const JOURNAL: &str = "journal";
/// What boxes trust for vouchers, and registrars for boxes.
const ROOT: &str = "root.pem";

/// The keys of a maker's authorities.
#[derive(Clone, Debug)]
pub struct MakerKeys {
    /// Of the root. It is needed once, when the others are made.
    pub root: Arc<dyn Signer>,
    /// Certifies boxes.
    pub issuing: Arc<dyn Signer>,
    /// Signs vouchers.
    pub masa: Arc<dyn Signer>,
}

/// A maker's directory, open to sign. No other process has it open.
#[derive(Debug)]
pub struct Maker {
    journal: Journal<MakerRecord>,
    directory: PathBuf,
    name: String,
    hardware: ObjectIdentifier,
    root: Certificate,
    issuing: Certificate,
    masa: Certificate,
    ledger: Ledger,
}

impl Maker {
    /// Makes a maker's authorities, in a directory of its own: a root, one that certifies boxes, and one that signs
    /// vouchers. `hardware` is the kind of its boxes, an identifier of its own (RFC 4108 §5).
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Founded`] where the directory has them.
    pub async fn found(
        directory: &Path,
        name: &str,
        hardware: ObjectIdentifier,
        keys: MakerKeys,
        days: u32,
        moments: [Moment; 3],
    ) -> Result<Self, CeremonyError> {
        fs::create_dir_all(directory).map_err(|source| CeremonyError::Io { path: directory.into(), source })?;
        let (mut journal, entries) = Journal::open(&directory.join(JOURNAL))?;
        if !entries.is_empty() {
            return Err(CeremonyError::Founded(directory.into()));
        }
        let [moment, for_issuing, for_masa] = moments;
        let subject = |what: &str| Subject::new(name, &format!("{name} {what}")).map_err(CeremonyError::Name);
        // Boxes have their certificates for good, so that those above them have no end either.
        let endless = moment.endless().map_err(CeremonyError::Time)?;
        let root = Authority::root(keys.root, subject("root")?, endless, moment.serial()).await;
        let root = root.map_err(CeremonyError::Issue)?;
        let order = |profile, what, key: &dyn Signer, validity, serial: Serial| {
            let key = PublicKey::of(key).map_err(|error| CeremonyError::Issue(error.into()))?;
            Ok::<_, CeremonyError>(Order {
                profile,
                subject: subject(what)?,
                key,
                alt_names: Vec::new(),
                validity,
                serial,
            })
        };
        let issuing = order(Profile::Issuing, "boxes", &*keys.issuing, endless, for_issuing.serial())?;
        let issuing = root.issue(&issuing).await.map_err(CeremonyError::Issue)?;
        let until = for_masa.validity(days, UnixTime::MAX).map_err(CeremonyError::Time)?;
        let masa = order(Profile::Masa, "vouchers", &*keys.masa, until, for_masa.serial())?;
        let masa = root.issue(&masa).await.map_err(CeremonyError::Issue)?;
        let root = root.certificate().clone();
        let record = MakerRecord::Founded {
            maker: name.to_owned(),
            hardware: hardware.to_string(),
            root: root.clone(),
            issuing: issuing.clone(),
            masa: masa.clone(),
        };
        journal.append(moment.now.as_secs(), record)?;
        let (directory, name, ledger) = (directory.into(), name.to_owned(), Ledger::default());
        let this = Self { journal, directory, name, hardware, root, issuing, masa, ledger };
        this.write_root()?;
        Ok(this)
    }

    /// Opens a maker's directory.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::NotFounded`], and what is wrong with its journal.
    pub fn open(directory: &Path) -> Result<Self, CeremonyError> {
        let path = directory.join(JOURNAL);
        let not_founded = || CeremonyError::NotFounded(directory.into());
        // Opening a journal makes one.
        if !path.exists() {
            return Err(not_founded());
        }
        let (journal, entries) = Journal::open(&path)?;
        let mut entries = entries.into_iter();
        let Some(MakerRecord::Founded { maker: name, hardware, root, issuing, masa }) =
            entries.next().map(|entry| entry.record)
        else {
            return Err(not_founded());
        };
        let hardware = ObjectIdentifier::new(&hardware).map_err(|_| not_founded())?;
        let mut ledger = Ledger::default();
        for entry in entries {
            let line = entry.number;
            ledger.apply(&entry.record).map_err(|source| CeremonyError::Ledger { line, source })?;
        }
        let this = Self { journal, directory: directory.into(), name, hardware, root, issuing, masa, ledger };
        this.write_root()?;
        Ok(this)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The root: what boxes and registrars trust.
    #[must_use]
    pub const fn root(&self) -> &Certificate {
        &self.root
    }

    /// The authority that certifies boxes.
    #[must_use]
    pub const fn issuing(&self) -> &Certificate {
        &self.issuing
    }

    /// Who signs vouchers.
    #[must_use]
    pub const fn masa(&self) -> &Certificate {
        &self.masa
    }

    /// Which boxes there are, and whose.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Certifies a new box. Its certificate has no end (IEEE 802.1AR §8.7). The same birth again has the same one: power
    /// may have been lost before the certificate was anywhere but here.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Refused`] where its number or its TPM is another box's.
    pub async fn certify(
        &mut self,
        key: Arc<dyn Signer>,
        birth: &Birth,
        moment: Moment,
    ) -> Result<Certificate, CeremonyError> {
        let Birth { serial_number, request, endorsement_key, ownership_epoch } = birth;
        if let Some(idevid) = self.ledger.made(serial_number, endorsement_key, request.public_key()) {
            return Ok(idevid.clone());
        }
        self.ledger.check_new(serial_number, endorsement_key).map_err(CeremonyError::Refused)?;
        let number = serial_number.as_str();
        let subject = Subject::new(&self.name, number).and_then(|subject| subject.with_machine_serial(number));
        let order = Order {
            profile: Profile::IDevId { hardware: self.hardware },
            subject: subject.map_err(CeremonyError::Name)?,
            key: request.public_key(),
            alt_names: Vec::new(),
            validity: moment.endless().map_err(CeremonyError::Time)?,
            serial: moment.serial(),
        };
        let authority = Authority::new(self.issuing.clone(), vec![self.root.clone()], key);
        let issued = authority.map_err(CeremonyError::Authority)?.issue(&order).await;
        let idevid = issued.map_err(CeremonyError::Issue)?;
        self.record(
            vec![MakerRecord::Made {
                serial_number: serial_number.clone(),
                idevid: idevid.clone(),
                endorsement_key: *endorsement_key,
                ownership_epoch: *ownership_epoch,
            }],
            moment,
        )?;
        Ok(idevid)
    }

    /// Sells boxes to the organisation with this root: signs a voucher for each, which needs no request and is good for
    /// ever, until the box follows a later one. Those that have one for this organisation keep it.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Refused`], and then for none of the boxes. Other errors leave those sold that were signed
    /// before: selling the same again gives the same vouchers.
    pub async fn sell(
        &mut self,
        key: &dyn Signer,
        serial_numbers: &BTreeSet<SerialNumber>,
        organisation: &Certificate,
        resell: bool,
        moment: Moment,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<(SerialNumber, Vec<u8>)>, CeremonyError> {
        let fingerprint = organisation.fingerprint();
        let sale = |number: &SerialNumber| Ok((number.clone(), self.ledger.sell(number, &fingerprint, resell)?));
        let sales = serial_numbers.iter().map(sale).collect::<Result<Vec<_>, _>>().map_err(CeremonyError::Refused)?;
        let (mut vouchers, mut records) = (Vec::with_capacity(sales.len()), Vec::new());
        for (serial_number, sale) in sales {
            let voucher = match sale {
                Sale::Had(voucher) => voucher,
                Sale::Needs(epoch) => {
                    let voucher = self.voucher(&serial_number, organisation, epoch, moment)?;
                    let voucher = self.sign(key, &voucher).await?;
                    records.push(vouched(&serial_number, fingerprint, epoch, false, &voucher));
                    voucher
                }
            };
            vouchers.push((serial_number, voucher));
            if records.len() >= SALE_BATCH {
                self.record(std::mem::take(&mut records), moment)?;
                progress(vouchers.len());
            }
        }
        self.record(records, moment)?;
        progress(vouchers.len());
        Ok(vouchers)
    }

    /// Answers a registrar's request, which has a box's in it (RFC 8995 §5.5), if the box was sold to the registrar's
    /// organisation, whose root is one of these.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::VoucherRequest`] and [`CeremonyError::Refused`].
    pub async fn answer(
        &mut self,
        key: &dyn Signer,
        request: &[u8],
        organisations: &OrganisationRoots,
        moment: Moment,
    ) -> Result<(SerialNumber, Vec<u8>), CeremonyError> {
        let makers = Roots::new(vec![self.root.clone()]).map_err(CeremonyError::Roots)?;
        let builder =
            check_request(request, organisations, &IdevidRoots(makers)).map_err(CeremonyError::VoucherRequest)?;
        let serial_number = builder.serial_number().clone();
        let organisation = builder.organisation().fingerprint();
        let epoch = self.ledger.answer(&serial_number, &organisation).map_err(CeremonyError::Refused)?;
        let voucher = builder.ownership_epoch(epoch).build(moment.now).map_err(CeremonyError::Json)?;
        let voucher = self.sign(key, &voucher).await?;
        self.record(vec![vouched(&serial_number, organisation, epoch, true, &voucher)], moment)?;
        Ok((serial_number, voucher))
    }

    fn voucher(
        &self,
        serial_number: &SerialNumber,
        organisation: &Certificate,
        epoch: OwnershipEpoch,
        moment: Moment,
    ) -> Result<Voucher, CeremonyError> {
        let issuer = self.issuing.key_identifier().unwrap_or_default();
        let issuer = KeyIdentifier::from_bytes(issuer).map_err(CeremonyError::Value)?;
        let voucher = VoucherBuilder::sold(serial_number.clone(), issuer, organisation.clone(), epoch);
        voucher.map_err(CeremonyError::Sale)?.build(moment.now).map_err(CeremonyError::Json)
    }

    async fn sign(&self, key: &dyn Signer, voucher: &Voucher) -> Result<Vec<u8>, CeremonyError> {
        let json = voucher.to_json().map_err(CeremonyError::Json)?;
        let unsigned = to_sign(JSON_VOUCHER, &json, std::slice::from_ref(&self.masa)).map_err(CeremonyError::Cms)?;
        unsigned.sign(key).await.map_err(CeremonyError::Sign)
    }

    fn record(&mut self, records: Vec<MakerRecord>, moment: Moment) -> Result<(), CeremonyError> {
        self.journal.append_all(moment.now.as_secs(), &records)?;
        records.iter().try_for_each(|record| self.ledger.apply(record)).map_err(CeremonyError::Refused)
    }

    /// Where power was lost before the file was written.
    fn write_root(&self) -> Result<(), CeremonyError> {
        let path = self.directory.join(ROOT);
        if path.exists() { Ok(()) } else { files::write_certificates(&path, std::slice::from_ref(&self.root)) }
    }
}

fn vouched(
    serial_number: &SerialNumber,
    organisation: [u8; 32],
    ownership_epoch: OwnershipEpoch,
    nonce: bool,
    voucher: &[u8],
) -> MakerRecord {
    let (serial_number, voucher) = (serial_number.clone(), voucher.to_vec());
    MakerRecord::Vouched { serial_number, organisation, ownership_epoch, nonce, voucher }
}
