//! Which admissions a registrar takes.

use dolmen_provisioning_bundle::{
    Admission, AdmissionExpectation, AdmissionRefusal, ContentError, VerifiedAdmission, limits::REQUEST_BYTES_MAX,
};
use dolmen_provisioning_ca::{CrlReason, Profile, Revocation, RevocationList, UnixTime, chain::When};
use futures::executor::block_on;

use crate::support::{SERIAL, admission_expectation, hash, issue, world};

fn take(message: &[u8]) -> Result<VerifiedAdmission, AdmissionRefusal> {
    Admission::verify(message, &admission_expectation())
}

#[test]
fn a_registrar_takes_its_boxes() {
    let admission = world().admission();
    let taken = take(&world().machine.admission(&admission)).unwrap();
    assert_eq!(taken.content(), &admission);
    assert_eq!(taken.ldevid(), &world().machine.chain[0]);
    // The authority that issued the certificate is enough.
    let organisation = &world().machine.chain[1..];
    let expectation = AdmissionExpectation { organisation, ..admission_expectation() };
    Admission::verify(&world().machine.admission(&admission), &expectation).unwrap();
}

#[test]
fn others_are_refused() {
    let admission = world().admission();
    let refused = |message: &[u8]| take(message).unwrap_err().code();
    assert_eq!(refused(&world().registrar.admission(&admission)), "admission-no-box");
    assert_eq!(refused(&world().stranger.admission(&admission)), "admission-untrusted");
    let mut forged = world().machine.admission(&admission);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&forged), "admission-forged");
    assert_eq!(refused(b"0"), "admission-damaged");
    assert_eq!(refused(&world().machine.bundle(&world().bundle())), "admission-content");
    // A box of the organisation that asks for another.
    let other = issue(&world().issuing, Profile::LDevId, 7, Some("SN-0043"));
    assert_eq!(refused(&other.admission(&admission)), "admission-serial");
    let own = Admission { serial_number: "SN-0043".parse().unwrap(), ..admission.clone() };
    take(&other.admission(&own)).unwrap();
    // About something else.
    let send = |admission: Admission| refused(&world().machine.admission(&admission));
    assert_eq!(send(Admission { chain_id: 8, ..admission.clone() }), "admission-chain");
    assert_eq!(send(Admission { genesis_hash: hash(1), ..admission.clone() }), "admission-chain");
    assert_eq!(send(Admission { appraisal: None, ..admission.clone() }), "admission-appraisal");
    assert_eq!(send(Admission { appraisal: Some(hash(1)), ..admission }), "admission-appraisal");
}

#[test]
fn the_organisations_lists_and_times_count() {
    let message = world().machine.admission(&world().admission());
    let [begin, later, end] = [1_800_000_000, 1_800_086_400, 1_900_000_000].map(|at| UnixTime::from_secs(at).unwrap());
    let revoked = [(world().machine.chain[0].serial().clone(), later)];
    let revoked = revoked.map(|(serial, date)| (serial, Revocation { date, reason: CrlReason::KeyCompromise }));
    let list = RevocationList { number: 1, this_update: later, next_update: end, revoked: revoked.into() };
    let crls = [block_on(world().issuing.revoke(&list)).unwrap()];
    let verify = |expectation: AdmissionExpectation<'_>| Admission::verify(&message, &expectation);
    verify(AdmissionExpectation { when: When::At(later), ..admission_expectation() }).unwrap();
    let refusal = verify(AdmissionExpectation { crls: &crls, ..admission_expectation() }).unwrap_err();
    assert_eq!(refusal.code(), "admission-revoked");
    for when in [UnixTime::from_secs(begin.as_secs() - 1).unwrap(), end] {
        let refusal = verify(AdmissionExpectation { when: When::At(when), ..admission_expectation() }).unwrap_err();
        assert_eq!(refusal.code(), "admission-untrusted");
    }
    assert_eq!(world().machine.chain[0].box_serial(), Some(SERIAL));
}

#[test]
fn the_request_is_bounded_text() {
    let write = |request: String| Admission { request, ..world().admission() }.to_json();
    assert!(matches!(write(String::new()), Err(ContentError::Bytes { found: 0, .. })));
    assert!(matches!(write("x".repeat(REQUEST_BYTES_MAX + 1)), Err(ContentError::Bytes { .. })));
    assert!(matches!(write("\u{7}".to_owned()), Err(ContentError::Invalid(_))));
    let largest = write("\"".repeat(REQUEST_BYTES_MAX)).unwrap();
    assert_eq!(Admission::from_json(&largest).unwrap().request.len(), REQUEST_BYTES_MAX);
    let json = String::from_utf8(world().admission().to_json().unwrap()).unwrap();
    for (from, to) in
        [("\"chain_id\":7", "\"chain_id\":7,\"role\":\"validator\""), ("\"body\":{", "\"more\":0,\"body\":{")]
    {
        let read = Admission::from_json(json.replacen(from, to, 1).as_bytes());
        assert!(matches!(read, Err(ContentError::Json(..))), "{to}");
    }
}
