//! What is not issued, and what no authority is.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeyUri};
use dolmen_provisioning_ca::{
    Authority, AuthorityError, Certificate, IssueError, NameError, Order, Profile, SignError, Subject, UnixTime,
    Validity, alt_name,
};
use futures::executor::block_on;

use crate::forge::Forged;
use crate::support::{
    BOX, DAY, HARDWARE, ISSUING, Liar, Organisation, REGISTRAR, ROOT, START, STRANGER, YEAR, box_order, forever,
    machine, names, order, public_key, serial, signer, signer_of, subject, time, years,
};

fn refuse(order: &Order) -> IssueError {
    block_on(Organisation::new().issuing.issue(order)).expect_err("an order that is refused")
}

#[test]
fn nothing_outlives_its_issuer() {
    let organisation = Organisation::new();
    let end = START + 10 * YEAR;
    let until = |seconds| Validity::new(time(START), time(seconds)).unwrap();
    let last = block_on(organisation.issuing.issue(&Order { validity: until(end), ..box_order() })).unwrap();
    assert_eq!(last.validity().not_after(), organisation.issuing.certificate().validity().not_after());
    let error = refuse(&Order { validity: until(end + 1), ..box_order() });
    let times = (time(end + 1), time(end));
    assert!(matches!(error, IssueError::Outlives { until, issuer } if (until, issuer) == times), "{error}");
}

#[test]
fn an_issuing_authority_issues_none() {
    let error = refuse(&order(Profile::Issuing, subject("below"), BOX, years(1)));
    assert!(matches!(error, IssueError::PathLength(0)), "{error}");
    let error = refuse(&order(Profile::Root, subject("below"), BOX, years(1)));
    assert!(matches!(error, IssueError::Root), "{error}");
}

#[test]
fn a_maker_s_identity_has_no_end() {
    let idevid = |validity| order(Profile::IDevId { hardware: HARDWARE }, machine(), BOX, validity);
    let error = refuse(&idevid(years(1)));
    assert!(matches!(error, IssueError::Ends(end) if end == time(START + YEAR)), "{error}");
    let error = refuse(&idevid(forever()));
    assert!(matches!(error, IssueError::Outlives { until: UnixTime::MAX, .. }), "{error}");
}

#[test]
fn boxes_are_machines_and_others_are_not() {
    for profile in [Profile::LDevId, Profile::Registrar, Profile::Masa] {
        let subject = if profile == Profile::LDevId { subject("box-1") } else { machine() };
        let error = refuse(&order(profile, subject, BOX, years(1)));
        assert!(matches!(error, IssueError::Machine(name) if name == profile.name()), "{error}");
    }
    let root = block_on(Authority::root(signer(ROOT), machine(), years(1), serial(1)));
    assert!(matches!(root, Err(IssueError::Machine("root"))));
}

#[test]
fn names_are_issued_where_they_belong() {
    let uri = Organisation::new().ldevid.alt_names()[0].clone();
    let error = refuse(&Order { alt_names: vec![uri], ..box_order() });
    assert!(matches!(error, IssueError::AltNames(NameError::Kind("a URI"))), "{error}");
    let error = refuse(&Order { alt_names: vec![alt_name::dns("a").unwrap(); 17], ..box_order() });
    assert!(matches!(error, IssueError::AltNames(NameError::TooMany(17))), "{error}");
    let organisation = Organisation::new();
    let order = Order { alt_names: names(), ..order(Profile::Issuing, subject("other"), BOX, years(1)) };
    let error = block_on(organisation.root.issue(&order)).unwrap_err();
    assert!(matches!(error, IssueError::NoAltNames("issuing")), "{error}");
}

#[test]
fn nobody_passes_for_the_authority() {
    for order in [
        order(Profile::Registrar, subject("issuing"), BOX, years(1)),
        order(Profile::Registrar, subject("other"), ISSUING, years(1)),
    ] {
        let error = refuse(&order);
        assert!(matches!(error, IssueError::Own), "{error}");
    }
}

