//! The registrar: what it is made of, and how a request goes through it.

use std::{collections::BTreeMap, fmt, slice, sync::Arc};

use dolmen_hsm_api::{KeyUri, Signer};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Awaiting, AwaitingQuote, Serial, Verifier};
use dolmen_provisioning_bundle::{ChainBundle, Checkpoint, Organisation, Peer as ChainPeer};
use dolmen_provisioning_ca::{
    Authority, Certificate, PublicKey, SignError, UnixTime, Validity,
    chain::{self, ChainError, Purpose, Rules},
    est, renewal,
};
use dolmen_provisioning_voucher::{IdevidRoots, MasaRoots};
use zeroize::Zeroizing;

use crate::{
    Answer, Call, Effect, Event, Metrics, Outcome, Peer, Policy, Record, Refusal, State, StateError, Who,
    limits::{NAME_CHARS_MAX, RATE_PAUSE_SECONDS},
    peer::{Identity, identify},
    rate::Rates,
    record::VERSION,
    refusal::clean,
    state::Standing,
};

/// Why there is no registrar.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could show nothing to boxes.
    #[error("the registrar has no certificate; have the organisation's authority issue one")]
    NoCertificate,
    /// Boxes would not follow it.
    #[error("the registrar's certificate is none of a registrar of this organisation; have its authority issue one")]
    Certificate(#[source] ChainError),
    /// A key that signs nothing here.
    #[error("the registrar's key cannot be used")]
    Key(#[source] SignError),
    /// Another key's certificate.
    #[error("the registrar's certificate is not that of the key {0}; take the certificate of this key")]
    OtherKey(KeyUri),
    /// A journal that does not fit.
    #[error("the registrar's journal cannot be used")]
    Journal(#[from] StateError),
}

/// What a registrar is made of. It stays the same as long as the registrar runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Whose registrar it is.
    pub organisation: Organisation,
    /// What issues certificates to boxes.
    pub authority: Authority,
    /// The registrar's own certificate, and those above it up to the root. TLS shows it to boxes.
    pub certificates: Vec<Certificate>,
    /// The registrar's own key.
    pub signer: Arc<dyn Signer>,
    /// The makers whose boxes may come.
    pub makers: IdevidRoots,
    /// The authorities whose vouchers are kept.
    pub masas: MasaRoots,
    /// Which boxes may join.
    pub policy: Policy,
    /// Judges boxes.
    pub verifier: Verifier,
}

impl Setup {
    /// The organisation's root.
    pub(crate) fn root(&self) -> &Certificate {
        self.authority.chain().last().unwrap_or_else(|| self.authority.certificate())
    }

    /// Boxes follow the registrar only if its certificate is for registrars and leads to the organisation's root.
    fn check(&self) -> Result<Lives, OpenError> {
        let (own, others) = self.certificates.split_first().ok_or(OpenError::NoCertificate)?;
        let rules = Rules::timeless(Purpose::Registrar);
        chain::verify(own, others, slice::from_ref(self.root()), &rules).map_err(OpenError::Certificate)?;
        if own.public_key() != Ok(PublicKey::of(&*self.signer).map_err(OpenError::Key)?) {
            return Err(OpenError::OtherKey(self.signer.uri().clone()));
        }
        Ok([("registrar", own.validity()), ("issuing", self.authority.certificate().validity())])
    }
}

/// From when to when the certificates hold by which a registrar works, by their names in metrics.
type Lives = [(&'static str, Validity); 2];

/// What the driver knows of the chain, for boxes that join it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its number.
    pub chain_id: u64,
    /// The genesis file.
    pub genesis: String,
    /// Hash of block zero.
    pub genesis_hash: dolmen_provisioning_bundle::Hash,
    /// A block to begin from.
    pub checkpoint: Option<Checkpoint>,
    /// Boxes to call.
    pub peers: Vec<ChainPeer>,
    /// The roots of all organisations of the chain.
    pub organisation_roots: Vec<Certificate>,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked.
    pub call: Call,
    /// By whom.
    pub peer: Peer<'a>,
    /// The body: [`Call::body_bytes_max`] bytes at most.
    pub body: &'a [u8],
    /// What binds a request for a certificate to the TLS session that it comes by (RFC 9266); none where the server
    /// does not say.
    pub binding: Option<&'a [u8]>,
    /// The chain; none where it is not known yet.
    pub chain: Option<&'a Chain>,
}

/// Random bytes for one request, of a source for cryptography, used once.
pub struct Fresh {
    /// What only one TPM can read.
    pub secret: Zeroizing<[u8; 32]>,
    /// What makes a quote new.
    pub nonce: [u8; 32],
    /// A certificate's number.
    pub serial: [u8; 16],
}

/// Without the secret.
impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

/// A box that was asked something, and until when it may answer.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    pub(crate) awaiting: T,
    pub(crate) until: u64,
}

/// An organisation's registrar.
///
/// Its state is what its journal's records make; beside it, in memory alone, it has the boxes that were given a challenge
/// and have not answered, by a connection or by a stick. After a restart they begin their enrolment anew.
#[derive(Debug)]
pub struct Registrar {
    pub(crate) setup: Setup,
    lives: Lives,
    pub(crate) state: State,
    pub(crate) challenges: BTreeMap<Serial, Pending<Awaiting>>,
    /// Of those whose requests are carried.
    pub(crate) carried: BTreeMap<Serial, Pending<Awaiting>>,
    pub(crate) quotes: BTreeMap<Serial, Pending<AwaitingQuote>>,
    rates: Rates,
    metrics: Metrics,
}

/// A request, or what an operator does, on its way through the registrar.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) now: u64,
    who: Who,
    /// Whether the request was carried.
    carried: bool,
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

impl Turn {
    pub(crate) const fn new(now: u64, who: Who) -> Self {
        Self { now, who, carried: false, records: Vec::new(), effects: Vec::new() }
    }

    pub(crate) fn time(&self) -> Result<UnixTime, Refusal> {
        Ok(UnixTime::from_secs(self.now)?)
    }
}

impl Registrar {
    /// Opens a registrar from its journal's records and their times. A journal without any begins with the records that
    /// come back, which are to be appended.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for certificates that do not fit each other, and for records that no registrar of this organisation
    /// wrote.
    pub fn open<'a>(
        setup: Setup,
        journal: impl IntoIterator<Item = (u64, &'a Record)>,
    ) -> Result<(Self, Vec<Record>), OpenError> {
        let lives = setup.check()?;
        let mut state = State::default();
        for (time, record) in journal {
            state.apply(time, record)?;
        }
        let expected = Hash::from_bytes(setup.root().fingerprint());
        let mut records = Vec::new();
        match state.organisation() {
            Some(found) if found != expected => return Err(StateError::Organisation { found, expected }.into()),
            Some(_) => {}
            None => {
                let what = Event::Began { version: VERSION, organisation: expected };
                records.push(Record { who: Who::Registrar, what });
                records.iter().try_for_each(|record| state.apply(0, record))?;
            }
        }
        let (challenges, carried, quotes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (rates, metrics) = (Rates::new(), Metrics::default());
        Ok((Self { setup, lives, state, challenges, carried, quotes, rates, metrics }, records))
    }

    /// What it knows.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What it is made of.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// How the certificates stand by which it works, `registrar` being its own and `issuing` that of the authority for
    /// boxes. Alarms come from it: boxes look at no time, but none of them gets a certificate after the end of the second.
    #[must_use]
    pub fn standing(&self, now: u64) -> [(&'static str, renewal::Standing); 2] {
        // After the year 9999 is as at its end.
        let now = UnixTime::from_secs(now).unwrap_or(UnixTime::MAX);
        self.lives.map(|(name, validity)| (name, renewal::Standing::of(validity, now)))
    }

    /// What happened since it was opened, and how many there are of what now.
    #[must_use]
    pub fn metrics(&self, now: u64) -> Metrics {
        let left = |validity: Validity| validity.not_after().as_secs().saturating_sub(now);
        let certificate_seconds = self.lives.map(|(name, validity)| (name, left(validity))).into();
        Metrics { certificate_seconds, ..self.metrics.with(&self.state, self.challenges.len() + self.carried.len()) }
    }

    /// Answers a request. `now` is in seconds since 1970.
    ///
    /// The same request again has the same outcome: a box that lost an answer asks again.
    pub async fn handle(&mut self, request: &Request<'_>, now: u64, fresh: Fresh) -> Outcome {
        self.take(request, false, now, fresh).await
    }

    /// The same for a request that did not come by a connection, but in a message that somebody carried. Its peer is who
    /// signed that message. A challenge waits for a week then, as long as the registrar is not started anew.
    pub async fn handle_carried(&mut self, request: &Request<'_>, now: u64, fresh: Fresh) -> Outcome {
        self.take(request, true, now, fresh).await
    }

    async fn take(&mut self, request: &Request<'_>, carried: bool, now: u64, fresh: Fresh) -> Outcome {
        let shown = request.peer.certificates.first().map(|der| Hash::of(der));
        let address = clean(request.peer.address, NAME_CHARS_MAX);
        let who = Who::Peer { address, serial: None, certificate: shown };
        let mut turn = Turn { carried, ..Turn::new(now, who) };
        let answer = self.pass(request, &mut turn, fresh).await;
        self.metrics.count(request.call, answer.as_ref().err().map(Refusal::code));
        let answer = answer.unwrap_or_else(|refusal| {
            if !matches!(refusal, Refusal::Rate) {
                let (call, code) = (request.call.name().to_owned(), refusal.code().to_owned());
                // A refusal changes nothing, so that it always can be recorded.
                let _ = self.record(&mut turn, Event::Refused { call, code, why: refusal.story() });
            }
            let seconds = self.setup.policy.retry_seconds();
            let too_often = matches!(refusal, Refusal::Rate);
            Answer::refusal(&refusal, if too_often { seconds.max(RATE_PAUSE_SECONDS) } else { seconds })
        });
        Outcome { records: turn.records, answer, effects: turn.effects }
    }

    async fn pass(&mut self, request: &Request<'_>, turn: &mut Turn, fresh: Fresh) -> Result<Answer, Refusal> {
        let (found, limit) = (request.body.len(), request.call.body_bytes_max());
        let identity = match turn.time() {
            _ if found > limit => Err(Refusal::Body { found, limit }),
            Ok(time) => identify(&self.setup, request.call, request.peer, time),
            Err(refusal) => Err(refusal),
        };
        // Answers to anybody leave no record, and are the same for all.
        let counted = !matches!(identity, Ok(Identity::Anybody));
        let fingerprint = identity.as_ref().ok().and_then(|identity| self.counted_by(identity));
        if counted && !self.rates.take(fingerprint, turn.now) {
            return Err(Refusal::Rate);
        }
        let identity = identity?;
        if let Who::Peer { serial, .. } = &mut turn.who {
            *serial = identity.serial().cloned();
        }
        self.dispatch(request, turn, identity, fresh).await
    }

    /// By what requests are counted: those of boxes that are cast out with those of strangers.
    fn counted_by(&self, identity: &Identity) -> Option<[u8; 32]> {
        let standing = identity.serial().and_then(|serial| self.state.boxes().get(serial)).map(|one| &one.standing);
        match standing {
            None | Some(Standing::Waiting | Standing::Approved) => identity.fingerprint(),
            Some(Standing::Declined(_) | Standing::Revoked(_) | Standing::Replaced(_)) => None,
        }
    }

    async fn dispatch(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn,
        identity: Identity,
        fresh: Fresh,
    ) -> Result<Answer, Refusal> {
        let (call, body) = (request.call, request.body);
        match (identity, call) {
            (Identity::Pledge(pledge), Call::RequestVoucher) => self.request_voucher(turn, &pledge, body),
            (Identity::Pledge(pledge), Call::VoucherStatus) => self.voucher_status(turn, &pledge, body),
            (Identity::Pledge(pledge), Call::EnrollStatus) => self.enroll_status(turn, &pledge, body),
            (Identity::Pledge(pledge), Call::Enrolment) if turn.carried => {
                self.begin_carried(turn, &pledge, body, fresh)
            }
            (Identity::Pledge(pledge), Call::Response) if turn.carried => self.finish_carried(turn, &pledge, body),
            (Identity::Pledge(pledge), Call::Enrolment) => self.begin_enrolment(turn, &pledge, body, fresh),
            (Identity::Pledge(pledge), Call::Response) => self.finish_enrolment(turn, &pledge, body),
            (Identity::Pledge(pledge), Call::SimpleEnroll) => self.enroll(turn, &pledge, request, fresh).await,
            (Identity::Pledge(pledge), Call::SimpleReenroll) => {
                self.reenroll_pledge(turn, &pledge, request, fresh).await
            }
            (Identity::Member(member), Call::SimpleReenroll) => {
                self.reenroll_member(turn, &member, request, fresh).await
            }
            (Identity::Member(member), Call::Bundle) => self.bundle(turn, &member, request.chain).await,
            (Identity::Member(member), Call::Admission) => self.admission(turn, &member, body, request.chain),
            (Identity::Member(member), Call::AskQuote) => self.ask_quote(turn, &member, fresh),
            (Identity::Member(member), Call::Attestation) => self.attestation(turn, &member, body),
            (Identity::Member(member), Call::Departure) => self.departure(turn, &member, body),
            // The rest asks for nothing that a certificate is needed for.
            _ => est::cacerts(&self.setup.authority).map(Answer::certificates).map_err(Refusal::Est),
        }
    }

    /// Writes down what happened, and takes it into account.
    pub(crate) fn record(&mut self, turn: &mut Turn, what: Event) -> Result<(), Refusal> {
        let record = Record { who: turn.who.clone(), what };
        self.state.apply(turn.now, &record)?;
        turn.records.push(record);
        Ok(())
    }

    /// The same, of what the registrar itself decided.
    pub(crate) fn record_own(&mut self, turn: &mut Turn, what: Event) -> Result<(), Refusal> {
        let record = Record { who: Who::Registrar, what };
        self.state.apply(turn.now, &record)?;
        turn.records.push(record);
        Ok(())
    }
}

impl Chain {
    /// What a box has to know of it.
    pub(crate) fn bundle(&self, setup: &Setup, content: BundleFor) -> ChainBundle {
        ChainBundle {
            serial_number: content.serial_number,
            issued_at: content.issued_at,
            chain_id: self.chain_id,
            genesis: self.genesis.clone(),
            genesis_hash: self.genesis_hash,
            checkpoint: self.checkpoint,
            peers: self.peers.clone(),
            organisation: setup.organisation.clone(),
            organisation_roots: self.organisation_roots.clone(),
            appraisal: Some(content.appraisal),
        }
    }
}

/// What differs from box to box in a bundle.
pub(crate) struct BundleFor {
    pub(crate) serial_number: dolmen_provisioning_voucher::SerialNumber,
    pub(crate) issued_at: UnixTime,
    pub(crate) appraisal: dolmen_provisioning_bundle::Hash,
}
