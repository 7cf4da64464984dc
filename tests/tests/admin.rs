//! The administration API before whoever may not use it: every operation of its description, roles, sessions that others
//! would like to have, guesses, and requests that are none.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

use dolmen_tests::{Admin, BoxInfo, Cluster, PATIENCE, http, totp, wait_for};
use serde_json::{Value, json};

const NAME: &str = "officer";
const PASSWORD: &str = "four unrelated words";
/// In their order: each may what those before it may.
const ROLES: [&str; 3] = ["viewer", "operator", "security-officer"];

/// What the description says of an operation.
struct Operation {
    /// `METHOD /path`, with names for its parameters.
    request: String,
    /// None where everybody may; `""` where a session is enough.
    role: Option<String>,
    is_for_tokens: bool,
}

fn operations(own: &BoxInfo) -> Vec<Operation> {
    let said = Admin::nobody(own).try_call("GET /openapi.json", &Value::Null, &[]);
    let mut all = Vec::new();
    for (path, operations) in said.json["paths"].as_object().expect("paths") {
        let path = path.strip_prefix("/api/v1").expect("all are there");
        let path = path
            .replace("{name}", "nobody")
            .replace("{id}", "00")
            .replace("{serial}", "nothing")
            .replace("{use}", "nothing")
            .replace("{file}", "none");
        assert!(!path.contains('{'), "{path}: this test has no value for it");
        for (method, operation) in operations.as_object().expect("operations") {
            let ways = operation["security"].as_array().expect("security");
            let way = |name: &str| ways.iter().find_map(|way| way[name].as_array());
            let role = way("session").map(|roles| roles.first().and_then(Value::as_str).unwrap_or_default().to_owned());
            let request = format!("{} {path}", method.to_uppercase());
            all.push(Operation { request, role, is_for_tokens: way("token").is_some() });
        }
    }
    all
}

/// One test, since the box is the same: who is nobody, who is not enough, and who is.
#[test]
fn every_operation_asks_who_it_is() {
    let cluster = Cluster::start(1);
    let own = cluster.node(0);
    let all = operations(own);
    assert!(all.len() > 20, "{}", all.len());
    let open: BTreeSet<_> = all.iter().filter(|one| one.role.is_none()).map(|one| one.request.as_str()).collect();
    let expected = [
        "GET /box",
        "POST /claim",
        "POST /recovery",
        "POST /session",
        "POST /session/passkey/finish",
        "POST /session/passkey/start",
    ];
    assert_eq!(open, BTreeSet::from(expected), "what needs no login is known");

    nobody_may(own, &all);
    this_machine_looks(own, &all);
    let (mut officer, _) = Admin::claim(own, NAME, PASSWORD);
    roles_allow_what_they_say(own, &mut officer, &all);
    audit_has_it(&mut officer);
}

fn nobody_may(own: &BoxInfo, all: &[Operation]) {
    let nobody = Admin::nobody(own);
    for operation in all.iter().filter(|one| one.role.is_some()) {
        for (header, value, code) in [
            ("X-Nothing", "", "no-session"),
            (
                "Cookie",
                "__Host-dolmen-session=0000000000000000000000000000000000000000000000000000000000000000",
                "no-session",
            ),
            ("Cookie", "dolmen-session=1; __Host-dolmen-session=", "no-session"),
            ("Authorization", "Bearer dolmen_00000000000000000000000000000000000000000000", "no-token"),
            ("Authorization", "Bearer ", "no-session"),
            ("Authorization", "Basic b2ZmaWNlcjpmb3VyIHVucmVsYXRlZCB3b3Jkcw==", "no-session"),
        ] {
            let said = nobody.try_call(&operation.request, &json!({}), &[(header, value)]);
            let request = &operation.request;
            assert_eq!((said.status, said.code()), (401, code), "{request} with {header}: {value}: {said:?}");
            assert!(said.headers.contains("content-type: application/problem+json"), "{request}: {}", said.headers);
        }
    }
}

