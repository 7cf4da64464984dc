//! No bytes panic a decoder, random or changed, and what is taken is the same once it is written again. proptest makes
//! what fails small. That nothing which was changed is trusted is for `mutate.rs` to say.

use std::sync::OnceLock;

use dolmen_provisioning_ca::{
    Certificate, Crl, Request, RequestBuilder, UnixTime,
    chain::{Purpose, Roots, Rules, verify},
    cms::{self, ContentType, to_sign},
    est::{self, Operation},
    renewal::Standing,
};
use futures::executor::block_on;
use proptest::{collection, prelude::*, sample};

use crate::support::{BOX, Organisation, list, machine, names, pem, public_key, serial, signer};

const TYPE: ContentType = ContentType::data(4 << 10);

/// One of each kind, and the organisation that they are of.
struct Valid {
    organisation: Organisation,
    files: Vec<(&'static str, Vec<u8>)>,
}

fn valid() -> &'static Valid {
    static VALID: OnceLock<Valid> = OnceLock::new();
    VALID.get_or_init(|| {
        let organisation = Organisation::new();
        let issuing = organisation.issuing.certificate();
        let crl = block_on(organisation.issuing.revoke(&list(&[serial(1), serial(2)]))).expect("a list");
        let builder =
            RequestBuilder::new(&machine(), names()).and_then(|builder| builder.with_channel_binding(&[7; 32]));
        let request = block_on(builder.expect("a request").sign(&*signer(BOX))).expect("a signature");
        let chain = [organisation.ldevid.clone(), issuing.clone()];
        let message = to_sign(TYPE, b"a content", &chain).expect("a message");
        let files = vec![
            ("certificate", organisation.ldevid.der().to_vec()),
            ("authority", issuing.der().to_vec()),
            ("revocation list", crl.der().to_vec()),
            ("request", request.der().to_vec()),
            ("body of a request", est::write_request(&request).into_bytes()),
            ("certificates", est::certs_only(&chain).expect("certificates")),
            ("body of certificates", est::write_certs(&chain).expect("certificates").into_bytes()),
            ("body of a certificate", est::write_enrolled(&organisation.ldevid).expect("a certificate").into_bytes()),
            ("message", block_on(message.sign(&*signer(BOX))).expect("a signature")),
            ("roots", [pem(issuing), pem(organisation.root.certificate())].concat()),
            ("path", b"/.well-known/est/a/simpleenroll".to_vec()),
            ("time", b"2026-11-22T08:00:00+08:00".to_vec()),
            ("quoted time", b"\"2026-11-22T08:00:00Z\"".to_vec()),
            ("certificate in JSON", serde_json::to_vec(&organisation.ldevid).expect("JSON")),
        ];
        Valid { organisation, files }
    })
}

