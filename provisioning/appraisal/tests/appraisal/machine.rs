//! A box: its TPM, its keys, what it measured, and what its software answers.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, AttestingTpm as _, Domain, KeySpec, KeyStore as _, Signer};
use dolmen_hsm_swtpm::Swtpm;
use dolmen_hsm_tpm::{Evidence, Tpm, TpmStore};
use dolmen_provisioning_appraisal::{
    Challenge, Enrolment, Nonce, PublicArea, QuoteRequest, Reattestation, Response, Selection, Serial, SignedQuote,
};
use dolmen_provisioning_attester as attester;
use tempfile::TempDir;

use crate::{
    measured::{Measured, bytes, logs},
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
        self.connection = Some(Connection { evidence: Evidence::new(tpm), ldevid });
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is on")
    }

    pub(crate) fn enrolment(&self, serial: &Serial) -> Enrolment {
        let Connection { evidence, ldevid } = self.connection();
        attester::enrolment(evidence, &**ldevid, serial, logs(&self.measured, true), claim()).expect("the TPM is there")
    }

    /// The secret of a challenge, if the TPM opens it.
    pub(crate) fn activate(&self, challenge: &Challenge) -> Option<[u8; 32]> {
        let (id_object, secret) = (challenge.id_object.as_slice(), challenge.encrypted_secret.as_slice());
        let secret = self.connection().evidence.activate(id_object, secret).ok()?;
        secret.as_slice().try_into().ok()
    }

    pub(crate) fn respond(&self, challenge: &Challenge) -> Response {
        attester::respond(&self.connection().evidence, challenge).expect("it is for this TPM")
    }

    pub(crate) fn attest(&self, request: &QuoteRequest) -> Reattestation {
        attester::reattest(&self.connection().evidence, request, logs(&self.measured, false), claim())
            .expect("the TPM quotes")
    }

    pub(crate) fn quote(&self, nonce: &Nonce, registers: &Selection) -> SignedQuote {
        self.attest(&QuoteRequest { nonce: *nonce, registers: registers.clone() }).quote
    }
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