/// The token of the box's machine is good for what a viewer sees, and for nothing else.
fn this_machine_looks(own: &BoxInfo, all: &[Operation]) {
    let token = fs::read_to_string(&own.token).expect("the token of this machine");
    let machine = Admin { token: Some(token.trim_end().to_owned()), ..Admin::nobody(own) };
    for Operation { request, role, .. } in
        all.iter().filter(|one| one.role.is_some() && !one.request.ends_with("/events"))
    {
        let said = machine.try_call(request, &Value::Null, &[]);
        if request.starts_with("GET ") && role.as_deref() == Some("viewer") {
            assert!(said.status == 200 || said.status == 404, "{request}: {said:?}");
        } else {
            assert_eq!((said.status, said.code()), (403, "local-token"), "{request}: {said:?}");
        }
    }
}

fn roles_allow_what_they_say(own: &BoxInfo, officer: &mut Admin, all: &[Operation]) {
    for (held, role) in ROLES.iter().enumerate() {
        let said = officer
            .call("POST /tokens", json!({"name": format!("a {role}").replace(' ', "-"), "role": role, "days": 1}));
        assert_eq!(said.status, 201, "{said:?}");
        let token = said.json["token"].as_str().expect("a token").to_owned();
        let program = Admin { token: Some(token), ..Admin::nobody(own) };
        for Operation { request, role: needed, is_for_tokens } in all {
            // A stream has no end, and the officer's own tokens are to stay.
            let Some(needed) = needed.as_deref().filter(|_| !request.ends_with("/events")) else { continue };
            // No body is one that does something.
            let ask = || program.try_call(request, &Value::Null, &[]);
            let expected = match ROLES.iter().position(|role| *role == needed) {
                _ if !is_for_tokens => Some("session-needed"),
                Some(needed) if needed > held => Some("role-too-low"),
                _ => None,
            };
            match expected {
                Some(code) => {
                    let said = ask();
                    assert_eq!((said.status, said.code()), (403, code), "{role}: {request}: {said:?}");
                }
                // The box would end.
                None if request == "POST /restart" => {}
                None => {
                    let said = ask();
                    assert!(!matches!(said.status, 401 | 403 | 500), "{role}: {request}: {said:?}");
                }
            }
        }
    }
}

fn audit_has_it(officer: &mut Admin) {
    let said = officer.call("GET /audit?limit=200", Value::Null);
    let entries = said.json["entries"].as_array().unwrap_or_else(|| panic!("{said:?}"));
    let has = |action: &str, outcome: &str, code: Option<&str>| {
        entries.iter().any(|entry| {
            entry["action"] == action && entry["outcome"] == outcome && code.is_none_or(|code| entry["code"] == code)
        })
    };
    assert!(has("create-token", "done", None) && has("claim", "done", None), "{entries:?}");
    assert!(has("create-user", "refused", Some("role-too-low")), "{entries:?}");
}

