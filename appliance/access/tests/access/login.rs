//! Coming in: the claim, passwords, and those who guess.

use std::{sync::Barrier, thread};

use dolmen_access::{
    ClaimCode, ClaimRequest, NewUser, PasswordChange, Pending, RecoveryRequest, Refusal, Role, UserPatch,
};

use crate::world::{CODE, OFFICER, PASSWORD, World, address, code, secret};

fn claim(code: &str, name: &str, password: &str) -> ClaimRequest {
    ClaimRequest { claim_code: secret(code), name: name.to_owned(), password: secret(password) }
}

#[test]
fn a_box_is_claimed_once() {
    let mut world = World::new();
    assert!(!world.access().claimed());
    let tries = [
        (claim("AB01-CDEF-GH1K", OFFICER, PASSWORD), "claim-code-wrong"),
        (claim("", OFFICER, PASSWORD), "claim-code-wrong"),
        (claim(CODE, "", PASSWORD), "name"),
        (claim(CODE, "a\u{202e}b", PASSWORD), "name"),
        (claim(CODE, OFFICER, "short"), "password-too-short"),
        (claim(CODE, OFFICER, "my li.wei password"), "password-contains-name"),
    ];
    for (request, expected) in tries {
        assert_eq!(code(world.access().claim(address(1), &request, world.now())), expected);
    }
    // As somebody would type it.
    let grant = world.access().claim(address(1), &claim("ab01 cdef ghij", OFFICER, PASSWORD), world.now()).unwrap();
    assert_eq!((grant.session.user.role, grant.session.pending), (Role::SecurityOfficer, Some(Pending::SecondFactor)));
    for _ in 0..2 {
        let again = world.access().claim(address(1), &claim(CODE, "another", PASSWORD), world.now());
        assert_eq!(code(again), "already-claimed");
        assert!(world.access().claimed());
        world.reopen();
        world.access().screen_shows(ClaimCode::of(CODE));
    }
}

#[test]
fn two_claims_at_once_are_one() {
    let world = World::new();
    let barrier = Barrier::new(8);
    let (access, now) = (world.access(), world.now());
    let codes: Vec<_> = thread::scope(|scope| {
        let claims: Vec<_> = (0..8)
            .map(|index| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    code(access.claim(address(index), &claim(CODE, &format!("user {index}"), PASSWORD), now))
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| code.is_empty()).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| code.is_empty() || *code == "already-claimed"), "{codes:?}");
}

/// What somebody learns who tries wrong passwords: codes, and how long he is to wait.
fn guess(world: &World, name: &str, from: u8, times: usize) -> Vec<(&'static str, u64)> {
    let refusal = |_| {
        let refusal = world.login(name, "not-the-password", None, address(from)).expect_err("a refusal");
        (refusal.code(), refusal.retry().map_or(0, |retry| retry.as_secs()))
    };
    (0..times).map(refusal).collect()
}

