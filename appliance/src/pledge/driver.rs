//! How each step of the machines of `provisioning/pledge` is done. They decide everything, this decides nothing.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, B256, keccak256};
use anyhow::Context as _;
use dolmen_hsm_api::{Algorithm, AttestingTpm, Domain, KeySpec, KeyUri, Signer, private};
use dolmen_hsm_tls::{Identity as TlsIdentity, TlsKey};
use dolmen_node::public_key;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_attester as attester;
use dolmen_provisioning_bundle::ChainBundle;
use dolmen_provisioning_ca::{Certificate, RequestBuilder, Subject, chain::Roots};
use dolmen_provisioning_discovery as discovery;
use dolmen_provisioning_link::Connection;
use dolmen_provisioning_pledge::{
    Answer, Client, Connect, Discovery, Hint, Identity, Key, Method, Outcome, Record, Request, Source, Step,
};
use dolmen_provisioning_voucher::{MasaRoots, OwnershipEpoch};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use tokio::{net::lookup_host, task::block_in_place, time::timeout};

use super::{Provisioning, evidence::Evidence};
use crate::{backends::keys::Keys, gov::AdmissionRequest};

/// The record's file in the box's directory.
pub(super) const RECORD: &str = "provisioning.record";
/// The key of the box's certificate.
pub(crate) const LDEVID: &str = "tpm:ldevid";
/// How long a look around takes where nobody answers: that is within a second, and one packet may get lost.
const LOOK: Duration = Duration::from_secs(3);
/// Addresses of one hint that are tried.
const ADDRESSES_MAX: usize = 4;
/// Until a name is known or not.
const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// A box, with what its steps need.
pub(crate) struct Home {
    /// Where all that is its own is kept.
    pub(crate) directory: PathBuf,
    /// Its keys.
    pub(crate) keys: Arc<Keys>,
    /// The key that it votes with.
    pub(crate) consensus: Arc<dyn Signer>,
    /// The port at which other boxes reach it.
    pub(crate) p2p: SocketAddr,
}

/// Whether the box of a directory has an owner, whom it knows by a registrar.
pub(crate) fn is_owned(directory: &Path) -> bool {
    directory.join(RECORD).exists()
}

pub(super) struct Driver {
    home: Home,
    settings: Provisioning,
    identity: Identity,
    idevid: Arc<dyn Signer>,
    tpm: Arc<dyn AttestingTpm>,
    evidence: Evidence,
    connection: Option<Connection>,
}

impl Driver {
    pub(super) fn new(home: Home) -> anyhow::Result<Self> {
        let settings = Provisioning::load(&home.directory)?;
        let masa = fs::read(&settings.masa_roots)
            .with_context(|| format!("cannot read the roots of the maker, {}", settings.masa_roots.display()))?;
        let masa = MasaRoots(Roots::from_pem(&masa).context("the roots of the maker are not accepted")?);
        let (idevid, chain) = (home.keys.idevid()?, home.keys.idevid_certificates()?);
        let chain = chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>();
        let identity = Identity::new(chain.context("the TPM's IDevID certificate cannot be read")?, masa)?;
        let (tpm, evidence) = (home.keys.attesting_tpm()?, Evidence::new(&settings));
        Ok(Self { home, settings, identity, idevid, tpm, evidence, connection: None })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// Where sticks are mounted.
    pub(super) fn stick(&self) -> PathBuf {
        self.settings.stick.clone()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.home.directory
    }

    /// What was stored last.
    pub(super) fn record(&self) -> anyhow::Result<Option<Record>> {
        let path = self.home.directory.join(RECORD);
        let known = || format!("{} cannot be read, so that the box does not know its owner", path.display());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Record::from_bytes(&bytes).with_context(known)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(known),
        }
    }

    /// Does a step; says as a failure why it cannot be done.
    pub(super) async fn perform(&mut self, step: Step<'_>) -> Outcome {
        tracing::debug!(step = step.name(), "provisioning");
        self.attempt(step).await.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
    }

