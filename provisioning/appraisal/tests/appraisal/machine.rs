//! A box: its TPM, its keys, what it measured, and what its software answers.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyStore as _, Signer};
use dolmen_hsm_evidence::Public;
use dolmen_hsm_swtpm::Swtpm;
use dolmen_hsm_tpm::{Evidence, Tpm, TpmSealer, TpmStore};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{
    Challenge, Enrolment, Nonce, PublicArea, QuoteRequest, Reattestation, Response, Selection, Serial, SignedQuote,
    SignedStatement, activation_proof, certification_nonce,
};
use futures::executor::block_on;
use tempfile::TempDir;

use crate::{
    measured::{Measured, bytes},
    support::claim,
};

pub(crate) struct Machine {
    swtpm: Swtpm,
    keys: TempDir,
    connection: Option<Connection>,
    pub(crate) measured: Measured,
}

struct Connection {
    evidence: Evidence,
    sealer: TpmSealer,
    ldevid: Arc<dyn Signer>,
}

impl Machine {
    /// A machine that has booted for the first time.
    pub(crate) fn new(swtpm: Swtpm, measured: Measured) -> Self {
        let keys = tempfile::tempdir().expect("a directory");
        let mut machine = Self { swtpm, keys, connection: None, measured: measured.clone() };
        machine.boot(measured);
        machine
    }

    /// Power off, on, and a boot that measures this.
    pub(crate) fn reboot(&mut self, measured: Measured) {
        self.connection = None;
        self.swtpm.stop();
        self.swtpm.start();
        self.boot(measured);
    }

    fn boot(&mut self, measured: Measured) {
        self.swtpm.extend(&measured.digests());
        self.measured = measured;
        let tpm = Tpm::new(self.swtpm.tcti().parse().expect("a TCTI"));
        let store = TpmStore::new(tpm.clone(), self.keys.path().into());
        let uri = "tpm:ldevid".parse().expect("a name");
        let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Tls].into_iter().collect() };
        let ldevid = store.open(&uri).or_else(|_| store.create(&uri, spec)).expect("the TPM makes keys");
        let (evidence, sealer) = (Evidence::new(tpm.clone()), TpmSealer::new(tpm));
        self.connection = Some(Connection { evidence, sealer, ldevid });
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is on")
    }

    pub(crate) fn ak(&self) -> PublicArea {
        area(&self.connection().evidence.attestation_key().expect("the TPM has one"))
    }

    pub(crate) fn enrolment(&self, serial: &Serial) -> Enrolment {
        let endorsement = self.connection().evidence.endorsement().expect("the TPM has one");
        let statement = block_on(self.connection().ldevid.attest(&certification_nonce(serial)));
        let statement = statement.expect("the TPM certifies").expect("the key is in the TPM");
        Enrolment {
            ek_certificate: endorsement.certificate.map(bytes),
            ek_chain: Vec::new(),
            ek_public: area(&endorsement.public),
            ak_public: self.ak(),
            ldevid_public: area(&statement.subject),
            certification: SignedStatement {
                statement: bytes(statement.statement),
                signature: bytes(statement.signature),
            },
            logs: self.measured.logs(true),
            claim: claim(),
        }
    }

    /// The secret of a challenge, if the TPM opens it.
    pub(crate) fn activate(&self, challenge: &Challenge) -> Option<[u8; 32]> {
        let (id_object, secret) = (challenge.id_object.as_slice(), challenge.encrypted_secret.as_slice());
        let secret = self.connection().evidence.activate(id_object, secret).ok()?;
        secret.as_slice().try_into().ok()
    }

    pub(crate) fn respond(&self, challenge: &Challenge) -> Response {
        let secret = self.activate(challenge).expect("it is for this TPM");
        let proof = activation_proof(&secret, &challenge.nonce);
        Response { proof, quote: self.quote(&challenge.nonce, &challenge.registers) }
    }

    pub(crate) fn attest(&self, request: &QuoteRequest) -> Reattestation {
        Reattestation {
            ak_public: self.ak(),
            quote: self.quote(&request.nonce, &request.registers),
            logs: self.measured.logs(false),
            claim: claim(),
        }
    }

    pub(crate) fn quote(&self, nonce: &Nonce, registers: &Selection) -> SignedQuote {
        let registers: Vec<u8> = registers.iter().copied().collect();
        let quote = self.connection().evidence.quote(&nonce.0, &registers).expect("the TPM quotes");
        let values = self.connection().sealer.read(&registers).expect("the TPM tells");
        SignedQuote {
            quote: SignedStatement { statement: bytes(quote.statement), signature: bytes(quote.signature) },
            registers: values.into_iter().map(|(register, value)| (register, Hash::from_bytes(value))).collect(),
        }
    }
}

/// `TPM2B_PUBLIC` of `TPMT_PUBLIC`.
fn area(public: &[u8]) -> PublicArea {
    bytes(Public::from_tpmt(public).expect("the TPM's own").to_tpm2b())
}

/// Another public area, with these attributes' bits turned over.
pub(crate) fn with_attributes(area: &PublicArea, bits: u32) -> PublicArea {
    let mut area = area.as_slice().to_vec();
    // After the length, the kind and the hash.
    for (byte, bits) in area[6..10].iter_mut().zip(bits.to_be_bytes()) {
        *byte ^= bits;
    }
    bytes(area)
}
