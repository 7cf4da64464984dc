//! Registers 4 and 7, computed here from the words of the specification, and logs that differ.

use dolmen_hsm_evidence::EventLog;
use dolmen_image_uki::{
    authenticode::AuthenticodeError,
    key::PublicKey,
    measure::{
        EventKind, Guid, MeasureError, Measurement, PcrSignatures, Phase, SecureBoot, boot_path, certificate_list,
        difference, kernel_is_measured, phases, replay, uki as predict,
    },
    uki::StubVersion,
};
use openssl::sha::sha256;

use crate::support::{Identity, directory, file, kernel, parse, path, signed, signer, stub, tool, uki};

const OWNER: &str = "77fa9abd-0359-4d32-bd60-28f4e78f784b";
/// Identifiers as the specification writes them, in firmware's order of bytes.
const GLOBAL: &str = "61dfe48bca93d211aa0d00e098032b8c";
const SECURITY_DATABASE: &str = "cbb219d73a3d9645a3bcdad00e67656f";

fn owner() -> Guid {
    OWNER.parse().expect("a GUID")
}

fn extended(digests: &[[u8; 32]]) -> [u8; 32] {
    digests.iter().fold([0; 32], |value, digest| sha256(&[value, *digest].concat()))
}

/// `UEFI_VARIABLE_DATA`.
fn variable(vendor: &str, name: &str, data: &[u8]) -> [u8; 32] {
    let characters: Vec<u8> = name.bytes().flat_map(|byte| [byte, 0]).collect();
    let mut bytes = const_hex::decode(vendor).expect("hexadecimal digits");
    bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(data.len() as u64).to_le_bytes());
    sha256(&[&bytes[..], &characters, data].concat())
}

#[test]
fn register_4_has_what_was_run() {
    let (loader, uki) = (signed(&stub("257"), signer()), signed(&uki(), signer()));
    let images = [parse(&loader), parse(&uki)];
    let measurements = boot_path(&[&images[0], &images[1]]);
    assert!(measurements.iter().all(|one| one.pcr == 4));
    let expected = extended(&[
        sha256(b"Calling EFI Application from Boot Option"),
        sha256(&[0; 4]),
        images[0].digest(),
        images[1].digest(),
    ]);
    assert_eq!(replay(&measurements).values()[4], Some(expected));
    assert!(kernel_is_measured(StubVersion(257), false) && !kernel_is_measured(StubVersion(257), true));
    assert!(!kernel_is_measured(StubVersion(258), false));
}

#[test]
fn register_7_has_keys_and_authorities() {
    let other = Identity::p256("the other signer");
    let (own, others) = (certificate_list(owner(), &signer().der()), certificate_list(owner(), &other.der()));
    let db = [others.unwrap(), own.unwrap()].concat();
    let pk = certificate_list(owner(), &other.der()).unwrap();
    let variables = SecureBoot { secure_boot: &[1], pk: &pk, kek: &pk, db: &db, dbx: &[] };
    let images = [signed(&stub("257"), signer()), signed(&uki(), signer()), signed(&kernel(), &other)];
    let images = [&images[0], &images[1], &images[2]].map(|bytes| parse(bytes));
    let measurements = variables.measurements(&[&images[0], &images[1], &images[2], &images[0]]).unwrap();
    let authority =
        |identity: &Identity| variable(SECURITY_DATABASE, "db", &[&owner().0[..], &identity.der()].concat());
    let expected = [
        variable(GLOBAL, "SecureBoot", &[1]),
        variable(GLOBAL, "PK", &pk),
        variable(GLOBAL, "KEK", &pk),
        variable(SECURITY_DATABASE, "db", &db),
        variable(SECURITY_DATABASE, "dbx", &[]),
        sha256(&[0; 4]),
        authority(signer()),
        authority(&other),
    ];
    assert_eq!(measurements.iter().map(|one| one.digest).collect::<Vec<_>>(), expected);
    assert_eq!(replay(&measurements).values()[7], Some(extended(&expected)));
    assert_eq!(measurements[6].to_string(), format!("PCR 7 {} a certificate of db", const_hex::encode(expected[6])));

    // Without Secure Boot nobody asks for an authority.
    let off = SecureBoot { secure_boot: &[0], ..variables };
    let unsigned = uki();
    assert_eq!(off.measurements(&[&parse(&unsigned)]).unwrap().len(), 6);
    let denied = variables.measurements(&[&images[0], &parse(&unsigned)]).unwrap_err();
    assert!(matches!(denied, MeasureError::Denied { index: 1, source: AuthenticodeError::Unsigned }));
}

