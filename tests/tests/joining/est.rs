//! curl and openssl in the place of a box: they ask for a voucher and enrol at `dolmen registrar` (RFC 8995, RFC 7030). Only
//! what a TPM says is our own library's.

use std::{fs, path::Path, process::Command};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyStore as _, Signer};
use dolmen_hsm_evidence::Public;
use dolmen_hsm_tpm::{Evidence, Tpm, TpmStore};
use dolmen_provisioning_appraisal::{Bytes, Challenge, Claim, Logs, Message as _, Response, Serial};
use dolmen_provisioning_attester as attester;
use dolmen_provisioning_ca::{Request, RequestBuilder, Subject};
use dolmen_provisioning_ceremony::Birth;
use dolmen_provisioning_rehearsal::Boot;
use dolmen_provisioning_voucher::OwnershipEpoch;
use dolmen_tests::{Devnet, Joining, PATIENCE, SoftTpm, process};
use openssl::sha::sha256;

const SERIAL: &str = "EST-0001";

fn openssl(dir: &Path, arguments: &str) -> String {
    let ended = process::run(Command::new("openssl").args(arguments.split(' ')).current_dir(dir), PATIENCE);
    assert!(ended.status.success(), "openssl {arguments}: {}", ended.output);
    ended.output
}

/// curl, with the box's first certificate.
struct Curl<'a> {
    dir: &'a Path,
    registrar: String,
}

impl Curl<'_> {
    /// Asks for a path, and puts the answer into a file; its status.
    fn ask(&self, path: &str, more: &[&str], answer: &str) -> String {
        let url = format!("https://{}/.well-known/{path}", self.registrar);
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30", "--cacert", "root.pem", "-w", "%{http_code}", "-o", answer]);
        let ended = process::run(curl.args(more).arg(url).current_dir(self.dir), PATIENCE);
        assert!(ended.status.success(), "{path}: {}", ended.output);
        ended.output
    }

    fn post(&self, path: &str, media: &str, body: &str, answer: &str) -> String {
        let (media, body) = (format!("Content-Type: {media}"), format!("@{body}"));
        let more = ["--cert", "idevid.pem", "--key", "idevid.key", "-H", &media, "--data-binary", &body];
        self.ask(path, &more, answer)
    }
}

/// A box's certificates, of a message that has no signature (RFC 7030 §4.1.3): its body is base64.
fn certificates(dir: &Path, answer: &str, to: &str) {
    openssl(dir, &format!("base64 -d -in {answer} -out {answer}.der"));
    openssl(dir, &format!("pkcs7 -inform DER -in {answer}.der -print_certs -out {to}"));
}

