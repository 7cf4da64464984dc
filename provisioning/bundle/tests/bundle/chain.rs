//! Which bundles a box takes.

use dolmen_provisioning_bundle::{
    Bundle, ChainBundle, ContentError, Expectation, Refusal,
    limits::{GENESIS_BYTES_MAX, NAME_CHARACTERS_MAX, PEERS_MAX, ROOTS_MAX},
};

use crate::support::{expectation, serial, world};

fn take(message: &[u8]) -> Result<Bundle, Refusal> {
    ChainBundle::verify(message, &expectation(&serial()))
}

#[test]
fn a_box_takes_its_owners() {
    let bundle = world().bundle();
    let taken = take(&world().registrar.bundle(&bundle)).unwrap();
    assert_eq!(taken.content(), &bundle);
    assert_eq!(taken.registrar(), &world().registrar.chain[0]);
    // Also where the voucher pinned the authority, or the registrar alone.
    for owner in &world().registrar.chain {
        let message = world().registrar.bundle(&bundle);
        ChainBundle::verify(&message, &Expectation { serial_number: &serial(), owner }).unwrap();
    }
}

#[test]
fn others_are_refused() {
    let bundle = world().bundle();
    let refused = |message: &[u8]| take(message).unwrap_err().code();
    // By the box itself, and by a registrar of another organisation.
    assert_eq!(refused(&world().machine.bundle(&bundle)), "bundle-registrar-purpose");
    assert_eq!(refused(&world().stranger.bundle(&bundle)), "bundle-untrusted");
    let message = world().registrar.bundle(&bundle);
    let mut forged = message.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&forged), "bundle-forged");
    let at = message.windows(8).position(|window| window == b"30303\"},").unwrap();
    let mut changed = message.clone();
    changed[at] = b'4';
    assert_eq!(refused(&changed), "bundle-forged");
    assert_eq!(refused(&message[..message.len() - 1]), "bundle-damaged");
    assert_eq!(refused(b""), "bundle-damaged");
    // An admission is no bundle, and says so.
    assert_eq!(refused(&world().registrar.admission(&world().admission())), "bundle-content");
}

#[test]
fn anothers_is_refused() {
    let other = ChainBundle { serial_number: "SN-0043".parse().unwrap(), ..world().bundle() };
    match take(&world().registrar.bundle(&other)).unwrap_err() {
        Refusal::Serial { found, expected } => assert_eq!([found.as_str(), expected.as_str()], ["SN-0043", "SN-0042"]),
        refusal => panic!("{refusal:?}"),
    }
}

#[test]
fn members_have_bounds() {
    let good = world().bundle();
    let peer = good.peers[0];
    let refused = |change: &dyn Fn(&mut ChainBundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        let error = bundle.to_json().expect_err("a bundle that is none");
        // What cannot be written cannot be signed either.
        assert!(matches!(bundle.to_sign(&world().registrar.chain), Err(Refusal::Content(_))));
        error
    };
    let bytes = |error| matches!(error, ContentError::Bytes { .. });
    assert!(bytes(refused(&|bundle| bundle.genesis.clear())));
    assert!(bytes(refused(&|bundle| bundle.genesis = "x".repeat(GENESIS_BYTES_MAX + 1))));
    assert!(bytes(refused(&|bundle| bundle.peers.clear())));
    assert!(bytes(refused(&|bundle| bundle.peers = vec![peer; PEERS_MAX + 1])));
    assert!(bytes(refused(&|bundle| bundle.organisation_roots.clear())));
    assert!(bytes(refused(&|bundle| bundle.organisation_roots = vec![world().root().clone(); ROOTS_MAX + 1])));
    assert!(bytes(refused(&|bundle| bundle.organisation.name = "x".repeat(NAME_CHARACTERS_MAX + 1))));
    let invalid = |error| matches!(error, ContentError::Invalid(_));
    assert!(invalid(refused(&|bundle| bundle.genesis.push('\0'))));
    assert!(invalid(refused(&|bundle| bundle.chain_id = 0)));
    assert!(invalid(refused(&|bundle| bundle.organisation.id = 0)));
    assert!(invalid(refused(&|bundle| bundle.organisation.name.push('\n'))));
    assert!(invalid(refused(&|bundle| bundle.peers[0].address.set_port(0))));
    assert!(invalid(refused(&|bundle| bundle.peers[0].address = "0.0.0.0:1".parse().unwrap())));
    assert!(invalid(refused(&|bundle| bundle.peers[0].address = "[::]:1".parse().unwrap())));
}

/// Whatever the members' bounds allow can be written and signed: the bound of the whole is theirs together.
#[test]
fn the_largest_can_be_signed() {
    let mut bundle = world().bundle();
    bundle.serial_number = "x".repeat(64).parse().unwrap();
    bundle.genesis = "\"".repeat(GENESIS_BYTES_MAX);
    bundle.peers[1].address = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
    bundle.peers = vec![bundle.peers[1]; PEERS_MAX];
    bundle.organisation_roots = vec![world().root().clone(); ROOTS_MAX];
    bundle.organisation = dolmen_provisioning_bundle::Organisation { id: u32::MAX, name: "\u{10ffff}".repeat(64) };
    bundle.chain_id = u64::MAX;
    let message = world().registrar.bundle(&bundle);
    let expected = bundle.serial_number.clone();
    assert_eq!(ChainBundle::verify(&message, &expectation(&expected)).unwrap().content(), &bundle);
}

#[test]
fn json_has_these_members_alone() {
    let json = String::from_utf8(world().bundle().to_json().unwrap()).unwrap();
    let read = |json: &str| ChainBundle::from_json(json.as_bytes());
    assert_eq!(read(&json).unwrap(), world().bundle());
    for (from, to) in [
        ("\"chain_id\":7", "\"chain_id\":7,\"more\":1"),
        ("\"chain_id\":7", "\"chain_id\":7,\"chain_id\":7"),
        ("\"chain_id\":7", "\"chain_id\":-7"),
        ("\"chain_id\":7,", ""),
        ("\"height\":600", "\"height\":600,\"depth\":1"),
        ("\"id\":3", "\"id\":3,\"number\":3"),
        ("\"address\":\"10.0.0.1:30303\"", "\"address\":\"box-1:30303\""),
        ("\"address\":\"10.0.0.1:30303\"", "\"address\":\"10.0.0.1:30303\",\"name\":\"box-1\""),
        ("\"body\":{", "\"tail\":{},\"body\":{"),
        (&"aa".repeat(32), &"AA".repeat(32)),
        (&"01".repeat(32), &"01".repeat(31)),
        (&format!("\"{}\"", "cc".repeat(32)), "null"),
    ] {
        assert!(json.contains(from), "{from}");
        assert!(matches!(read(&json.replacen(from, to, 1)), Err(ContentError::Json(..))), "{from} {to}");
    }
    let other = json.replacen("bundle-v1", "bundle-v2", 1);
    match read(&other).unwrap_err() {
        ContentError::Format { found, expected } => {
            assert_eq!([&found[..], expected], ["dolmen-chain-bundle-v2", "dolmen-chain-bundle-v1"]);
        }
        error => panic!("{error:?}"),
    }
    assert!(matches!(read(""), Err(ContentError::Bytes { found: 0, .. })));
    // What need not be there.
    let bundle = ChainBundle { checkpoint: None, appraisal: None, ..world().bundle() };
    let json = String::from_utf8(bundle.to_json().unwrap()).unwrap();
    assert!(!json.contains("checkpoint") && !json.contains("appraisal"));
    assert_eq!(read(&json).unwrap(), bundle);
}
