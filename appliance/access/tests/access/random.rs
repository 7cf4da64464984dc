//! Anything, in any order: what has to hold always.

use std::collections::BTreeMap;

use dolmen_access::{
    Access, Caller, ClaimCode, ClaimRequest, Csrf, Grant, LoginRequest, NewToken, NewUser, PasswordChange, Pending,
    RecoveryRequest, Refusal, Requirement, Role, TotpConfirm, UserPatch,
};
use proptest::{
    prelude::{Strategy, any, prop},
    prop_assert, prop_assert_eq,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::world::{CODE, NOW, address, app, directory, open, secret};

/// One step: what, by which session, about which user, and with which number.
type Step = (u8, usize, usize, u8);

const NAMES: [&str; 4] = ["li.wei", "zhang", "Anna", "王"];

struct Machine {
    dir: tempfile::TempDir,
    access: Option<Access>,
    now: u64,
    seed: u64,
    grants: Vec<Grant>,
    passwords: BTreeMap<String, String>,
    codes: BTreeMap<String, Vec<String>>,
    tokens: Vec<dolmen_access::TokenMade>,
}

impl Machine {
    fn new() -> Self {
        let dir = directory();
        let access = open(dir.path(), 0, NOW).expect("a new box");
        let (passwords, codes) = (BTreeMap::new(), BTreeMap::new());
        let (grants, tokens) = (Vec::new(), Vec::new());
        Self { dir, access: Some(access), now: NOW, seed: 1, grants, passwords, codes, tokens }
    }

    fn access(&self) -> &Access {
        self.access.as_ref().expect("it is open")
    }

    fn caller(&self, index: usize) -> Option<Caller> {
        if self.grants.is_empty() {
            return None;
        }
        let grant = &self.grants[index % self.grants.len()];
        let csrf = Csrf::Header(Some(grant.session.csrf_token.expose()));
        let who = self.access().session(grant.token.expose(), csrf, self.now).ok()?;
        Some(Caller { who, from: address(1) })
    }

    fn step(&mut self, (what, by, about, number): Step) -> Result<(), TestCaseError> {
        self.now += u64::from(number);
        let name = NAMES[about % NAMES.len()];
        let role = [Role::Viewer, Role::Operator, Role::SecurityOfficer][usize::from(number % 3)];
        let now = self.now;
        if what % 16 < 5 {
            return self.come_in(what % 16, name, number);
        }
        let Some(caller) = self.caller(by) else { return Ok(()) };
        let view = self.access().view_session(&caller, now).expect("a session that counts");
        let may = view.pending.is_none() && view.user.role == Role::SecurityOfficer;
        let check = |result: Result<(), &Refusal>| -> Result<(), TestCaseError> {
            let refused = matches!(result, Err(Refusal::RoleTooLow { .. } | Refusal::Pending(_)));
            prop_assert_eq!(refused, !may, "{:?} {:?}", view, result);
            Ok(())
        };
        match what % 16 {
            5 | 6 => {
                let made = self.access().create_user(&caller, &NewUser { name: name.to_owned(), role }, now);
                check(made.as_ref().map(drop))?;
                if let Ok(made) = made {
                    self.passwords.insert(name.to_owned(), made.one_time_password.expose().to_owned());
                }
            }
            7 | 8 => {
                let patch = UserPatch {
                    role: (number & 4 > 0).then_some(role),
                    disabled: (number & 8 > 0).then_some(number & 16 > 0),
                    reset: number & 96 == 96,
                };
                let changed = self.access().change_user(&caller, name, patch, now);
                check(changed.as_ref().map(drop))?;
                if let Some(password) = changed.ok().and_then(|changed| changed.one_time_password) {
                    self.passwords.insert(name.to_owned(), password.expose().to_owned());
                }
            }
            9 => check(self.access().delete_user(&caller, name, now).as_ref().map(drop))?,
            10 => {
                let request = NewToken { name: format!("t{number}"), role, days: 1 };
                let made = self.access().create_token(&caller, &request, now);
                check(made.as_ref().map(drop))?;
                self.tokens.extend(made);
            }
            11 | 12 => {
                let own = view.user.name.as_str();
                let new = format!("a-fine-one-{number}-{now}");
                let old = self.passwords.get(own).cloned().unwrap_or_default();
                let request = PasswordChange { old_password: secret(&old), new_password: secret(&new) };
                if let Ok(grant) = self.access().change_password(&caller, &request, now) {
                    self.passwords.insert(own.to_owned(), new);
                    self.grants.push(grant);
                }
            }
            13 | 14 => {
                let enrolment = self.access().start_totp(&caller, now).expect("anybody may");
                let totp = secret(&app(&enrolment.secret_base32).generate(now).to_string());
                let confirmed = self.access().confirm_totp(&caller, &TotpConfirm { totp }, now);
                if let Ok((codes, grant)) = confirmed {
                    let texts = codes.recovery_codes.iter().map(|code| code.expose().to_owned()).collect();
                    self.codes.insert(view.user.name.to_string(), texts);
                    self.grants.push(grant);
                }
            }
            _ => drop(self.access().logout(&caller, now)),
        }
        Ok(())
    }

    fn come_in(&mut self, what: u8, name: &str, number: u8) -> Result<(), TestCaseError> {
        let now = self.now;
        let code = format!("{CODE}-{number}");
        match what {
            0 => {
                self.access().screen_shows(ClaimCode::of(&code));
                let (claim_code, password) = (secret(&code), format!("claimed-by-{number}"));
                let request = ClaimRequest { claim_code, name: name.to_owned(), password: secret(&password) };
                let claimed = self.access().claimed();
                let grant = self.access().claim(address(1), &request, now);
                prop_assert!(!claimed || matches!(grant, Err(Refusal::AlreadyClaimed)));
                if let Ok(grant) = grant {
                    self.passwords.insert(name.to_owned(), password);
                    self.grants.push(grant);
                }
            }
            1 => {
                self.access().screen_shows(ClaimCode::of(&code));
                let request = RecoveryRequest { claim_code: secret(&code), name: name.to_owned() };
                if let Ok(grant) = self.access().recover(address(1), &request, now) {
                    prop_assert_eq!(grant.session.pending, Some(Pending::Password));
                    self.grants.push(grant);
                }
            }
            2 => {
                self.access = None;
                self.seed += 1;
                let access = open(self.dir.path(), self.seed, now);
                prop_assert!(access.is_ok(), "{:?}", access.err());
                self.access = access.ok();
                prop_assert!((0..self.grants.len()).all(|index| self.caller(index).is_none()));
                self.grants.clear();
            }
            _ => {
                let password = self.passwords.get(name).cloned().unwrap_or_default();
                let totp = self.codes.get_mut(name).and_then(Vec::pop).map(|code| secret(&code));
                let request = LoginRequest { name: name.to_owned(), password: secret(&password), totp };
                self.grants.extend(self.access().login(address(number), &request, now));
            }
        }
        Ok(())
    }

    /// What holds at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        let file = std::fs::read_to_string(self.dir.path().join("access.json")).expect("the file");
        let state: serde_json::Value = serde_json::from_str(&file).expect("JSON");
        let users = state["users"].as_array().expect("users");
        let enabled = |user: &&serde_json::Value| user["disabled"] == false;
        let officers = users.iter().filter(enabled).filter(|user| user["role"] == "security-officer").count();
        prop_assert_eq!(self.access().claimed(), !users.is_empty());
        prop_assert!(users.is_empty() || officers > 0, "nobody can say who may do what");
        for index in 0..self.grants.len() {
            let Some(caller) = self.caller(index) else { continue };
            let view = self.access().view_session(&caller, self.now).expect("a session that counts");
            let user = users.iter().find(|user| user["name"] == view.user.name.as_str());
            let Some(user) = user else { return Err(TestCaseError::fail("a session of nobody")) };
            prop_assert!(user["disabled"] == false && user["role"] == view.user.role.name());
            let complete = user["password"].get("own").is_some() && !user["totp"].is_null();
            prop_assert_eq!(view.pending.is_none(), complete);
        }
        for token in &self.tokens {
            let Ok(who) = self.access().bearer(token.token.expose(), self.now) else { continue };
            let caller = Caller { who, from: address(9) };
            let stored = state["tokens"].as_array().expect("tokens").iter().find(|one| one["id"] == token.id.as_str());
            let maker = stored.and_then(|stored| users.iter().find(|user| user["id"] == stored["created_by"]));
            prop_assert!(maker.is_some_and(|maker| maker["disabled"] == false));
            let officer = Requirement::Role(Role::SecurityOfficer);
            let may = self.access().require(&caller, officer, "route", None, self.now).is_ok();
            prop_assert!(!may || maker.is_some_and(|maker| maker["role"] == "security-officer"));
        }
        Ok(())
    }
}

#[test]
fn it_holds_whatever_happens() {
    let steps = prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>(), any::<u8>()), 1..60);
    // A box that nobody claimed has nothing to refuse.
    let steps = steps.prop_map(|mut steps| {
        steps.insert(0, (0, 0, 0, 1));
        steps.insert(1, (13, 0, 0, 1));
        steps
    });
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps, |steps| {
        let mut machine = Machine::new();
        for step in steps {
            machine.step(step)?;
            machine.check()?;
        }
        Ok(())
    });
    result.unwrap();
}
