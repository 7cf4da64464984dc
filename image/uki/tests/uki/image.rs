//! Reading images, adding sections, and putting UKIs together.

use dolmen_image_uki::{
    measure::{MeasureError, uki as predict},
    pe::{Builder, Content, Image, PeError, Section},
    uki::{StubVersion, Uki, UkiError},
};

use crate::support::{
    CERTIFICATE_DIRECTORY, DLL_FLAGS, HEADERS_SIZE, IMAGE_SIZE, PE, SECTION_COUNT, SECTION_TABLE, image, kernel, parse,
    parts, put, put_u32, section, stub, uki,
};

/// An image with three sections, changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), PeError> {
    let mut bytes = image(&[(".text", &[1; 600]), (".data", &[2; 100]), (".bss", &[3; 512])]);
    parse(&bytes);
    change(&mut bytes);
    Image::parse(&bytes).map(drop)
}

/// A field of a section's entry.
const fn entry(section: usize, field: usize) -> usize {
    SECTION_TABLE + 40 * section + field
}

#[test]
fn sections_hold_what_they_hold() {
    let bytes = image(&[(".text", &[1; 600]), (".empty", &[]), ("12345678", &[2; 100])]);
    let image = parse(&bytes);
    let names: Vec<String> = image.sections().iter().map(Section::name).collect();
    assert_eq!(names, [".text", ".empty", "12345678"]);
    assert_eq!(section(&image, ".text"), [1; 600]);
    assert_eq!(section(&image, "12345678"), [2; 100]);
    assert!(section(&image, ".empty").is_empty());
    assert!(image.section(".tex").is_none() && image.section("1234567").is_none());
    assert!(image.is_application() && image.is_nx_compatible());
}

#[test]
fn headers_that_contradict_each_other() {
    for length in [0, 1, 63, 64, 65, 200, 327, 328, 1000, 1535, 1536, 2048] {
        changed(|bytes| bytes.truncate(length)).expect_err("too short");
    }
    let kind = |result| assert!(matches!(result, Err(PeError::Kind { .. })), "{result:?}");
    kind(changed(|bytes| bytes[0] = b'X'));
    kind(changed(|bytes| bytes[PE] = b'X'));
    kind(changed(|bytes| put(bytes, PE + 4, &[0x4c, 0x01])));
    kind(changed(|bytes| put(bytes, PE + 24, &[0x0b, 0x01])));
    let headers = |result| assert!(matches!(result, Err(PeError::Headers(_))), "{result:?}");
    headers(changed(|bytes| put_u32(bytes, PE + 132, &[15])));
    headers(changed(|bytes| put_u32(bytes, PE + 132, &[u32::MAX])));
    headers(changed(|bytes| put(bytes, PE + 20, &[112, 0])));
    headers(changed(|bytes| put(bytes, SECTION_COUNT, &[0, 0])));
    headers(changed(|bytes| put(bytes, SECTION_COUNT, &[60, 0])));
    headers(changed(|bytes| put_u32(bytes, HEADERS_SIZE, &[300])));
    headers(changed(|bytes| put_u32(bytes, HEADERS_SIZE, &[u32::MAX])));
    headers(changed(|bytes| put_u32(bytes, PE + 56, &[4096, 500])));
    headers(changed(|bytes| put_u32(bytes, PE + 56, &[4096, 0])));
    headers(changed(|bytes| put_u32(bytes, PE + 56, &[256, 512])));
    headers(changed(|bytes| put_u32(bytes, CERTIFICATE_DIRECTORY, &[8, 16])));
    headers(changed(|bytes| put_u32(bytes, CERTIFICATE_DIRECTORY, &[0, 16])));
    headers(changed(|bytes| put_u32(bytes, CERTIFICATE_DIRECTORY, &[u32::MAX - 7, 16])));
    let too_large = |result| assert!(matches!(result, Err(PeError::TooLarge { .. })), "{result:?}");
    too_large(changed(|bytes| put(bytes, SECTION_COUNT, &[255, 255])));
    too_large(changed(|bytes| put_u32(bytes, IMAGE_SIZE, &[u32::MAX])));
}

