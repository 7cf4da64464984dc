//! Who may do what.

use dolmen_access::{
    Caller, Language, LanguageChange, NewToken, NewUser, PasswordChange, Refusal, Requirement, Role, TotpConfirm,
    UserPatch,
};

use crate::world::{Person, World, address, code, secret};

const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::SecurityOfficer];

/// Each operation that needs a role, by a name that is new each time.
fn operations(world: &World, caller: &Caller, name: &str) -> Vec<(&'static str, Role, Result<(), Refusal>)> {
    let (access, now) = (world.access(), world.now());
    let officer = Role::SecurityOfficer;
    let user = NewUser { name: name.to_owned(), role: Role::Viewer };
    let token = NewToken { name: name.to_owned(), role: Role::Viewer, days: 1 };
    let patch = UserPatch { role: Some(Role::Operator), ..UserPatch::default() };
    let route = |role| access.require(caller, Requirement::Role(role), "route", None, now);
    let mut all = vec![
        ("viewer's route", Role::Viewer, route(Role::Viewer)),
        ("operator's route", Role::Operator, route(Role::Operator)),
        ("officer's route", officer, route(officer)),
        ("audit", Role::Operator, access.audit(caller, None, None, now).map(drop)),
        ("users", officer, access.users(caller, now).map(drop)),
        ("create user", officer, access.create_user(caller, &user, now).map(drop)),
    ];
    let there = all.last().is_some_and(|(_, _, result)| result.is_ok());
    // Where there is no such user an officer is told so, and nobody else is.
    let missing = |result: Result<(), Refusal>| if there { result } else { result.map(|()| panic!("{name} is there")) };
    all.push(("change user", officer, missing(access.change_user(caller, name, patch, now).map(drop))));
    all.push(("delete user", officer, missing(access.delete_user(caller, name, now))));
    all.push(("tokens", officer, access.tokens(caller, now).map(drop)));
    let made = access.create_token(caller, &token, now);
    let id = made.as_ref().map_or_else(|_| "0".repeat(16), |made| made.id.clone());
    all.push(("create token", officer, made.map(drop)));
    all.push(("delete token", officer, access.delete_token(caller, &id, now)));
    all
}

/// Each operation on oneself.
fn own_operations(world: &World, caller: &Caller) -> Vec<(&'static str, Result<(), Refusal>)> {
    let (access, now) = (world.access(), world.now());
    let language = LanguageChange { language: Language::Zh };
    let password = PasswordChange { old_password: secret("not-the-old-one"), new_password: secret("another-fine-one") };
    vec![
        ("session", access.view_session(caller, now).map(drop)),
        ("language", access.set_language(caller, language, now)),
        ("factors", access.factors(caller, now).map(drop)),
        ("totp", access.start_totp(caller, now).map(drop)),
        ("confirm", access.confirm_totp(caller, &TotpConfirm { totp: secret("1") }, now).map(drop)),
        ("password", access.change_password(caller, &password, now).map(drop)),
    ]
}

fn bearer(world: &World, officer: &Person, role: Role) -> Caller {
    let request = NewToken { name: format!("of {role}"), role, days: 1 };
    let made = world.access().create_token(&world.caller(officer), &request, world.now()).expect("a token");
    let who = world.access().bearer(made.token.expose(), world.now()).expect("it counts");
    Caller { who, from: address(9) }
}

#[test]
fn each_operation_needs_its_role() {
    let (world, officer) = World::claimed();
    for held in ROLES {
        let person = world.user(&officer, &format!("user {held}"), held);
        for caller in [world.caller(&person), bearer(&world, &officer, held)] {
            world.later(600);
            // The session of the officer lives on.
            world.caller(&officer);
            for (what, needed, result) in operations(&world, &caller, &format!("of {held} {}", world.now())) {
                let expected = if needed <= held { "" } else { "role-too-low" };
                assert_eq!(code(result), expected, "{what} by {held}");
            }
        }
    }
}

#[test]
fn a_token_is_nobody() {
    let (world, officer) = World::claimed();
    let token = bearer(&world, &officer, Role::SecurityOfficer);
    for (what, result) in own_operations(&world, &token) {
        assert_eq!(code(result), "session-needed", "{what}");
    }
    let session = Requirement::Session;
    assert_eq!(code(world.access().require(&token, session, "route", None, world.now())), "session-needed");
    assert_eq!(code(world.access().require(&world.caller(&officer), session, "route", None, world.now())), "");
}

#[test]
fn a_session_first_does_what_it_has_to() {
    let (world, officer) = World::claimed();
    let mut person = world.fresh(&officer, "new one", Role::SecurityOfficer);
    let check = |person: &Person, expected: &str| {
        let caller = world.caller(person);
        for (what, _, result) in operations(&world, &caller, "nobody") {
            assert_eq!(code(result), expected, "{what}");
        }
        // What is its own is refused for other reasons alone.
        let own: Vec<_> = own_operations(&world, &caller).into_iter().map(|(_, result)| code(result)).collect();
        assert_eq!(own, ["", "", "", "", "totp-wrong", "old-password-wrong"]);
    };
    check(&person, "pending-password");
    let own = "a-password-of-his-own";
    let request = PasswordChange { old_password: secret(&person.password), new_password: secret(own) };
    person.grant = world.access().change_password(&world.caller(&person), &request, world.now()).unwrap();
    check(&person, "pending-second-factor");
    world.set_up_totp(&mut person);
    let caller = world.caller(&person);
    assert!(operations(&world, &caller, "somebody").into_iter().all(|(_, _, result)| result.is_ok()));
}

#[test]
fn nobody_sends_the_last_officer_away() {
    let (world, officer) = World::claimed();
    let (access, now) = (world.access(), world.now());
    let patches = [
        UserPatch { role: Some(Role::Operator), ..UserPatch::default() },
        UserPatch { disabled: Some(true), ..UserPatch::default() },
    ];
    let refused = |name: &str| {
        for patch in patches {
            assert_eq!(code(access.change_user(&world.caller(&officer), name, patch, now)), "last-security-officer");
        }
        assert_eq!(code(access.delete_user(&world.caller(&officer), name, now)), "last-security-officer");
    };
    refused(&officer.name);
    world.user(&officer, "operator", Role::Operator);
    refused("LI.WEI");
    // One that is disabled does not count.
    world.user(&officer, "second", Role::SecurityOfficer);
    access.change_user(&world.caller(&officer), "second", patches[1], now).unwrap();
    refused(&officer.name);
    let enabled = UserPatch { disabled: Some(false), ..UserPatch::default() };
    access.change_user(&world.caller(&officer), "second", enabled, now).unwrap();
    assert_eq!(code(access.delete_user(&world.caller(&officer), &officer.name, now)), "");
    assert!(world.caller_of(&officer.grant).is_err(), "who is gone has no session");
}
