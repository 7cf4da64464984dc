//! Screens as boxes and sticks have them, for golden files and for the gallery.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use dolmen_image_console::{
    Key, RecoveryKey, Role, Status, View,
    status::{Peers, Problem, State, Update},
    widgets::{AskRecoveryKey, Confirm, Dialog as _, Item, Menu, Message, Progress},
};

const KEY: &str = "cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-cccccccc-bbbbbbbb-dddddddd-eeeeeeee";

/// SHA-256 of `dolmen`.
const FINGERPRINT: [u8; 32] = [
    0xd9, 0x3f, 0xfc, 0xf8, 0x7e, 0x9f, 0x70, 0xcd, 0x51, 0x99, 0xa6, 0x4c, 0x93, 0x5e, 0xa4, 0xbc, 0xdb, 0x4d, 0xb9,
    0x7c, 0x59, 0x28, 0x5e, 0x7a, 0xb5, 0x29, 0x0d, 0x42, 0x57, 0x9b, 0x65, 0x80,
];

/// Every sample with its name.
pub(crate) fn all() -> Vec<(&'static str, Box<dyn View>)> {
    vec![
        ("status-starting", Box::new(starting())),
        ("status-first-boot", Box::new(first_boot())),
        ("status-validator", Box::new(validator())),
        ("status-problem", Box::new(problem())),
        ("menu", Box::new(menu())),
        ("menu-long", Box::new(long_menu())),
        ("confirm", Box::new(confirm())),
        ("progress", Box::new(progress())),
        ("message", Box::new(message())),
        ("recovery-key", Box::new(recovery_key())),
    ]
}

/// No network yet.
pub(crate) fn starting() -> Status {
    Status {
        state: State::Starting(Some("checking the data".into())),
        pages: Some(Vec::new()),
        ..Status::starting("Dolmen", "1.4.0", "dolmen-7f3a")
    }
}

/// Everything that a first boot shows.
pub(crate) fn first_boot() -> Status {
    Status {
        state: State::Unclaimed,
        pages: Some(vec![
            (Ipv4Addr::new(192, 168, 17, 42), 8443).into(),
            (Ipv6Addr::new(0xfd12, 0x3456, 0x789a, 0, 0, 0, 0, 0x42), 8443).into(),
        ]),
        fingerprint: Some(FINGERPRINT),
        claim_code: Some("K7QX-9M2D".to_owned()),
        recovery_key: RecoveryKey::parse(KEY).ok(),
        time: Some(1_795_683_900),
        ..Status::starting("Dolmen", "1.4.0", "dolmen-7f3a")
    }
}

/// A box at work.
pub(crate) fn validator() -> Status {
    Status {
        state: State::Validator,
        height: Some(12_345_678),
        peers: Some(Peers { connected: 6, known: 6 }),
        claim_code: None,
        recovery_key: None,
        update: Some(Update::Blessed { version: "1.4.0".to_owned() }),
        ..first_boot()
    }
}

/// A box in trouble, whose update did not start.
pub(crate) fn problem() -> Status {
    Status {
        state: State::Following,
        height: Some(12_345_678),
        peers: Some(Peers { connected: 1, known: 6 }),
        problem: Some(Problem {
            cause: "five of six boxes do not answer; the last was bank-2 at 10.3.0.7:30303, 14 minutes ago".into(),
            next: "look whether the switch has power and whether the firewall lets TCP port 30303 through".into(),
        }),
        claim_code: None,
        recovery_key: None,
        update: Some(Update::FellBack { version: "1.5.0".to_owned(), running: "1.4.0".to_owned() }),
        ..first_boot()
    }
}

/// Disks of a machine.
pub(crate) fn menu() -> Menu {
    Menu::new("Dolmen 1.4.0")
        .text(Role::Text, "Choose the disk.")
        .item(Item::new("Samsung SSD 980 PRO").note("1.0 TB, S5GXNF0R912345"))
        .item(Item::new("QEMU HARDDISK\x1b[2J").warning("8.6 GB"))
        .item(
            Item::new("INTEL SSDPE2KX010T8 in a bay with a name that is too long for one row of a terminal")
                .note("1.0 TB"),
        )
        .choose(1)
}

/// More disks than rows.
pub(crate) fn long_menu() -> Menu {
    (1..=40)
        .fold(Menu::new("Dolmen 1.4.0").text(Role::Text, "Choose the disk."), |menu, disk| {
            menu.item(Item::new(format!("Disk {disk}")).note("4.0 TB"))
        })
        .choose(29)
}

/// A disk that is to be wiped, with a wrong answer.
pub(crate) fn confirm() -> Confirm {
    let mut confirm = Confirm::wipe("Dolmen 1.4.0", "S5GXNF0R912345")
        .text(Role::Warning, "Everything on Samsung SSD 980 PRO will be lost.");
    for key in [Key::Char('1'), Key::Enter] {
        assert!(confirm.key(key).is_none());
    }
    confirm
}

/// A third of an image, at 25 MB/s.
pub(crate) fn progress() -> Progress {
    let mut progress = Progress::new("Dolmen 1.4.0", 400_000_000).text(Role::Text, "Writing the image");
    for second in 0..6 {
        progress.meter.at(Duration::from_secs(second), second * 25_000_000);
    }
    progress
}

/// Something went wrong.
pub(crate) fn message() -> Message {
    Message::problem(
        "Dolmen 1.4.0",
        "the SHA-256 of root.erofs is another than the manifest says",
        "write the stick again, or use another one",
    )
}

/// Half a key, and a letter that is none.
pub(crate) fn recovery_key() -> AskRecoveryKey {
    let mut field = AskRecoveryKey::new("Dolmen 1.4.0")
        .text(Role::Warning, "The TPM does not release the key of the data.")
        .outermost();
    for c in KEY[..40].chars().chain(['a']) {
        assert!(field.key(Key::Char(c)).is_none());
    }
    field
}
