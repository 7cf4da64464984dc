//! The file of users: its form is frozen, and nothing in it brings the program down.

use std::fs;

use dolmen_access::{OpenError, Role};

use crate::world::{NOW, OFFICER, PASSWORD, World, address, code, directory, open, secret};

/// A box with two users and a token, as text.
fn valid() -> (World, String) {
    let (mut world, officer) = World::claimed();
    world.user(&officer, "李伟", Role::Viewer);
    let token = dolmen_access::NewToken { name: "t".to_owned(), role: Role::Viewer, days: 1 };
    world.access().create_token(&world.caller(&officer), &token, world.now()).expect("a token");
    world.close();
    let text = fs::read_to_string(world.path().join("access.json")).expect("the file");
    (world, text)
}

fn with(world: &World, bytes: &[u8]) -> Result<(), OpenError> {
    fs::write(world.path().join("access.json"), bytes).expect("a file");
    open(world.path(), 0, NOW).map(drop)
}

#[test]
fn what_is_not_known_is_refused() {
    let (world, text) = valid();
    assert!(with(&world, text.as_bytes()).is_ok());
    let form = |old: &str, new: &str| {
        let changed = text.replacen(old, new, 1);
        assert_ne!(changed, text, "{old}");
        with(&world, changed.as_bytes()).unwrap_err().to_string()
    };
    for (old, new) in [
        ("{\"version\":1", "{\"more\":1,\"version\":1"),
        ("\"memory_kib\"", "\"more\":1,\"memory_kib\""),
        ("\"disabled\"", "\"more\":1,\"disabled\""),
        ("\"last_step\"", "\"more\":1,\"last_step\""),
        ("\"created_by\"", "\"more\":1,\"created_by\""),
        ("\"viewer\"", "\"root\""),
        ("\"李伟\"", "\"\\u202e李伟\""),
        ("}", "}}"),
    ] {
        assert!(form(old, new).contains("cannot be read"), "{old}");
    }
    assert!(form("\"version\":1", "\"version\":2").contains("another version"));
    assert!(form("\"memory_kib\":8", "\"memory_kib\":4000000000").contains("costs too much"));
    assert!(form("\"李伟\"", "\"Li.Wei\"").contains("are one"));
    assert!(form("\"security-officer\"", "\"operator\"").contains("no security officer"));
    assert!(form("\"disabled\":false", "\"disabled\":true").contains("no security officer"));
    assert!(form("\"seq\":", "\"seq\":9").contains("restore both"));
    assert!(with(&world, &vec![b' '; (4 << 20) + 1]).unwrap_err().to_string().contains("longer"));
}

#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (world, _) = valid();
    for file in ["access.json", "access.journal"] {
        let path = world.path().join(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    fs::set_permissions(world.path().join("access.json"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(world.path(), 0, NOW), Err(OpenError::Read(_))));
}

/// A file of version 1, and its journal's begin, as they were written when there was no other: they are read as long as
/// there is this version.
#[test]
fn the_form_of_version_1_is_frozen() {
    let dir = directory();
    dolmen_hsm_api::private::write_new(&dir.path().join("access.json"), include_bytes!("frozen/access.json")).unwrap();
    fs::write(dir.path().join("access.journal"), include_bytes!("frozen/access.journal")).unwrap();
    let access = open(dir.path(), 0, NOW).unwrap();
    let request = |totp: &str| dolmen_access::LoginRequest {
        name: OFFICER.to_owned(),
        password: secret(PASSWORD),
        totp: Some(secret(totp)),
    };
    assert_eq!(code(access.login(address(1), &request("000000"), NOW + 600)), "wrong-credentials");
    // A recovery code of that box.
    let grant = access.login(address(1), &request(include_str!("frozen/recovery-code").trim()), NOW + 600).unwrap();
    assert_eq!(grant.session.user.role, Role::SecurityOfficer);
}
