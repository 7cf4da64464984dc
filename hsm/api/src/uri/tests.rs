use super::*;

fn parse(text: &str) -> Result<KeyUri, UriError> {
    text.parse()
}

#[test]
fn names_survive_being_written() {
    for text in [
        "soft:consensus",
        "soft:a.b-c_9",
        "tpm:attestation",
        "tpm:0x81010002",
        "sdf:3",
        "sdf:3?module-path=/usr/lib/libsdf.so&pin-source=file:/run/pin",
        "pkcs11:object=consensus",
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;object=k%3B1;id=%01%FF;slot-id=7",
        "pkcs11:token=t;manufacturer=m;serial=s;model=o;id=%00?module-path=/usr/lib/a%20b.so&pin-source=file:/run/pin",
    ] {
        assert_eq!(parse(text).map(|uri| uri.to_string()), Ok(text.to_owned()));
    }
}

/// Examples of RFC 7512, section 3, that name a private key.
#[test]
fn examples_of_the_standard() {
    let uri = "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;\
        object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin";
    assert_eq!(parse(uri), Err(UriError::Value("serial".into())), "an empty attribute matches nothing we want");
    let uri = uri.replace(";serial=", "");
    let KeyUri::Pkcs11(key) = parse(&uri).unwrap() else { panic!("{uri}") };
    assert_eq!(key.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
    assert_eq!(key.manufacturer.as_deref(), Some("Snake Oil, Inc."));
    assert_eq!(key.id.as_deref(), Some(&[0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91][..]));
    assert_eq!(key.module.pin_source.as_deref(), Some(Path::new("/etc/token_pin")));
    let three_slashes = parse("pkcs11:object=a?pin-source=file:///etc/pin").unwrap();
    assert_eq!(three_slashes, parse("pkcs11:object=a?pin-source=file:/etc/pin").unwrap());
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("consensus", UriError::Scheme),
        ("file:/key", UriError::Scheme),
        ("soft:", UriError::Name(String::new())),
        ("soft:../key", UriError::Name("../key".into())),
        ("soft:.key", UriError::Name(".key".into())),
        ("soft:Key", UriError::Name("Key".into())),
        ("tpm:0x80000001", UriError::Handle("0x80000001".into())),
        ("tpm:0x81000001f", UriError::Handle("0x81000001f".into())),
        ("sdf:0", UriError::Index("0".into())),
        ("sdf:one", UriError::Index("one".into())),
        ("pkcs11:token=a", UriError::Unspecific),
        ("pkcs11:object=a;object=b", UriError::Value("object".into())),
        ("pkcs11:object=a;x-vendor=1", UriError::Attribute("x-vendor".into())),
        ("pkcs11:object=a;type=cert", UriError::Type("cert".into())),
        ("pkcs11:object=a;slot-id=-1", UriError::Value("slot-id".into())),
        ("pkcs11:object=%FF", UriError::Value("object".into())),
        ("pkcs11:object=a?pin-value=1234", UriError::Pin),
        ("pkcs11:object=a?pin-source=|/bin/pin", UriError::PinSource("|/bin/pin".into())),
        ("pkcs11:object=a?pin-source=file:pin", UriError::PinSource("file:pin".into())),
        ("pkcs11:object=a?module-path=lib.so", UriError::Path("lib.so".into())),
        ("pkcs11:object=a?module-name=lib", UriError::Attribute("module-name".into())),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text), Err(error), "{text}");
    }
    assert_eq!(parse(&format!("soft:{}", "a".repeat(3000))), Err(UriError::TooLong));
}

/// A PIN that somebody puts into a name is not repeated by the error.
#[test]
fn no_error_repeats_a_pin() {
    assert!(!parse("pkcs11:object=a?pin-value=4711").unwrap_err().to_string().contains("4711"));
}

proptest::proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(text in "(soft|tpm|pkcs11|sdf):[ -~]{0,40}") {
        if let Ok(uri) = parse(&text) {
            proptest::prop_assert_eq!(parse(&uri.to_string()), Ok(uri));
        }
    }
}
