//! Manifests that are signed and say what nobody meant.

use dolmen_image_bundle::{BundleError, Manifest};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};

use crate::support::{bundle_of, check, contents, keys, manifest};

fn value() -> Value {
    serde_json::from_slice(&manifest().to_json().expect("a manifest")).expect("JSON")
}

fn read(value: &Value) -> Result<Manifest, BundleError> {
    Manifest::from_json(&serde_json::to_vec(value).expect("JSON"))
}

/// With one field, by its JSON pointer, of another value.
fn with(pointer: &str, field: Value) -> Result<Manifest, BundleError> {
    let mut value = value();
    *value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = field;
    read(&value)
}

const FIELDS: [&str; 24] = [
    "/format",
    "/product",
    "/version",
    "/security_version",
    "/architecture",
    "/created",
    "/release_key",
    "/test_keys",
    "/root_hash",
    "/parts",
    "/parts/0",
    "/parts/0/name",
    "/parts/0/bytes",
    "/parts/1/bytes",
    "/parts/2/bytes",
    "/parts/3",
    "/parts/3/name",
    "/parts/3/bytes",
    "/parts/3/sha256",
    "/measurements",
    "/measurements/pcr4",
    "/measurements/pcr7",
    "/measurements/pcr11",
    "/measurements/pcr11/enter-initrd",
];

