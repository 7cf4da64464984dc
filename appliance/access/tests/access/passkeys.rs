//! Passkeys, with another project's browser and authenticator on the other side.

use dolmen_access::{Grant, PasskeyFinish, PasskeyStart, Refusal, Role, UserPatch};
use futures::executor::block_on;
use passkey::{
    authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod},
    client::{Client, DefaultClientData},
    crypto::rust_crypto::RustCryptoBackend,
    types::{
        Passkey,
        ctap2::{Aaguid, Ctap2Error},
        webauthn::{CredentialCreationOptions, CredentialRequestOptions},
    },
};
use serde_json::{Value, json};
use webauthn_rs::prelude::Url;

use crate::world::{HOST, OFFICER, Person, World, address, code, secret};

const ORIGIN: &str = "https://box-7.example";

/// Somebody whose finger the device knows.
struct Finger;

#[async_trait::async_trait]
impl UserValidationMethod for Finger {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// A phone with its browser, and the passkey that it has.
struct Device {
    passkey: Option<Passkey>,
    /// Whether it counts. Those do not whose passkeys are synchronised.
    counts: bool,
}

impl Device {
    fn authenticator(&self) -> Authenticator<Option<Passkey>, Finger, RustCryptoBackend> {
        let store = self.passkey.clone();
        let mut authenticator = Authenticator::new(Aaguid::new_empty(), store, Finger, RustCryptoBackend);
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        authenticator
    }
}

fn device(counts: bool) -> Device {
    Device { passkey: None, counts }
}

/// `navigator.credentials.create`.
fn create(device: &mut Device, origin: &str, public_key: Value) -> Value {
    let options: CredentialCreationOptions =
        serde_json::from_value(json!({ "publicKey": public_key })).expect("options that a browser reads");
    let (url, mut browser) = (Url::parse(origin).expect("a URL"), Client::new(device.authenticator()));
    let made = block_on(browser.register(&url, options, DefaultClientData)).expect("a passkey");
    device.passkey = browser.authenticator().store().clone();
    serde_json::to_value(made).expect("JSON")
}

/// `navigator.credentials.get`.
fn get(device: &mut Device, origin: &str, public_key: Value) -> Value {
    let options: CredentialRequestOptions =
        serde_json::from_value(json!({ "publicKey": public_key })).expect("options that a browser reads");
    let (url, mut browser) = (Url::parse(origin).expect("a URL"), Client::new(device.authenticator()));
    let shown = block_on(browser.authenticate(&url, options, DefaultClientData)).expect("an assertion");
    device.passkey = browser.authenticator().store().clone();
    serde_json::to_value(shown).expect("JSON")
}

fn add(world: &World, person: &mut Person, device: &mut Device) {
    let (access, caller) = (world.access(), world.caller(person));
    let request = PasskeyStart { name: "手机".to_owned() };
    let challenge = access.start_passkey(&caller, HOST, &request, world.now()).expect("a challenge");
    let credential = create(device, ORIGIN, challenge.public_key);
    let finish = PasskeyFinish { request_id: challenge.request_id, credential };
    person.grant = access.finish_passkey(&caller, &finish, world.now()).expect("a passkey");
}

fn finish(world: &World, request_id: &str, credential: &Value) -> Result<Grant, Refusal> {
    let request = PasskeyFinish { request_id: request_id.to_owned(), credential: credential.clone() };
    world.access().finish_passkey_login(address(5), &request, world.now())
}

fn login(world: &World, device: &mut Device) -> Result<Grant, Refusal> {
    let challenge = world.access().start_passkey_login(address(5), HOST, world.now())?;
    finish(world, &challenge.request_id, &get(device, ORIGIN, challenge.public_key))
}

#[test]
fn a_passkey_is_both_factors() {
    for counts in [true, false] {
        let (mut world, mut officer) = World::claimed();
        let before = officer.grant.clone();
        let mut phone = device(counts);
        add(&world, &mut officer, &mut phone);
        assert!(world.caller_of(&before).is_err(), "the session has another token");
        for _ in 0..2 {
            let grant = login(&world, &mut phone).unwrap();
            assert_eq!((grant.session.user.name.as_str(), grant.session.pending), (OFFICER, None));
            let factors = world.access().factors(&world.caller_of(&grant).unwrap(), world.now()).unwrap();
            assert_eq!(factors.passkeys[0].name.as_str(), "手机");
            assert_eq!(factors.passkeys[0].last_used_at.unwrap().0, world.now());
            world.later(60);
            world.reopen();
        }
        // Without the app it is the only factor, and a password alone does not do.
        let grant = login(&world, &mut phone).unwrap();
        let (access, caller) = (world.access(), world.caller_of(&grant).unwrap());
        access.delete_totp(&caller, world.now()).unwrap();
        assert_eq!(code(world.login(OFFICER, &officer.password, None, address(1))), "second-factor-required");
        let id = access.factors(&caller, world.now()).unwrap().passkeys[0].id.clone();
        assert_eq!(code(access.delete_passkey(&caller, &id, world.now())), "last-factor");
        assert!(login(&world, &mut phone).is_ok());
    }
}

#[test]
fn a_claim_can_be_completed_by_a_passkey() {
    let (world, officer) = World::claimed();
    let mut person = world.fresh(&officer, "zhang", Role::Viewer);
    let mut phone = device(false);
    add(&world, &mut person, &mut phone);
    assert_eq!(person.grant.session.pending, Some(dolmen_access::Pending::Password));
    let change = dolmen_access::PasswordChange {
        old_password: secret(&person.password),
        new_password: secret("a-password-of-his-own"),
    };
    let grant = world.access().change_password(&world.caller(&person), &change, world.now()).unwrap();
    assert_eq!(grant.session.pending, None);
}

#[test]
fn an_answer_counts_once_for_its_challenge() {
    let (world, mut officer) = World::claimed();
    let mut phone = device(true);
    add(&world, &mut officer, &mut phone);
    let (access, now) = (world.access(), world.now());
    let challenge = access.start_passkey_login(address(5), HOST, now).unwrap();
    let other = access.start_passkey_login(address(5), HOST, now).unwrap();
    let answer = get(&mut phone, ORIGIN, challenge.public_key);
    assert_eq!(code(finish(&world, &other.request_id, &answer)), "passkey-refused");
    assert_eq!(code(finish(&world, &other.request_id, &answer)), "passkey-over");
    assert!(finish(&world, &challenge.request_id, &answer).is_ok());
    assert_eq!(code(finish(&world, &challenge.request_id, &answer)), "passkey-over");
    for bad in ["", "00", "zz", &"0".repeat(32)] {
        assert_eq!(code(finish(&world, bad, &answer)), "passkey-over", "{bad}");
    }
    let challenge = access.start_passkey_login(address(5), HOST, now).unwrap();
    let answer = get(&mut phone, ORIGIN, challenge.public_key);
    world.later(300);
    assert_eq!(code(finish(&world, &challenge.request_id, &answer)), "passkey-over");
}

#[test]
fn an_answer_counts_at_its_origin_and_verified() {
    let (world, mut officer) = World::claimed();
    let mut phone = device(true);
    add(&world, &mut officer, &mut phone);
    let start = || world.access().start_passkey_login(address(5), HOST, world.now()).unwrap();
    let mut at = |origin: &str, change: fn(&mut Value)| {
        let mut challenge = start();
        change(&mut challenge.public_key);
        code(finish(&world, &challenge.request_id, &get(&mut phone, origin, challenge.public_key)))
    };
    assert_eq!(at(ORIGIN, |_| {}), "");
    assert_eq!(at("https://box-7.example:8443", |_| {}), "");
    assert_eq!(at("https://box-7.example:8444", |_| {}), "passkey-refused");
    assert_eq!(at("https://evil.box-7.example", |_| {}), "passkey-refused");
    assert_eq!(at("https://evil.example", |key| key["rpId"] = "evil.example".into()), "passkey-refused");
    // Another of the box's own names.
    assert_eq!(at("https://other.example", |key| key["rpId"] = "other.example".into()), "passkey-refused");
    assert_eq!(at(ORIGIN, |key| key["userVerification"] = "discouraged".into()), "passkey-refused");
    assert_eq!(at(ORIGIN, |key| key["challenge"] = "AAAAAAAAAAAAAAAAAAAAAA".into()), "passkey-refused");

    // Nor is one set up elsewhere, or by who was not verified.
    let (access, caller) = (world.access(), world.caller(&officer));
    let add = |origin: &str, change: fn(&mut Value)| {
        let request = PasskeyStart { name: "usb key".to_owned() };
        let mut challenge = access.start_passkey(&caller, HOST, &request, world.now()).unwrap();
        assert_eq!(challenge.public_key["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(challenge.public_key["authenticatorSelection"]["userVerification"], "required");
        change(&mut challenge.public_key);
        challenge.public_key["excludeCredentials"] = json!([]);
        let credential = create(&mut device(true), origin, challenge.public_key);
        let finish = PasskeyFinish { request_id: challenge.request_id, credential };
        code(access.finish_passkey(&caller, &finish, world.now()))
    };
    assert_eq!(add("https://evil.box-7.example", |_| {}), "passkey-refused");
    let unverified = |key: &mut Value| key["authenticatorSelection"]["userVerification"] = "discouraged".into();
    assert_eq!(add(ORIGIN, unverified), "passkey-refused");
    assert_eq!(add(ORIGIN, |_| {}), "");
    for host in ["192.0.2.7", "evil.example", "", "box-7.example:8443"] {
        assert!(!access.passkeys_at(host), "{host}");
        assert_eq!(code(access.start_passkey_login(address(5), host, world.now())), "passkey-host", "{host}");
    }
    assert!(access.passkeys_at("BOX-7.example"));
}

#[test]
fn a_counter_that_goes_back_is_a_copy() {
    let (mut world, mut officer) = World::claimed();
    let mut phone = device(true);
    add(&world, &mut officer, &mut phone);
    for _ in 0..3 {
        assert!(login(&world, &mut phone).is_ok());
    }
    world.reopen();
    phone.passkey.as_mut().unwrap().counter = Some(1);
    assert_eq!(code(login(&world, &mut phone)), "passkey-cloned");
    assert_eq!(code(login(&world, &mut phone)), "passkey-cloned");
    assert!(login(&world, &mut phone).is_ok(), "it is past the last that was seen");
}

#[test]
fn a_passkey_comes_in_while_somebody_guesses_passwords() {
    let (world, mut officer) = World::claimed();
    let mut phone = device(true);
    add(&world, &mut officer, &mut phone);
    for index in 0..100 {
        world.later(1);
        assert!(!code(world.login(OFFICER, "not-the-password", None, address(index))).is_empty());
    }
    for _ in 0..10 {
        assert_eq!(code(world.login(OFFICER, "not-the-password", None, address(5))), "too-many-attempts");
        assert!(login(&world, &mut phone).is_ok());
    }
}

#[test]
fn nobody_comes_in_by_a_passkey_of_before() {
    let (world, officer) = World::claimed();
    let mut person = world.user(&officer, "zhang", Role::Viewer);
    let mut phone = device(true);
    add(&world, &mut person, &mut phone);
    let change = |patch| world.access().change_user(&world.caller(&officer), "zhang", patch, world.now()).unwrap();
    change(UserPatch { disabled: Some(true), ..UserPatch::default() });
    assert_eq!(code(login(&world, &mut phone)), "passkey-refused");
    change(UserPatch { disabled: Some(false), ..UserPatch::default() });
    assert!(login(&world, &mut phone).is_ok());
    let changed = change(UserPatch { reset: true, ..UserPatch::default() });
    assert_eq!((changed.user.passkeys, changed.user.totp, changed.one_time_password.is_some()), (0, false, true));
    assert_eq!(code(login(&world, &mut phone)), "passkey-refused");
}

#[test]
fn a_ceremony_is_of_one_user_and_kind() {
    let (world, officer) = World::claimed();
    let person = world.user(&officer, "zhang", Role::Viewer);
    let (access, now) = (world.access(), world.now());
    let request = PasskeyStart { name: "phone".to_owned() };
    let start = || access.start_passkey(&world.caller(&officer), HOST, &request, now).unwrap();
    let challenge = start();
    let credential = create(&mut device(true), ORIGIN, challenge.public_key);
    let stolen = PasskeyFinish { request_id: challenge.request_id, credential: credential.clone() };
    assert_eq!(code(access.finish_passkey(&world.caller(&person), &stolen, now)), "passkey-over");
    assert_eq!(code(finish(&world, &start().request_id, &credential)), "passkey-over");
    for bad in [json!(null), json!({}), json!([1]), json!({"id": 1}), json!("x".repeat(1 << 16))] {
        let login = access.start_passkey_login(address(5), HOST, now).unwrap();
        assert_eq!(code(finish(&world, &login.request_id, &bad)), "passkey-form");
        let add = PasskeyFinish { request_id: start().request_id, credential: bad };
        assert_eq!(code(access.finish_passkey(&world.caller(&officer), &add, now)), "passkey-form");
    }
}