    async fn attempt(&mut self, step: Step<'_>) -> anyhow::Result<Outcome> {
        match step {
            Step::Discover => self.discover().await,
            Step::Connect(connect) => self.connect(connect).await,
            Step::Send(request) => self.send(request).await,
            Step::ReadEpoch => self.epoch(None),
            Step::RaiseEpoch(to) => self.epoch(Some(to)),
            Step::MakeNonce => Ok(Outcome::Nonce(rand::random())),
            Step::Sign { key, unsigned } => Ok(Outcome::Signed(unsigned.sign(&*self.key(key)?).await?)),
            Step::Attest => block_in_place(|| self.attest()),
            Step::Respond(challenge) => {
                let response = block_in_place(|| attester::respond(&*self.tpm, challenge))?;
                Ok(Outcome::Response(Box::new(response)))
            }
            Step::Reattest(request) => {
                let (logs, claim) = self.evidence.read()?;
                let answer = block_in_place(|| attester::reattest(&*self.tpm, request, logs, claim))?;
                Ok(Outcome::Reattestation(Box::new(answer)))
            }
            Step::MakeRequest => self.request().await,
            Step::MakeRenewal(certificate) => {
                let request = RequestBuilder::renewal(certificate).sign(&*self.key(Key::LDevId)?).await?;
                Ok(Outcome::Request(request))
            }
            Step::MakeAdmission(chain) => self.admission(chain).await,
            Step::Store(record) => {
                let path = self.home.directory.join(RECORD);
                private::write(&path, &record.to_bytes())
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(Outcome::Stored)
            }
            Step::Wait { seconds } => {
                self.connection = None;
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                Ok(Outcome::Waited)
            }
            Step::Joined { .. } | Step::Left => unreachable!("the loop has ended"),
        }
    }

    async fn discover(&self) -> anyhow::Result<Outcome> {
        let mut hints = self.settings.hints()?;
        if self.settings.discover {
            match discovery::find(LOOK).await {
                Ok(found) => {
                    let places = found.into_iter().flat_map(|found| found.addresses);
                    hints.extend(places.filter_map(|place| hint(Source::DnsSd, place)));
                }
                // Where the network is not up yet, or a firewall forbids it.
                Err(error) => {
                    tracing::warn!(error = format!("{:#}", anyhow::Error::new(error)), "nothing is found by DNS-SD")
                }
            }
        }
        Ok(Outcome::Discovered(Discovery { hints, chance: rand::random() }))
    }

