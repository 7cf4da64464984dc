//! What a person is asked.

use dolmen_image_bundle::SignedManifest;
use dolmen_image_console::{
    Closed, Front, Role, Words, ask,
    widgets::{Confirm, Item, Menu},
};

use crate::{
    identity::Identity,
    layout::DISK_BYTES_MIN,
    plan::Change,
    prior::{Content, Data},
    target::{DiskFacts, Targets, Unfit},
    texts,
};

/// An item of the main menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Change(Change),
    Verify,
    Support,
    PowerOff,
    Reboot,
}

/// The main menu. Without a right image only what needs none is on it.
pub(super) fn main(
    front: &mut dyn Front,
    identity: &Identity,
    checked: Option<&SignedManifest>,
) -> Result<Choice, Closed> {
    let mut menu = Menu::new(texts::TITLE).outermost();
    let mut choices = Vec::new();
    let mut add = |menu: Menu, choice, item: Item| {
        choices.push(choice);
        menu.item(item)
    };
    if let Some(manifest) = checked.map(SignedManifest::manifest) {
        let values: &[(_, &dyn std::fmt::Display)] =
            &[("version", &manifest.version), ("security", &manifest.security_version)];
        menu = menu.text(Role::Strong, texts::IMAGE_IS.with(values));
        if manifest.test_keys {
            menu = menu.text(Role::Warning, texts::TEST_KEYS);
        }
        menu = add(menu, Choice::Change(Change::Install), Item::new(texts::INSTALL));
        menu = add(menu, Choice::Change(Change::ReimageKeep), Item::new(texts::REIMAGE_KEEP));
        let wipe = Item::new(texts::REIMAGE_WIPE).warning(texts::REIMAGE_WIPE_NOTE);
        menu = add(menu, Choice::Change(Change::ReimageWipe), wipe);
        menu = add(menu, Choice::Verify, Item::new(texts::VERIFY));
    } else {
        menu = menu.text(Role::Warning, texts::BAD_BUNDLE);
    }
    menu = menu.text(Role::Quiet, texts::MACHINE_IS.with(&[("machine", &identity.label())]));
    menu = add(menu, Choice::Support, Item::new(texts::SUPPORT).note(texts::SUPPORT_NOTE));
    menu = add(menu, Choice::PowerOff, Item::new(texts::POWER_OFF));
    menu = add(menu, Choice::Reboot, Item::new(texts::REBOOT));
    let chosen = ask(front, &mut menu)?;
    Ok(chosen.and_then(|index| choices.get(index).copied()).unwrap_or(Choice::PowerOff))
}

/// Which disk. None for back; no disk is ever chosen by itself, not even the only one.
pub(super) fn choose_disk(front: &mut dyn Front, disks: &[DiskFacts]) -> Result<Option<DiskFacts>, Closed> {
    let targets = Targets::of(disks, DISK_BYTES_MIN);
    let mut others = false;
    loop {
        let mut offered = targets.fit.clone();
        let mut menu = Menu::new(texts::CHOOSE_DISK);
        if offered.is_empty() {
            menu = menu.text(Role::Warning, texts::NO_DISK);
        }
        let mut hidden = false;
        for (disk, unfit) in &targets.unfit {
            // Those that a person may name all the same.
            let may = disk.unfit(DISK_BYTES_MIN, true).is_none();
            if may && others {
                offered.push(disk);
            } else {
                hidden |= may;
                menu = menu.text(Role::Quiet, why(*unfit).with(&[("disk", disk)]));
            }
        }
        for disk in &offered {
            menu = menu.item(Item::new(disk.to_string()));
        }
        if hidden {
            menu = menu.item(Item::new(texts::OTHER_DISKS));
        }
        menu = menu.item(Item::new(texts::BACK));
        match ask(front, &mut menu)? {
            Some(index) if index < offered.len() => return Ok(Some(offered[index].clone())),
            Some(index) if hidden && index == offered.len() => others = true,
            _ => return Ok(None),
        }
    }
}

/// Asks once more, and for a wipe in a way that nobody answers by mistake.
pub(super) fn confirm(front: &mut dyn Front, change: Change, disk: &DiskFacts, holds: Words) -> Result<bool, Closed> {
    let title = match change {
        Change::Install => texts::CONFIRM_INSTALL,
        Change::ReimageKeep => texts::CONFIRM_KEEP,
        Change::ReimageWipe => {
            let mut confirm = Confirm::wipe(texts::CONFIRM_WIPE, &disk.serial)
                .text(Role::Strong, disk.to_string())
                .text(Role::Warning, texts::WIPE_LOSES.with(&[("disk", &disk.name)]));
            return ask(front, &mut confirm);
        }
    };
    let mut menu = Menu::new(title)
        .text(Role::Strong, disk.to_string())
        .text(Role::Quiet, texts::DISK_HOLDS)
        .text(Role::Text, holds)
        .item(Item::new(texts::NO))
        .item(Item::new(texts::YES));
    Ok(ask(front, &mut menu)? == Some(1))
}

/// What a disk holds.
pub(super) const fn held(content: &Content) -> Words {
    match content {
        Content::Empty => texts::HOLDS_NOTHING,
        Content::Unfinished(_) => texts::HOLDS_UNFINISHED,
        Content::Dolmen(installed) => match installed.data {
            Data::Empty => texts::HOLDS_BOX_EMPTY,
            Data::Luks => texts::HOLDS_BOX,
            Data::Other => texts::HOLDS_BOX_OTHER,
        },
        Content::Foreign(_) => texts::HOLDS_FOREIGN,
    }
}

const fn why(unfit: Unfit) -> Words {
    match unfit {
        Unfit::Stick => texts::UNFIT_STICK,
        Unfit::ReadOnly => texts::UNFIT_READ_ONLY,
        Unfit::Blocks => texts::UNFIT_BLOCKS,
        Unfit::TooSmall(_) => texts::UNFIT_TOO_SMALL,
        Unfit::Usb => texts::UNFIT_USB,
        Unfit::Removable => texts::UNFIT_REMOVABLE,
    }
}
