//! A registrar at work: its decisions, and the journal that has each of them before anybody hears of it.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_tls::{Identity, TlsKey};
use dolmen_image_bundle::ReleaseKey;
use dolmen_provisioning_appraisal::{self as appraisal, ReferenceValues, Serial, Verifier};
use dolmen_provisioning_bundle::Organisation;
use dolmen_provisioning_ca::{Authority, chain::Roots, cms::Unsigned, renewal::Standing as CertificateStanding};
use dolmen_provisioning_ceremony::read_certificates;
use dolmen_provisioning_journal::Journal;
use dolmen_provisioning_registrar::{
    Answer, Call, Chain, Change, Effect, Fresh, Peer, Policy, Record, Refusal, Registrar, Request, Setup,
};
use dolmen_provisioning_voucher::{IdevidRoots, MasaRoots};
use tokio::{
    sync::{Mutex, Notify, mpsc, watch},
    task::block_in_place,
};
use zeroize::Zeroizing;

use super::{
    mail::Mail,
    settings::{RegistrarKeys, Settings, read_text},
};
use crate::backends::keys::{self, Keys};

/// The file of all that happened.
pub(super) const JOURNAL: &str = "journal";

/// A registrar and its journal. Both change together, or the registrar ends.
struct Office {
    registrar: Registrar,
    journal: Journal<Record>,
}

/// A registrar that requests come to.
pub(super) struct Service {
    /// None where the journal took no more.
    office: Mutex<Option<Office>>,
    broken: mpsc::Sender<anyhow::Error>,
    chain: watch::Receiver<Option<Arc<Chain>>>,
    signer: Arc<dyn Signer>,
    /// Letters of boxes that come by stick.
    pub(super) mail: Mail,
    /// Told when the chain has something to do.
    pub(super) effects: Notify,
    /// What TLS shows.
    pub(super) identity: Identity,
}

/// The keys of a registrar.
pub(crate) struct RegistrarSigners {
    /// TLS, and what boxes are told.
    pub(crate) registrar: Arc<dyn Signer>,
    /// Certificates of boxes.
    pub(crate) issuing: Arc<dyn Signer>,
    /// Transactions of the organisation, if this registrar sends any.
    pub(crate) account: Option<Arc<dyn Signer>>,
}

impl RegistrarSigners {
    /// Opens them; makes those that are missing.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let keys = Keys::new(settings.keys.devices.clone())?;
        keys::create_dir(keys.dir())?;
        let open = |uri: &KeyUri, algorithm: Algorithm, domains: &[Domain]| {
            keys.open_or_create(uri, KeySpec { algorithm, domains: domains.iter().copied().collect() })
        };
        let RegistrarKeys { registrar, issuing, .. } = &settings.keys;
        let account = settings.chain.account.as_ref();
        Ok(Self {
            registrar: open(registrar, Algorithm::EcdsaP256, &[Domain::Tls, Domain::Certificate])?,
            issuing: open(issuing, Algorithm::EcdsaP256, &[Domain::Certificate])?,
            account: account.map(|uri| open(uri, Algorithm::EcdsaSecp256k1, &[Domain::Api])).transpose()?,
        })
    }
}

impl Service {
    /// Opens the registrar of a directory; no other process has it open.
    pub(super) fn open(
        directory: &Path,
        organisation: &str,
        settings: &Settings,
        RegistrarSigners { registrar: signer, issuing, .. }: RegistrarSigners,
        chain: watch::Receiver<Option<Arc<Chain>>>,
        broken: mpsc::Sender<anyhow::Error>,
    ) -> anyhow::Result<Arc<Self>> {
        let setup = setup(organisation, settings, signer.clone(), issuing)?;
        let shown = setup.certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        let identity = Identity::new(TlsKey::new(signer.clone())?, shown);
        let mail = Mail::new(directory, &setup)?;
        let (mut journal, entries) = Journal::<Record>::open(&directory.join(JOURNAL))?;
        let records = entries.iter().map(|entry| (entry.time, &entry.record));
        let (registrar, new) = Registrar::open(setup, records)?;
        journal.append_all(now()?, &new)?;
        let office = Mutex::new(Some(Office { registrar, journal }));
        Ok(Arc::new(Self { office, broken, chain, signer, mail, effects: Notify::new(), identity }))
    }

    /// Answers a request. What came of it is in the journal when this returns.
    pub(super) async fn handle(&self, call: Call, peer: Peer<'_>, body: &[u8]) -> anyhow::Result<Answer> {
        self.answer(call, peer, body, false).await
    }

    /// The same for a request in a letter that somebody carried.
    pub(super) async fn handle_carried(&self, call: Call, peer: Peer<'_>, body: &[u8]) -> anyhow::Result<Answer> {
        self.answer(call, peer, body, true).await
    }

    async fn answer(&self, call: Call, peer: Peer<'_>, body: &[u8], carried: bool) -> anyhow::Result<Answer> {
        let chain = self.chain.borrow().clone();
        let request = Request { call, peer, body, binding: None, chain: chain.as_deref() };
        let fresh = Fresh { secret: Zeroizing::new(rand::random()), nonce: rand::random(), serial: rand::random() };
        let mut office = self.office.lock().await;
        let now = now()?;
        let registrar = &mut open(&mut office)?.registrar;
        let outcome = if carried {
            registrar.handle_carried(&request, now, fresh).await
        } else {
            registrar.handle(&request, now, fresh).await
        };
        self.append(&mut office, now, &outcome.records)?;
        drop(office);
        if !outcome.effects.is_empty() {
            self.effects.notify_one();
        }
        Ok(outcome.answer)
    }

