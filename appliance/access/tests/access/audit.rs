//! The audit log, and what shows nowhere.

use std::fs;

use dolmen_access::{
    AuditEntry, AuditOutcome, Caller, ClaimRequest, LoginRequest, NewToken, NewUser, PasswordChange, Refusal, Role,
    TotpConfirm,
};

use crate::world::{CODE, OFFICER, PASSWORD, Person, World, address, app, code, secret};

fn all(world: &World, caller: &Caller) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    let mut before = None;
    loop {
        let page = world.access().audit(caller, before, Some(7), world.now()).expect("a page");
        assert!(page.entries.len() <= 7 && (page.entries.len() == 7 || !page.more));
        before = page.entries.last().map(|entry| entry.seq);
        entries.extend(page.entries);
        if !page.more {
            return entries;
        }
    }
}

fn last(world: &World, officer: &Person) -> AuditEntry {
    world.access().audit(&world.caller(officer), None, Some(1), world.now()).expect("a page").entries.remove(0)
}

#[test]
fn each_change_has_its_record() {
    let (mut world, officer) = World::claimed();
    world.user(&officer, "zhang", Role::Viewer);
    assert_eq!(code(world.login(OFFICER, "not-the-password", None, address(66))), "wrong-credentials");
    let entries = all(&world, &world.caller(&officer));
    let story: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| {
            let target = entry.target.as_deref().unwrap_or("");
            let code = entry.code.as_deref().unwrap_or("");
            format!("{} {} {} {target} {code}", entry.seq, entry.who, entry.action).trim_end().to_owned()
        })
        .collect();
    let expected = [
        "1 box: begin",
        "2 - claim li.wei",
        "3 li.wei confirm-totp",
        "4 li.wei create-user zhang",
        "5 zhang login",
        "6 zhang change-password",
        "7 zhang confirm-totp",
        "8 - login li.wei wrong-credentials",
    ];
    assert_eq!(story, expected);
    assert_eq!((entries[0].from.as_str(), entries[0].outcome), ("192.0.2.66", AuditOutcome::Refused));
    world.reopen();
    let officer = Person { grant: world.login_from(&officer, address(1)).unwrap(), ..officer };
    assert_eq!(all(&world, &world.caller(&officer))[1..], entries);
    let page = world.access().audit(&world.caller(&officer), Some(3), None, world.now()).unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 1]);
    assert!(!page.more);
    let json = serde_json::to_value(&page.entries[0]).unwrap();
    assert_eq!(json["at"], "2027-01-15T08:00:00Z");
    assert!(json.get("code").is_none() && json["outcome"] == "done");
}

#[test]
fn an_operator_sees_his_own() {
    let (world, officer) = World::claimed();
    let operator = world.user(&officer, "operator", Role::Operator);
    world.user(&officer, "another", Role::Operator);
    let caller = world.caller(&operator);
    world.access().record(&caller, "update", Some("1.2.3"), None, Some("slot b"), world.now()).unwrap();
    world.access().record(&caller, "update", None, Some("signature"), None, world.now()).unwrap();
    let own = all(&world, &caller);
    assert!(own.len() == 5 && own.iter().all(|entry| entry.who == "operator"), "{own:?}");
    assert_eq!((own[0].code.as_deref(), own[0].outcome), (Some("signature"), AuditOutcome::Refused));
    assert_eq!((own[1].target.as_deref(), own[1].detail.as_deref()), (Some("1.2.3"), Some("slot b")));
}

#[test]
fn what_strangers_type_does_no_harm() {
    let (world, officer) = World::claimed();
    let name = format!("a\n\u{202e}\"<script>{}", "x".repeat(10_000));
    assert_eq!(code(world.login(&name, "not-the-password", None, address(66))), "wrong-credentials");
    let target = last(&world, &officer).target.unwrap();
    assert!(target.starts_with("a\\u{a}\\u{202e}\"<script>xx") && target.len() == 64, "{target}");
    let long = "p".repeat(1 << 20);
    assert_eq!(code(world.login(OFFICER, &long, Some(secret(&long)), address(66))), "wrong-credentials");
}

#[test]
fn refusals_do_not_fill_the_disk() {
    let (world, officer) = World::claimed();
    let length = || fs::metadata(world.path().join("access.journal")).unwrap().len();
    let before = length();
    for _ in 0..5000 {
        assert!(!code(world.login(OFFICER, "not-the-password", None, address(66))).is_empty());
    }
    assert!(length() - before < 64 << 10, "{}", length() - before);
    world.later(60);
    assert!(!code(world.login(OFFICER, "not-the-password", None, address(66))).is_empty());
    let detail = last(&world, &officer).detail.unwrap();
    assert!(detail.contains("refusals before were not recorded"), "{detail}");
}

#[test]
fn one_user_does_not_fill_the_disk() {
    let (world, officer) = World::claimed();
    let caller = world.caller(&officer);
    let record = || code(world.access().record(&caller, "route", None, None, None, world.now()));
    let taken = (0..1000).filter(|_| record().is_empty()).count();
    assert!(taken <= 60, "{taken}");
    assert_eq!(record(), "too-many-changes");
    world.later(10);
    assert_eq!(record(), "");
}

#[test]
fn secrets_show_nowhere() {
    let (world, officer) = World::claimed();
    let (access, caller) = (world.access(), world.caller(&officer));
    let enrolment = access.start_totp(&caller, world.now()).unwrap();
    let totp = app(&enrolment.secret_base32).generate(world.now()).to_string();
    let (codes, grant) = access.confirm_totp(&caller, &TotpConfirm { totp: secret(&totp) }, world.now()).unwrap();
    let caller = world.caller_of(&grant).unwrap();
    let token = NewToken { name: "t".to_owned(), role: Role::Viewer, days: 1 };
    let token = access.create_token(&caller, &token, world.now()).unwrap();
    let user = access.create_user(&caller, &NewUser { name: "u".to_owned(), role: Role::Viewer }, world.now()).unwrap();

    let mut secrets =
        vec![PASSWORD, CODE, grant.token.expose(), grant.session.csrf_token.expose(), token.token.expose()];
    secrets.extend(codes.recovery_codes.iter().map(|code| code.expose()));
    secrets.push(user.one_time_password.expose());
    for file in ["access.json", "access.journal"] {
        let text = fs::read_to_string(world.path().join(file)).unwrap();
        for one in &secrets {
            assert!(!text.contains(one), "{file} has {one}");
        }
    }

    secrets.push(enrolment.secret_base32.expose());
    let password = || secret(PASSWORD);
    let claim = ClaimRequest { claim_code: secret(CODE), name: OFFICER.to_owned(), password: password() };
    let login = LoginRequest { name: OFFICER.to_owned(), password: password(), totp: Some(secret(&totp)) };
    let change = PasswordChange { old_password: password(), new_password: password() };
    let shown = format!(
        "{access:?} {caller:?} {grant:?} {enrolment:?} {codes:?} {token:?} {user:?} {claim:?} {login:?} {change:?} {:?} {:?}",
        dolmen_access::ClaimCode::of(CODE),
        access.login(address(3), &login, world.now()).map_err(|refusal: Refusal| refusal.to_string()),
    );
    for one in &secrets {
        assert!(!shown.contains(one), "{one} in {shown}");
    }
}
