//! Dialogs, typed as people type them.

use std::time::Duration;

use dolmen_image_console::{
    Closed, Front as _, Role, Script, Size, ask,
    widgets::{AskRecoveryKey, Confirm, Item, Menu, Message},
};

const KEY: &str = "cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-cccccccc-bbbbbbbb-dddddddd-eeeeeeee";

fn menu() -> Menu {
    Menu::new("Stick").item(Item::new("Install")).item(Item::new("Verify")).item(Item::new("Support"))
}

#[test]
fn a_menu_by_numbers_and_by_arrows() {
    for (typed, answer) in [("2\r", Some(1)), ("\x1b[B\x1b[B\r", Some(2)), ("\x1bOA\n", Some(2)), ("3\x1b", None)] {
        let mut script = Script::new(Size::SERIAL, typed);
        assert_eq!(ask(&mut script, &mut menu()), Ok(answer), "{typed:?}");
    }
    let mut script = Script::new(Size::SERIAL, "2");
    assert_eq!(ask(&mut script, &mut menu()), Err(Closed));
    assert!(script.text().contains("►  2  Verify"), "{}", script.text());
    assert_eq!(script.screens().len(), 2);
}

#[test]
fn the_language_changes_in_the_middle() {
    let mut confirm = Confirm::wipe("Stick", "S5GXNF0R912345").text(Role::Warning, "...");
    let mut script = Script::new(Size::SERIAL, "23\t45\r");
    assert_eq!(ask(&mut script, &mut confirm), Ok(true));
    let screens: Vec<String> = script.screens().iter().map(|grid| grid.text()).collect();
    assert!(screens[0].contains("S5GXNF0R912345, then Enter") && screens[0].contains("Tab: 中文"), "{}", screens[0]);
    assert!(screens[3].contains("序列号 S5GXNF0R912345") && screens[3].contains("> 23_"), "{}", screens[3]);
}

#[test]
fn a_key_that_the_disk_refuses_is_corrected() {
    let mut field = AskRecoveryKey::new("Box").outermost();
    let mut script = Script::new(Size::SERIAL, format!("{}\r", KEY.replace('-', "")));
    let key = ask(&mut script, &mut field).unwrap().unwrap();
    assert_eq!(key.expose(), KEY);
    field.refused("the disk does not open with this key");
    script.types("\x7fc\r");
    let key = ask(&mut script, &mut field).unwrap().unwrap();
    assert_eq!(key.expose(), format!("{}c", &KEY[..70]));
    assert!(script.screens().iter().any(|grid| grid.text().contains("does not open")));
}

#[test]
fn a_message_waits_for_its_reader() {
    let mut message = Message::problem("Stick", "the image is damaged", "write it again");
    let mut script = Script::new(Size::SERIAL, "x y\r");
    assert_eq!(ask(&mut script, &mut message), Ok(()));
    script.print("dolmen: done");
    assert_eq!(script.printed(), ["dolmen: done"]);
    assert_eq!(script.turn(&message, Duration::ZERO), Ok(None));
    assert!(script.text().contains("write it again"));
}
