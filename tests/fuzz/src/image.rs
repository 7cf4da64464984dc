//! Releases: bundles, their manifests, the answer files of sticks, and keys.

use std::io::Read as _;

use dolmen_image_bundle::{
    Bundle, Manifest, Measurements, PART_NAMES, Part, ReleaseKey, SecurityVersion, Sign as _, SignedManifest,
    SigningKey, Version,
    answer::{Action, Answer, Language, Then, sign},
    write,
};
use dolmen_image_disk::verity::RootHash;

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("image_bundle", bundles, bundle).cases(600),
    Target::new("image_manifest", manifests, manifest),
    Target::new("image_manifest_signed", manifests, manifest_signed).cases(300),
    Target::new("image_answer", answers, answer),
    Target::new("image_key", keys, key),
];

/// The test key, in PEM.
pub(crate) const RELEASE_KEY: &str = include_str!("../../../image/keys/test/release.key");
const PUBLIC_KEY: &str = include_str!("../../../image/keys/test/release.pem");

fn signing_key() -> SigningKey {
    SigningKey::from_pem(RELEASE_KEY).expect("the test key")
}

/// What the parts hold.
fn contents() -> [Vec<u8>; 4] {
    [(4096, 1_u8), (4097, 2), (2 * 4096, 3), (2 * 4096, 4)].map(|(bytes, byte)| vec![byte; bytes])
}

fn manifest_of() -> Manifest {
    let (contents, value) = (contents(), |byte| dolmen_image_bundle::Hash::from_bytes([byte; 32]));
    Manifest {
        version: Version::new(1, 2, 3),
        security_version: SecurityVersion::new(7).expect("less than 65"),
        created: 1_790_000_000,
        release_key: signing_key().public_key().fingerprint(),
        test_keys: true,
        root_hash: RootHash::from_bytes([0xab; 32]),
        parts: [0, 1, 2, 3].map(|at| Part::of(PART_NAMES[at], &contents[at][..]).expect("memory")),
        measurements: Measurements {
            pcr4: value(4),
            pcr7: value(7),
            pcr11: [("enter-initrd".into(), value(11)), ("enter-initrd:leave-initrd".into(), value(12))].into(),
        },
    }
}

fn signed(manifest: Manifest) -> SignedManifest {
    SignedManifest::sign(manifest, &signing_key()).expect("a signature")
}

fn bundles() -> Vec<Vec<u8>> {
    let [boot, uki, verity, root] = contents();
    let (mut bytes, signed) = (Vec::new(), signed(manifest_of()));
    write(&mut bytes, &signed, [&mut &boot[..], &mut &uki[..], &mut &verity[..], &mut &root[..]]).expect("memory");
    vec![bytes]
}

/// No bit can be another. What is read before that is noticed are parts of the release.
fn bundle(bytes: &[u8]) -> bool {
    let keys = [signing_key().public_key()];
    let Ok(mut bundle) = Bundle::open(bytes, &keys) else { return false };
    assert_eq!(bundle.manifest(), &manifest_of());
    let mut whole = 0;
    while let Ok(Some(mut part)) = bundle.next_part() {
        let mut read = Vec::new();
        if part.read_to_end(&mut read).is_err() {
            break;
        }
        assert_eq!(read, contents()[whole]);
        whole += 1;
    }
    let holds = Bundle::open(bytes, &keys).and_then(Bundle::end).is_ok();
    assert!(!holds || (whole == 4 && bytes == bundles()[0]));
    holds
}

fn manifests() -> Vec<Vec<u8>> {
    vec![manifest_of().to_json().expect("JSON")]
}

fn manifest(json: &[u8]) -> bool {
    let Ok(manifest) = Manifest::from_json(json) else { return false };
    let text = manifest.to_json().expect("what was read can be written");
    let again = Manifest::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&manifest, text));
    true
}

/// Whatever the manifest says, the parts have to be as it says.
fn manifest_signed(json: &[u8]) -> bool {
    let key = signing_key();
    let message = [b"dolmen-image-manifest-v1\0", json].concat();
    let signature = key.sign(&message).expect("a signature");
    let keys = [key.public_key()];
    let Ok(signed) = SignedManifest::verify(json.to_vec(), signature, &keys) else { return false };
    assert!(manifest(json));
    assert!(signed.bundle_bytes() > signed.manifest().parts_bytes());
    let length = u32::try_from(json.len()).expect("64 KiB at most").to_le_bytes();
    let mut bytes = [b"DOLMENB1", &length[..], json, &signature].concat();
    for content in [vec![]].into_iter().chain(contents()) {
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
    }
    let holds = Bundle::open(&bytes[..], &keys).and_then(Bundle::end).is_ok();
    assert!(!holds || signed.manifest().parts == manifest_of().parts);
    holds
}

fn answers() -> Vec<Vec<u8>> {
    let least = "action = \"install\"\n";
    let all = "action = \"reimage-keep\"\ndisk = \"nvme-Samsung_SSD_S64ANS0T123456\"\nmin_bytes = 100_000_000_000\n\
               language = \"zh\"\nthen = \"reboot\"\nonce = false\n";
    let (action, language, then) = (Action::ReimageWipe, Some(Language::Zh), Then::Reboot);
    let written = Answer { action, disk: None, min_bytes: Some(1 << 40), language, then, once: true };
    let written = written.to_toml().expect("TOML");
    [least, all, &written].map(|text| text.as_bytes().to_vec()).into()
}

fn answer(text: &[u8]) -> bool {
    let key = signing_key();
    let Ok(answer) = Answer::parse(text) else {
        assert!(sign(text, &key).is_err());
        return false;
    };
    assert_eq!(Answer::parse(answer.to_toml().expect("TOML").as_bytes()).expect("the same"), answer);
    let signature = sign(text, &key).expect("a signature");
    assert_eq!(Answer::verify(text, &signature, &[key.public_key()]).expect("it was signed"), answer);
    true
}

fn keys() -> Vec<Vec<u8>> {
    [RELEASE_KEY, PUBLIC_KEY].map(|text| text.as_bytes().to_vec()).into()
}

fn key(pem: &[u8]) -> bool {
    let Ok(pem) = std::str::from_utf8(pem) else { return false };
    let public = ReleaseKey::from_pem(pem);
    if let Ok(public) = &public {
        assert_eq!(&ReleaseKey::from_bytes(public.as_bytes()).expect("the same"), public);
    }
    let private = SigningKey::from_pem(pem);
    if let Ok(private) = &private {
        let signature = private.sign(b"message").expect("a signature");
        assert!(private.public_key().verify(b"message", &signature));
    }
    public.is_ok() || private.is_ok()
}
