//! The messages of an appraisal, the judgement of them, and what says how to judge.

use std::{fmt::Debug, sync::LazyLock};

use dolmen_hsm_evidence::{HashAlgorithm, Moment, Pcrs};
use dolmen_image_bundle::{Hash, Sign as _, SignedManifest, SigningKey};
use dolmen_image_disk::verity::RootHash;
use dolmen_provisioning_appraisal::{
    Acknowledgement, Appraisal, Awaiting, Bytes, Challenge, Claim, Counters, Enrolment, Fixed, Fresh, Logs, Message,
    Policy, QuoteRequest, Reattestation, ReferenceValues, Response, Serial, SignedQuote, SignedStatement, Verifier,
    activation_proof, certification_nonce,
};
use dolmen_provisioning_rehearsal::{self as rehearsal, Boot};

use crate::{
    Target, ca,
    image::RELEASE_KEY,
    tpm::{self, REGISTERS},
    world::{NOW, SERIAL, WORLD},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("appraisal_message", messages, message),
    Target::new("appraisal_enrolment", enrolments, enrolment).cases(300),
    Target::new("appraisal_response", responses, response).cases(200),
    Target::new("appraisal_logs", logs, explanation).cases(200),
    Target::new("appraisal_again", reattestations, again).cases(200),
    Target::new("appraisal_result", results, result),
    Target::new("appraisal_policy", policies, policy).cases(1_500),
];

const SECRET: [u8; 32] = *b"what only this TPM can read, 32b";
const NONCE: [u8; 32] = *b"a nonce that was never used yet.";

pub(crate) fn serial() -> Serial {
    SERIAL.parse().expect("a serial number")
}

fn bytes<const MAX: usize>(bytes: Vec<u8>) -> Bytes<MAX> {
    Bytes::new(bytes).expect("short")
}

fn statement(statement: Vec<u8>) -> SignedStatement {
    SignedStatement { signature: bytes(tpm::sign(&statement)), statement: bytes(statement) }
}

/// Signed again by the attestation key, so that what is behind its signature is reached.
fn resigned(signed: &SignedStatement) -> SignedStatement {
    statement(signed.statement.as_slice().to_vec())
}

pub(crate) fn claim() -> Claim {
    Claim { version: "1.2.0".parse().expect("a version"), root_hash: Hash::from_bytes([0xab; 32]) }
}

fn boot_logs() -> Logs {
    let boot = Boot::default();
    Logs { firmware: bytes(boot.firmware_log()), userspace: Some(bytes(boot.userspace_log())) }
}

pub(crate) fn software_enrolment() -> Enrolment {
    Enrolment {
        ek_certificate: None,
        ek_chain: vec![bytes(WORLD.maker.certificate().der().to_vec())],
        ek_public: bytes(tpm::endorsement_key().to_tpm2b()),
        ak_public: bytes(tpm::attestation_key().to_tpm2b()),
        ldevid_public: bytes(tpm::device_key().to_tpm2b()),
        certification: statement(tpm::certify(&certification_nonce(&serial()), &tpm::device_key())),
        logs: boot_logs(),
        claim: claim(),
    }
}

fn quote() -> SignedQuote {
    let (boot, mut pcrs) = (Boot::default(), Pcrs::new(HashAlgorithm::Sha256).expect("a bank of 32 bytes"));
    let mut registers = dolmen_provisioning_appraisal::Registers::new();
    for register in REGISTERS {
        pcrs.set(register.into(), *boot.value(register).as_bytes()).expect("a register");
        registers.insert(register, boot.value(register));
    }
    SignedQuote { quote: statement(tpm::quote(&NONCE, &pcrs)), registers }
}

pub(crate) fn software_response() -> Response {
    Response { proof: activation_proof(&SECRET, &Fixed(NONCE)), quote: quote() }
}

pub(crate) fn software_reattestation() -> Reattestation {
    let ak_public = bytes(tpm::attestation_key().to_tpm2b());
    Reattestation { ak_public, quote: quote(), logs: boot_logs(), claim: claim() }
}

pub(crate) fn software_challenge() -> Challenge {
    let registers = REGISTERS.into();
    let (id_object, encrypted_secret) = (bytes(vec![1; 60]), bytes(vec![2; 70]));
    Challenge { id_object, encrypted_secret, nonce: Fixed(NONCE), registers }
}

fn messages() -> Vec<Vec<u8>> {
    [
        software_enrolment().to_json(),
        software_challenge().to_json(),
        software_response().to_json(),
        QuoteRequest { nonce: Fixed(NONCE), registers: REGISTERS.into() }.to_json(),
        software_reattestation().to_json(),
        Acknowledgement { again_seconds: 86_400 }.to_json(),
    ]
    .map(|json| json.expect("a message"))
    .into()
}

/// There is one text for a message.
fn message(json: &[u8]) -> bool {
    fn read<M: Message + PartialEq + Debug>(json: &[u8]) -> bool {
        let Ok(message) = M::from_json(json) else { return false };
        assert!(json.len() <= M::JSON_BYTES_MAX);
        assert_eq!(message.to_json().expect("what was read can be written"), json);
        true
    }
    let taken = [
        read::<Enrolment>(json),
        read::<Challenge>(json),
        read::<Response>(json),
        read::<QuoteRequest>(json),
        read::<Reattestation>(json),
        read::<Acknowledgement>(json),
    ];
    let taken = taken.into_iter().filter(|taken| *taken).count();
    assert!(taken <= 1, "a text is one message");
    taken == 1
}

