//! Crypto-erase of what cryptsetup makes: afterwards no passphrase opens it, whichever copy of the header is asked.

use std::{fs, io::Read as _, path::Path};

use dolmen_image_disk::gpt::BlockSize;
use dolmen_image_installer::{
    device::Device,
    disk::Section,
    erase::{KEY_BYTES, crypto_erase, is_luks},
    layout::DATA_START,
    plan::Change,
    prior::{Content, Data, Prior},
};

use crate::{
    image::{GIB, Image, MIB},
    tools::{DiskFile, output, run, text},
};

const PASSPHRASE: &str = "correct horse battery staple";

/// Makes LUKS2 in a file, with two key slots as a box has them, and as little work for each as is allowed.
fn format(file: &Path, offset: Option<u64>, more: &[&str]) {
    let offset = offset.map(|bytes| (bytes / 512).to_string());
    let fast = ["--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let mut arguments = vec!["luksFormat", "--type", "luks2"];
    arguments.extend(fast);
    arguments.extend(more);
    if let Some(offset) = &offset {
        arguments.extend(["--offset", offset]);
    }
    arguments.extend([text(file), "-"]);
    run("cryptsetup", &arguments, PASSPHRASE);
}

fn opens(file: &Path) -> bool {
    output("cryptsetup", &["open", "--test-passphrase", text(file), "--key-file", "-"], PASSPHRASE).status.success()
}

/// Every byte of the file that is not zero, up to where the data begin.
fn rest(file: &Path) -> usize {
    let mut bytes = Vec::new();
    fs::File::open(file).and_then(|file| file.take(KEY_BYTES).read_to_end(&mut bytes)).expect("the file");
    bytes.iter().filter(|byte| **byte != 0).count()
}

#[test]
fn a_real_volume_opens_for_nobody_afterwards() {
    // As a box makes it, and with the largest header and key slots there are.
    let largest = ["--luks2-metadata-size", "4m", "--luks2-keyslots-size", "128m"];
    for more in [&[][..], &largest] {
        let file = DiskFile::new(200 * MIB);
        format(&file.path(), None, more);
        assert!(opens(&file.path()));
        let mut noise = fs::File::open("/dev/urandom").unwrap();
        let mut disk = Device::open_to_write(&file.path()).unwrap();
        assert!(is_luks(&mut disk, &(0..200 * MIB)).unwrap());
        // The second copy alone opens it, too: cryptsetup repairs the first one by it.
        let backup = file.cut("copy", 0..200 * MIB);
        let damaged = fs::OpenOptions::new().write(true).open(&backup).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&damaged, &[0; 4096], 0).unwrap();
        assert!(is_luks(&mut Device::open(&backup).unwrap(), &(0..200 * MIB)).unwrap());
        assert!(opens(&backup));

        let erased = crypto_erase(&mut disk, &(0..200 * MIB), &mut noise).unwrap();
        assert_eq!((erased.overwritten, erased.discarded), (KEY_BYTES, true));
        assert!(!is_luks(&mut disk, &(0..200 * MIB)).unwrap());
        assert!(!opens(&file.path()));
        assert_eq!(rest(&file.path()), 0);
        let repair = output("cryptsetup", &["repair", "--batch-mode", text(&file.path())], "");
        assert!(!repair.status.success() && !opens(&file.path()));
    }
}

#[test]
fn a_volume_that_is_smaller_than_its_keys_may_be_is_erased_whole() {
    let file = DiskFile::new(40 * MIB);
    format(&file.path(), None, &[]);
    let mut disk = Device::open_to_write(&file.path()).unwrap();
    let erased = crypto_erase(&mut disk, &(0..40 * MIB), &mut std::io::repeat(1)).unwrap();
    assert_eq!(erased.overwritten, 40 * MIB);
    assert!(!opens(&file.path()) && rest(&file.path()) == 0);
}

#[test]
fn wiping_a_box_erases_its_real_volume_and_keeping_does_not_touch_it() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let file = DiskFile::new(2 * GIB);
    file.write(&old, Change::Install);
    let prior = || Prior::read(&mut Device::open(&file.path()).unwrap(), BlockSize::Bytes512).unwrap();
    assert!(matches!(prior().content, Content::Dolmen(installed) if installed.data == Data::Empty));

    // The data partition as a file of its own, which cryptsetup formats, put back where it was.
    let volume = file.cut("volume", DATA_START..DATA_START + 64 * MIB);
    format(&volume, None, &[]);
    let mut content = fs::File::open(&volume).unwrap();
    let mut section = Section::new(Device::open_to_write(&file.path()).unwrap(), DATA_START..DATA_START + 64 * MIB);
    std::io::copy(&mut content, &mut section).unwrap();
    assert!(matches!(prior().content, Content::Dolmen(installed) if installed.data == Data::Luks));

    assert!(file.write(&new, Change::ReimageKeep).is_empty());
    let kept = file.cut("kept", DATA_START..DATA_START + 64 * MIB);
    assert!(fs::read(&kept).unwrap() == fs::read(&volume).unwrap() && opens(&kept));

    let erased = file.write(&new, Change::ReimageWipe);
    assert_eq!(erased.iter().map(|erased| erased.overwritten).collect::<Vec<_>>(), [KEY_BYTES]);
    let wiped = file.cut("wiped", DATA_START..DATA_START + 64 * MIB);
    assert!(!opens(&wiped) && rest(&wiped) == 0);
    assert!(matches!(prior().content, Content::Dolmen(installed) if installed.data == Data::Empty));
}
