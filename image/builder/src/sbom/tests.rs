use serde_json::Value;

use super::*;

fn sbom() -> Sbom {
    let control = "Package: libssl3t64\nVersion: 3.5.9-1~deb13u1\nArchitecture: amd64\nSource: openssl\n\
                   Homepage: https://openssl-library.org/\n";
    let package = Package::unpacked(control).unwrap();
    let locked = Locked {
        name: "libssl3t64".to_owned(),
        version: "3.5.9-1~deb13u1".to_owned(),
        path: "pool/x".to_owned(),
        bytes: 1,
        sha256: "ab".repeat(32),
    };
    let crate_of = |name: &str, checksum: Option<String>, depends_on: &[&str]| Crate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        features: BTreeSet::from(["std".to_owned(), "default".to_owned()]),
        license: Some("MIT OR Apache-2.0".to_owned()),
        checksum,
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
    };
    let crates = [crate_of("dolmen", None, &["pkg:cargo/bytes@1.0.0"]), crate_of("bytes", Some("cd".repeat(32)), &[])];
    let version = Version::new(0, 1, 0);
    Sbom::new(&version, 1_790_000_000, b"root", &[package], &[&locked], &crates)
}

/// The rules of `bom-1.6.schema.json` for what is used of it here.
#[test]
fn it_follows_the_schema() {
    let bom: Value = serde_json::from_slice(&sbom().json()).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert!(bom["version"].as_u64().unwrap() >= 1);
    let serial = bom["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
    assert_eq!(uuid::Uuid::parse_str(serial).unwrap().to_string(), serial);
    assert_eq!(bom["metadata"]["timestamp"], "2026-09-21T14:13:20Z");
    let kinds = ["application", "library", "operating-system"];
    let components = bom["components"].as_array().unwrap();
    for component in components.iter().chain([&bom["metadata"]["component"]]) {
        let known =
            ["type", "bom-ref", "name", "version", "hashes", "licenses", "purl", "externalReferences", "properties"];
        assert!(component.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{component}");
        assert!(
            kinds.contains(&component["type"].as_str().unwrap()) && !component["name"].as_str().unwrap().is_empty()
        );
        for hash in component["hashes"].as_array().into_iter().flatten() {
            assert_eq!((hash["alg"].as_str(), hash["content"].as_str().unwrap().len()), (Some("SHA-256"), 64));
        }
        // One expression, and then nothing else.
        let licenses = component["licenses"].as_array();
        assert!(licenses.is_none_or(|licenses| licenses.len() == 1 && licenses[0]["expression"].is_string()));
    }
    let unique: BTreeSet<String> = components.iter().map(Value::to_string).collect();
    assert_eq!(unique.len(), components.len());
    assert_eq!(sbom().broken_references(), [""; 0]);
}

#[test]
fn packages_are_found_by_their_urls() {
    let bom: Value = serde_json::from_slice(&sbom().json()).unwrap();
    let find = |name: &str| bom["components"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    let ssl = find("libssl3t64");
    assert_eq!(ssl["purl"], "pkg:deb/debian/libssl3t64@3.5.9-1~deb13u1?arch=amd64&distro=trixie");
    assert_eq!(ssl["hashes"][0]["content"], "ab".repeat(32));
    assert_eq!(ssl["properties"][0], serde_json::json!({ "name": "debian:source", "value": "openssl" }));
    let bytes = find("bytes");
    assert_eq!((bytes["purl"].as_str(), bytes["type"].as_str()), (Some("pkg:cargo/bytes@1.0.0"), Some("library")));
    assert_eq!(bytes["properties"][0]["value"], "default std");
    assert_eq!((find("dolmen")["type"].as_str(), find("dolmen")["purl"].as_str()), (Some("application"), None));
    assert_eq!(escaped("1:2.41+dfsg~1"), "1:2.41%2Bdfsg~1");
}

#[test]
fn the_same_image_has_the_same_bill() {
    assert_eq!(sbom().json(), sbom().json());
}

#[test]
fn dates() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp(seconds), text);
    }
}
