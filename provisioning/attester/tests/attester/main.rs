//! What a box answers, with TPMs of software. That a registrar takes whole enrolments is tested where the registrar's
//! side is, in `dolmen-provisioning-appraisal`: its boxes answer by this crate.

use std::{fs, sync::Arc};

use dolmen_hsm_api::{Algorithm, AttestingTpm, Domain, KeySpec, KeyStore as _, Signer};
use dolmen_hsm_evidence::{HashAlgorithm, Moment, Pcrs, Public, check_ek_certificate, make_credential, verify_certify};
use dolmen_hsm_memory::MemoryKey;
use dolmen_hsm_swtpm::{Maker, Swtpm};
use dolmen_hsm_tpm::{Evidence, Tpm, TpmStore};
use dolmen_image_bundle::{Hash, Version};
use dolmen_provisioning_appraisal::{
    Bytes, Challenge, Claim, Enrolment, Fixed, Logs, Message as _, QuoteRequest, Serial, SignedQuote, activation_proof,
    certification_nonce,
};
use dolmen_provisioning_attester::{AttesterError, enrolment, reattest, respond};
use openssl::x509::X509;
use tempfile::TempDir;

const SECRET: [u8; 32] = *b"what only this TPM can read, 32b";
const NONCE: Fixed<32> = Fixed(*b"a nonce that was never used yet.");

/// A box's TPM and its key.
struct Machine {
    tpm: Evidence,
    ldevid: Arc<dyn Signer>,
    _keys: TempDir,
}

fn spec(algorithm: Algorithm) -> KeySpec {
    KeySpec { algorithm, domains: [Domain::Tls].into_iter().collect() }
}

impl Machine {
    fn new(swtpm: &Swtpm) -> Self {
        let (tpm, keys) = (Tpm::new(swtpm.tcti().parse().expect("a TCTI")), tempfile::tempdir().expect("a directory"));
        let store = TpmStore::new(tpm.clone(), keys.path().into());
        let ldevid = store.create(&"tpm:ldevid".parse().expect("a name"), spec(Algorithm::EcdsaP256));
        Self { tpm: Evidence::new(tpm), ldevid: ldevid.expect("the TPM makes keys"), _keys: keys }
    }

    fn enrolment(&self) -> Enrolment {
        let enrolment = enrolment(&self.tpm, &*self.ldevid, &serial(), logs(), claim()).expect("the TPM answers");
        Enrolment::from_json(&enrolment.to_json().expect("a message")).expect("what was sent")
    }
}

fn serial() -> Serial {
    "S4EVNX0M123456".parse().expect("a serial number")
}

fn logs() -> Logs {
    Logs { firmware: Bytes::new(vec![1, 2, 3]).expect("it is short"), userspace: None }
}

fn claim() -> Claim {
    Claim { version: Version::new(1, 2, 0), root_hash: Hash::from_bytes([0xab; 32]) }
}

fn public(area: &[u8]) -> Public {
    Public::from_tpm2b(area).expect("a public area")
}

fn challenge(ek: &Public, ak: &Public, secret: &[u8]) -> Challenge {
    let credential = make_credential(ek, &ak.name(), secret).expect("a credential");
    Challenge {
        id_object: Bytes::new(credential.id_object).expect("it is short"),
        encrypted_secret: Bytes::new(credential.encrypted_secret).expect("it is short"),
        nonce: NONCE,
        registers: [0, 7, 11].into(),
    }
}

fn check(ak: &Public, quote: &SignedQuote, nonce: &[u8; 32]) {
    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("a bank");
    for (register, value) in &quote.registers {
        pcrs.set((*register).into(), *value.as_bytes()).expect("a register");
    }
    let (statement, signature) = (quote.quote.statement.as_slice(), quote.quote.signature.as_slice());
    dolmen_hsm_evidence::verify_quote(ak, statement, signature, nonce, &pcrs).expect("it is of these values");
}

