//! Policies, and mistakes in them.

use std::{error::Error as _, slice};

use dolmen_provisioning_appraisal::{Policy, PolicyError};

use crate::support::{roots, try_policy};

/// One with everything in it but roots.
pub(crate) const WHOLE: &str = r#"
versions = ["1.2.0", "1.3.0-rc.1"]
security-version-min = 3
registers = [4, 7, 11]
firmware-registers = "pin"
test-keys = false
hardware-only = true
hardware-makers = ["id:4E534700"]
without-certificate = true

[registered-eks]
"S4EVNX0M123456" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"#;

#[test]
fn what_is_left_out_is_the_stricter_way() {
    let whole = Policy::parse(WHOLE).unwrap();
    let left_out = |line: &str| {
        assert!(WHOLE.contains(line), "{line}");
        Policy::parse(&WHOLE.replace(line, "")).unwrap()
    };
    for line in ["registers = [4, 7, 11]", "firmware-registers = \"pin\"", "test-keys = false", "hardware-only = true"]
    {
        assert_eq!(left_out(line), whole, "{line}");
    }
    assert_ne!(left_out("security-version-min = 3"), whole);
    // The order and how often something stands in a set say nothing.
    assert_eq!(Policy::parse(&WHOLE.replace("[4, 7, 11]", "[11, 4, 7]")).unwrap(), whole);
}

#[test]
fn mistakes_in_toml_are_named() {
    for (from, to, words) in [
        ("hardware-only", "hardware_only", "unknown field `hardware_only`"),
        ("versions = [\"1.2.0\", \"1.3.0-rc.1\"]", "", "missing field `versions`"),
        ("\"1.2.0\"", "\"1.2\"", "minor version"),
        ("security-version-min = 3", "security-version-min = 0", "1 to 64"),
        ("\"pin\"", "\"record\"", "unknown variant `record`"),
        ("hardware-only = true", "hardware-only = \"yes\"", "expected a boolean"),
        ("[4, 7, 11]", "[4, 7, 256]", "256"),
        ("\"9f86", "\"9F86", "64 lower-case hexadecimal digits"),
        ("0a08\"", "0a\"", "64 lower-case hexadecimal digits"),
        ("\"S4EVNX0M123456\"", "\" \"", "no serial number"),
        ("[registered-eks]", "[registered-eks", ""),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let error = Policy::parse(&WHOLE.replacen(from, to, 1)).unwrap_err();
        assert!(matches!(error, PolicyError::Toml(_)), "{to}: {error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains(words), "{to}: {cause}");
    }
}

#[test]
fn mistakes_in_sense_are_named() {
    let refused = |name: &str, value: &str| try_policy(&[(name, value)]).unwrap_err();
    assert!(matches!(refused("versions", "[]"), PolicyError::Versions));
    assert!(matches!(refused("registers", "[4, 7, 11, 14]"), PolicyError::Register(14)));
    assert!(matches!(refused("registers", "[4, 7]"), PolicyError::ImageRegister));
    assert!(matches!(refused("registers", "[]"), PolicyError::ImageRegister));
    assert!(matches!(refused("without-certificate", "false"), PolicyError::Nobody));
    assert!(matches!(refused("registered-eks", ""), PolicyError::Nobody));
    for text in ["Infineon", "id:4946580", "id:494658001", "4E534700"] {
        let maker = refused("hardware-makers", &format!("[\"{text}\"]"));
        assert!(matches!(&maker, PolicyError::Maker(found) if found == text), "{maker}");
    }
    let software = refused("hardware-makers", "[\"id:4E534700\", \"id:00001014\"]");
    assert!(matches!(software, PolicyError::SoftwareMaker { name: "swtpm", .. }), "{software}");
    let certificate = include_str!("../../../../image/keys/test/db.crt").to_owned();
    let good = roots(slice::from_ref(&certificate));
    try_policy(&[("ek-roots", &good), ("registered-eks", ""), ("without-certificate", "")]).unwrap();
    let root = refused("ek-roots", &roots(&[certificate.clone(), certificate.replace('M', "N")]));
    assert!(matches!(root, PolicyError::Root { index: 1, .. }), "{root}");
    assert!(matches!(refused("ek-roots", &roots(&vec![certificate; 257])), PolicyError::Roots(257)));
    let long = format!("{WHOLE}#{}", " ".repeat(1 << 20));
    assert!(matches!(Policy::parse(&long), Err(PolicyError::Bytes(_))));
}
