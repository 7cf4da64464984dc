//! Sessions: which tokens count.

use dolmen_access::{Csrf, Grant, Language, LanguageChange, PasswordChange, Role, TotpConfirm, UserPatch};

use crate::world::{World, address, app, code, secret};

fn counts(world: &World, grant: &Grant) -> bool {
    world.caller_of(grant).is_ok()
}

#[test]
fn a_token_ends_when_it_would_be_allowed_more() {
    let (world, officer) = World::claimed();
    let access = world.access();
    // Somebody who knows the one-time password waits with a session of his own.
    let person = world.fresh(&officer, "zhang", Role::Operator);
    let planted = world.login("zhang", &person.password, None, address(66)).unwrap();
    assert_ne!(planted.token.expose(), person.grant.token.expose());

    let request =
        PasswordChange { old_password: secret(&person.password), new_password: secret("a-password-of-his-own") };
    let changed = access.change_password(&world.caller(&person), &request, world.now()).unwrap();
    assert!(!counts(&world, &planted) && !counts(&world, &person.grant) && counts(&world, &changed));

    let planted = world.login("zhang", "a-password-of-his-own", None, address(66)).unwrap();
    let caller = world.caller_of(&changed).unwrap();
    let totp = app(&access.start_totp(&caller, world.now()).unwrap().secret_base32).generate(world.now());
    let (_, confirmed) =
        access.confirm_totp(&caller, &TotpConfirm { totp: secret(&totp.to_string()) }, world.now()).unwrap();
    assert!(!counts(&world, &planted) && !counts(&world, &changed) && counts(&world, &confirmed));
    assert_eq!(confirmed.session.pending, None);
    assert_ne!(confirmed.session.csrf_token.expose(), changed.session.csrf_token.expose());
    assert_eq!(confirmed.session.expires_at, changed.session.expires_at, "it lasts no longer than the one before");

    let patch = UserPatch { role: Some(Role::Viewer), ..UserPatch::default() };
    access.change_user(&world.caller(&officer), "zhang", patch, world.now()).unwrap();
    assert!(!counts(&world, &confirmed));
}

#[test]
fn a_session_is_of_one_start_of_the_box() {
    let (mut world, officer) = World::claimed();
    assert!(counts(&world, &officer.grant));
    world.reopen();
    assert!(!counts(&world, &officer.grant));
}

#[test]
fn logging_out_ends_one() {
    let (world, officer) = World::claimed();
    let other = world.login_from(&officer, address(2)).unwrap();
    world.access().logout(&world.caller(&officer), world.now()).unwrap();
    assert!(!counts(&world, &officer.grant) && counts(&world, &other));
}

#[test]
fn nobody_uses_it_and_it_ends() {
    let (world, officer) = World::claimed();
    let view = world.access().view_session(&world.caller(&officer), world.now()).unwrap();
    assert_eq!(view.idle_expires_at.0, world.now() + 15 * 60);
    let caller = world.caller(&officer);
    world.later(15 * 60);
    assert!(!counts(&world, &officer.grant));
    let late = world.access().set_language(&caller, LanguageChange { language: Language::En }, world.now());
    assert_eq!(code(late), "no-session", "a caller is looked at again");
}

#[test]
fn a_cookie_alone_changes_nothing() {
    let (world, officer) = World::claimed();
    let other = world.login_from(&officer, address(1)).unwrap();
    let session = |csrf| code(world.access().session(officer.grant.token.expose(), csrf, world.now()));
    assert_eq!(session(Csrf::SafeMethod), "");
    assert_eq!(session(Csrf::Header(Some(officer.grant.session.csrf_token.expose()))), "");
    for bad in [None, Some(""), Some("0"), Some(other.session.csrf_token.expose())] {
        assert_eq!(session(Csrf::Header(bad)), "csrf", "{bad:?}");
    }
    for (method, safe) in [("GET", true), ("HEAD", true), ("POST", false), ("DELETE", false), ("get", false)] {
        assert_eq!(matches!(Csrf::of(method, None), Csrf::SafeMethod), safe, "{method}");
    }
    assert_eq!(code(world.access().session("", Csrf::SafeMethod, world.now())), "no-session");
}

#[test]
fn the_answer_is_the_contracts() {
    let (world, officer) = World::claimed();
    let caller = world.caller(&officer);
    let view = || serde_json::to_value(world.access().view_session(&caller, world.now()).unwrap()).unwrap();
    let json = view();
    assert_eq!(json["user"], serde_json::json!({"name": "li.wei", "role": "security-officer"}));
    assert_eq!(json["pending"], serde_json::Value::Null);
    assert_eq!(json["expires_at"], "2027-01-15T20:00:00Z");
    assert_eq!(json["csrf_token"].as_str().unwrap().len(), 64);
    world.access().set_language(&caller, LanguageChange { language: Language::Zh }, world.now()).unwrap();
    assert_eq!(view()["user"]["language"], "zh");
}