#[test]
fn a_session_is_nobody_elses() {
    let cluster = Cluster::start(1);
    let own = cluster.node(0);
    let (mut officer, secret) = Admin::claim(own, NAME, PASSWORD);
    let change = |admin: &Admin, headers: &[(&str, &str)]| {
        let said = admin.try_call("PUT /me/language", &json!({"language": "zh"}), headers);
        (said.status, said.code().to_owned())
    };
    assert_eq!(change(&officer, &[]), (204, String::new()));

    // Another site has the browser send the cookie, and can neither read the token nor hide where it comes from.
    let without = Admin { csrf: None, ..officer.clone() };
    assert_eq!(change(&without, &[]).1, "csrf");
    for wrong in ["", "0", &"0".repeat(64)] {
        let guessed = Admin { csrf: Some(wrong.to_owned()), ..officer.clone() };
        assert_eq!(change(&guessed, &[]), (403, "csrf".to_owned()), "{wrong}");
    }
    for foreign in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert_eq!(change(&officer, &[foreign]), (403, "other-origin".to_owned()), "{foreign:?}");
    }
    let own_origin = format!("https://{}", own.admin_address());
    assert_eq!(change(&officer, &[("Origin", &own_origin), ("Sec-Fetch-Site", "same-origin")]).0, 204);

    // A cookie that somebody planted before the login is not the session's afterwards.
    let planted = "a".repeat(64);
    let mut victim = Admin { cookie: Some(planted.clone()), ..Admin::nobody(own) };
    let said = victim.call("POST /session", json!({"name": NAME, "password": PASSWORD, "totp": totp(&secret)}));
    // The code that confirmed the secret counts once; the next one comes within half a minute.
    if said.code() == "wrong-credentials" {
        wait_for("the next code", PATIENCE, || {
            let said = victim.call("POST /session", json!({"name": NAME, "password": PASSWORD, "totp": totp(&secret)}));
            std::thread::sleep(Duration::from_secs(if said.status == 200 { 0 } else { 5 }));
            (said.status == 200).then_some(())
        });
    }
    assert_ne!(victim.cookie.as_deref(), Some(&*planted));
    assert_eq!(
        Admin { cookie: Some(planted), ..victim.clone() }.try_call("GET /session", &Value::Null, &[]).status,
        401
    );

    // A new password ends the other sessions, and changes this one's secrets.
    let before = victim.clone();
    let said = victim
        .call("PUT /me/password", json!({"old_password": PASSWORD, "new_password": "five other unrelated words"}));
    assert_eq!(said.status, 200, "{said:?}");
    assert_ne!((&before.cookie, &before.csrf), (&victim.cookie, &victim.csrf));
    for ended in [&before, &officer] {
        assert_eq!(ended.try_call("GET /session", &Value::Null, &[]).code(), "no-session");
    }
    let kept = victim.clone();
    assert_eq!(victim.call("DELETE /session", Value::Null).status, 204);
    assert_eq!(victim.cookie, None, "the browser forgets it");
    assert_eq!(kept.try_call("GET /status", &Value::Null, &[]).code(), "no-session");
    officer.cookie = None;
}

#[test]
fn guesses_and_requests_that_are_none_stop_nothing() {
    let cluster = Cluster::start(1);
    let own = cluster.node(0);
    let (officer, _) = Admin::claim(own, NAME, PASSWORD);
    let nobody = Admin::nobody(own);

    // Nobody learns which names are users, and nobody guesses long. Whoever is logged in stays.
    let guess =
        |name: &str| nobody.try_call("POST /session", &json!({"name": name, "password": "wrong wrong wrong"}), &[]);
    let (known, unknown) = (guess(NAME), guess("nobody-at-all"));
    assert_eq!((known.status, known.json), (unknown.status, unknown.json));
    let refused = (0..40).map(|_| guess(NAME)).find(|said| said.status == 429).expect("an end to guessing");
    assert!(matches!(refused.code(), "too-many-attempts" | "busy"), "{refused:?}");
    assert!(refused.headers.contains("retry-after: "), "{}", refused.headers);
    assert_eq!(officer.try_call("GET /status", &Value::Null, &[]).status, 200);

    // Sizes and forms.
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(70_000));
    let json_type = [("Content-Type", "application/json")];
    let said = nobody.try_send("POST /session", &large, &json_type);
    assert_eq!((said.status, said.code()), (413, "body-too-large"), "{said:?}");
    let said = nobody.try_send("POST /session", "[".repeat(60_000), &json_type);
    assert_eq!((said.status, said.code()), (422, "body-damaged"), "{said:?}");
    assert_eq!(nobody.try_send("POST /session", "{}", &[("Content-Type", "text/plain")]).code(), "media-type");
    let said = nobody.try_call("POST /session", &json!({"name": "a", "password": "b", "admin": true}), &[]);
    assert_eq!((said.status, said.code()), (422, "body-damaged"), "{said:?}");
    assert_eq!(nobody.try_call("POST /box", &Value::Null, &[]).code(), "method");
    let said = officer.try_call("GET /audit?before=x", &Value::Null, &[]);
    assert_eq!((said.status, said.code()), (400, "query-damaged"), "{said:?}");

    // Paths are what they say.
    for path in
        ["/../v1/users", "/./users", "//users", "/users/", "/users/%2e%2e/status", "/%75sers/..", "/Users", "/users%00"]
    {
        let said = nobody.try_call(&format!("GET {path}"), &Value::Null, &[]);
        assert!(matches!(said.status, 400 | 401 | 404 | 405), "{path}: {said:?}");
    }
    let address = own.admin_address();
    for path in [
        "/assets/../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/box.toml",
        "/claim-code",
    ] {
        let answer = http::https(address, &own.certificate, &format!("GET {path}"), &[], "").expect("an answer");
        let is_page = answer.body.contains("<title>Dolmen</title>");
        assert!(answer.status == 404 || answer.status == 200 && is_page, "{path}: {answer:?}");
    }

    // Names that would be code are no names, and what is said of them is no page.
    for name in ["<script>alert(1)</script>", "a\"onload=", "x\ny", "\u{202e}gnp", ""] {
        let said = officer.try_call("POST /users", &json!({"name": name, "role": "viewer"}), &[]);
        assert_eq!((said.status, said.code()), (400, "name"), "{name:?}: {said:?}");
        assert!(said.headers.contains("x-content-type-options: nosniff"), "{}", said.headers);
    }
    slow_clients_wait_alone(own, &officer);
}