/// Nothing is given out that a broken or exchanged device signed.
#[test]
fn a_device_with_another_key_is_named() {
    let organisation = Organisation::new();
    let liar = Arc::new(Liar { says: signer(ISSUING), signs: signer(STRANGER) });
    let certificate = organisation.issuing.certificate().clone();
    let authority = Authority::new(certificate.clone(), Vec::new(), liar.clone()).unwrap();
    let error = block_on(authority.issue(&box_order())).unwrap_err();
    let named = |uri: &KeyUri| uri.to_string() == format!("soft:key-{ISSUING}");
    assert!(matches!(&error, IssueError::Sign(SignError::WrongKey(uri)) if named(uri)), "{error}");
    let error = block_on(Authority::root(liar, subject("root"), years(1), serial(1))).unwrap_err();
    assert!(matches!(&error, IssueError::Sign(SignError::WrongKey(uri)) if named(uri)), "{error}");

    let votes = signer_of(Algorithm::EcdsaP256, Domain::Vote, ISSUING);
    let authority = Authority::new(certificate, Vec::new(), votes).unwrap();
    let error = block_on(authority.issue(&box_order())).unwrap_err();
    assert!(matches!(error, IssueError::Sign(SignError::Key(KeyError::Domain { .. }))), "{error}");
}

#[test]
fn keys_of_other_kinds_are_refused() {
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaSecp256k1, Algorithm::Sm2] {
        let key = signer_of(algorithm, Domain::Certificate, ROOT);
        let error = block_on(Authority::root(key, subject("root"), years(1), serial(1))).unwrap_err();
        let found =
            matches!(&error, IssueError::Sign(SignError::Algorithm { algorithm: found, .. }) if *found == algorithm);
        assert!(found, "{error}");
    }
}

#[test]
fn an_authority_is_one() {
    let organisation = Organisation::new();
    let (root, issuing) = (organisation.root.certificate(), organisation.issuing.certificate());
    let new = |certificate: &Certificate, chain: &[_], key| {
        Authority::new(certificate.clone(), chain.to_vec(), signer(key)).map(|_| ())
    };
    assert!(new(issuing, &organisation.roots(), ISSUING).is_ok());
    assert!(matches!(new(issuing, &[], STRANGER), Err(AuthorityError::OtherKey(_))));
    assert!(matches!(new(&organisation.ldevid, &[], BOX), Err(AuthorityError::NoAuthority)));
    assert!(matches!(new(issuing, &organisation.others(), ISSUING), Err(AuthorityError::Chain(0))));
    assert!(matches!(new(issuing, &[root.clone(), issuing.clone()], ISSUING), Err(AuthorityError::Chain(1))));
    assert!(matches!(new(issuing, &vec![root.clone(); 6], ISSUING), Err(AuthorityError::TooLong(6))));
    let unnamed = Forged { authority: true, key: 20, names_keys: false, ..Forged::under(root, ROOT) }.make();
    assert!(matches!(new(&unnamed, &[], 20), Err(AuthorityError::NoAuthority)));
    // Another root of the same name.
    let other = block_on(Authority::root(signer(STRANGER), subject("root"), years(20), serial(1))).unwrap();
    assert!(matches!(new(issuing, &[other.certificate().clone()], ISSUING), Err(AuthorityError::Chain(0))));
    assert!(matches!(organisation.issuing.with_crl_uri("no address"), Err(AuthorityError::CrlUri(_))));
}

#[test]
fn a_renewed_certificate_says_the_same() {
    let Organisation { issuing, ldevid, .. } = Organisation::new();
    let later = Validity::new(time(START + 200 * DAY), time(START + 600 * DAY)).unwrap();
    let order = Order::renewal(&ldevid, Profile::LDevId, public_key(REGISTRAR), later, serial(0x33)).unwrap();
    let renewed = block_on(issuing.issue(&order)).unwrap();
    assert_eq!((renewed.subject(), renewed.alt_names()), (ldevid.subject(), ldevid.alt_names()));
    assert_eq!((renewed.validity(), renewed.public_key().unwrap()), (later, public_key(REGISTRAR)));
    assert_eq!(Subject::read(renewed.subject()), Ok(machine()));
}
