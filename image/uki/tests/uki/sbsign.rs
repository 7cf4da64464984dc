//! Signatures, against sbsigntool, osslsigncode and OpenSSL.

use std::fs;

use cms::{content_info::ContentInfo, signed_data::SignedData};
use der::{
    Any, Decode, Encode,
    asn1::{ObjectIdentifier, OctetString},
};
use dolmen_image_uki::authenticode::{remove, sign, signatures, verify};

use crate::support::{
    CERTIFICATE_DIRECTORY, CHECKSUM, Identity, TIME, directory, file, number, parse, path, run, signer, tool, uki,
};

const SBSIGNTOOL: &str = "sbsigntool";
const OSSLSIGNCODE: &str = "osslsigncode";
/// The attribute `smimeCapabilities`.
const SMIME_CAPABILITIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.15");

/// sbverify's verdict on an image.
fn sbverify(identity: &Identity, image: &[u8]) -> bool {
    let directory = directory();
    let (_, certificate) = identity.write(directory.path());
    let image = file(directory.path(), "image.efi", image);
    run(SBSIGNTOOL, "sbverify", &["--cert", &certificate, &image]).status.success()
}

/// What sbsign makes of an image.
fn sbsign(identity: &Identity, image: &[u8]) -> Vec<u8> {
    let directory = directory();
    let (key, certificate) = identity.write(directory.path());
    let (image, signed) = (file(directory.path(), "image.efi", image), path(directory.path(), "signed.efi"));
    tool(SBSIGNTOOL, "sbsign", &["--key", &key, "--cert", &certificate, "--output", &signed, &image]);
    fs::read(signed).expect("sbsign wrote it")
}

/// Its own signature is a good one for sbverify, and a changed byte makes it a bad one.
#[test]
fn sbverify_accepts_what_is_signed() {
    for identity in [signer(), &Identity::p256("Dolmen P-256 test signer")] {
        let der = identity.der();
        for time in [Some(TIME), Some(2_600_000_000), None] {
            let mut signed = sign(&uki(), &identity.signing(&der, time)).unwrap();
            assert!(sbverify(identity, &signed));
            assert!(!sbverify(&Identity::p256("somebody else"), &signed));
            signed[2000] ^= 1;
            assert!(!sbverify(identity, &signed));
        }
    }
}

/// The same image, key, certificate and time give the bytes that sbsign gives, but for an attribute about ciphers of
/// e-mail, also where the length is no multiple of 8 and where there is a signature already.
#[test]
fn the_same_bytes_as_sbsign() {
    let der = signer().der();
    let mut unaligned = uki();
    unaligned.extend_from_slice(b"trailing data");
    let again = sign(&uki(), &signer().signing(&der, Some(TIME))).unwrap();
    for unsigned in [uki(), unaligned, again] {
        let theirs = sbsign(signer(), &unsigned);
        let image = parse(&theirs);
        let time = signatures(&image).unwrap().last().unwrap().time();
        let ours = sign(&unsigned, &signer().signing(&der, time)).unwrap();
        assert_eq!(parse(&ours).digest(), image.digest());

        let (before_ours, mut our_info, mut our_data) = last_signature(&ours);
        let (before_theirs, their_info, mut their_data) = last_signature(&theirs);
        for data in [&mut our_data, &mut their_data] {
            let mut signer = data.signer_infos.0.as_slice()[0].clone();
            let attributes = signer.signed_attrs.unwrap().into_vec();
            let attributes: Vec<_> = attributes.into_iter().filter(|one| one.oid != SMIME_CAPABILITIES).collect();
            signer.signed_attrs = Some(attributes.try_into().unwrap());
            // It is over other attributes.
            signer.signature = OctetString::new([]).unwrap();
            data.signer_infos.0 = vec![signer].try_into().unwrap();
        }
        our_info.content = Any::encode_from(&our_data).unwrap();
        let their_content = Any::encode_from(&their_data).unwrap();
        assert_eq!(our_info, ContentInfo { content: their_content, ..their_info });
        assert!(before_ours == before_theirs);
    }
}

