//! The formats, byte by byte: boxes in the field read what later versions write.

use dolmen_image_bundle::{Hash, answer};

use crate::support::{bundle, key, manifest};

const JSON: &str = r#"{
  "format": 1,
  "product": "dolmen",
  "version": "1.2.3",
  "security_version": 7,
  "architecture": "x86_64",
  "created": 1790000000,
  "release_key": "RELEASE_KEY",
  "test_keys": true,
  "root_hash": "abababababababababababababababababababababababababababababababab",
  "parts": [
    {
      "name": "boot.efi",
      "bytes": 4096,
      "sha256": "HASH0"
    },
    {
      "name": "uki.efi",
      "bytes": 4097,
      "sha256": "HASH1"
    },
    {
      "name": "root.verity",
      "bytes": 8192,
      "sha256": "HASH2"
    },
    {
      "name": "root.erofs",
      "bytes": 8192,
      "sha256": "HASH3"
    }
  ],
  "measurements": {
    "pcr4": "0404040404040404040404040404040404040404040404040404040404040404",
    "pcr7": "0707070707070707070707070707070707070707070707070707070707070707",
    "pcr11": {
      "enter-initrd": "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
      "enter-initrd:leave-initrd": "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c"
    }
  }
}
"#;

#[test]
fn a_manifest_is_this_text() {
    let manifest = manifest();
    let mut expected = JSON.replace("RELEASE_KEY", &manifest.release_key.to_string());
    for (index, part) in manifest.parts.iter().enumerate() {
        expected = expected.replace(&format!("HASH{index}"), &part.sha256.to_string());
    }
    assert_eq!(String::from_utf8(manifest.to_json().unwrap()).unwrap(), expected);
}

#[test]
fn a_bundle_is_these_bytes() {
    assert_eq!(Hash::of(&bundle()).to_string(), "7ca17e10dfdc84037084d640919ad2769d3382d3e039a770456c1ed3dd65a3ae");
}

#[test]
fn an_answer_is_signed_so() {
    let signature = answer::sign(b"action = \"install\"\n", &key()).unwrap();
    assert_eq!(Hash::of(&signature).to_string(), "cb44f7fd126c53f26ddb0607248cd9ba3ee5fd886b7bb8657c334d3c61c0fc5b");
}
