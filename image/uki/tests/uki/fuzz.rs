//! Whatever bytes come in, the answer is a value or an error.

use dolmen_image_uki::{
    authenticode::{remove, sign, signatures, verify},
    key::PublicKey,
    measure::{PcrSignatures, SecureBoot, certificate_list, uki as predict},
    pe::{Builder, Content, Image},
    uki::Uki,
};
use proptest::{prelude::*, sample::Index};

use crate::support::{SECTION_TABLE, TIME, image, kernel, parse, parts, section, signer, stub, uki};

/// Everything that can be done with an image from anywhere.
fn use_image(bytes: &[u8]) {
    let Ok(image) = Image::parse(bytes) else { return };
    for section in image.sections() {
        let length = image.data(section).len() + section.zeros();
        assert!(length == section.memory_size(), "{}", section.name());
    }
    let _ = image.digest();
    let _ = signatures(&image);
    let _ = verify(&image, &[&signer().der()]);
    let _ = predict(&image);
    let _ = remove(bytes).map(|removed| Image::parse(&removed).map(drop).expect("it still is an image"));
    if let Ok(mut builder) = Builder::new(&image) {
        let _ = builder.append(".more", &[1; 700], Content::Data);
        let _ = builder.replace(".sbat", &[2; 100]);
        if let Ok(built) = builder.finish() {
            Image::parse(&built).expect("what is built can be read");
        }
    }
    let kernel = kernel();
    let _ = parts(bytes, &kernel, &[]).assemble();
    let _ = parts(&stub("257"), bytes, &[]).assemble();
}

fn interesting() -> impl Strategy<Value = u32> {
    let edge = prop_oneof![Just(0), Just(1), Just(8), Just(511), Just(512), Just(4096), Just(u32::MAX), Just(1 << 31)];
    prop_oneof![edge, any::<u32>(), 0..20_000_u32]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        use_image(&bytes);
        let mut behind_a_magic = stub("257");
        let length = bytes.len().min(1400);
        behind_a_magic[64 + 6..64 + 6 + length].copy_from_slice(&bytes[..length]);
        use_image(&behind_a_magic);
        let _ = PcrSignatures::parse(&bytes);
        let _ = PublicKey::from_der(&bytes);
        let _ = SecureBoot { secure_boot: &[1], pk: &bytes, kek: &[], db: &[], dbx: &[] }.measurements(&[]);
    }

    /// Headers, the section table, and the rest, with numbers that matter.
    #[test]
    fn a_number_changed(signed: bool, at in 0..SECTION_TABLE + 500, value in interesting()) {
        let mut bytes = uki();
        if signed {
            bytes = sign(&bytes, &signer().signing(&signer().der(), Some(TIME))).unwrap();
        }
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        use_image(&bytes);
    }

    #[test]
    fn cut_off(signed: bool, length: Index) {
        let mut bytes = uki();
        if signed {
            bytes = sign(&bytes, &signer().signing(&signer().der(), Some(TIME))).unwrap();
        }
        bytes.truncate(length.index(bytes.len()));
        use_image(&bytes);
    }

    #[test]
    fn a_signature_changed(at: Index, length in 1..6_usize, value: u8) {
        let mut bytes = sign(&uki(), &signer().signing(&signer().der(), Some(TIME))).unwrap();
        let start = uki().len();
        let at = start + at.index(bytes.len() - start - length);
        bytes[at..at + length].fill(value);
        use_image(&bytes);
    }

    #[test]
    fn a_variable_changed(at: Index, value in interesting()) {
        let owner = "77fa9abd-0359-4d32-bd60-28f4e78f784b".parse().unwrap();
        let mut db = certificate_list(owner, &signer().der()).unwrap();
        let at = at.index(db.len() - 4);
        db[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let bytes = sign(&uki(), &signer().signing(&signer().der(), None)).unwrap();
        let image = parse(&bytes);
        let _ = SecureBoot { secure_boot: &[1], pk: &db, kek: &db, db: &db, dbx: &db }.measurements(&[&image]);
    }

    /// What goes in comes out, whatever it is.
    #[test]
    fn parts_come_out_as_they_went_in(
        initrd in proptest::collection::vec(any::<u8>(), 1..3000),
        ucode in proptest::collection::vec(any::<u8>(), 1..600),
        text in proptest::collection::vec(any::<u8>(), 1..3000),
        cmdline in "[!-~][ -~]{0,600}",
    ) {
        let (stub, kernel) = (stub("257"), image(&[(".text", &text)]));
        let initrds = [&initrd[..]];
        let parts = Uki { ucode: Some(&ucode), cmdline: &cmdline, ..parts(&stub, &kernel, &initrds) };
        let bytes = parts.assemble().unwrap();
        let image = parse(&bytes);
        let data = |name| section(&image, name);
        prop_assert_eq!(data(".initrd"), &initrd[..]);
        prop_assert_eq!(data(".ucode"), &ucode[..]);
        prop_assert_eq!(data(".linux"), &kernel[..]);
        prop_assert_eq!(data(".cmdline"), cmdline.as_bytes());
        let signed = sign(&bytes, &signer().signing(&signer().der(), Some(TIME))).unwrap();
        prop_assert_eq!(parse(&signed).digest(), image.digest());
        prop_assert!(remove(&signed).unwrap() == bytes);
    }
}
