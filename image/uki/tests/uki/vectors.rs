//! What systemd 257's own tools made of the same parts, and what a firmware measured: `tests/vectors`.

use std::fs;

use dolmen_hsm_evidence::{EventLog, HashAlgorithm};
use dolmen_image_uki::{
    key::PublicKey,
    measure::{EventKind, PcrSignatures, Phase, SecureBoot, boot_path, difference, replay, uki},
    pe::Image,
};

use crate::support::{CHECKSUM, kernel, parse, parts, section, stub};

fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(image: &Image<'_>, name: &str) -> String {
    String::from_utf8(section(image, name).to_vec()).expect("text")
}

/// The same parts make the same file as ukify, but for the checksum, which ukify leaves out.
#[test]
fn the_same_bytes_as_ukify() {
    let theirs = vector("ukify.efi");
    let image = parse(&theirs);
    let (pcrpkey, pcrsig) = (text(&image, ".pcrpkey"), text(&image, ".pcrsig"));
    let (stub, kernel) = (stub("257.13-1~deb13u1"), kernel());
    let initrds: [&[u8]; 2] = [b"an archive", b"another one"];
    let mut parts = parts(&stub, &kernel, &initrds);
    parts.ucode = Some(b"microcode");
    parts.splash = Some(b"a picture");
    parts.pcrpkey = Some(&pcrpkey);
    parts.pcrsig = Some(&pcrsig);
    let mut ours = parts.assemble().unwrap();
    assert_ne!(ours[CHECKSUM..CHECKSUM + 4], [0; 4]);
    ours[CHECKSUM..CHECKSUM + 4].fill(0);
    assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
}

/// systemd-pcrlock predicts the same measurements, one by one.
#[test]
fn the_same_measurements_as_pcrlock() {
    let bytes = vector("ukify.efi");
    let image = parse(&bytes);
    let loaded = boot_path(&[&image]);
    assert_eq!(loaded[2].kind, EventKind::BootServicesApplication);
    let ours = loaded[2..]
        .iter()
        .chain(&uki(&image).unwrap())
        .map(|one| format!("{} {}\n", one.pcr, const_hex::encode(one.digest)))
        .collect::<String>();
    assert_eq!(ours, String::from_utf8(vector("pcrlock.txt")).unwrap());
}

/// systemd-measure signed what is predicted here, for each phase.
#[test]
fn signatures_of_systemd_measure_cover_the_phases() {
    let bytes = vector("ukify.efi");
    let image = parse(&bytes);
    let signatures = PcrSignatures::parse(text(&image, ".pcrsig").as_bytes()).unwrap();
    let key = PublicKey::from_pem(&text(&image, ".pcrpkey")).unwrap();
    let predicted = uki(&image).unwrap();
    for path in Phase::BOOT {
        assert!(signatures.covers(&predicted, path, &key), "{path:?}");
    }
    assert!(!signatures.covers(&predicted, &[], &key));
    assert!(!signatures.covers(&predicted, &[Phase::LeaveInitrd], &key));
    assert!(!signatures.covers(&predicted[2..], Phase::BOOT[0], &key));
}

/// What OVMF measured into register 7 is what is predicted from its variables and an image that the same key signed.
#[test]
fn the_same_authorities_as_firmware() {
    let [pk, kek, db, dbx] = ["pk.esl", "kek.esl", "db.esl", "dbx.esl"].map(vector);
    let variables = SecureBoot { secure_boot: &[1], pk: &pk, kek: &kek, db: &db, dbx: &dbx };
    let (log, bytes) = (EventLog::parse(&vector("ovmf.log")).unwrap(), vector("signed.efi"));
    let image = parse(&bytes);
    let predicted = variables.measurements(&[&image, &image]).unwrap();
    assert_eq!(difference(&predicted, &log, 7), None);
    assert_eq!(replay(&predicted).values()[7], log.replay(HashAlgorithm::Sha256).unwrap().values()[7]);
    // As the kernel read it.
    let value = "8dc492769507ab269708993a793d8d7cbda4b893ebd0985add0ee9a88cab1bf3";
    assert_eq!(const_hex::encode(replay(&predicted).values()[7].unwrap()), value);
    let without = variables.measurements(&[]).unwrap();
    assert_eq!(difference(&without, &log, 7).unwrap().predicted, None);
}

/// Kinds and order of what OVMF measured into register 4, and the stub of systemd 257 into 11, are those predicted.
/// What was booted is too large to be kept here, so that digests of contents are not compared.
#[test]
fn the_same_order_as_firmware() {
    let log = EventLog::parse(&vector("ovmf.log")).unwrap();
    let of = |pcr| log.events().iter().filter(move |event| event.pcr == pcr);
    let bytes = vector("ukify.efi");
    let image = parse(&bytes);
    let predicted = boot_path(&[&image, &image]);
    assert_eq!(
        predicted.iter().map(|one| one.kind.id().unwrap()).collect::<Vec<_>>(),
        of(4).map(|event| event.kind).collect::<Vec<_>>()
    );
    for (one, event) in predicted[..2].iter().zip(of(4)) {
        assert_eq!(event.digest(HashAlgorithm::Sha256), Some(&one.digest[..]), "{one}");
    }
    // That UKI had neither microcode nor a picture.
    let absent = ["name .ucode", "name .splash"];
    let predicted = uki(&image).unwrap();
    let names = predicted.iter().step_by(2).filter(|one| !absent.contains(&one.what.as_str()));
    let logged: Vec<_> = of(11).step_by(2).map(|event| event.digest(HashAlgorithm::Sha256).unwrap().to_vec()).collect();
    assert_eq!(names.map(|one| one.digest.to_vec()).collect::<Vec<_>>(), logged);
}
