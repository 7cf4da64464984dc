//! What a TPM says of itself, and whether others believe it.

use std::{env, fs, path::PathBuf, process::Command};

use dolmen_hsm_api::{Algorithm, AttestingTpm as _, Domain, KeySpec, KeyStore as _};
use dolmen_hsm_evidence::{
    Credential, HashAlgorithm, Moment, Pcrs, Public, check_ek_certificate, make_credential, verify_certify,
    verify_quote,
};
use dolmen_hsm_swtpm::Maker;
use dolmen_hsm_tpm::{Evidence, TpmSealer, TpmStore};
use futures::executor::block_on;
use openssl::x509::X509;

use crate::support::{Open as _, Swtpm};

const NONCE: &[u8] = b"a nonce of somebody's choice";
const SECRET: &[u8] = b"what only this TPM can read, 32b";

fn attestation_key(evidence: &Evidence) -> Public {
    Public::from_tpmt(&evidence.attestation_key().expect("it has one")).expect("it is a public area")
}

#[test]
fn quotes_hold_here_and_with_tpm2_tools() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let digest = format!("14:sha256={}", "07".repeat(32));
    swtpm.tool("tpm2_pcrextend", &[&digest], directory.path());
    let tpm = swtpm.open();
    let evidence = Evidence::new(tpm.clone());
    let ak = attestation_key(&evidence);
    assert!(ak.is_attestation_key());
    let quote = evidence.quote(NONCE, &[7, 11, 14]).unwrap();
    assert_eq!(attestation_key(&evidence).name(), ak.name(), "the same key each time");
    assert_eq!(quote.registers, TpmSealer::new(tpm.clone()).read(&[7, 11, 14]).unwrap());

    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    for (pcr, value) in &quote.registers {
        pcrs.set(u32::from(*pcr), *value).unwrap();
    }
    verify_quote(&ak, &quote.statement, &quote.signature, NONCE, &pcrs).unwrap();
    assert!(verify_quote(&ak, &quote.statement, &quote.signature, b"another nonce", &pcrs).is_err(), "replayed");
    pcrs.set(14, [8; 32]).unwrap();
    assert!(verify_quote(&ak, &quote.statement, &quote.signature, NONCE, &pcrs).is_err(), "other software");
    drop((evidence, tpm));

    for (name, bytes) in [("quote", &quote.statement), ("signature", &quote.signature), ("ak", &ak.to_tpm2b())] {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let nonce: String = NONCE.iter().map(|byte| format!("{byte:02x}")).collect();
    let check = ["-u", "ak", "-m", "quote", "-s", "signature", "-q", &nonce, "-g", "sha256"];
    swtpm.tool("tpm2_checkquote", &check, directory.path());
}

#[test]
fn a_key_is_certified_as_the_tpms_own() {
    let (swtpm, keys) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let tpm = swtpm.open();
    let store = TpmStore::new(tpm.clone(), keys.path().into());
    let spec = |algorithm| KeySpec { algorithm, domains: [Domain::Tls].into_iter().collect() };
    let ak = attestation_key(&Evidence::new(tpm));
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Sm2] {
        let key = store.create(&format!("tpm:{algorithm}").parse().unwrap(), spec(algorithm)).unwrap();
        let statement = block_on(key.attest(NONCE)).unwrap().expect("the TPM holds it");
        let subject = Public::from_tpmt(&statement.subject).unwrap();
        let certified = verify_certify(&ak, &statement.statement, &statement.signature, NONCE, &subject).unwrap();
        assert_eq!(certified.name, subject.name());
        assert!(statement.subject.windows(32).any(|bytes| bytes == &key.public_key()[..32]), "it is this key");
        block_on(key.sign(Domain::Tls, dolmen_hsm_api::Message::Bytes(b"and it still signs"))).unwrap();
    }
    // One that the TPM only seals is not the TPM's.
    let key = store.create(&"tpm:sealed".parse().unwrap(), spec(Algorithm::Ed25519)).unwrap();
    assert_eq!(block_on(key.attest(NONCE)).unwrap(), None);
}

/// Our maker's side, without a TPM, and Keylime's: both make credentials that the TPM opens, and no other.
#[test]
fn credentials_are_opened_by_the_tpm_that_they_are_for() {
    let maker = Maker::new();
    let swtpms = [Swtpm::new(), Swtpm::made_by(&maker, "id:00001014")];
    let directory = tempfile::tempdir().unwrap();
    for (number, swtpm) in swtpms.iter().enumerate() {
        let evidence = Evidence::new(swtpm.open());
        let endorsement = evidence.endorsement().unwrap();
        assert_eq!(endorsement.certificate.is_some(), number == 1);
        let (ek, ak) = (Public::from_tpmt(&endorsement.public).unwrap(), attestation_key(&evidence));
        let ours = make_credential(&ek, &ak.name(), SECRET).unwrap();
        assert_eq!(evidence.activate(&ours.id_object, &ours.encrypted_secret).unwrap()[..], *SECRET);
        let theirs = keylime(&ek, &ak.name(), directory.path());
        assert_eq!(evidence.activate(&theirs.id_object, &theirs.encrypted_secret).unwrap()[..], *SECRET);

        let other_key = make_credential(&ek, &ek.name(), SECRET).unwrap();
        evidence.activate(&other_key.id_object, &other_key.encrypted_secret).expect_err("it is for another key");
        let other = Evidence::new(swtpms[1 - number].open());
        other.activate(&ours.id_object, &ours.encrypted_secret).expect_err("it is for another TPM");
    }
}