#[test]
fn sections_that_lie_where_they_cannot() {
    let section = |result| assert!(matches!(result, Err(PeError::Section { .. })), "{result:?}");
    // In memory: on the headers, on another one, behind the image, around the end of all memory.
    section(changed(|bytes| put_u32(bytes, entry(0, 12), &[1024])));
    section(changed(|bytes| put_u32(bytes, entry(1, 12), &[4096])));
    section(changed(|bytes| put_u32(bytes, entry(2, 8), &[8192])));
    section(changed(|bytes| put_u32(bytes, entry(2, 12), &[u32::MAX])));
    // In the file: on the one before, with a gap, behind it.
    section(changed(|bytes| put_u32(bytes, entry(1, 20), &[1536])));
    section(changed(|bytes| put_u32(bytes, entry(2, 20), &[4096])));
    let truncated = |result| assert!(matches!(result, Err(PeError::Truncated(_))), "{result:?}");
    truncated(changed(|bytes| put_u32(bytes, entry(2, 16), &[513])));
    truncated(changed(|bytes| put_u32(bytes, entry(2, 16), &[u32::MAX])));
}

/// What is in memory may be longer than what is in the file: zeros follow, and are measured.
#[test]
fn zeros_follow_in_memory() {
    let mut bytes = uki();
    let image = parse(&bytes);
    let predicted = predict(&image).unwrap();
    let index = image.sections().iter().position(|section| section.is_named(".initrd")).unwrap();
    put_u32(&mut bytes, entry(index, 8), &[4000]);
    let image = parse(&bytes);
    let section = image.section(".initrd").unwrap();
    assert_eq!((image.data(section).len(), section.zeros()), (512, 3488));
    let longer = predict(&image).unwrap();
    let content = predicted.iter().position(|one| one.what == "content of .initrd").unwrap();
    let in_memory = [&b"an archive"[..], &[0; 3990]].concat();
    assert_eq!(longer[content].digest, openssl::sha::sha256(&in_memory));
    assert_eq!(predicted[content].digest, openssl::sha::sha256(b"an archive"));
}

#[test]
fn sections_are_added_behind_each_other() {
    let bytes = image(&[(".text", &[1; 600])]);
    let mut builder = Builder::new(&parse(&bytes)).unwrap();
    builder.append(".one", &[7; 513], Content::Data).unwrap();
    builder.append(".two", &[8; 1], Content::Code).unwrap();
    builder.replace(".one", &[9; 3]).unwrap();
    assert!(matches!(builder.append(".one", &[], Content::Data), Err(PeError::Duplicate(_))));
    assert!(matches!(builder.append(".text", &[], Content::Data), Err(PeError::Duplicate(_))));
    assert!(matches!(builder.append(".nine chars", &[], Content::Data), Err(PeError::Name(11))));
    assert!(matches!(builder.append("", &[], Content::Data), Err(PeError::Name(0))));
    assert!(matches!(builder.replace(".two", &[0; 513]), Err(PeError::SectionFull { found: 513, limit: 512, .. })));
    assert!(matches!(builder.replace(".three", &[]), Err(PeError::Headers(_))));
    let built = builder.finish().unwrap();
    let image = parse(&built);
    assert_eq!(section(&image, ".text"), [1; 600]);
    assert_eq!(section(&image, ".one"), [9; 3]);
    assert_eq!(section(&image, ".two"), [8]);
    // Nothing of what was replaced is left.
    assert_eq!(built.iter().filter(|byte| **byte == 7).count(), 0);
}

#[test]
fn headers_have_room_for_thirty() {
    let bytes = image(&[(".text", &[1; 600])]);
    let mut builder = Builder::new(&parse(&bytes)).unwrap();
    for index in 2..=30 {
        builder.append(&format!(".{index}"), &[1], Content::Data).unwrap();
    }
    assert!(matches!(builder.append(".31", &[1], Content::Data), Err(PeError::NoRoom)));
    assert_eq!(parse(&builder.finish().unwrap()).sections().len(), 30);
}

/// Symbols at the end are dropped; whatever else is there is not taken.
#[test]
fn symbols_are_dropped() {
    let bytes = image(&[(".text", &[1; 600])]);
    let mut with_symbols = bytes.clone();
    put_u32(&mut with_symbols, PE + 12, &[u32::try_from(bytes.len()).unwrap(), 2]);
    with_symbols.extend_from_slice(&[5; 36]);
    with_symbols.extend_from_slice(&[9, 0, 0, 0, b'n', b'a', b'm', b'e', 0]);
    let built = Builder::new(&parse(&with_symbols)).unwrap().finish().unwrap();
    assert_eq!(built.len(), bytes.len());
    assert_eq!(built[PE + 12..PE + 20], [0; 8]);
    with_symbols.push(0);
    assert!(matches!(Builder::new(&parse(&with_symbols)), Err(PeError::Headers(_))));
    let mut hidden = bytes;
    hidden[1500] = 1;
    assert!(matches!(Builder::new(&parse(&hidden)), Err(PeError::Headers(_))));
}

