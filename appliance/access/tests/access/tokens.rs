//! API tokens.

use std::fs;

use dolmen_access::{Caller, NewToken, Requirement, Role, TokenMade, UserPatch};

use crate::world::{Person, World, address, code};

fn make(world: &World, officer: &Person, name: &str, role: Role, days: u32) -> Result<TokenMade, &'static str> {
    let request = NewToken { name: name.to_owned(), role, days };
    world.access().create_token(&world.caller(officer), &request, world.now()).map_err(|refusal| refusal.code())
}

fn held(world: &World, made: &TokenMade) -> Result<Role, &'static str> {
    let who = world.access().bearer(made.token.expose(), world.now()).map_err(|refusal| refusal.code())?;
    let caller = Caller { who, from: address(9) };
    let may =
        |role: &Role| world.access().require(&caller, Requirement::Role(*role), "route", None, world.now()).is_ok();
    Ok([Role::SecurityOfficer, Role::Operator, Role::Viewer].into_iter().find(may).expect("a role"))
}

#[test]
fn a_token_holds_until_its_day() {
    let (mut world, officer) = World::claimed();
    for days in [0, 367, u32::MAX] {
        assert_eq!(make(&world, &officer, "t", Role::Viewer, days).unwrap_err(), "days");
    }
    assert_eq!(make(&world, &officer, "", Role::Viewer, 1).unwrap_err(), "name");
    let made = make(&world, &officer, "prometheus", Role::Operator, 366).unwrap();
    assert_eq!(make(&world, &officer, "Prometheus", Role::Viewer, 1).unwrap_err(), "token-exists");
    let text = made.token.expose().to_owned();
    assert!(text.starts_with("dolmen_") && text.len() == 51, "{}", text.len());
    assert_eq!(held(&world, &made), Ok(Role::Operator));
    world.reopen();
    assert_eq!(held(&world, &made), Ok(Role::Operator));
    for bad in
        ["", "dolmen_", &text[..50], &format!("{text}0"), &text.replace("dolmen_", "golmen_"), &text.to_uppercase()]
    {
        assert_eq!(code(world.access().bearer(bad, world.now())), "no-token", "{bad}");
    }
    world.later(366 * 24 * 60 * 60 - 1);
    assert_eq!(held(&world, &made), Ok(Role::Operator));
    world.later(1);
    assert_eq!(held(&world, &made), Err("no-token"));
}

#[test]
fn a_token_is_as_good_as_its_maker() {
    let (world, officer) = World::claimed();
    let maker = world.user(&officer, "maker", Role::SecurityOfficer);
    let made = make(&world, &maker, "of maker", Role::SecurityOfficer, 10).unwrap();
    assert_eq!(held(&world, &made), Ok(Role::SecurityOfficer));
    let change = |patch| world.access().change_user(&world.caller(&officer), "maker", patch, world.now()).unwrap();
    change(UserPatch { role: Some(Role::Viewer), ..UserPatch::default() });
    assert_eq!(held(&world, &made), Ok(Role::Viewer));
    change(UserPatch { disabled: Some(true), ..UserPatch::default() });
    assert_eq!(held(&world, &made), Err("no-token"));
    change(UserPatch { disabled: Some(false), ..UserPatch::default() });
    assert_eq!(held(&world, &made), Ok(Role::Viewer));
    world.access().delete_user(&world.caller(&officer), "maker", world.now()).unwrap();
    assert_eq!(held(&world, &made), Err("no-token"));
    assert!(world.access().tokens(&world.caller(&officer), world.now()).unwrap().is_empty());
}

#[test]
fn a_deleted_token_counts_no_more() {
    let (world, officer) = World::claimed();
    let [one, other] = ["one", "other"].map(|name| make(&world, &officer, name, Role::Viewer, 1).unwrap());
    assert_eq!(code(world.access().delete_token(&world.caller(&officer), "0", world.now())), "unknown-token");
    world.access().delete_token(&world.caller(&officer), &one.id, world.now()).unwrap();
    assert_eq!((held(&world, &one), held(&world, &other)), (Err("no-token"), Ok(Role::Viewer)));
}

#[test]
fn its_last_use_goes_to_the_disk_once_an_hour() {
    let (mut world, officer) = World::claimed();
    let made = make(&world, &officer, "one", Role::Viewer, 10).unwrap();
    let file = |world: &World| fs::read(world.path().join("access.json")).unwrap();
    let first = file(&world);
    let used = world.now();
    held(&world, &made).unwrap();
    let second = file(&world);
    assert_ne!(first, second);
    for _ in 0..3 {
        world.later(60);
        held(&world, &made).unwrap();
        assert_eq!(file(&world), second);
    }
    let last = |world: &World, officer: &Person| {
        world.access().tokens(&world.caller(officer), world.now()).unwrap()[0].last_used_at.unwrap().0
    };
    assert_eq!(last(&world, &officer), used);
    world.reopen();
    let officer = Person { grant: world.login_from(&officer, address(1)).unwrap(), ..officer };
    assert_eq!(last(&world, &officer), used);
    let third = file(&world);
    world.later(3600);
    held(&world, &made).unwrap();
    assert_ne!(file(&world), third);
}
