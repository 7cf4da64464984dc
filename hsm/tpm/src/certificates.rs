//! Certificates in the TPM's memory: those of the IDevID, and what is above the maker's of the endorsement key.

use dolmen_hsm_api::{KeyError, KeyUri};
use sha2::{Digest as _, Sha256};
use tss_esapi::constants::NvIndexType;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, Reader as _, SliceReader},
};

use crate::{
    connection::Connection,
    nv::{self, IDEVID_CERTIFICATES, Index},
    reason::Failure,
};

/// Certificates of one path: the key's, its authorities', and a root.
pub(crate) const PATH_MAX: usize = 5;
/// Bytes of a path. Indices of TPMs have some 2,048, and a certificate 600 to 800.
const PATH_BYTES_MAX: usize = 16 << 10;
/// What memory holds that was not written yet.
const BLANK: u8 = 0xff;
/// `SubjectPublicKeyInfo` of a P-256 key up to the coordinates of its point (RFC 5480 §2).
const P256_INFO: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The certificates that some bytes begin with, one after the other, DER. What follows is not looked at: memory of a
/// fixed size is padded.
pub(crate) fn split(content: &[u8], max: usize) -> Vec<&[u8]> {
    let mut certificates = Vec::new();
    let Ok(mut reader) = SliceReader::new(content) else { return certificates };
    while certificates.len() < max
        && let Ok(der) = reader.tlv_bytes()
        && Certificate::from_der(der).is_ok()
    {
        certificates.push(der);
    }
    certificates
}

/// Whether a certificate, DER, is of a P-256 key, `x || y`.
fn is_of(der: &[u8], point: &[u8]) -> bool {
    let info = Certificate::from_der(der)
        .and_then(|certificate| certificate.tbs_certificate().subject_public_key_info().to_der());
    info.is_ok_and(|info| info == [&P256_INFO[..], point].concat())
}

/// The path that an index holds for a key; empty where it holds something else.
fn path_of<'a>(content: &'a [u8], point: &[u8]) -> Vec<&'a [u8]> {
    let path = split(content, PATH_MAX);
    if path.first().is_some_and(|own| is_of(own, point)) { path } else { Vec::new() }
}

/// The certificate of a key and those above it, of the first index that has any.
pub(crate) fn read(connection: &mut Connection, point: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    for index in nv::list(connection, &IDEVID_CERTIFICATES)? {
        let content = nv::read(connection, &index)?;
        let path = path_of(&content, point);
        if !path.is_empty() {
            return Ok(path.into_iter().map(<[u8]>::to_vec).collect());
        }
    }
    Ok(Vec::new())
}

/// Why certificates are not written.
pub(crate) fn refused(uri: &KeyUri, reason: impl Into<String>) -> KeyError {
    KeyError::Policy { what: format!("the TPM's place for the certificate of {uri}"), reason: reason.into() }
}

/// Looks at a path that is to be written: certificates in DER and nothing else, the first one of this key.
pub(crate) fn check(uri: &KeyUri, point: &[u8], path: &[&[u8]]) -> Result<(), KeyError> {
    let Some(own) = path.first() else {
        return Err(refused(uri, "there is no certificate to write; have its authority issue one"));
    };
    if path.len() > PATH_MAX {
        return Err(refused(uri, format!("{} certificates are given; leave away all but {PATH_MAX}", path.len())));
    }
    for (at, der) in path.iter().enumerate() {
        if der.len() > PATH_BYTES_MAX || Certificate::from_der(der).is_err() {
            let which = at + 1;
            return Err(refused(
                uri,
                format!("number {which} of what is given is no certificate; write certificates in DER, each by itself"),
            ));
        }
    }
    if !is_of(own, point) {
        return Err(refused(
            uri,
            "the certificate is of another key; have one issued for a request that this TPM's key signed",
        ));
    }
    Ok(())
}