/// efitools makes the same lists, and computes the same digest of an image.
#[test]
fn efitools_agree() {
    let directory = directory();
    let (_, certificate) = signer().write(directory.path());
    let list = path(directory.path(), "list");
    let arguments = ["-g", OWNER, &certificate, &list];
    tool("efitools", "cert-to-efi-sig-list", &arguments);
    assert_eq!(certificate_list(owner(), &signer().der()).unwrap(), std::fs::read(&list).unwrap());

    let image = file(directory.path(), "image.efi", &uki());
    tool("efitools", "hash-to-efi-sig-list", &[&image, &list]);
    let hashes = std::fs::read(&list).unwrap();
    assert!(hashes.ends_with(&parse(&uki()).digest()));
    let (other, lists) = (certificate_list(owner(), &signer().der()).unwrap(), hashes);
    let variables = SecureBoot { secure_boot: &[0], pk: &[], kek: &[], db: &other, dbx: &lists };
    variables.measurements(&[]).unwrap();
}

#[test]
fn damaged_variables_are_refused() {
    let good = certificate_list(owner(), &signer().der()).unwrap();
    let error = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = good.clone();
        change(&mut changed);
        let variables = SecureBoot { secure_boot: &[1], pk: &[], kek: &[], db: &changed, dbx: &[] };
        variables.measurements(&[]).unwrap_err().to_string()
    };
    for length in [1, 15, 27, 28, good.len() - 1] {
        error(&|bytes| bytes.truncate(length));
    }
    for (offset, value) in [(16, 0_u32), (16, u32::MAX), (20, u32::MAX), (20, 1), (24, 0), (24, 15), (24, 100)] {
        error(&|bytes| bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes()));
    }
    assert!(error(&|bytes| bytes.resize(2 << 20, 0)).contains("db"));
    assert!(matches!(certificate_list(owner(), &[0; 20_000]), Err(MeasureError::Certificate { found: 20_000, .. })));
}

#[test]
fn policies_are_signed_by_rsa_alone() {
    let bytes = uki();
    let predicted = predict(&parse(&bytes)).unwrap();
    let curve = Identity::p256("curve");
    let (public, other) = (PublicKey::from_pem(&signer().public_pem()), PublicKey::from_pem(&curve.public_pem()));
    let (public, other) = (public.unwrap(), other.unwrap());
    let kind = PcrSignatures::sign(&predicted, &Phase::BOOT, &curve.key, &other);
    assert!(matches!(kind, Err(MeasureError::KeyKind)));
    let wrong = PcrSignatures::sign(&predicted, &Phase::BOOT, &Identity::rsa("another").key, &public);
    assert!(matches!(wrong, Err(MeasureError::WrongKey)));
    let before = PcrSignatures::sign(&predicted, &[&[]], &signer().key, &public).unwrap();
    assert!(before.covers(&predicted, &[], &public) && !before.covers(&predicted, &[Phase::EnterInitrd], &public));
    assert!(!before.covers(&predicted, &[], &other));
    assert!(matches!(PcrSignatures::parse(b"{}"), Err(MeasureError::Json(_))));
}

/// An event log with SHA-256 digests.
fn log(events: &[(u32, u32, [u8; 32])]) -> EventLog {
    let le = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let spec = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2], &le(&[1]), &[0x0b, 0, 32, 0, 0]].concat();
    let mut bytes = [le(&[0, 3]), vec![0; 20], le(&[u32::try_from(spec.len()).expect("short")]), spec].concat();
    for (pcr, kind, digest) in events {
        bytes.extend_from_slice(&[&le(&[*pcr, *kind, 1])[..], &[0x0b, 0], digest, &le(&[0])].concat());
    }
    EventLog::parse(&bytes).expect("a log")
}

/// The first measurement that differs is found, wherever it is.
#[test]
fn logs_are_compared() {
    let bytes = uki();
    let image = parse(&bytes);
    let predicted = [boot_path(&[&image]), predict(&image).unwrap(), phases(Phase::BOOT[3])].concat();
    let firmware = predicted.iter().filter_map(|one| Some((one.pcr, one.kind.id()?, one.digest)));
    let mut events: Vec<_> = [(4, 3, [1; 32]), (0, 4, sha256(&[0; 4]))].into_iter().chain(firmware).collect();
    for pcr in [4, 7, 11] {
        assert_eq!(difference(&predicted, &log(&events), pcr), None);
    }
    let found = |events: &[(u32, u32, [u8; 32])]| difference(&predicted, &log(events), 4).unwrap();
    let nothing = found(&[]);
    assert_eq!((nothing.predicted.as_ref().unwrap().kind, &nothing.logged), (EventKind::Action, &None));
    assert!(nothing.to_string().ends_with("the firmware calls a boot option, and the log ends"), "{nothing}");
    events.push((4, 0x8000_0003, [7; 32]));
    let more = found(&events);
    assert_eq!(more.predicted, None);
    let digest = "07".repeat(32);
    let text = format!("nothing more is predicted, and the log has {digest} in an event of kind 0x80000003");
    assert_eq!(more.to_string(), text);
    events[4].2 = [8; 32];
    let other = found(&events);
    let expected: Measurement = other.predicted.unwrap();
    assert_eq!((expected.what.as_str(), expected.digest), ("image 0 of the boot path", image.digest()));
    assert_eq!(other.logged.unwrap().digests[0].digest, [8; 32]);
    assert_eq!(difference(&predicted, &log(&events), 11), None);
}
