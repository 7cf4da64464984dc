//! The real recipe from end to end, with this test's own program in the place of ours.

use std::{
    env,
    path::{Path, PathBuf},
};

use dolmen_image_builder::{
    compare::compare,
    file, image,
    materials::{Materials, Places},
    progress::Progress,
    result::{DISK, SBOM, bundle_name},
    verify::{PublicKeys, verify},
};
use dolmen_image_bundle::{SecurityVersion, SignedManifest, Version};

fn build(out: &Path) -> SignedManifest {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there");
    let cache = env::var("DOLMEN_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|_| PathBuf::from(env::var("HOME").expect("it is there")).join(".cache/dolmen"));
    let (recipe, keys) = (workspace.join("image/recipes/box.toml"), workspace.join("image/keys/test"));
    let places = Places { recipe, keys, cache: cache.join("image"), mirror: None };
    let materials = Materials::gather(&places, false, &Progress::silent()).expect("it is there");
    let this = env::current_exe().expect("it is there");
    let request = image::Request {
        version: Version::new(0, 1, 0),
        security_version: SecurityVersion::FIRST,
        seconds: materials.recipe.epoch,
        dolmen: this.clone(),
        initrd: Some(this.clone()),
        data: Some(this),
        overlay: places.overlay(),
        cache: places.cache.clone(),
        out: out.to_owned(),
        workspace,
    };
    image::build(&request, &materials, &Progress::silent()).expect("it is there")
}

#[test]
#[ignore = "150 MB from the mirror of Debian, and three minutes"]
fn two_builds_are_the_same() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = build(first.path());
    assert_eq!(build(second.path()), manifest);
    assert_eq!(compare(first.path(), second.path()).unwrap(), [""; 0]);
    let keys = PublicKeys::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys/test")).unwrap();
    for name in [DISK, &bundle_name(&Version::new(0, 1, 0))] {
        verify(&first.path().join(name), &keys).unwrap();
    }
    let sbom: serde_json::Value = serde_json::from_slice(&file::read(&first.path().join(SBOM)).unwrap()).unwrap();
    let names = sbom["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let names: Vec<&str> = names.collect();
    for name in ["systemd", "libc6", "linux-image-amd64", "systemd-boot-efi", "dolmen", "tokio"] {
        assert!(names.contains(&name), "{name}");
    }
    // Of what is dropped nothing is there.
    for name in ["apt", "perl-base", "dash", "erofs-utils"] {
        assert!(!names.contains(&name), "{name}");
    }
}