#[test]
fn the_makers_certificate_is_of_this_tpm() {
    let maker = Maker::new();
    let (swtpm, other) = (Swtpm::made_by(&maker, "id:00001014"), Swtpm::new());
    let endorsement = Evidence::new(swtpm.open()).endorsement().unwrap();
    let certificate = endorsement.certificate.expect("it was manufactured");
    assert!(endorsement.chain.is_empty(), "swtpm writes none");
    let makers = maker.certificates().map(|pem| X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap());
    let makers: Vec<&[u8]> = makers.iter().map(Vec::as_slice).collect();
    let checked = check_ek_certificate(&certificate, &makers, &[], Moment::Any).unwrap();
    checked.matches(&Public::from_tpmt(&endorsement.public).unwrap()).unwrap();
    let other = Evidence::new(other.open()).endorsement().unwrap();
    checked.matches(&Public::from_tpmt(&other.public).unwrap()).expect_err("it is another TPM's");
    check_ek_certificate(&certificate, &[], &[], Moment::Any).expect_err("nobody vouches for it");
}

/// Makers write what is above their certificates into consecutive indices, split where it does not fit.
#[test]
fn the_makers_chain_is_read_where_the_tpm_has_it() {
    let (maker, directory) = (Maker::new(), tempfile::tempdir().unwrap());
    let swtpm = Swtpm::made_by(&maker, "id:00001014");
    let [root, issuer] = maker.certificates().map(|pem| X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap());
    let all = [&issuer[..], &root, &[0; 30]].concat();
    let (first, second) = all.split_at(issuer.len() + 100);
    for (index, content) in [("0x01c00100", first), ("0x01c00101", second)] {
        fs::write(directory.path().join("content"), content).unwrap();
        let (size, attributes) = (content.len().to_string(), "ownerread|authread|no_da|ppwrite|ppread|platformcreate");
        swtpm.tool("tpm2_nvdefine", &[index, "-C", "p", "-s", &size, "-a", attributes], directory.path());
        swtpm.tool("tpm2_nvwrite", &[index, "-C", "p", "-i", "content"], directory.path());
    }
    let endorsement = Evidence::new(swtpm.open()).endorsement().unwrap();
    assert_eq!(endorsement.chain, [issuer, root.clone()]);
    let chain: Vec<&[u8]> = endorsement.chain.iter().map(Vec::as_slice).collect();
    let certificate = endorsement.certificate.expect("it was manufactured");
    check_ek_certificate(&certificate, &[&root], &[], Moment::Any).expect_err("one is missing");
    check_ek_certificate(&certificate, &[&root], &chain, Moment::Any).unwrap();
}

#[test]
fn only_registers_that_there_are_are_quoted() {
    let swtpm = Swtpm::new();
    let evidence = Evidence::new(swtpm.open());
    let error = evidence.quote(NONCE, &[11, 24]).unwrap_err().to_string();
    assert!(error.contains("no register 24"), "{error}");
    let quote = evidence.quote(NONCE, &[23, 0, 7, 0]).unwrap();
    assert_eq!(quote.registers.keys().copied().collect::<Vec<_>>(), [0, 7, 23]);
    assert_eq!(quote.registers[&7], [0; 32]);
}

/// What Keylime makes of the same.
fn keylime(ek: &Public, ak_name: &[u8], directory: &std::path::Path) -> Credential {
    const PROGRAM: &str = "
import sys
from keylime.tpm import tpm_util
ek, name, secret, out = sys.argv[1:]
read = lambda path: open(path, 'rb').read()
open(out, 'wb').write(tpm_util.makecredential(read(ek), read(secret), read(name)))
";
    let cache = env::var_os("DOLMEN_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache/dolmen"))).expect("a home");
    let python = env::var_os("DOLMEN_PYTHON").map_or_else(|| cache.join("venv/bin/python"), PathBuf::from);
    for (name, bytes) in [("ek", &ek.to_tpm2b()[..]), ("name", ak_name), ("secret", SECRET)] {
        fs::write(directory.join(name), bytes).expect("it is written");
    }
    let output = Command::new(&python)
        .args(["-W", "ignore", "-c", PROGRAM, "ek", "name", "secret", "credential"])
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make setup`", python.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Credential::from_file(&fs::read(directory.join("credential")).expect("it was written")).expect("a credential")
}
