//! Certificates, requests for them, lists of revoked ones, messages, and EST.

use std::slice;

use dolmen_provisioning_ca::{
    Certificate, Crl, CrlReason, GeneralName, PublicKey, Request, RequestBuilder, Revocation, RevocationList, Serial,
    Subject, UnixTime, alt_name,
    chain::{Purpose, Roots, Rules, verify},
    cms::{self, ContentType},
    est::{self, Operation},
    register::{Event, Reason},
};
use futures::executor::block_on;

use crate::{
    Target, mutation,
    world::{NOW, Party, WORLD, now},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("ca_certificate", certificates, certificate),
    Target::new("ca_certificate_signed", contents_of_certificates, certificate_signed).cases(600),
    Target::new("ca_request", requests, request),
    Target::new("ca_request_signed", contents_of_requests, request_signed).cases(800),
    Target::new("ca_crl", crls, crl),
    Target::new("ca_crl_signed", contents_of_crls, crl_signed).cases(800),
    Target::new("ca_cms", messages, message),
    Target::new("ca_est", bodies, body),
    Target::new("ca_text", texts, text),
    Target::new("ca_register", events, event),
];

const TYPE: ContentType = ContentType::data(4 << 10);
const CONTENT: &[u8] = b"a content";
const PURPOSES: [Purpose; 6] =
    [Purpose::Client, Purpose::Server, Purpose::Registrar, Purpose::Voucher, Purpose::IDevId, Purpose::Authority];
/// Names in a request at most.
const ALT_NAMES_MAX: usize = 16;

fn certificates() -> Vec<Vec<u8>> {
    WORLD.certificates().iter().map(|certificate| certificate.der().to_vec()).collect()
}

fn certificate(bytes: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(bytes) else { return false };
    assert_eq!(certificate.der(), bytes);
    let json = serde_json::to_vec(&certificate).expect("JSON");
    assert_eq!(serde_json::from_slice::<Certificate>(&json).expect("the same"), certificate);
    use_all(&certificate);
    // ECDSA has two signatures for one content, so that the content is compared.
    for issuer in WORLD.certificates() {
        let is_issued = certificate.is_issued_by(&issuer).unwrap_or(false);
        let content = mutation::content(bytes);
        let is_known = certificates().iter().any(|known| mutation::content(known) == content);
        assert!(!is_issued || is_known, "a certificate that nobody signed");
    }
    true
}

/// Everything that is asked of a certificate.
fn use_all(certificate: &Certificate) {
    let _ = (certificate.public_key(), certificate.validity(), certificate.serial(), certificate.path_length());
    let _ = (certificate.machine_serial(), certificate.box_serial(), certificate.purposes());
    let _ = (certificate.key_identifier(), certificate.authority_key_identifier(), certificate.is_authority());
    let _ = (Subject::read(certificate.subject()), Subject::read(certificate.issuer()));
    let _ = format!("{certificate:?}");
}

fn contents(ders: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    ders.iter().map(|der| mutation::content(der).expect("it has a content")).collect()
}

fn contents_of_certificates() -> Vec<Vec<u8>> {
    contents([&WORLD.member, &WORLD.registrar].map(|party| party.certificate().der().to_vec()).into())
}

/// A path is built to whatever an authority can be made to sign.
fn certificate_signed(content: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(&WORLD.issuing.sealed(content)) else { return false };
    let (root, others) = (WORLD.root.certificate(), slice::from_ref(WORLD.authority.certificate()));
    let mut trusted = false;
    for purpose in PURPOSES {
        if let Ok(path) = verify(&certificate, others, slice::from_ref(root), &Rules::timeless(purpose)) {
            assert_eq!(path.root(), Some(root));
            assert_eq!(path.certificates().first(), Some(&certificate));
            // The authority may have none below it.
            assert!(!certificate.is_authority());
            trusted = true;
        }
    }
    trusted
}

fn csr() -> Request {
    let subject = Subject::new("Example", "box").expect("a name");
    let names: Vec<GeneralName> = vec![alt_name::dns("box-1.example").expect("a name")];
    let builder = RequestBuilder::new(&subject, names).and_then(|builder| builder.with_channel_binding(&[7; 32]));
    block_on(builder.expect("a request").sign(&*WORLD.member.key)).expect("a signature")
}

fn requests() -> Vec<Vec<u8>> {
    let renewal = RequestBuilder::renewal(WORLD.member.certificate());
    vec![csr().der().to_vec(), block_on(renewal.sign(&*WORLD.member.key)).expect("a signature").der().to_vec()]
}

fn request(bytes: &[u8]) -> bool {
    let Ok(request) = Request::from_der(bytes) else { return false };
    assert_eq!(request.der(), bytes);
    assert_eq!(est::read_request(est::write_request(&request).as_bytes()).expect("the same"), request);
    assert!(request.alt_names().len() <= ALT_NAMES_MAX);
    let _ = (request.channel_binding(), request.ignored(), est::check_reenroll(WORLD.member.certificate(), &request));
    true
}

fn contents_of_requests() -> Vec<Vec<u8>> {
    contents(requests())
}

fn request_signed(content: &[u8]) -> bool {
    request(&WORLD.member.sealed(content))
}

fn crls() -> Vec<Vec<u8>> {
    let list = |count: u8| {
        let revocation = |number| {
            let reason = if number == 0 { CrlReason::Unspecified } else { CrlReason::KeyCompromise };
            (Serial::from_random([number; 16]), Revocation { date: now(), reason })
        };
        let next_update = UnixTime::from_secs(NOW + 1000).expect("a time");
        let revoked = (0..count).map(revocation).collect();
        let list = RevocationList { number: 7, this_update: now(), next_update, revoked };
        block_on(WORLD.authority.revoke(&list)).expect("a list").der().to_vec()
    };
    vec![list(0), list(3)]
}

