//! Power that ends a change, and disks that do not take one.

use std::{env, fs, path::Path, process::Command};

use dolmen_access::{Language, LanguageChange, NewToken, NewUser, OpenError, PasswordChange, Role, UserPatch};

use crate::world::{NOW, OFFICER, Person, World, address, code, directory, open, secret};

const FILES: [&str; 2] = ["access.journal", "access.json"];

fn read(dir: &Path) -> [Vec<u8>; 2] {
    FILES.map(|file| fs::read(dir.join(file)).expect("both are there"))
}

fn write(files: [&[u8]; 2]) -> tempfile::TempDir {
    let dir = directory();
    for (file, bytes) in FILES.iter().zip(files) {
        dolmen_hsm_api::private::write_new(&dir.path().join(file), bytes).expect("a file");
    }
    dir
}

/// Does something to a box, and sees what is there after power ended it at any point.
fn at_each_point(what: &str, world: &World, change: impl FnOnce(&World)) {
    let [journal, state] = read(world.path());
    change(world);
    let [next_journal, next_state] = read(world.path());
    assert!(next_journal.starts_with(&journal) && next_journal.len() > journal.len(), "{what}");
    assert_ne!(state, next_state, "{what}");
    let line = next_journal.len() - journal.len();
    for written in [0, 1, line / 2, line - 1, line] {
        let dir = write([&next_journal[..journal.len() + written], &state]);
        // What the write of the file left behind.
        fs::write(dir.path().join(".tmpXyZ123"), &next_state[..next_state.len() / 2]).expect("a file");
        let access = open(dir.path(), 7, NOW).unwrap_or_else(|error| panic!("{what}, {written} of {line}: {error}"));
        assert_eq!(read(dir.path())[1], state, "{what} came to nothing");
        drop(access);
        // The journal says so, once.
        let text = fs::read_to_string(dir.path().join(FILES[0])).expect("the journal");
        assert_eq!(text.matches("\"code\":\"interrupted\"").count(), usize::from(written == line), "{what}");
        drop(open(dir.path(), 8, NOW).expect("it opens"));
        assert_eq!(fs::read_to_string(dir.path().join(FILES[0])).expect("the journal"), text, "{what}");
    }
    let dir = write([&next_journal, &next_state]);
    drop(open(dir.path(), 9, NOW).expect("it opens"));
    assert_eq!(read(dir.path()), [next_journal, next_state.clone()], "{what} was done");
    // A file without its record is of another time.
    let dir = write([&journal, &next_state]);
    assert!(matches!(open(dir.path(), 10, NOW), Err(OpenError::Apart { .. })), "{what}");
}

#[test]
fn a_change_is_done_or_not() {
    let world = World::new();
    let claim = dolmen_access::ClaimRequest {
        claim_code: secret(crate::world::CODE),
        name: OFFICER.to_owned(),
        password: secret(crate::world::PASSWORD),
    };
    at_each_point("claim", &world, |world| {
        world.access().claim(address(1), &claim, world.now()).unwrap();
    });

    let (world, officer) = World::claimed();
    let caller = world.caller(&officer);
    let (access, now) = (world.access(), world.now());
    at_each_point("language", &world, |_| {
        access.set_language(&caller, LanguageChange { language: Language::Zh }, now).unwrap();
    });
    at_each_point("login", &world, |world| drop(world.login_from(&officer, address(1)).unwrap()));
    at_each_point("create user", &world, |_| {
        access.create_user(&caller, &NewUser { name: "zhang".to_owned(), role: Role::Viewer }, now).unwrap();
    });
    at_each_point("change user", &world, |_| {
        let patch = UserPatch { role: Some(Role::Operator), disabled: Some(true), reset: true };
        access.change_user(&caller, "zhang", patch, now).unwrap();
    });
    at_each_point("delete user", &world, |_| access.delete_user(&caller, "zhang", now).unwrap());
    let mut id = String::new();
    at_each_point("create token", &world, |_| {
        let request = NewToken { name: "t".to_owned(), role: Role::Viewer, days: 1 };
        id = access.create_token(&caller, &request, now).unwrap().id;
    });
    at_each_point("delete token", &world, |_| access.delete_token(&caller, &id, now).unwrap());
    at_each_point("password", &world, |_| {
        let request =
            PasswordChange { old_password: secret(&officer.password), new_password: secret("another-fine-one") };
        access.change_password(&caller, &request, now).unwrap();
    });
}

