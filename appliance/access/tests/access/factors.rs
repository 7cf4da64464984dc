//! Authenticator apps and recovery codes.

use dolmen_access::TotpConfirm;

use crate::world::{OFFICER, PASSWORD, World, address, app, code, secret};

#[test]
fn a_password_alone_does_not_do() {
    let (world, officer) = World::claimed();
    assert_eq!(code(world.login(OFFICER, PASSWORD, None, address(1))), "second-factor-required");
    assert_eq!(code(world.login(OFFICER, PASSWORD, Some(secret("000000")), address(1))), "wrong-credentials");
    assert_eq!(code(world.login(OFFICER, PASSWORD, Some(secret("")), address(1))), "wrong-credentials");
    assert_eq!(code(world.login(OFFICER, "not-the-password", None, address(1))), "wrong-credentials");
    assert!(world.login_from(&officer, address(1)).is_ok());
}

#[test]
fn a_right_password_does_not_reset_the_guesses_at_codes() {
    let (world, _) = World::claimed();
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(code(world.login(OFFICER, PASSWORD, None, address(66))));
        codes.push(code(world.login(OFFICER, PASSWORD, Some(secret("000000")), address(66))));
    }
    assert_eq!(codes.iter().filter(|code| **code == "wrong-credentials").count(), 5, "{codes:?}");
    assert_eq!(codes.last(), Some(&"too-many-attempts"));
}

#[test]
fn a_code_counts_once_even_after_a_restart() {
    let (mut world, officer) = World::claimed();
    let app = officer.totp.as_ref().unwrap();
    world.later(30);
    let now = secret(&app.generate(world.now()).to_string());
    let before = secret(&app.generate(world.now() - 30).to_string());
    assert!(world.login(OFFICER, PASSWORD, Some(now.clone()), address(1)).is_ok());
    for _ in 0..2 {
        assert_eq!(code(world.login(OFFICER, PASSWORD, Some(now.clone()), address(1))), "wrong-credentials");
        assert_eq!(code(world.login(OFFICER, PASSWORD, Some(before.clone()), address(1))), "wrong-credentials");
        world.reopen();
    }
    let next = secret(&app.generate(world.now() + 30).to_string());
    assert!(world.login(OFFICER, PASSWORD, Some(next), address(1)).is_ok());
}

#[test]
fn a_secret_counts_once_it_is_confirmed() {
    let (world, officer) = World::claimed();
    let (access, caller) = (world.access(), world.caller(&officer));
    let confirm = |code: &str| access.confirm_totp(&caller, &TotpConfirm { totp: secret(code) }, world.now());
    assert_eq!(code(confirm("123456")), "totp-not-started");
    let first = app(&access.start_totp(&caller, world.now()).unwrap().secret_base32);
    let enrolment = access.start_totp(&caller, world.now()).unwrap();
    assert!(enrolment.otpauth_uri.expose().starts_with("otpauth://totp/Dolmen%20box-7:li.wei?"));
    assert_eq!(code(confirm(&first.generate(world.now()).to_string())), "totp-wrong", "the later one counts");
    // The app of before counts until then.
    assert!(world.login_from(&officer, address(3)).is_ok());
    world.later(600);
    let second = app(&enrolment.secret_base32);
    assert_eq!(code(confirm(&second.generate(world.now()).to_string())), "totp-not-started", "ten minutes went by");
    let third = app(&access.start_totp(&caller, world.now()).unwrap().secret_base32);
    let used = third.generate(world.now()).to_string();
    assert!(confirm(&used).is_ok());
    assert_eq!(code(world.login_from(&officer, address(3))), "wrong-credentials", "the app of before is over");
    assert_eq!(code(world.login(OFFICER, PASSWORD, Some(secret(&used)), address(4))), "wrong-credentials");
}

#[test]
fn each_recovery_code_counts_once() {
    let (mut world, officer) = World::claimed();
    let caller = world.caller(&officer);
    let totp = app(&world.access().start_totp(&caller, world.now()).unwrap().secret_base32).generate(world.now());
    let request = TotpConfirm { totp: secret(&totp.to_string()) };
    let (codes, grant) = world.access().confirm_totp(&caller, &request, world.now()).unwrap();
    let json = serde_json::to_value(&codes).unwrap();
    assert_eq!(json["recovery_codes"].as_array().unwrap().len(), 8);
    let texts: Vec<_> = codes.recovery_codes.iter().map(|code| code.expose().to_owned()).collect();
    assert!(texts.iter().all(|text| text.len() == 29), "six groups of four: {texts:?}");
    let left = |world: &World, grant| {
        world.access().factors(&world.caller_of(grant).unwrap(), world.now()).unwrap().recovery_codes_left
    };
    assert_eq!(left(&world, &grant), 8);
    let login = |world: &World, code: &str| world.login(OFFICER, PASSWORD, Some(secret(code)), address(1));
    let grant = login(&world, &texts[3].to_lowercase().replace('-', " ")).unwrap();
    assert_eq!(left(&world, &grant), 7);
    assert_eq!(code(login(&world, &texts[3])), "wrong-credentials");
    world.reopen();
    assert_eq!(code(login(&world, &texts[3])), "wrong-credentials");
    assert!(login(&world, &texts[0]).is_ok());
    assert_eq!(code(login(&world, &"A".repeat(1000))), "wrong-credentials");
}

#[test]
fn the_last_factor_stays() {
    let (world, officer) = World::claimed();
    let caller = world.caller(&officer);
    assert_eq!(code(world.access().delete_totp(&caller, world.now())), "last-factor");
    assert!(world.access().factors(&caller, world.now()).unwrap().totp);
    assert_eq!(code(world.access().delete_passkey(&caller, "0011223344556677", world.now())), "unknown-passkey");
}