#[test]
fn a_box_shows_its_tpm_and_that_the_key_is_in_it() {
    let (maker, directory) = (Maker::new(), tempfile::tempdir().unwrap());
    let swtpm = Swtpm::made_by(&maker, "id:49465800");
    let [root, issuer] = maker.certificates().map(|pem| X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap());
    // More than a message takes: the nearest are sent.
    let chain = [&issuer[..], &root, &root, &root, &root].concat();
    for (index, part) in ["0x01c00100", "0x01c00101", "0x01c00102", "0x01c00103"].iter().zip(chain.chunks(2048)) {
        fs::write(directory.path().join("part"), part).unwrap();
        let (size, attributes) = (part.len().to_string(), "ownerread|authread|no_da|ppwrite|ppread|platformcreate");
        swtpm.tool("tpm2_nvdefine", &[index, "-C", "p", "-s", &size, "-a", attributes], directory.path());
        swtpm.tool("tpm2_nvwrite", &[index, "-C", "p", "-i", "part"], directory.path());
    }
    let machine = Machine::new(&swtpm);
    let enrolment = machine.enrolment();

    let chain: Vec<&[u8]> = enrolment.ek_chain.iter().map(|one| one.as_slice()).collect();
    assert_eq!(chain, [&issuer[..], &root, &root, &root]);
    let certificate = enrolment.ek_certificate.expect("the maker wrote one");
    let certificate = check_ek_certificate(certificate.as_slice(), &[&root], &chain, Moment::Any).unwrap();
    certificate.matches(&public(enrolment.ek_public.as_slice())).unwrap();

    let [ak, ldevid] = [&enrolment.ak_public, &enrolment.ldevid_public].map(|area| public(area.as_slice()));
    assert!(ldevid.key().to_spki().unwrap().ends_with(machine.ldevid.public_key()));
    let (statement, signature) = (&enrolment.certification.statement, &enrolment.certification.signature);
    let nonce = certification_nonce(&serial());
    verify_certify(&ak, statement.as_slice(), signature.as_slice(), &nonce, &ldevid).unwrap();
    assert_eq!((enrolment.logs, enrolment.claim), (logs(), claim()));
}

#[test]
fn a_box_opens_what_is_for_its_tpm_alone() {
    let (swtpm, other) = (Swtpm::new(), Swtpm::new());
    let (machine, stranger) = (Machine::new(&swtpm), Machine::new(&other));
    let enrolment = machine.enrolment();
    assert!(enrolment.ek_certificate.is_none() && enrolment.ek_chain.is_empty(), "nobody made this TPM");
    let (ek, ak) = (public(enrolment.ek_public.as_slice()), public(enrolment.ak_public.as_slice()));
    let response = respond(&machine.tpm, &challenge(&ek, &ak, &SECRET)).unwrap();
    assert_eq!(response.proof, activation_proof(&SECRET, &NONCE));
    assert!(response.quote.registers.keys().eq(&[0, 7, 11]));
    check(&ak, &response.quote, &NONCE.0);

    let refused = respond(&stranger.tpm, &challenge(&ek, &ak, &SECRET)).unwrap_err();
    assert!(matches!(refused, AttesterError::Credential(_)), "{refused}");
    let refused = respond(&machine.tpm, &challenge(&ek, &ek, &SECRET)).unwrap_err();
    assert!(matches!(refused, AttesterError::Credential(_)), "{refused}");
    let refused = respond(&machine.tpm, &challenge(&ek, &ak, &SECRET[1..])).unwrap_err();
    assert!(matches!(refused, AttesterError::Secret(31)), "{refused}");
}

#[test]
fn a_box_attests_again_by_the_same_key() {
    let swtpm = Swtpm::new();
    swtpm.extend(&[(7, [1; 32])]);
    let machine = Machine::new(&swtpm);
    let enrolled = machine.enrolment().ak_public;
    for nonce in [[1; 32], [2; 32]] {
        let request = QuoteRequest { nonce: Fixed(nonce), registers: [4, 7].into() };
        let answer = reattest(&machine.tpm, &request, logs(), claim()).unwrap();
        assert_eq!(answer.ak_public, enrolled);
        assert_ne!(answer.quote.registers[&7], Hash::from_bytes([0; 32]));
        check(&public(answer.ak_public.as_slice()), &answer.quote, &nonce);
    }
}

/// No appraisal may be asked for with a key that is anywhere else than in the TPM.
#[test]
fn a_key_in_memory_is_no_ldevid() {
    let (mut swtpm, keys) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let machine = Machine::new(&swtpm);
    let (soft, _) = MemoryKey::generate("soft:ldevid".parse().unwrap(), spec(Algorithm::EcdsaP256)).unwrap();
    let store = TpmStore::new(Tpm::new(swtpm.tcti().parse().unwrap()), keys.path().into());
    let refused =
        |tpm: &dyn AttestingTpm, key: &dyn Signer| enrolment(tpm, key, &serial(), logs(), claim()).unwrap_err();
    let error = refused(&machine.tpm, &soft);
    assert!(matches!(&error, AttesterError::NotInTpm(uri) if uri.to_string() == "soft:ldevid"), "{error}");
    drop(machine);
    let sealed = store.create(&"tpm:sealed".parse().unwrap(), spec(Algorithm::Ed25519)).unwrap();
    drop(store);
    let machine = Machine::new(&swtpm);
    assert!(matches!(refused(&machine.tpm, &*sealed), AttesterError::NotInTpm(_)));
    swtpm.stop();
    assert!(matches!(refused(&machine.tpm, &*machine.ldevid), AttesterError::Tpm(_)), "nothing is made up");
}