#[test]
fn who_guesses_waits_and_learns_nothing() {
    let (world, officer) = World::claimed();
    let mut waits = Vec::new();
    for _ in 0..14 {
        let [one, other] = [(OFFICER, 66), ("no.such.user", 67)].map(|(name, from)| guess(&world, name, from, 6));
        assert_eq!(one, other, "a name says nothing");
        let wait = one.last().unwrap().1;
        waits.push(wait);
        world.later(wait);
    }
    assert_eq!(waits[..10], [2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
    assert!(waits[10..].iter().all(|wait| *wait == 900), "{waits:?}");
    // The right password is refused the same way where somebody guessed, and nowhere else.
    let code = officer.totp.as_ref().map(|app| secret(&app.generate(world.now() + 30).to_string()));
    guess(&world, OFFICER, 66, 1);
    let refused = world.login(OFFICER, PASSWORD, code, address(66)).unwrap_err();
    assert!(matches!(refused, Refusal::TooManyAttempts { .. }), "{refused}");
    assert!(world.login_from(&officer, address(77)).is_ok());
    // And later it is taken there, too.
    world.later(900);
    assert!(world.login_from(&officer, address(66)).is_ok());
    assert_eq!(guess(&world, OFFICER, 66, 4), [("wrong-credentials", 0); 4], "and what was wrong is forgotten");
}

#[test]
fn attempts_at_once_are_counted_one_by_one() {
    let (world, _) = World::claimed();
    let barrier = Barrier::new(32);
    let (access, now) = (world.access(), world.now());
    let request =
        dolmen_access::LoginRequest { name: OFFICER.to_owned(), password: secret("wrong-one-here"), totp: None };
    let codes: Vec<_> = thread::scope(|scope| {
        let (barrier, request) = (&barrier, &request);
        let login = || {
            scope.spawn(move || {
                barrier.wait();
                code(access.login(address(66), request, now))
            })
        };
        let logins: Vec<_> = (0..32).map(|_| login()).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == "wrong-credentials").count(), 5, "{codes:?}");
}

#[test]
fn many_addresses_guess_no_faster_for_long() {
    let (world, officer) = World::claimed();
    // He was here before.
    assert!(world.login_from(&officer, address(1)).is_ok());
    let mut right = 0;
    for index in 0..200_u8 {
        world.later(1);
        let from = [10, 0, 0, index].into();
        right += usize::from(code(world.login(OFFICER, "not-the-password", None, from)) == "wrong-credentials");
    }
    assert!((50..60).contains(&right), "{right}");
    assert_eq!(code(world.login(OFFICER, PASSWORD, None, address(99))), "too-many-attempts");
    assert!(world.login_from(&officer, address(1)).is_ok(), "others do not lock him out of where he was");
}

#[test]
fn one_network_of_ipv6_is_one_address() {
    let (world, _) = World::claimed();
    let from = |network: u16, host: u16| [0x2001, 0xdb8, 0, network, 0, 0, 0, host].into();
    for host in 0..5 {
        assert_eq!(code(world.login(OFFICER, "not-the-password", None, from(1, host))), "wrong-credentials");
    }
    assert_eq!(code(world.login(OFFICER, "not-the-password", None, from(1, 9))), "too-many-attempts");
    assert_eq!(code(world.login(OFFICER, "not-the-password", None, from(2, 9))), "wrong-credentials");
}

#[test]
fn hashes_have_a_rate_of_which_strangers_have_a_part() {
    let (world, officer) = World::claimed();
    assert!(world.login_from(&officer, address(1)).is_ok());
    let mut codes = Vec::new();
    for index in 0..=255_u8 {
        codes.push(code(world.login(&format!("nobody {index}"), "not-the-password", None, [10, 0, index, 1].into())));
    }
    // So no table of addresses is filled quickly.
    let hashed = codes.iter().filter(|code| **code == "wrong-credentials").count();
    assert!(hashed <= 16 && codes[255] == "busy", "{hashed}");
    let code_now = secret(&officer.totp.as_ref().unwrap().generate(world.now() + 30).to_string());
    assert!(world.login(OFFICER, PASSWORD, Some(code_now), address(1)).is_ok());
    world.later(1);
    assert_eq!(code(world.login("nobody", "not-the-password", None, [10, 9, 9, 9].into())), "wrong-credentials");
}

#[test]
fn a_one_time_password_is_changed_and_ends() {
    let (world, officer) = World::claimed();
    let person = world.fresh(&officer, "zhang", Role::Viewer);
    assert_eq!(person.grant.session.pending, Some(Pending::Password));
    let change = |old: &str, new: &str| PasswordChange { old_password: secret(old), new_password: secret(new) };
    let change =
        |old: &str, new: &str| world.access().change_password(&world.caller(&person), &change(old, new), world.now());
    assert_eq!(code(change(&person.password, &person.password)), "password-unchanged");
    assert_eq!(code(change(&person.password, "elevenchars")), "password-too-short");
    assert_eq!(code(change("wrong-old-password", "a-password-of-his-own")), "old-password-wrong");
    assert!(change(&person.password, "a-password-of-his-own").is_ok());
    assert_eq!(code(world.login("zhang", &person.password, None, address(2))), "wrong-credentials");

    let request = NewUser { name: "late".to_owned(), role: Role::Viewer };
    let made = world.access().create_user(&world.caller(&officer), &request, world.now()).unwrap();
    world.later(4 * 24 * 60 * 60);
    let late = world.login("late", made.one_time_password.expose(), None, address(2));
    assert_eq!(code(late), "one-time-password-expired");
}

#[test]
fn who_is_disabled_does_not_come_in() {
    let (world, officer) = World::claimed();
    let person = world.user(&officer, "zhang", Role::Viewer);
    let patch = |disabled| UserPatch { disabled: Some(disabled), ..UserPatch::default() };
    let change = |disabled| world.access().change_user(&world.caller(&officer), "Zhang", patch(disabled), world.now());
    assert!(change(true).unwrap().user.disabled);
    assert!(world.caller_of(&person.grant).is_err());
    assert_eq!(code(world.login_from(&person, address(2))), "wrong-credentials");
    change(false).unwrap();
    assert!(world.caller_of(&person.grant).is_err(), "a session that ended has ended");
    assert!(world.login_from(&person, address(2)).is_ok());
}

#[test]
fn somebody_in_front_of_the_box_resets_a_user() {
    let (mut world, officer) = World::claimed();
    let request = |code: &str, name: &str| RecoveryRequest { claim_code: secret(code), name: name.to_owned() };
    let recover =
        |world: &World, code: &str, name: &str| world.access().recover(address(1), &request(code, name), world.now());
    assert_eq!(code(recover(&world, CODE, OFFICER)), "claim-code-spent", "the code of the claim is no new one");
    world.reopen();
    assert_eq!(code(recover(&world, CODE, OFFICER)), "claim-code-spent", "the screen shows nothing");
    world.access().screen_shows(ClaimCode::of(CODE));
    assert_eq!(code(recover(&world, CODE, OFFICER)), "claim-code-spent");
    world.access().screen_shows(ClaimCode::of("NEW0-NEW0-NEW0"));
    assert_eq!(code(recover(&world, CODE, OFFICER)), "claim-code-wrong");
    assert_eq!(code(recover(&world, "NEW0-NEW0-NEW0", "nobody")), "unknown-user");
    let before = world.login_from(&officer, address(1)).unwrap();

    let grant = recover(&world, "new0new0new0", OFFICER).unwrap();
    assert!(world.caller_of(&before).is_err());
    assert_eq!(grant.session.pending, Some(Pending::Password));
    assert_eq!(code(recover(&world, "NEW0-NEW0-NEW0", OFFICER)), "claim-code-spent");
    assert_eq!(code(world.login(OFFICER, PASSWORD, None, address(1))), "wrong-credentials");
    assert_eq!(code(world.login(OFFICER, "", None, address(1))), "wrong-credentials");

    let caller = world.caller_of(&grant).unwrap();
    let change = PasswordChange { old_password: secret(""), new_password: secret("another-fine-one") };
    let grant = world.access().change_password(&caller, &change, world.now()).unwrap();
    assert_eq!(grant.session.pending, Some(Pending::SecondFactor));
    let caller = world.caller_of(&grant).unwrap();
    assert!(!world.access().factors(&caller, world.now()).unwrap().totp);
    let again = PasswordChange { old_password: secret(""), new_password: secret("yet-another-fine-one") };
    assert_eq!(code(world.access().change_password(&caller, &again, world.now())), "old-password-wrong");
}