fn crl(bytes: &[u8]) -> bool {
    let issuer = WORLD.authority.certificate();
    let Ok(crl) = Crl::from_der(bytes, issuer) else { return false };
    assert_eq!(crl.der(), bytes);
    assert!(crl.is_of(issuer) && !crl.is_of(WORLD.root.certificate()) && crl.next_update() >= crl.this_update());
    assert!(crl.revoked().all(|(serial, revocation)| crl.revocation(serial) == Some(revocation)));
    let rules = Rules { crls: slice::from_ref(&crl), ..Rules::timeless(Purpose::Client) };
    let path = verify(WORLD.member.certificate(), &[], slice::from_ref(issuer), &rules);
    assert!(path.is_err() || !crl.is_revoked(WORLD.member.certificate().serial()));
    true
}

fn contents_of_crls() -> Vec<Vec<u8>> {
    contents(crls())
}

fn crl_signed(content: &[u8]) -> bool {
    crl(&WORLD.issuing.sealed(content))
}

fn messages() -> Vec<Vec<u8>> {
    [&WORLD.member, &WORLD.registrar].map(|party| party.message(TYPE, CONTENT).expect("a message")).into()
}

fn message(bytes: &[u8]) -> bool {
    let Ok(opened) = cms::open(bytes, TYPE) else { return false };
    assert!(bytes.len() <= TYPE.message_bytes_max() && opened.content().len() <= 4 << 10);
    use_all(opened.signer());
    let rules = Rules::timeless(Purpose::Client);
    if let Ok(verified) = cms::verify(bytes, TYPE, slice::from_ref(WORLD.root.certificate()), &rules) {
        let signers = [&WORLD.member, &WORLD.registrar].map(Party::certificate);
        assert!(verified.content() == CONTENT && signers.contains(&verified.signer()), "a message that nobody signed");
    }
    true
}

fn bodies() -> Vec<Vec<u8>> {
    let certificates = [WORLD.member.certificate().clone(), WORLD.authority.certificate().clone()];
    vec![
        est::write_request(&csr()).into_bytes(),
        est::write_enrolled(WORLD.member.certificate()).expect("a certificate").into_bytes(),
        est::write_certs(&certificates).expect("certificates").into_bytes(),
        est::certs_only(&certificates).expect("certificates"),
    ]
}

fn body(bytes: &[u8]) -> bool {
    let mut taken = false;
    for certificates in [est::read_certs_only(bytes), est::read_certs(bytes)].into_iter().flatten() {
        certificates.iter().for_each(use_all);
        // CMS sorts them, so that they have one form from then on.
        let written = est::certs_only(&certificates).expect("certificates");
        let again = est::read_certs_only(&written).expect("certificates");
        assert_eq!(est::certs_only(&again).expect("certificates"), written);
        assert!(again.len() == certificates.len() && certificates.iter().all(|one| again.contains(one)));
        taken = true;
    }
    let key = PublicKey::of(&*WORLD.member.key).expect("a key");
    if let Ok(certificate) = est::read_enrolled(bytes, &key) {
        assert_eq!(certificate.public_key().expect("a key"), key);
        taken = true;
    }
    if let Ok(read) = est::read_request(bytes) {
        taken |= request(read.der());
    }
    taken
}

fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "/.well-known/est/a/simpleenroll",
        "/.well-known/est/cacerts",
        "2026-11-22T08:00:00+08:00",
        "2026-11-22T08:00:00.123456Z",
        "keyCompromise",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.push(WORLD.member.certificate().serial().to_string().into_bytes());
    texts.push([pem(WORLD.root.certificate()), pem(WORLD.maker.certificate())].concat().into_bytes());
    texts
}

/// RFC 7468.
pub(crate) fn pem(certificate: &Certificate) -> String {
    let base64 = serde_json::to_string(&certificate).expect("JSON");
    let base64 = base64.trim_matches('"').as_bytes();
    let lines: Vec<_> = base64.chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn text(bytes: &[u8]) -> bool {
    let mut taken = Roots::from_pem(bytes).is_ok_and(|roots| !roots.is_empty());
    let Ok(text) = std::str::from_utf8(bytes) else { return taken };
    if let Ok((operation, label)) = Operation::parse(text) {
        assert_eq!(operation.path(label).expect("a path"), text);
        taken = true;
    }
    if let Ok(time) = text.parse::<UnixTime>() {
        assert_eq!(time.to_string().parse(), Ok(time));
        taken = true;
    }
    if let Ok(serial) = text.parse::<Serial>() {
        assert_eq!(serial.to_string().parse(), Ok(serial));
        taken = true;
    }
    if let Ok(reason) = text.parse::<Reason>() {
        assert_eq!(reason.name(), text);
        taken = true;
    }
    taken
}

fn events() -> Vec<Vec<u8>> {
    let certificate = WORLD.member.certificate();
    let (serial, next_update) = (certificate.serial().clone(), UnixTime::from_secs(NOW + 1).expect("a time"));
    [
        Event::Issued { certificate: certificate.clone() },
        Event::Revoked { serial, reason: Reason::Superseded, date: now() },
        Event::Listed { number: 7, this_update: now(), next_update },
    ]
    .map(|event| serde_json::to_vec(&event).expect("JSON"))
    .into()
}

fn event(bytes: &[u8]) -> bool {
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else { return false };
    let text = serde_json::to_vec(&event).expect("JSON");
    assert_eq!(serde_json::from_slice::<Event>(&text).expect("the same"), event);
    true
}