/// What precedes an image's last signature, but for its length and the checksum, and the signature.
fn last_signature(image: &[u8]) -> (Vec<u8>, ContentInfo, SignedData) {
    let mut place = number(image, CERTIFICATE_DIRECTORY);
    assert_eq!(place + number(image, CERTIFICATE_DIRECTORY + 4), image.len());
    let end = |place: usize| place + number(image, place).next_multiple_of(8);
    while end(place) != image.len() {
        place = end(place);
    }
    let mut before = image[..place + 8].to_vec();
    for offset in [CHECKSUM, CERTIFICATE_DIRECTORY + 4, place] {
        before[offset..offset + 4].fill(0);
    }
    let info = ContentInfo::from_der(&image[place + 8..place + number(image, place)]).expect("DER");
    let data = info.content.decode_as().expect("SignedData");
    (before, info, data)
}

/// What sbsign signed is verified, and whoever is not trusted is not.
#[test]
fn signatures_of_sbsign_are_read() {
    let theirs = sbsign(signer(), &uki());
    let image = parse(&theirs);
    let others = Identity::p256("somebody else").der();
    let verified = verify(&image, &[&others, &signer().der()]).unwrap();
    assert_eq!((verified.authority, verified.signature.certificate()), (1, &signer().der()[..]));
    verify(&image, &[&others]).unwrap_err();
}

/// osslsigncode reads our signatures, and we read its; it prints the same digest and checksum.
#[test]
fn osslsigncode_agrees() {
    let directory = directory();
    let (key, certificate) = signer().write(directory.path());
    let der = signer().der();
    let ours = sign(&uki(), &signer().signing(&der, Some(TIME))).unwrap();
    let digest = const_hex::encode_upper(parse(&ours).digest());
    let image = file(directory.path(), "ours.efi", &ours);
    // While the test's certificate was valid.
    let verify_ours = ["verify", "-CAfile", &certificate, "-time", "1010000000", "-in", &image];
    let verdict = run(OSSLSIGNCODE, "osslsigncode", &verify_ours);
    let text = String::from_utf8_lossy(&verdict.stdout).into_owned();
    assert!(text.contains(&digest), "{text}");
    assert!(text.contains("PE checksum") && !text.contains("MISMATCH"), "{text}");
    assert!(text.contains("Signature verification: ok"), "{text}");

    let (unsigned, signed) = (file(directory.path(), "unsigned.efi", &uki()), path(directory.path(), "theirs.efi"));
    let arguments = ["sign", "-h", "sha256", "-key", &key, "-certs", &certificate, "-in", &unsigned, "-out"];
    tool(OSSLSIGNCODE, "osslsigncode", &[&arguments[..], &[&signed[..]]].concat());
    let theirs = fs::read(signed).unwrap();
    let verified = verify(&parse(&theirs), &[&der]).unwrap();
    assert_eq!(verified.signature.digest(), &parse(&uki()).digest());
}

/// OpenSSL's CMS, which knows nothing of Authenticode, verifies the signature over the content once that is outside of
/// it.
#[test]
fn openssl_verifies_the_signature() {
    for identity in [signer(), &Identity::p256("Dolmen P-256 test signer")] {
        let der = identity.der();
        let signed = sign(&uki(), &identity.signing(&der, Some(TIME))).unwrap();
        let (_, info, mut data) = last_signature(&signed);
        let content = data.encap_content_info.econtent.take().unwrap();
        let detached = ContentInfo { content: Any::encode_from(&data).unwrap(), ..info };

        let directory = directory();
        let (_, certificate) = identity.write(directory.path());
        let content = file(directory.path(), "content", content.value());
        let detached = file(directory.path(), "signature.der", &detached.to_der().unwrap());
        let arguments = ["cms", "-verify", "-binary", "-inform", "DER", "-in", &detached, "-content", &content];
        let trust = ["-CAfile", &certificate, "-no_check_time", "-purpose", "any", "-out", "/dev/null"];
        tool("openssl", "openssl", &[&arguments[..], &trust].concat());
    }
}

/// sbattach removes and reads what is there, as we do.
#[test]
fn sbattach_agrees() {
    let directory = directory();
    let der = signer().der();
    let signed = sign(&uki(), &signer().signing(&der, Some(TIME))).unwrap();
    let image = file(directory.path(), "signed.efi", &signed);
    let detached = path(directory.path(), "signature");
    tool(SBSIGNTOOL, "sbattach", &["--detach", &detached, "--remove", &image]);
    assert_eq!(remove(&signed).unwrap(), uki());
    assert_eq!(parse(&fs::read(&image).unwrap()).digest(), parse(&uki()).digest());
    let listed = tool(SBSIGNTOOL, "sbverify", &["--list", &file(directory.path(), "signed.efi", &signed)]);
    assert!(listed.contains("Dolmen test signer"), "{listed}");
}