/// A policy that takes the software TPM, whose endorsement key is registered.
fn policy_text() -> String {
    let ek = Hash::of(&tpm::endorsement_key().key().to_spki().expect("a key"));
    format!(
        "versions = [\"1.2.0\"]\ntest-keys = true\nhardware-only = false\nwithout-certificate = true\n\
         firmware-registers = \"ignore\"\nek-roots = [\"\"\"\n{}\"\"\"]\nhardware-makers = [\"id:46495245\"]\n\
         [registered-eks]\n\"{SERIAL}\" = \"{ek}\"\n",
        ca::pem(WORLD.maker.certificate())
    )
}

/// By a policy that takes the box, and the image that it runs.
pub(crate) fn verifier() -> Verifier {
    static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
        let key = SigningKey::from_pem(RELEASE_KEY).expect("the test key");
        let root_hash = RootHash::from_bytes([0xab; 32]);
        let manifest = rehearsal::manifest(claim().version, root_hash, &key.public_key(), &Boot::default());
        let signed = SignedManifest::sign(manifest.expect("a manifest"), &key).expect("a signature");
        let manifests = vec![(signed.json().to_vec(), *signed.signature())];
        let references = ReferenceValues::verify(manifests, &[key.public_key()]).expect("a release");
        Verifier::new(Policy::parse(&policy_text()).expect("a policy"), references)
    });
    VERIFIER.clone()
}

fn begin(enrolment: &Enrolment) -> Option<Awaiting> {
    let moment = Moment::At(i64::try_from(NOW).expect("before the year 10000"));
    let begun = verifier().begin(enrolment, &serial(), Fresh::new(SECRET.into(), NONCE), moment);
    begun.ok().map(|(awaiting, challenge)| {
        let json = challenge.to_json().expect("a challenge can be sent");
        assert_eq!(Challenge::from_json(&json).expect("the same"), challenge);
        awaiting
    })
}

fn enrolments() -> Vec<Vec<u8>> {
    vec![software_enrolment().to_json().expect("a message")]
}

fn enrolment(json: &[u8]) -> bool {
    let Ok(mut enrolment) = Enrolment::from_json(json) else { return false };
    let _ = begin(&enrolment);
    enrolment.certification = resigned(&enrolment.certification);
    let begun = begin(&enrolment).is_some();
    // It is that TPM's, or the statement is not about this key.
    assert!(!begun || enrolment.ek_public.as_slice() == tpm::endorsement_key().to_tpm2b());
    begun
}

fn responses() -> Vec<Vec<u8>> {
    vec![software_response().to_json().expect("a message")]
}

fn response(json: &[u8]) -> bool {
    let Ok(mut response) = Response::from_json(json) else { return false };
    response.quote.quote = resigned(&response.quote.quote);
    let awaiting = begin(&software_enrolment()).expect("an enrolment that holds");
    let Ok(appraisal) = awaiting.finish(&response) else { return false };
    assert_eq!((appraisal.registers(), appraisal.version()), (&quote().registers, &claim().version));
    assert_eq!(Appraisal::from_bytes(&appraisal.to_bytes()).expect("the same"), appraisal);
    true
}

fn logs() -> Vec<Vec<u8>> {
    let without = Logs { userspace: None, ..boot_logs() };
    [boot_logs(), without].map(|logs| serde_json::to_vec(&logs).expect("JSON")).into()
}

/// Logs have to lead to the registers, whatever else they say.
fn explanation(json: &[u8]) -> bool {
    let Ok(logs) = serde_json::from_slice::<Logs>(json) else { return false };
    let awaiting = begin(&Enrolment { logs, ..software_enrolment() }).expect("keys that hold");
    awaiting.finish(&software_response()).is_ok()
}

fn appraised() -> Appraisal {
    let awaiting = begin(&software_enrolment()).expect("an enrolment that holds");
    awaiting.finish(&software_response()).expect("a response that holds")
}

fn reattestations() -> Vec<Vec<u8>> {
    vec![software_reattestation().to_json().expect("a message")]
}

fn again(json: &[u8]) -> bool {
    static APPRAISED: LazyLock<Appraisal> = LazyLock::new(appraised);
    let Ok(mut answer) = Reattestation::from_json(json) else { return false };
    answer.quote.quote = resigned(&answer.quote.quote);
    let seen = Counters { resets: 2, restarts: 0 };
    let (awaiting, _) = verifier().ask(APPRAISED.clone(), seen, NONCE);
    let Ok(again) = awaiting.finish(&answer) else { return false };
    assert!(again.counters() >= seen && *again.registers() == quote().registers);
    true
}

fn results() -> Vec<Vec<u8>> {
    vec![appraised().to_bytes()]
}

fn result(bytes: &[u8]) -> bool {
    let Ok(appraisal) = Appraisal::from_bytes(bytes) else { return false };
    assert_eq!((appraisal.to_bytes(), appraisal.hash()), (bytes.to_vec(), Hash::of(bytes)));
    true
}

fn policies() -> Vec<Vec<u8>> {
    vec![policy_text().into_bytes()]
}

fn policy(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| Policy::parse(text).is_ok())
}