    /// Does what an operator or the chain says.
    pub(super) async fn change<R>(
        &self,
        change: impl FnOnce(&mut Registrar, u64) -> Result<(R, Change), Refusal>,
    ) -> anyhow::Result<R> {
        let mut office = self.office.lock().await;
        let now = now()?;
        let (result, change) = change(&mut open(&mut office)?.registrar, now)?;
        self.append(&mut office, now, &change.records)?;
        drop(office);
        if !change.effects.is_empty() {
            self.effects.notify_one();
        }
        Ok(result)
    }

    /// Signs a message as the registrar.
    pub(super) async fn sign(&self, unsigned: &Unsigned) -> anyhow::Result<Vec<u8>> {
        Ok(unsigned.sign(&*self.signer).await?)
    }

    /// Looks at what the registrar knows.
    pub(super) async fn look<R>(&self, look: impl FnOnce(&Registrar) -> R) -> anyhow::Result<R> {
        let mut office = self.office.lock().await;
        Ok(look(&open(&mut office)?.registrar))
    }

    /// Signs a box's request for a voucher.
    pub(super) async fn export(&self, serial: &Serial, by: &str) -> anyhow::Result<Vec<u8>> {
        let mut office = self.office.lock().await;
        let now = now()?;
        let (change, request) = open(&mut office)?.registrar.export(serial, by, now).await?;
        self.append(&mut office, now, &change.records)?;
        Ok(request)
    }

    /// Signs the list of revoked certificates, DER.
    pub(super) async fn sign_crl(&self, days: u32) -> anyhow::Result<Vec<u8>> {
        let mut office = self.office.lock().await;
        let now = now()?;
        let (change, crl) = open(&mut office)?.registrar.sign_crl(now, u64::from(days) * 86_400).await?;
        self.append(&mut office, now, &change.records)?;
        Ok(crl.der().to_vec())
    }

    /// Looks who has not attested in time, and which of the registrar's own certificates are about to end.
    pub(super) async fn tick(&self) -> anyhow::Result<()> {
        self.change(|registrar, now| {
            for (name, standing) in registrar.standing(now) {
                if standing >= CertificateStanding::ThirtyDays {
                    let left = standing.code();
                    tracing::warn!(
                        name,
                        left,
                        "a certificate of the registrar is about to end; `dolmen ca issue` issues another"
                    );
                }
            }
            Ok(((), registrar.tick(now)?))
        })
        .await
    }

    /// What the chain is to do for the registrar.
    pub(super) async fn pending(&self) -> anyhow::Result<Vec<Effect>> {
        self.look(Registrar::effects).await
    }

    /// The registrar has taken them into account: without the disk nobody may hear of it, and it goes on with nothing.
    fn append(&self, office: &mut Option<Office>, now: u64, records: &[Record]) -> anyhow::Result<()> {
        let written = block_in_place(|| open(office)?.journal.append_all(now, records).map_err(anyhow::Error::new));
        if let Err(error) = written {
            *office = None;
            // Whoever listens has heard of one already where this fails.
            let _ = self.broken.try_send(error.context("the registrar's journal cannot be written"));
            return open(office).map(drop);
        }
        Ok(())
    }
}

fn open(office: &mut Option<Office>) -> anyhow::Result<&mut Office> {
    office.as_mut().context("the registrar's journal cannot be written, so that it stops; see its log")
}

fn setup(
    organisation: &str,
    settings: &Settings,
    signer: Arc<dyn Signer>,
    issuing: Arc<dyn Signer>,
) -> anyhow::Result<Setup> {
    let certificates = read_certificates(&settings.certificate)
        .context("the registrar has no certificate yet; `dolmen ca issue registrar` issues it")?;
    let mut chain = read_certificates(&settings.issuing)
        .context("the registrar's authority has no certificate yet; `dolmen ca issue issuing` issues it")?;
    let authority = Authority::new(chain.remove(0), chain, issuing)?;
    let makers = roots(&settings.makers)?;
    let masas = settings.masas.as_ref().map_or_else(|| Ok(makers.clone()), |path| roots(path))?;
    let policy = Policy::parse(&read_text(&settings.policy)?)
        .with_context(|| format!("{} is not accepted", settings.policy.display()))?;
    let judged = appraisal::Policy::parse(&read_text(&settings.appraisal)?)
        .with_context(|| format!("{} is not accepted", settings.appraisal.display()))?;
    Ok(Setup {
        organisation: Organisation { id: settings.organisation, name: organisation.to_owned() },
        authority,
        certificates,
        signer,
        makers: IdevidRoots(makers),
        masas: MasaRoots(masas),
        policy,
        verifier: Verifier::new(judged, references(settings)?),
    })
}

fn roots(path: &Path) -> anyhow::Result<Roots> {
    Roots::new(read_certificates(path)?).with_context(|| format!("{} is not accepted", path.display()))
}

/// The images' manifests, each with its signature.
fn references(settings: &Settings) -> anyhow::Result<ReferenceValues> {
    let directory = &settings.references.manifests;
    let listed = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut manifests = Vec::new();
    for file in listed {
        let path = file.with_context(|| format!("cannot read {}", directory.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let manifest = read_text(&path)?.into_bytes();
        let path = path.with_extension("json.sig");
        let signature = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let signature = signature.try_into().ok().with_context(|| format!("{} has not 64 bytes", path.display()))?;
        manifests.push((manifest, signature));
    }
    let keys = read_text(&settings.references.release_keys)?;
    let end = "-----END PUBLIC KEY-----";
    let keys = keys.split_inclusive(end).filter(|key| key.contains(end)).map(ReleaseKey::from_pem);
    let keys = keys.collect::<Result<Vec<_>, _>>().context("the keys that sign releases are not accepted")?;
    Ok(ReferenceValues::verify(manifests, &keys)?)
}

pub(super) fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970; set it")?.as_secs())
}