/// Power off and on, and the screen has a code with which somebody who lost everything comes back in, once.
#[test]
fn who_stands_before_the_box_comes_back_in() {
    let mut cluster = Cluster::start(1);
    let own = cluster.node(0).clone();
    let _ = Admin::nobody(&own);
    let spent = fs::read_to_string(&own.claim_code).expect("a code");
    let (officer, _) = Admin::claim(&own, NAME, PASSWORD);
    assert!(!own.claim_code.exists(), "the screen shows a code no more that was used");
    let recover = |code: &str| Admin::nobody(&own).call("POST /recovery", json!({"claim_code": code, "name": NAME}));
    assert_eq!(recover(spent.trim_end()).code(), "claim-code-spent");
    cluster.kill9(0);
    cluster.restart(0);
    cluster.wait_for_progress(1);
    let mut back = Admin::nobody(&own);
    let code = fs::read_to_string(&own.claim_code).expect("a code");
    assert_eq!(officer.try_call("GET /session", &Value::Null, &[]).code(), "no-session");
    assert_eq!(recover("0000-0000-0000").code(), "claim-code-wrong");
    let said = back.call("POST /recovery", json!({"claim_code": code.trim_end(), "name": NAME}));
    assert_eq!((said.status, &said.json["pending"]), (200, &json!("password")), "{said:?}");
    assert_eq!(back.try_call("GET /users", &Value::Null, &[]).code(), "pending-password");
    let said = back.call("PUT /me/password", json!({"new_password": "another four unrelated words"}));
    assert_eq!((said.status, &said.json["pending"]), (200, &json!("second-factor")), "{said:?}");
    back.set_up_totp();
    assert_eq!(back.try_call("GET /users", &Value::Null, &[]).status, 200);
    assert_eq!(recover(code.trim_end()).code(), "claim-code-spent");
}

/// Clients that send a head, or a body, byte by byte, or nothing at all.
fn slow_clients_wait_alone(own: &BoxInfo, officer: &Admin) {
    let (address, certificate) = (own.admin_address(), &own.certificate);
    let mut slow = Vec::new();
    for start in [
        "",
        "POST /api/v1/session HT",
        "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"na",
    ] {
        for _ in 0..8 {
            let mut stream = http::connect_tls(address, certificate).expect("a connection");
            stream.write_all(start.as_bytes()).expect("it takes the beginning");
            slow.push(stream);
        }
    }
    let began = Instant::now();
    assert_eq!(officer.try_call("GET /status", &Value::Null, &[]).status, 200, "others are served meanwhile");
    for stream in &mut slow {
        stream.get_ref().set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let mut answer = Vec::new();
        // Closed, in whatever way, or answered that it took too long.
        let _ = stream.read_to_end(&mut answer);
        assert!(began.elapsed() < PATIENCE, "a silent client keeps its connection");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    }
}
