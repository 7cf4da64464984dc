//! Boot files, their signatures, and what firmware and systemd keep beside them.

use dolmen_image_uki::{
    authenticode::{remove, signatures, verify},
    key::PublicKey,
    measure::{PcrSignatures, Phase, SecureBoot, replay, uki},
    pe::{Builder, Content, Image},
};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("uki_image", images, image).cases(800),
    Target::new("uki_signature", messages, signature).cases(800),
    Target::new("uki_variable", variables, variable).cases(1_500),
    Target::new("uki_pcr_signatures", pcr_signatures, pcr_signature),
    Target::new("uki_key", keys, key),
];

const UKIFY: &[u8] = include_bytes!("../../../image/uki/tests/vectors/ukify.efi");
const SIGNED: &[u8] = include_bytes!("../../../image/uki/tests/vectors/signed.efi");
const PK: &[u8] = include_bytes!("../../../image/uki/tests/vectors/pk.esl");
const KEK: &[u8] = include_bytes!("../../../image/uki/tests/vectors/kek.esl");
const DB: &[u8] = include_bytes!("../../../image/uki/tests/vectors/db.esl");
const DBX: &[u8] = include_bytes!("../../../image/uki/tests/vectors/dbx.esl");
/// Where the certificate is in a list of one, behind the list's header and its owner.
const CERTIFICATE_AT: usize = 44;
/// Where the PE header is named, and the entry of the certificate table from there.
const PE_AT: usize = 60;
const TABLE_ENTRY: usize = 168;
/// Of a certificate table's entry: its length, version and type.
const TABLE_HEADER_BYTES: usize = 8;
const TABLE_ALIGNMENT: usize = 8;

fn images() -> Vec<Vec<u8>> {
    [UKIFY, SIGNED].map(<[u8]>::to_vec).into()
}

/// Everything that can be done with an image from anywhere.
fn image(bytes: &[u8]) -> bool {
    let Ok(image) = Image::parse(bytes) else { return false };
    for section in image.sections() {
        assert_eq!(image.data(section).len() + section.zeros(), section.memory_size(), "{}", section.name());
        assert!(image.section(&section.name()).is_none_or(|found| found.is_named(&section.name())));
    }
    let trusted = verify(&image, &[&DB[CERTIFICATE_AT..]]);
    let genuine = Image::parse(SIGNED).expect("the signed image");
    assert!(trusted.is_err() || image.digest() == genuine.digest(), "a changed image that is trusted");
    if let Ok(measurements) = uki(&image) {
        assert!(replay(&measurements).values()[11].is_some());
    }
    if let Ok(bytes) = remove(bytes) {
        let unsigned = Image::parse(&bytes).expect("it still is an image");
        assert!(signatures(&unsigned).is_ok_and(|signatures| signatures.is_empty()));
        assert_eq!(unsigned.digest(), image.digest());
    }
    if let Ok(mut builder) = Builder::new(&image) {
        let _ = builder.append(".more", &[1; 700], Content::Data);
        let _ = builder.replace(".sbat", &[2; 100]);
        if let Ok(built) = builder.finish() {
            Image::parse(&built).expect("what is built can be read");
        }
    }
    true
}

/// The CMS in the signed image's table.
fn messages() -> Vec<Vec<u8>> {
    let unsigned = remove(SIGNED).expect("it is signed");
    vec![SIGNED[unsigned.len().next_multiple_of(TABLE_ALIGNMENT) + TABLE_HEADER_BYTES..].to_vec()]
}

/// Any CMS in the place of the signature.
fn signature(message: &[u8]) -> bool {
    let mut bytes = remove(SIGNED).expect("it is signed");
    bytes.resize(bytes.len().next_multiple_of(TABLE_ALIGNMENT), 0);
    let table = bytes.len();
    let number = |number: usize| u32::try_from(number).expect("small").to_le_bytes();
    // WIN_CERT_REVISION_2_0 and WIN_CERT_TYPE_PKCS_SIGNED_DATA.
    bytes.extend([&number(TABLE_HEADER_BYTES + message.len())[..], &[0, 2, 2, 0], message].concat());
    bytes.resize(bytes.len().next_multiple_of(TABLE_ALIGNMENT), 0);
    let size = bytes.len() - table;
    let pe = usize::from(u16::from_le_bytes([bytes[PE_AT], bytes[PE_AT + 1]]));
    bytes[pe + TABLE_ENTRY..][..4].copy_from_slice(&number(table));
    bytes[pe + TABLE_ENTRY + 4..][..4].copy_from_slice(&number(size));
    let image = Image::parse(&bytes).expect("only its signature is another");
    let Ok(found) = signatures(&image) else { return false };
    for signature in &found {
        let _ = (signature.time(), signature.certificate(), signature.other_certificates().count());
    }
    let Ok(verified) = verify(&image, &[&DB[CERTIFICATE_AT..]]) else { return false };
    assert_eq!((verified.signature.digest(), verified.authority), (&image.digest(), 0));
    true
}

fn variables() -> Vec<Vec<u8>> {
    [PK, KEK, DB, DBX].map(<[u8]>::to_vec).into()
}

fn variable(lists: &[u8]) -> bool {
    let genuine = Image::parse(SIGNED).expect("the signed image");
    let all = SecureBoot { secure_boot: &[1], pk: PK, kek: KEK, db: DB, dbx: DBX };
    // A certificate of `db` that firmware trusts is one by which the image is loaded.
    let _ = SecureBoot { db: lists, ..all }.measurements(&[&genuine, &genuine]);
    let _ = SecureBoot { kek: lists, secure_boot: lists, ..all }.measurements(&[&genuine]);
    let measured = SecureBoot { dbx: lists, ..all }.measurements(&[&genuine]);
    measured.is_ok_and(|measured| replay(&measured).values()[7].is_some())
}

fn section(name: &str) -> Vec<u8> {
    let image = Image::parse(UKIFY).expect("an image");
    image.data(image.section(name).expect("it has this section")).to_vec()
}

fn pcr_signatures() -> Vec<Vec<u8>> {
    vec![section(".pcrsig")]
}

fn pcr_signature(json: &[u8]) -> bool {
    let Ok(signatures) = PcrSignatures::parse(json) else { return false };
    assert_eq!(PcrSignatures::parse(signatures.json().as_bytes()).expect("the same"), signatures);
    let predicted = uki(&Image::parse(UKIFY).expect("an image")).expect("a UKI");
    let key = String::from_utf8(section(".pcrpkey")).expect("text");
    let key = PublicKey::from_pem(&key).expect("a key");
    let covered = Phase::BOOT.iter().filter(|path| signatures.covers(&predicted, path, &key)).count();
    assert!(!signatures.covers(&predicted[2..], Phase::BOOT[0], &key));
    covered > 0
}

fn keys() -> Vec<Vec<u8>> {
    vec![section(".pcrpkey")]
}

fn key(bytes: &[u8]) -> bool {
    let pem = std::str::from_utf8(bytes).ok().and_then(|pem| PublicKey::from_pem(pem).ok());
    for key in [pem.clone(), PublicKey::from_der(bytes).ok()].into_iter().flatten() {
        assert!(!key.verify(b"message", bytes));
        assert!(key.fingerprint().is_ok());
    }
    pem.is_some()
}