    async fn connect(&mut self, Connect { hint, client, .. }: Connect<'_>) -> anyhow::Result<Outcome> {
        self.connection = None;
        let (key, chain) = match client {
            Client::IDevId(chain) => (self.key(Key::IDevId)?, chain),
            Client::LDevId(chain) => (self.key(Key::LDevId)?, chain),
        };
        let chain = chain.iter().map(|certificate| certificate.der().to_vec()).collect();
        let identity = TlsIdentity::new(TlsKey::new(key)?, chain);
        let place = hint.to_string();
        // Addresses of a link have a number, which is nothing that DNS knows.
        let addresses = match place.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let found = timeout(LOOKUP_MAX, lookup_host(&place)).await.context("DNS does not answer")?;
                found.with_context(|| format!("DNS does not know {place}"))?.take(ADDRESSES_MAX).collect()
            }
        };
        let mut last = None;
        for address in addresses {
            match Connection::open(address, Some(identity.clone())).await {
                Ok(connection) => {
                    let shown = connection.peer().0.to_vec();
                    self.connection = Some(connection);
                    return Ok(Outcome::Connected(shown));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("{place} has no address"), Into::into))
    }

    async fn send(&mut self, request: Request<'_>) -> anyhow::Result<Outcome> {
        let connection = self.connection.as_mut().context("the connection has ended")?;
        let method = match request.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
        };
        let headers: Vec<_> = [(CONTENT_TYPE, request.content_type), (ACCEPT, request.accept)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let answer = connection
            .send(method, request.path, &headers, request.body.into_owned(), request.answer_bytes_max)
            .await
            .inspect_err(|_| self.connection = None)?;
        let dolmen_provisioning_link::Answer { status, content_type, retry_after, body } = answer;
        Ok(Outcome::Answered(Answer { status, content_type, retry_after, body }))
    }

    fn epoch(&self, raise: Option<OwnershipEpoch>) -> anyhow::Result<Outcome> {
        let epoch = block_in_place(|| self.home.keys.ownership_epoch(raise.map(OwnershipEpoch::get)))?;
        Ok(Outcome::Epoch(OwnershipEpoch::new(epoch)))
    }

    fn key(&self, key: Key) -> anyhow::Result<Arc<dyn Signer>> {
        match key {
            Key::IDevId => Ok(self.idevid.clone()),
            Key::LDevId => block_in_place(|| ldevid(&self.home.keys)),
        }
    }

    fn attest(&self) -> anyhow::Result<Outcome> {
        let serial: Serial = self.identity.serial_number().as_str().parse()?;
        let (logs, claim) = self.evidence.read()?;
        let ldevid = self.key(Key::LDevId)?;
        let enrolment = attester::enrolment(&*self.tpm, &*ldevid, &serial, logs, claim)?;
        Ok(Outcome::Enrolment(Box::new(enrolment)))
    }

    /// The registrar decides what stands in the certificate; the key is what counts.
    async fn request(&self) -> anyhow::Result<Outcome> {
        let serial = self.identity.serial_number().as_str();
        let subject = Subject::new("box", serial)?.with_machine_serial(serial)?;
        let request = RequestBuilder::new(&subject, Vec::new())?.sign(&*self.key(Key::LDevId)?).await?;
        Ok(Outcome::Request(request))
    }

    async fn admission(&self, chain: &ChainBundle) -> anyhow::Result<Outcome> {
        let own = public_key(&*self.home.consensus)?;
        let endpoint = match (self.settings.endpoint, self.connection.as_ref().map(Connection::local)) {
            (Some(endpoint), _) => endpoint.to_string(),
            // The address that reaches the registrar is one by which others reach the box.
            (None, Some(local)) => SocketAddr::new(local.ip(), self.home.p2p.port()).to_string(),
            (None, None) => String::new(),
        };
        let request = AdmissionRequest::sign(
            &*self.home.consensus,
            chain.chain_id,
            chain.organisation.id,
            super::name(self.identity.serial_number().as_str()),
            Address::from_word(keccak256(own.0)),
            endpoint,
            chain.appraisal.map_or(B256::ZERO, |hash| B256::from(*hash.as_bytes())),
        );
        Ok(Outcome::AdmissionRequest(serde_json::to_string(&request.await?)?))
    }
}

/// The key of the box's certificate, made where there is none.
fn ldevid(keys: &Keys) -> anyhow::Result<Arc<dyn Signer>> {
    let uri: KeyUri = LDEVID.parse().expect("a name");
    let domains = [Domain::Tls, Domain::Certificate].into_iter().collect();
    crate::backends::keys::create_dir(keys.dir())?;
    keys.open_or_create(&uri, KeySpec { algorithm: Algorithm::EcdsaP256, domains })
}

fn hint(source: Source, place: SocketAddr) -> Option<Hint> {
    let host = match place {
        SocketAddr::V6(place) if place.scope_id() != 0 => format!("{}%{}", place.ip(), place.scope_id()),
        place => place.ip().to_string(),
    };
    Hint::new(source, &host, place.port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_a_link_keep_their_number() {
        let text = |place: &str| hint(Source::DnsSd, place.parse().unwrap()).unwrap().to_string();
        for place in ["10.0.0.1:8443", "[2001:db8::1]:8443", "[fe80::1%2]:8443"] {
            assert_eq!(text(place), place);
            assert_eq!(text(place).parse::<SocketAddr>().unwrap().to_string(), place);
        }
        assert_eq!(hint(Source::DnsSd, "10.0.0.1:0".parse().unwrap()), None);
    }
}
