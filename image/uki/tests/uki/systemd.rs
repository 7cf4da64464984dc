//! Register 11, against this machine's systemd-measure. Its `--help` tells which sections that version measures.

use std::{fs, path::Path};

use dolmen_image_uki::{
    key::PublicKey,
    measure::{Measurement, PcrSignatures, Phase, phases, replay, uki},
    pe::Image,
};
use serde_json::Value;

use crate::{
    support::{directory, file, kernel, parse, parts, path, section, signer, stub, tool},
    tpm::Swtpm,
};

const MEASURE: &str = "/usr/lib/systemd/systemd-measure";
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Sections that a UKI may have, but for those that it is not measured by.
const SECTIONS: [&str; 9] = ["linux", "osrel", "cmdline", "initrd", "ucode", "splash", "uname", "sbat", "pcrpkey"];

fn measure(arguments: &[&str]) -> String {
    tool("systemd", MEASURE, arguments)
}

/// systemd-measure's version, as a stub of it would tell.
fn version() -> String {
    let text = measure(&["--version"]);
    text.split_whitespace().nth(1).expect("`systemd 257 (257.13-1)`").to_owned()
}

/// A UKI with every part, on a stub.
fn full(stub: &[u8], pcrsig: Option<&str>) -> Vec<u8> {
    let (kernel, pcrpkey) = (kernel(), signer().public_pem());
    let initrds: [&[u8]; 2] = [b"an archive", b"another one"];
    let mut parts = parts(stub, &kernel, &initrds);
    parts.ucode = Some(b"microcode");
    parts.splash = Some(b"a picture");
    parts.pcrpkey = Some(&pcrpkey);
    parts.pcrsig = pcrsig;
    parts.assemble().expect("a UKI")
}

/// Options that name the sections of an image, each written to a file, of those that this version measures.
fn sections(image: &Image<'_>, directory: &Path) -> Vec<String> {
    let help = measure(&["--help"]);
    let known = SECTIONS.iter().filter(|name| help.contains(&format!("--{name}=")));
    known.map(|name| format!("--{name}={}", file(directory, name, section(image, &format!(".{name}"))))).collect()
}

fn options(phases: &[&[Phase]]) -> Vec<String> {
    let words = |path: &&[Phase]| path.iter().map(|phase| phase.word()).collect::<Vec<_>>().join(":");
    let phases = phases.iter().map(|path| format!("--phase={}", words(path)));
    ["--bank=sha256".to_owned(), "--json=short".to_owned()].into_iter().chain(phases).collect()
}

fn value(predicted: &[Measurement], path: &[Phase]) -> String {
    let pcrs = replay(&[predicted, &phases(path)].concat());
    const_hex::encode(pcrs.values()[11].expect("it is measured"))
}

#[test]
fn the_same_values_as_systemd_measure() {
    let bytes = full(&stub(&version()), None);
    let image = parse(&bytes);
    let directory = directory();
    let arguments = [vec!["calculate".to_owned()], sections(&image, directory.path()), options(&Phase::BOOT)].concat();
    let text = measure(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let predicted = uki(&image).unwrap();
    let theirs = theirs["sha256"].as_array().unwrap();
    assert_eq!(theirs.len(), Phase::BOOT.len());
    for path in Phase::BOOT {
        let words = path.iter().map(|phase| phase.word()).collect::<Vec<_>>().join(":");
        let entry = theirs.iter().find(|entry| entry["phase"] == words.as_str()).unwrap();
        assert_eq!(entry["hash"], value(&predicted, path), "{words}");
    }
}

/// The same entries, signatures included, but for the order and spaces.
#[test]
fn the_same_signatures_as_systemd_measure() {
    let bytes = full(&stub(&version()), None);
    let image = parse(&bytes);
    let directory = directory();
    let (key, _) = signer().write(directory.path());
    // Up to systemd 253 it has a TPM compute the policies.
    let swtpm = Swtpm::new();
    let with = [
        "sign".to_owned(),
        format!("--private-key={}", key),
        format!("--public-key={}", path(directory.path(), "pcrpkey")),
        format!("--tpm2-device={}", swtpm.tcti()),
    ];
    let arguments = [&with[..], &sections(&image, directory.path()), &options(&Phase::BOOT)].concat();
    let theirs = measure(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

    let predicted = uki(&image).unwrap();
    let public = PublicKey::from_pem(&signer().public_pem()).unwrap();
    let ours = PcrSignatures::sign(&predicted, &Phase::BOOT, &signer().key, &public).unwrap();
    let sorted = |json: &str| {
        let mut value: Value = serde_json::from_str(json).unwrap();
        value["sha256"].as_array_mut().unwrap().sort_by_key(|entry| entry["pol"].to_string());
        value
    };
    assert_eq!(sorted(&ours.json()), sorted(&theirs));
    assert_eq!(PcrSignatures::parse(ours.json().as_bytes()).unwrap(), ours);
    // It changes nothing that it has to say something about.
    let with_signatures = full(&stub(&version()), Some(&ours.json()));
    assert_eq!(uki(&parse(&with_signatures)).unwrap(), predicted);
}

/// The stub that this machine's images would begin with takes the sections of a box's UKI, and nothing but them is
/// changed.
#[test]
fn the_real_stub_takes_sections() {
    let stub = fs::read(STUB).unwrap_or_else(|error| panic!("{STUB}: {error}; run scripts/setup.sh"));
    let (kernel, pcrpkey) = (kernel(), signer().public_pem());
    let mut parts = parts(&stub, &kernel, &[b"an archive"]);
    parts.pcrpkey = Some(&pcrpkey);
    parts.pcrsig = Some("{}");
    // A header alone: systemd 252 has no room for another line.
    parts.sbat = Some("sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n");
    let bytes = parts.assemble().unwrap();
    assert!(parts.assemble().unwrap() == bytes);
    let (image, original) = (parse(&bytes), parse(&stub));
    for section in original.sections().iter().filter(|section| !section.is_named(".sbat")) {
        assert_eq!(self::section(&image, &section.name()), original.data(section), "{}", section.name());
    }
    assert_eq!(section(&image, ".linux"), kernel);
    assert!(image.is_application());
    let predicted = uki(&image).unwrap();
    assert!(predicted.iter().any(|one| one.what == "content of .pcrpkey"));
    let sbat = |image: &Image<'_>| {
        let text = String::from_utf8_lossy(section(image, ".sbat")).into_owned();
        text.trim_end_matches(['\0', '\n']).to_owned()
    };
    assert_eq!(sbat(&image), sbat(&original));
}