/// Writes a path that was [checked](check), where there is none yet. The same one again, or the beginning of what is
/// there, changes nothing; one that was cut off is completed.
pub(crate) fn write(connection: &mut Connection, uri: &KeyUri, point: &[u8], path: &[&[u8]]) -> Result<(), Failure> {
    let wanted = path.concat();
    let indices = nv::list(connection, &IDEVID_CERTIFICATES)?;
    for index in &indices {
        let content = nv::read(connection, index)?;
        if is_begun(index, &content, &wanted) {
            return nv::write(connection, index.handle, &wanted);
        }
        let found = path_of(&content, point);
        if found.starts_with(path) {
            return Ok(());
        }
        if let Some(own) = found.first() {
            return Err(another(uri, index, own).into());
        }
    }
    let taken: Vec<u32> = indices.iter().map(|index| index.number).collect();
    let Some(free) = IDEVID_CERTIFICATES.clone().find(|number| !taken.contains(number)) else {
        return Err(refused(
            uri,
            format!(
                "the indices {:#010x} to {:#010x} are all taken; remove one that nothing needs with `tpm2_nvundefine`",
                IDEVID_CERTIFICATES.start(),
                IDEVID_CERTIFICATES.end()
            ),
        )
        .into());
    };
    let max = nv::index_bytes_max(connection)?;
    let bytes = u16::try_from(wanted.len()).ok().filter(|bytes| usize::from(*bytes) <= max);
    let bytes = bytes.ok_or_else(|| {
        refused(
            uri,
            format!(
                "{} bytes are to be written and an index of this TPM has {max}; leave away certificates from the root on",
                wanted.len()
            ),
        )
    })?;
    let index = nv::define(connection, free, NvIndexType::Ordinary, bytes)?;
    nv::write(connection, index, &wanted)
}

/// Whether an index is one that [`write`] made for this path and did not fill: nothing but its beginning is there.
fn is_begun(index: &Index, content: &[u8], wanted: &[u8]) -> bool {
    if index.bytes != wanted.len() || !index.attributes.owner_write() {
        return false;
    }
    if !index.attributes.written() {
        return index.attributes == nv::attributes(NvIndexType::Ordinary);
    }
    let same = content.iter().zip(wanted).take_while(|(there, wanted)| there == wanted).count();
    (1..wanted.len()).contains(&same) && content[same..].iter().all(|byte| *byte == BLANK)
}

fn another(uri: &KeyUri, index: &Index, own: &[u8]) -> KeyError {
    let [shown, digits] = [const_hex::encode(Sha256::digest(own)), format!("{:#010x}", index.number)];
    refused(
        uri,
        format!(
            "the index {digits} holds another certificate or path of this key (SHA-256 {shown}), which is never replaced; \
             where the maker wants to, `tpm2_nvundefine {digits}` removes it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use openssl::{
        asn1::Asn1Time,
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::PKey,
        x509::X509Builder,
    };

    use super::*;

    /// A certificate and the point of its key.
    fn certificate() -> (Vec<u8>, Vec<u8>) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let info = key.public_key_to_der().unwrap();
        (builder.build().to_der().unwrap(), info[P256_INFO.len()..].to_vec())
    }

    #[test]
    fn paths_are_split_and_known_by_their_key() {
        let ((one, key), (two, other)) = (certificate(), certificate());
        for padding in [&[][..], &[0; 9], &[BLANK; 9], &two[..two.len() - 1]] {
            let content = [&one[..], &two, padding].concat();
            assert_eq!(split(&content, PATH_MAX), [&one[..], &two]);
            assert_eq!(path_of(&content, &key), [&one[..], &two]);
            assert!(path_of(&content, &other).is_empty());
        }
        assert_eq!(split(&[&one[..], &two].concat(), 1), [&one[..]]);
        for content in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0], &one[1..]] {
            assert!(split(content, PATH_MAX).is_empty(), "{content:?}");
        }
    }

    #[test]
    fn what_is_no_path_of_the_key_is_refused() {
        let ((one, key), (two, _)) = (certificate(), certificate());
        let uri = "tpm:idevid".parse().unwrap();
        let refused = |path: &[&[u8]]| check(&uri, &key, path).unwrap_err().to_string();
        check(&uri, &key, &[&one]).unwrap();
        check(&uri, &key, &[&one, &two]).unwrap();
        assert!(refused(&[]).contains("there is no certificate"));
        assert!(refused(&[&two, &one]).contains("of another key"));
        assert!(refused(&[&one[..]; 6]).contains("all but 5"));
        let padded = [&one[..], &[0]].concat();
        for bad in [&padded[..], &one[1..], &[], &vec![0x30; PATH_BYTES_MAX + 1]] {
            assert!(refused(&[&one, bad]).contains("number 2 of what is given is no certificate"));
        }
    }
}