/// Nothing is added where padding would be a gap that no reader of images takes.
#[test]
fn ends_that_are_not_aligned() {
    let mut bytes = image(&[(".text", &[1; 600])]);
    Builder::new(&parse(&bytes)).unwrap();
    put_u32(&mut bytes, PE + 60, &[1024]);
    assert!(matches!(Builder::new(&parse(&bytes)), Err(PeError::Headers("its end is not aligned"))));
}

#[test]
fn a_uki_says_whether_its_kernel_minds() {
    let (stub, mut kernel) = (stub("257.13-1~deb13u1"), kernel());
    assert!(parse(&parts(&stub, &kernel, &[]).assemble().unwrap()).is_nx_compatible());
    kernel[DLL_FLAGS + 1] = 0;
    assert!(!parse(&parts(&stub, &kernel, &[]).assemble().unwrap()).is_nx_compatible());
}

#[test]
fn parts_that_make_no_uki() {
    let (stub, kernel) = (stub("257.13-1~deb13u1"), kernel());
    let good = parts(&stub, &kernel, &[]);
    good.assemble().unwrap();
    let text = |parts: Uki<'_>, section: &str| {
        let error = parts.assemble().unwrap_err();
        assert!(matches!(&error, UkiError::Text { name, .. } if *name == section), "{error}");
    };
    for cmdline in ["", "ro\n", " ro", "ro\0", "a\tb"] {
        text(Uki { cmdline, ..good }, ".cmdline");
    }
    for uname in ["", "6.12 amd64", "6.12\n"] {
        text(Uki { uname, ..good }, ".uname");
    }
    for os_release in ["", "VERSION=1\n", "ID=dolmen\0"] {
        text(Uki { os_release, ..good }, ".osrel");
    }
    let error = |stub: &[u8], kernel: &[u8]| parts(stub, kernel, &[]).assemble().unwrap_err();
    assert!(matches!(error(&stub, b"a kernel"), UkiError::Kernel(PeError::Kind { .. })));
    assert!(matches!(error(b"a stub", &kernel), UkiError::Stub(PeError::Kind { .. })));
    assert!(matches!(error(&kernel, &kernel), UkiError::StubVersion));
    assert!(matches!(error(&uki(), &kernel), UkiError::Section { source: PeError::Duplicate(_), .. }));
    let sbat = format!("sbat,1\n{}", "too long,".repeat(60));
    let full = Uki { sbat: Some(&sbat), ..good }.assemble().unwrap_err();
    assert!(matches!(full, UkiError::Section { name: ".sbat", source: PeError::SectionFull { limit: 512, .. } }));
}

#[test]
fn stubs_say_their_version() {
    let version = |text: &str| StubVersion::of(&parse(&stub(text)));
    assert_eq!(version("257.13-1~deb13u1").unwrap(), StubVersion(257));
    assert_eq!(version("260~devel").unwrap(), StubVersion(260));
    assert!(matches!(version("251.4"), Err(UkiError::StubTooOld(251))));
    assert!(matches!(version("devel"), Err(UkiError::StubVersion)));
}

/// What nobody can predict is not predicted.
#[test]
fn ukis_with_choices_are_not_predicted() {
    let bytes = uki();
    for name in [".profile", ".dtbauto", ".hwids", ".efifw"] {
        let mut builder = Builder::new(&parse(&bytes)).unwrap();
        builder.append(name, b"something", Content::Data).unwrap();
        let changed = builder.finish().unwrap();
        let error = predict(&parse(&changed)).unwrap_err();
        assert!(matches!(error, MeasureError::Section(found) if found == name), "{error}");
    }
    let mut twice = bytes;
    let image = parse(&twice);
    let index = image.sections().iter().position(|section| section.is_named(".initrd")).unwrap();
    put(&mut twice, entry(index, 0), b".cmdline");
    let error = predict(&parse(&twice)).unwrap_err();
    assert!(matches!(error, MeasureError::Duplicate(".cmdline")), "{error}");
    let stub = stub("257.13-1~deb13u1");
    assert!(matches!(predict(&parse(&stub)), Err(MeasureError::NoKernel)));
    assert!(matches!(predict(&parse(&kernel())), Err(MeasureError::Stub(UkiError::StubVersion))));
}
