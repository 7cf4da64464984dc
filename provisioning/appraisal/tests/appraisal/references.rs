//! Reference values: only of images that were released, and of each only one kind.

use dolmen_image_bundle::{Hash, ReleaseKey, Version};
use dolmen_provisioning_appraisal::{ReferenceError, ReferenceValues};

use crate::{
    measured::boot,
    support::{keys, manifest, signed},
};

#[test]
fn releases_give_reference_values() {
    let (first, second) = (signed(manifest("1.2.0", &boot())), signed(manifest("1.10.0", &boot())));
    let references = ReferenceValues::verify(vec![second, first.clone(), first], &keys()).unwrap();
    let versions: Vec<_> = references.versions().collect();
    assert_eq!(versions, [&Version::new(1, 2, 0), &Version::new(1, 10, 0)]);
}

#[test]
fn what_nobody_released_gives_none() {
    let good = signed(manifest("1.2.0", &boot()));
    let (mut json, signature) = good.clone();
    json[20] ^= 1;
    let refused = ReferenceValues::verify(vec![good.clone(), (json, signature)], &keys()).unwrap_err();
    assert!(matches!(refused, ReferenceError::Manifest { index: 1, .. }), "{refused}");
    let mut other = *keys()[0].as_bytes();
    let other = loop {
        other[0] = other[0].wrapping_add(1);
        if let Ok(key) = ReleaseKey::from_bytes(&other) {
            break key;
        }
    };
    let refused = ReferenceValues::verify(vec![good.clone()], &[other]).unwrap_err();
    assert!(matches!(refused, ReferenceError::Manifest { index: 0, .. }), "{refused}");
    let refused = ReferenceValues::verify(vec![good; 257], &keys()).unwrap_err();
    assert!(matches!(refused, ReferenceError::Images(257)), "{refused}");
}

#[test]
fn a_version_is_one_image_with_the_phase_that_is_judged() {
    let (image, mut other) = (manifest("1.2.0", &boot()), manifest("1.2.0", &boot()));
    other.measurements.pcr7 = Hash::of(b"other keys");
    let refused = ReferenceValues::verify(vec![signed(image.clone()), signed(other)], &keys()).unwrap_err();
    assert!(matches!(refused, ReferenceError::Ambiguous(version) if version == Version::new(1, 2, 0)));
    let mut early = image;
    early.measurements.pcr11.remove("enter-initrd:leave-initrd").unwrap();
    let refused = ReferenceValues::verify(vec![signed(early)], &keys()).unwrap_err();
    assert!(matches!(refused, ReferenceError::Phase(_)), "{refused}");
}