/// Everything that reads bytes of others. Says how many take them.
fn decode(bytes: &[u8]) -> usize {
    let organisation = &valid().organisation;
    let mut taken = 0;
    let mut count = |ok: bool| taken += usize::from(ok);
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
        use_all(&certificate);
        count(true);
    }
    if let Ok(crl) = Crl::from_der(bytes, organisation.issuing.certificate()) {
        assert_eq!(crl.der(), bytes);
        count(crl.is_of(organisation.issuing.certificate()));
    }
    for request in [Request::from_der(bytes).ok(), est::read_request(bytes).ok()].into_iter().flatten() {
        assert_eq!(est::read_request(est::write_request(&request).as_bytes()).expect("the same"), request);
        count(est::check_reenroll(&organisation.ldevid, &request).is_err());
    }
    for certificates in [est::read_certs_only(bytes), est::read_certs(bytes)].into_iter().flatten() {
        certificates.iter().for_each(use_all);
        // CMS sorts them, so that they have one form from then on.
        let written = est::certs_only(&certificates).expect("certificates");
        let again = est::read_certs_only(&written).expect("certificates");
        assert_eq!(est::certs_only(&again).expect("certificates"), written);
        assert!(again.len() == certificates.len() && certificates.iter().all(|one| again.contains(one)));
        count(true);
    }
    count(est::read_enrolled(bytes, &public_key(BOX)).is_ok());
    let rules = Rules::timeless(Purpose::Client);
    if let Ok(verified) = cms::verify(bytes, TYPE, &organisation.roots(), &rules) {
        count(verified.content() == b"a content" && verified.signer() == &organisation.ldevid);
    }
    count(Roots::from_pem(bytes).is_ok_and(|roots| !roots.is_empty()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok((operation, label)) = Operation::parse(text) {
            assert_eq!(operation.path(label).expect("a path"), text);
            count(true);
        }
        if let Ok(time) = text.parse::<UnixTime>() {
            assert_eq!(time.to_string().parse(), Ok(time));
            count(true);
        }
    }
    if let Ok(time) = serde_json::from_slice::<UnixTime>(bytes) {
        assert_eq!(serde_json::from_str::<UnixTime>(&format!("\"{time}\"")).expect("a time"), time);
        count(true);
    }
    if let Ok(certificate) = serde_json::from_slice::<Certificate>(bytes) {
        let again = serde_json::to_vec(&certificate).expect("JSON");
        assert_eq!(serde_json::from_slice::<Certificate>(&again).expect("the same"), certificate);
        count(true);
    }
    taken
}

/// Whatever can be asked of a certificate.
fn use_all(certificate: &Certificate) {
    let organisation = &valid().organisation;
    let (subject, names) = (certificate.subject(), certificate.alt_names());
    let _ = (subject.to_string(), names.len(), certificate.machine_serial(), certificate.box_serial());
    let _ = (certificate.public_key(), certificate.purposes(), certificate.path_length(), format!("{certificate:?}"));
    let _ = Standing::of(certificate.validity(), UnixTime::MAX);
    let _ = certificate.is_issued_by(organisation.issuing.certificate());
    let rules = Rules::timeless(Purpose::Client);
    let own = std::slice::from_ref(certificate);
    for (others, roots) in [(&organisation.others()[..], &organisation.roots()[..]), (own, own), (own, &[])] {
        if let Ok(path) = verify(certificate, others, roots, &rules) {
            assert!(path.root().is_some_and(|root| roots.contains(root)));
        }
    }
    let _ = verify(&organisation.ldevid, own, &organisation.roots(), &rules);
    let _ = verify(&organisation.ldevid, &organisation.others(), own, &rules);
}

/// Otherwise the tests below would change files that nothing reads.
#[test]
fn every_file_is_read_by_something() {
    for (name, file) in &valid().files {
        assert!(decode(file) > 0, "{name}");
    }
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    sample::select((0..valid().files.len()).collect::<Vec<_>>()).prop_map(|at| valid().files[at].1.clone())
}

proptest! {
    #[test]
    fn random_bytes(bytes in collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes);
    }

    #[test]
    fn changed_files(
        mut bytes in file(),
        flips in collection::vec((any::<sample::Index>(), 0_u8..8), 0..4),
        keep in any::<sample::Index>(),
        cut in any::<bool>(),
    ) {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        decode(&bytes);
    }

    /// Lengths are where decoders go wrong: two bytes anywhere become a large or small number.
    #[test]
    fn changed_lengths(
        mut bytes in file(),
        at in any::<sample::Index>(),
        value in prop_oneof![Just(0_u16), Just(1_u16), Just(0x7fff_u16), Just(0xffff_u16), any::<u16>()],
    ) {
        let at = at.index(bytes.len() - 1);
        bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        decode(&bytes);
    }

    /// Parts of one within another.
    #[test]
    fn spliced_files(
        mut bytes in file(),
        other in file(),
        (at, from, to) in any::<(sample::Index, sample::Index, sample::Index)>(),
    ) {
        let (from, to) = (from.index(other.len()), to.index(other.len()));
        let at = at.index(bytes.len());
        drop(bytes.splice(at..at, other[from.min(to)..from.max(to)].iter().copied()));
        decode(&bytes);
    }
}