#[test]
fn curl_and_openssl_enrol() {
    let home = tempfile::tempdir().unwrap();
    let devnet = Devnet::start_zero_touch(home.path(), 1, &[]);
    let net = Joining::of(&devnet);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("a file");
    let read = |name: &str| fs::read(dir.join(name)).expect("a file");

    // The box: a key of openssl's for its maker's certificate, and a TPM that this devnet's maker vouches for.
    let tpm = SoftTpm::made_by(&home.path().join("tpms/setup.conf"), &Boot::default().digests());
    let connection = Tpm::new(tpm.tcti().parse().expect("a TCTI"));
    let store = TpmStore::new(connection.clone(), dir.join("keys"));
    let spec =
        KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Tls, Domain::Certificate].into_iter().collect() };
    let ldevid = store.create(&"tpm:ldevid".parse().expect("a name"), spec).expect("the TPM makes keys");
    let evidence = Evidence::new(connection);
    openssl(
        dir,
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout idevid.key -subj /CN=box -outform DER -out idevid.csr",
    );
    let endorsement = dolmen_hsm_api::AttestingTpm::endorsement(&evidence).expect("the TPM has a key");
    let key = Public::from_tpmt(&endorsement.public).expect("a key").key().to_spki().expect("a key");
    let birth = Birth {
        serial_number: SERIAL.parse().expect("a serial number"),
        request: Request::from_der(&read("idevid.csr")).expect("openssl's request"),
        endorsement_key: sha256(&key),
        ownership_epoch: OwnershipEpoch::new(0),
    };
    write("birth.json", &birth.to_json().expect("JSON"));
    let (at, alpha) = (|name: &str| dir.join(name).display().to_string(), "organisations/alpha");
    net.run(&format!("masa certify {} --out {} --maker maker", at("birth.json"), at("idevid.pem")));
    net.run(&format!("masa sell {SERIAL} --to {alpha}/ca/root.pem --out {alpha}/vouchers --maker maker"));
    net.run(&format!("registrar import {alpha}/vouchers/{SERIAL}.vcj --registrar {alpha}/registrar"));
    net.run(&format!("registrar approve {SERIAL} --registrar {alpha}/registrar"));
    for (from, to) in [(format!("{alpha}/ca/root.pem"), "root.pem"), ("maker/root.pem".to_owned(), "maker.pem")] {
        fs::copy(home.path().join(from), dir.join(to)).expect("a file");
    }
    let settings = fs::read_to_string(home.path().join(alpha).join("registrar/registrar.toml")).expect("settings");
    let listen = settings.lines().find_map(|line| line.strip_prefix("listen = ")).expect("an address");
    let curl = Curl { dir, registrar: listen.trim_matches('"').to_owned() };

    let path = String::from_utf8(read("idevid.pem")).expect("PEM");
    let end = "-----END CERTIFICATE-----";
    write("issuer.pem", path.split_once(end).expect("two certificates").1.trim_start().as_bytes());

    // The voucher: openssl signs the request, and says whose the answer is.
    fs::copy(home.path().join(alpha).join("registrar/registrar.pem"), dir.join("registrar.pem")).expect("a file");
    openssl(dir, "x509 -in registrar.pem -outform DER -out registrar.der");
    let registrar = openssl(dir, "base64 -A -in registrar.der");
    let request = format!(
        "{{\"ietf-voucher-request:voucher\":{{\"assertion\":\"proximity\",\"serial-number\":\"{SERIAL}\",\
         \"nonce\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"proximity-registrar-cert\":\"{}\"}}}}",
        registrar.trim()
    );
    write("request.json", request.as_bytes());
    let sign = "cms -sign -binary -nodetach -outform DER -econtent_type 1.2.840.113549.1.9.16.1.40 -md sha256";
    openssl(
        dir,
        &format!("{sign} -in request.json -signer idevid.pem -inkey idevid.key -certfile issuer.pem -out request.cms"),
    );
    let asked = curl.post("brski/requestvoucher", "application/voucher-cms+json", "request.cms", "voucher.vcj");
    assert_eq!(asked, "200", "{}", String::from_utf8_lossy(&read("voucher.vcj")));
    let verified = "cms -verify -binary -inform DER -in voucher.vcj -CAfile maker.pem -purpose any";
    assert!(openssl(dir, verified).contains(SERIAL));

    // Anybody may ask who the authorities are; whoever has no certificate gets no further.
    assert_eq!(curl.ask("est/cacerts", &[], "cacerts.p7"), "200");
    certificates(dir, "cacerts.p7", "cacerts.pem");
    write("empty", b"{}");
    let stranger = ["-H", "Content-Type: application/json", "--data-binary", "@empty"];
    assert_eq!(curl.ask("dolmen/enrolment", &stranger, "refusal.json"), "401");
    assert!(String::from_utf8_lossy(&read("refusal.json")).contains("no-certificate"));

    // The certificate: after the TPM was judged, by a request that its key signed.
    let serial: Serial = SERIAL.parse().expect("a serial number");
    let boot = Boot::default();
    let log = |bytes: Vec<u8>| Bytes::new(bytes).expect("a short log");
    let logs =
        Logs { firmware: log(boot.firmware_log()), userspace: Some(Bytes::new(boot.userspace_log()).expect("short")) };
    let claim = Claim {
        version: env!("CARGO_PKG_VERSION").parse().expect("a version"),
        root_hash: dolmen_image_bundle::Hash::from_bytes([0xd0; 32]),
    };
    let enrolment = attester::enrolment(&evidence, &*ldevid, &serial, logs, claim).expect("the TPM is there");
    write("enrolment.json", &enrolment.to_json().expect("JSON"));
    let asked = curl.post("dolmen/enrolment", "application/json", "enrolment.json", "challenge.json");
    assert_eq!(asked, "200", "{}", String::from_utf8_lossy(&read("challenge.json")));
    let challenge = Challenge::from_json(&read("challenge.json")).expect("a challenge");
    let response = attester::respond(&evidence, &challenge).expect("it is for this TPM");
    write("response.json", &response.to_json().expect("JSON"));
    assert_eq!(curl.post("dolmen/response", "application/json", "response.json", "nothing"), "204");
    let csr = request_of(&*ldevid);
    write("ldevid.csr", &csr);
    openssl(dir, "req -inform DER -in ldevid.csr -noout -verify");
    openssl(dir, "base64 -in ldevid.csr -out ldevid.b64");
    for (path, answer) in [("est/simpleenroll", "first"), ("est/simplereenroll", "second")] {
        assert_eq!(curl.post(path, "application/pkcs10", "ldevid.b64", answer), "200");
        certificates(dir, answer, &format!("{answer}.pem"));
        openssl(dir, &format!("verify -CAfile root.pem -untrusted cacerts.pem {answer}.pem"));
        assert!(openssl(dir, &format!("x509 -in {answer}.pem -noout -subject")).contains(SERIAL));
    }
    // Another key was not judged.
    openssl(
        dir,
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -subj /CN=box -outform DER -out other.csr",
    );
    openssl(dir, "base64 -in other.csr -out other.b64");
    assert_eq!(curl.post("est/simpleenroll", "application/pkcs10", "other.b64", "refusal.json"), "403");
    assert!(String::from_utf8_lossy(&read("refusal.json")).contains("key-not-appraised"));

    // A quote of before, in the answer to another challenge.
    assert_eq!(curl.post("dolmen/enrolment", "application/json", "enrolment.json", "challenge.json"), "200");
    let challenge = Challenge::from_json(&read("challenge.json")).expect("a challenge");
    let again = attester::respond(&evidence, &challenge).expect("it is for this TPM");
    write("response.json", &Response { quote: response.quote, ..again }.to_json().expect("JSON"));
    assert_eq!(curl.post("dolmen/response", "application/json", "response.json", "refusal.json"), "403");
    assert!(String::from_utf8_lossy(&read("refusal.json")).contains("quote-replayed"));
    assert!(net.refused("alpha", SERIAL).contains(&"quote-replayed".to_owned()));

    // The box of an organisation that nobody here knows.
    openssl(
        dir,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger.key -subj /CN=box/serialNumber={SERIAL} -days 9 -out stranger.pem"
        ),
    );
    let stranger = ["--cert", "stranger.pem", "--key", "stranger.key"];
    assert_eq!(curl.ask("dolmen/bundle", &stranger, "refusal.json"), "403");
    let refusal = String::from_utf8_lossy(&read("refusal.json")).into_owned();
    assert!(refusal.contains("ldevid-unknown"), "{refusal}");
    let numbers = net.metrics("alpha");
    for code in ["quote-replayed", "ldevid-unknown"] {
        assert!(numbers.contains(&format!("dolmen_registrar_refused_total{{code=\"{code}\"}}")), "{numbers}");
    }
    let journal = fs::read_to_string(home.path().join(alpha).join("registrar/journal")).expect("a journal");
    assert!(journal.contains("ldevid-unknown"));
}

fn request_of(ldevid: &dyn Signer) -> Vec<u8> {
    let subject = Subject::new("box", SERIAL).and_then(|subject| subject.with_machine_serial(SERIAL)).expect("a name");
    let request = RequestBuilder::new(&subject, Vec::new()).expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(request.sign(ldevid)).expect("the TPM signs").der().to_vec()
}