#[test]
fn a_box_whose_users_are_gone_is_not_anybodys() {
    let (mut world, _) = World::claimed();
    world.close();
    let [_, state] = read(world.path());
    fs::remove_file(world.path().join(FILES[1])).unwrap();
    assert!(matches!(open(world.path(), 0, NOW), Err(OpenError::Missing(_))));
    // Nor are those of an older backup, or without a journal.
    let empty = write([b"", &state]);
    assert!(matches!(open(empty.path(), 0, NOW), Err(OpenError::Apart { .. })));
    let (many, officer) = World::claimed();
    for name in ["a1", "a2", "a3"] {
        many.user(&officer, name, Role::Viewer);
    }
    let mixed = write([&read(many.path())[0], &state]);
    assert!(matches!(open(mixed.path(), 0, NOW), Err(OpenError::Apart { .. })));
    // Before the first write of the file nobody had claimed it.
    let new = World::new();
    let begun = directory();
    fs::copy(new.path().join(FILES[0]), begun.path().join(FILES[0])).unwrap();
    assert!(!open(begun.path(), 0, NOW).unwrap().claimed());
}

#[test]
fn two_processes_have_not_one_box() {
    let world = World::new();
    assert!(matches!(open(world.path(), 0, NOW), Err(OpenError::Journal(_))));
}

#[test]
fn a_file_that_is_not_written_changes_nothing() {
    let (mut world, officer) = World::claimed();
    let file = world.path().join(FILES[1]);
    let state = fs::read(&file).unwrap();
    // Nothing can be put in the place of a directory.
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("full")).unwrap();
    let caller = world.caller(&officer);
    let create = |name: &str| {
        let request = NewUser { name: name.to_owned(), role: Role::Viewer };
        code(world.access().create_user(&caller, &request, world.now()))
    };
    assert_eq!(create("zhang"), "store");
    assert_eq!(world.access().users(&caller, world.now()).unwrap().len(), 1);
    fs::remove_dir_all(&file).unwrap();
    dolmen_hsm_api::private::write_new(&file, &state).unwrap();
    assert_eq!(create("zhang"), "store-broken", "nobody knows what the disk has until it is read again");
    world.reopen();
    let officer = Person { grant: world.login_from(&officer, address(1)).unwrap(), ..officer };
    assert_eq!(world.access().users(&world.caller(&officer), world.now()).unwrap().len(), 1);
    assert_eq!(fs::read_to_string(world.path().join(FILES[0])).unwrap().matches("\"action\":\"void\"").count(), 2);
}

const FULL: &str = "DOLMEN_ACCESS_FULL_DISK";

#[test]
#[ignore = "its own process, which a_full_disk_changes_nothing starts"]
fn full_disk() {
    env::var(FULL).expect("it is started by another test");
    let (mut world, officer) = World::claimed();
    let mut languages = [Language::En, Language::Zh].into_iter().cycle();
    let mut last = None;
    let refused = loop {
        let caller = world.caller(&officer);
        let language = languages.next().expect("a cycle");
        match world.access().set_language(&caller, LanguageChange { language }, world.now()) {
            Ok(()) => last = Some(language),
            Err(refusal) => break refusal.code(),
        }
        world.later(10);
        assert!(world.now() < NOW + 12 * 60 * 60, "the disk never was full");
    };
    assert_eq!(refused, "journal");
    let view = |world: &World, person: &Person| {
        world.access().view_session(&world.caller(person), world.now()).unwrap().user.language
    };
    assert_eq!(view(&world, &officer), last);
    assert_eq!(code(world.login_from(&officer, address(1))), "journal", "a login is a change, too");
    let users = fs::read_to_string(world.path().join(FILES[1])).unwrap();
    world.close();
    assert_eq!(fs::read_to_string(world.path().join(FILES[1])).unwrap(), users);
    assert!(open(world.path(), 0, NOW).is_ok());
}

#[test]
fn a_full_disk_changes_nothing() {
    // No file grows over 32 KiB, and what would is told so by an error and no signal.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact crash::full_disk --ignored --nocapture";
    let me = env::current_exe().unwrap();
    let output = Command::new("sh").arg("-c").arg(script).arg(&me).env(FULL, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