fn any_value() -> impl Strategy<Value = Value> {
    let numbers = vec![0, 1, 2, 64, 65, 4095, 4096, 4097, 8192, 12_288, 1 << 20, 1 << 33, 1 << 53, u64::MAX];
    let texts = vec!["", "dolmen", "x86_64", "aarch64", "1.2.3", "1.2.3+b", "1.2.3-RC", "boot.efi", "root.erofs"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        sample::select(numbers).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        sample::select(texts).prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
        "\\PC{0,80}".prop_map(Value::from),
        "[0-9]{1,21}\\.[0-9]{1,21}\\.[0-9]{1,21}(-[0-9a-z.]{1,70})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("[a-z0-9:-]{0,20}", inner), 0..20)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read can be written, and then is the same. A bundle of it is read or refused, and memory is bounded.
    #[test]
    fn fields_with_anything_in_them(changes in proptest::collection::vec((sample::select(FIELDS.to_vec()), any_value()), 1..4)) {
        let mut value = value();
        for (pointer, field) in changes {
            let _ = value.pointer_mut(pointer).map(|place| *place = field);
        }
        let json = serde_json::to_vec(&value).unwrap();
        let manifest = Manifest::from_json(&json);
        if let Ok(manifest) = &manifest {
            let again = Manifest::from_json(&manifest.to_json().unwrap()).unwrap();
            prop_assert_eq!(&again, manifest);
            let _ = (manifest.parts_bytes(), manifest.root_blocks());
        }
        let right = contents();
        let bytes = bundle_of(&json, [&right[0], &right[1], &right[2], &right[3]]);
        prop_assert!(check(&bytes[..], &keys()).is_err() || manifest.is_ok());
    }

    #[test]
    fn any_text(text in "\\PC{0,300}") {
        prop_assert!(Manifest::from_json(text.as_bytes()).is_err());
    }
}

/// Otherwise the tests above would see nothing but refusals.
#[test]
fn unchanged_ones_are_read() {
    assert_eq!(read(&value()).unwrap(), manifest());
    for pointer in FIELDS {
        let field = value().pointer(pointer).unwrap().clone();
        assert_eq!(with(pointer, field).unwrap(), manifest());
    }
}

#[test]
fn images_for_others_are_named() {
    for (pointer, field, name) in [
        ("/format", json!(2), "format"),
        ("/product", json!("menhir"), "product"),
        ("/architecture", json!("aarch64"), "architecture"),
    ] {
        let error = with(pointer, field).unwrap_err();
        assert!(matches!(error, BundleError::Foreign { field, .. } if field == name), "{error}");
    }
    // A later format, whose fields we do not know.
    let error = Manifest::from_json(br#"{"format": 2, "purpose": 5}"#).unwrap_err();
    assert!(matches!(error, BundleError::Foreign { field: "format", .. }), "{error}");
}

#[test]
fn versions_are_names_of_files() {
    for version in ["1.2.3", "0.0.0", "1.2.3-rc.1", "18446744073709551615.0.0"] {
        assert_eq!(with("/version", json!(version)).unwrap().version.to_string(), version);
    }
    let long = format!("1.2.3-{}", "a".repeat(60));
    for version in ["", "1", "1.2", "v1.2.3", "1.2.3/../x", "01.2.3", "1.2.3+5", "1.2.3-RC1", "1.2.3 ", &long] {
        let error = with("/version", json!(version)).unwrap_err();
        assert!(matches!(&error, BundleError::Version { found, .. } if found == version), "{error}");
    }
}

#[test]
fn numbers_are_bounded() {
    for number in [json!(0), json!(65), json!(256), json!(-1), json!(1.0), json!("1")] {
        assert!(matches!(with("/security_version", number), Err(BundleError::Json(_))));
    }
    for (part, limit) in [(0, 4_u64 << 20), (1, 120 << 20), (2, 128 << 20), (3, 8 << 30)] {
        for bytes in [0, limit + 1, u64::MAX] {
            let error = with(&format!("/parts/{part}/bytes"), json!(bytes)).unwrap_err();
            assert!(matches!(error, BundleError::PartBytes { found, .. } if found == bytes), "{error}");
        }
    }
    assert!(with("/parts/0/bytes", json!(4 << 20)).is_ok());
}

#[test]
fn a_tree_has_one_size() {
    for (part, bytes) in [(2, 4096), (2, 8191), (2, 12_288), (3, 8191), (3, 4096), (3, 129 * 4096)] {
        let error = with(&format!("/parts/{part}/bytes"), json!(bytes)).unwrap_err();
        assert!(matches!(error, BundleError::Tree { .. }), "{error}");
    }
    assert_eq!(with("/parts/3/bytes", json!(128 * 4096)).unwrap().root_blocks(), 128);
}

#[test]
fn all_parts_are_there_in_order() {
    let parts = value()["parts"].as_array().unwrap().clone();
    for (first, second) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
        let mut swapped = parts.clone();
        swapped.swap(first, second);
        let error = with("/parts", swapped.into()).unwrap_err();
        assert!(matches!(error, BundleError::Parts { index, .. } if index == first), "{error}");
    }
    let twice = [&parts[..1], &parts[..3]].concat();
    assert!(matches!(with("/parts", twice.into()), Err(BundleError::Parts { index: 1, .. })));
    let more = [&parts[..], &parts[3..]].concat();
    for parts in [&parts[..3], &more, &[]] {
        assert!(matches!(with("/parts", parts.into()), Err(BundleError::Json(_))));
    }
    assert!(matches!(with("/parts/0/name", json!("boot.exe")), Err(BundleError::Json(_))));
}

#[test]
fn fields_are_known_and_there_once() {
    for pointer in ["", "/parts/0", "/measurements"] {
        let mut more = value();
        more.pointer_mut(pointer).unwrap()["more"] = json!(1);
        assert!(matches!(read(&more), Err(BundleError::Json(_))), "{pointer}");
    }
    for pointer in FIELDS.into_iter().filter(|pointer| !pointer.contains("/0") && !pointer.contains("/pcr11/")) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut fewer = value();
        if let Some(object) = fewer.pointer_mut(parent).unwrap().as_object_mut() {
            object.remove(name).unwrap();
            assert!(matches!(read(&fewer), Err(BundleError::Json(_))), "{pointer}");
        }
    }
    let text = String::from_utf8(manifest().to_json().unwrap()).unwrap();
    let twice = text.replacen("\"created\"", "\"created\": 1, \"created\"", 1);
    assert!(matches!(Manifest::from_json(twice.as_bytes()), Err(BundleError::Json(_))));
    for more in [" {}", "x", "\0"] {
        assert!(matches!(Manifest::from_json((text.clone() + more).as_bytes()), Err(BundleError::Json(_))));
    }
    let deep = text.replacen("1790000000", &"[".repeat(60_000), 1);
    assert!(matches!(Manifest::from_json(deep.as_bytes()), Err(BundleError::Json(_))));
}

#[test]
fn phases_are_systemds() {
    let hash = value()["root_hash"].clone();
    let many: Value = (0..17).map(|number| (format!("phase-{number}"), hash.clone())).collect();
    let long = "a".repeat(129);
    for (paths, allowed) in [
        (json!({}), true),
        (json!({"": hash}), true),
        (json!({"enter-initrd:leave-initrd:sysinit:ready": hash}), true),
        (json!({"Enter": hash}), false),
        (json!({"enter initrd": hash}), false),
        (json!({long: hash}), false),
        (many, false),
    ] {
        let read = with("/measurements/pcr11", paths.clone());
        assert!(matches!(&read, Err(BundleError::PhasePath(_))) || allowed && read.is_ok(), "{paths}: {read:?}");
    }
}

/// What cannot be read is not written either.
#[test]
fn wrong_manifests_are_not_written() {
    let mut manifest = manifest();
    manifest.parts.swap(0, 1);
    assert!(matches!(manifest.to_json(), Err(BundleError::Parts { index: 0, .. })));
}
