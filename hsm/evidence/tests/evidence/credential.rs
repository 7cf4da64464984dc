//! Credentials, opened with the endorsement keys' secrets as `TPM2_ActivateCredential` opens them.
//!
//! The opening is written anew from Part 1 §24 and shares no code with the crate. It opens what swtpm wrapped; then
//! what it opens of ours is what a TPM would open.

use dolmen_hsm_evidence::{Credential, EvidenceError, Public, PublicKey, make_credential};
use openssl::{
    bn::BigNum,
    derive::Deriver,
    ec::{EcGroup, EcKey},
    encrypt::Decrypter,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Padding,
    sign::Signer,
    symm::{self, Cipher},
};

use crate::support::{BOUND, DECRYPT, RESTRICTED, SIGN, SoftKey, public, sized, vector, words};

const KEYS: [&str; 3] = ["p256", "p384", "rsa2048"];

/// An endorsement key by one of the usual templates whose secret is in a file.
struct KnownKey {
    public: Public,
    secret: PKey<Private>,
    digest: MessageDigest,
    cipher: Cipher,
    /// Of an elliptic curve.
    curve: Option<(Nid, usize)>,
}

impl KnownKey {
    fn load(name: &str) -> Self {
        let secret = PKey::private_key_from_der(&vector(&format!("known_{name}.key"))).expect("a key");
        let (digest, cipher) = match name {
            "p384" => (MessageDigest::sha384(), Cipher::aes_256_cfb128()),
            _ => (MessageDigest::sha256(), Cipher::aes_128_cfb128()),
        };
        let curve = match name {
            "p256" => Some((Nid::X9_62_PRIME256V1, 32)),
            "p384" => Some((Nid::SECP384R1, 48)),
            _ => None,
        };
        Self { public: public(&format!("known_{name}")), secret, digest, cipher, curve }
    }

    /// The secret in a credential for the key with this name; none if it is for another.
    fn open(&self, name: &[u8], credential: &Credential) -> Option<Vec<u8>> {
        let seed = match self.curve {
            Some((nid, length)) => self.seed_by_ecdh(nid, length, &credential.encrypted_secret),
            None => self.seed_by_rsa(&credential.encrypted_secret),
        };
        let (authentication, rest) = take_sized(&credential.id_object);
        let key = self.kdfa(&seed, b"INTEGRITY\0", b"", self.digest.size());
        if self.hmac(&key, &[rest, name].concat()) != authentication {
            return None;
        }
        let key = self.kdfa(&seed, b"STORAGE\0", name, self.cipher.key_len());
        let plain = symm::decrypt(self.cipher, &key, Some(&[0; 16]), rest).expect("AES");
        let (secret, rest) = take_sized(&plain);
        assert!(rest.is_empty(), "nothing follows the secret");
        Some(secret.to_vec())
    }

    fn seed_by_ecdh(&self, nid: Nid, length: usize, encrypted: &[u8]) -> Vec<u8> {
        let (x, rest) = take_sized(encrypted);
        let (y, rest) = take_sized(rest);
        assert_eq!((x.len(), y.len(), rest.len()), (length, length, 0), "coordinates are padded");
        let group = EcGroup::from_curve_name(nid).expect("a curve");
        let [point_x, point_y] = [x, y].map(|number| BigNum::from_slice(number).expect("a number"));
        let point = EcKey::from_public_key_affine_coordinates(&group, &point_x, &point_y).expect("a point");
        let point = PKey::from_ec_key(point).expect("a key");
        let mut deriver = Deriver::new(&self.secret).expect("a key");
        deriver.set_peer(&point).expect("a peer");
        let z = deriver.derive_to_vec().expect("a secret");
        let PublicKey::Ecc { x: own, .. } = self.public.key() else { panic!("a point") };
        let kdfe: [&[u8]; 5] = [&[0, 0, 0, 1], &z, b"IDENTITY\0", x, own];
        hash(self.digest, &kdfe.concat()).expect("a digest").to_vec()
    }

    fn seed_by_rsa(&self, encrypted: &[u8]) -> Vec<u8> {
        let mut decrypter = Decrypter::new(&self.secret).expect("a key");
        decrypter.set_rsa_padding(Padding::PKCS1_OAEP).expect("OAEP");
        decrypter.set_rsa_oaep_md(self.digest).expect("OAEP");
        decrypter.set_rsa_mgf1_md(self.digest).expect("OAEP");
        decrypter.set_rsa_oaep_label(b"IDENTITY\0").expect("OAEP");
        let mut seed = vec![0; decrypter.decrypt_len(encrypted).expect("a length")];
        let length = decrypter.decrypt(encrypted, &mut seed).expect("a seed");
        seed.truncate(length);
        seed
    }

    /// One round is enough for every key here.
    fn kdfa(&self, key: &[u8], label: &[u8], context: &[u8], length: usize) -> Vec<u8> {
        let bits = u32::try_from(8 * length).expect("short").to_be_bytes();
        let message: [&[u8]; 4] = [&[0, 0, 0, 1], label, context, &bits];
        let mut out = self.hmac(key, &message.concat());
        out.truncate(length);
        out
    }

    fn hmac(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let key = PKey::hmac(key).expect("a key");
        let mut signer = Signer::new(self.digest, &key).expect("HMAC");
        signer.update(message).expect("HMAC");
        signer.sign_to_vec().expect("HMAC")
    }
}

fn take_sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<2>().expect("a length");
    rest.split_at(usize::from(u16::from_be_bytes(*length)))
}

#[test]
fn what_swtpm_wrapped_opens() {
    let name = vector("ak_p256.name");
    for key in KEYS {
        let file = vector(&format!("known_{key}.cred"));
        let credential = Credential::from_file(&file).unwrap();
        assert_eq!(credential.to_file().unwrap(), file, "{key}");
        let secret = KnownKey::load(key).open(&name, &credential).unwrap();
        assert_eq!(secret, b"a secret that swtpm wrapped 0123", "{key}");
    }
}

#[test]
fn what_we_wrap_opens_for_that_key_alone() {
    for key in KEYS {
        let ek = KnownKey::load(key);
        for (ak, other) in [("ak_p256", "ak_rsa2048"), ("ak_p384", "ak_p256")] {
            let (name, other) = (public(ak).name(), public(other).name());
            for secret in [&b"s"[..], b"a secret of as many bytes as key"] {
                let credential = make_credential(&ek.public, &name, secret).unwrap();
                assert_eq!(ek.open(&name, &credential).unwrap(), secret, "{key}, {ak}");
                assert_eq!(ek.open(&other, &credential), None, "{key}, {ak}");
                // Each has a seed of its own.
                assert_ne!(make_credential(&ek.public, &name, secret).unwrap(), credential, "{key}, {ak}");
            }
        }
    }
}

#[test]
fn endorsement_keys_of_a_tpm_are_taken() {
    let name = vector("ak_p256.name");
    for (key, id_object, encrypted_secret) in [("p256", 68, 68), ("p384", 84, 100), ("rsa2048", 68, 256)] {
        let credential = make_credential(&public(&format!("ek_{key}")), &name, &[7; 32]).unwrap();
        let lengths = (credential.id_object.len(), credential.encrypted_secret.len());
        assert_eq!(lengths, (id_object, encrypted_secret), "{key}");
        assert_eq!(Credential::from_file(&credential.to_file().unwrap()).unwrap(), credential, "{key}");
    }
}

#[test]
fn secrets_are_as_long_as_a_digest_at_most() {
    let name = vector("ak_p256.name");
    for (key, limit) in [("p256", 32), ("p384", 48), ("rsa2048", 32)] {
        let wrap = |length: usize| make_credential(&public(&format!("ek_{key}")), &name, &vec![7; length]);
        wrap(limit).unwrap();
        for length in [0, limit + 1, 70_000] {
            let refused = wrap(length).unwrap_err();
            assert!(matches!(refused, EvidenceError::SecretLength { found, .. } if found == length), "{refused}");
        }
    }
}

#[test]
fn only_endorsement_keys_and_names_are_taken() {
    let (ek, name) = (public("ek_p256"), vector("ak_p256.name"));
    for key in ["ak_p256", "device_p256"] {
        let refused = make_credential(&public(key), &name, b"secret").unwrap_err();
        assert!(matches!(refused, EvidenceError::MissingAttribute { role: "endorsement", .. }), "{key}: {refused}");
    }
    let signs = SoftKey::generate().public(BOUND | RESTRICTED | DECRYPT | SIGN);
    let refused = make_credential(&signs, &name, b"secret").unwrap_err();
    assert!(matches!(refused, EvidenceError::UnwantedAttribute { attribute: "sign", .. }), "{refused}");
    // One that protects nothing under it.
    let bare = SoftKey::generate().public(BOUND | RESTRICTED | DECRYPT);
    let refused = make_credential(&bare, &name, b"secret").unwrap_err();
    assert!(matches!(refused, EvidenceError::Unsupported { id: 0x0010, .. }), "{refused}");
    // On SM2's curve, and with SM4.
    let sm2 = [vector("ek_p256.pub")[2..52].to_vec(), vector("ak_sm2.pub")[18..].to_vec()].concat();
    let refused = make_credential(&Public::from_tpmt(&sm2).unwrap(), &name, b"secret").unwrap_err();
    assert!(matches!(refused, EvidenceError::Unsupported { id: 0x0020, .. }), "{refused}");
    let mut sm4 = vector("ek_p256.pub");
    sm4[44..46].copy_from_slice(&words(&[0x0013]));
    let refused = make_credential(&Public::from_tpm2b(&sm4).unwrap(), &name, b"secret").unwrap_err();
    assert!(matches!(refused, EvidenceError::Unsupported { id: 0x0013, .. }), "{refused}");

    let long = [&name[..], &[0_u8][..]].concat();
    for bad in [&b""[..], &name[..33], &long[..], b"\x00\x04aaaaaaaaaaaaaaaaaaaa", &[0; 99]] {
        let refused = make_credential(&ek, bad, b"secret").unwrap_err();
        let named = matches!(
            refused,
            EvidenceError::Truncated { .. }
                | EvidenceError::Trailing { .. }
                | EvidenceError::Unsupported { .. }
                | EvidenceError::TooLong { .. }
        );
        assert!(named, "{bad:?}: {refused}");
    }
}

#[test]
fn other_files_are_refused() {
    let file = vector("known_p256.cred");
    for at in [0, 7] {
        let mut other = file.clone();
        other[at] ^= 1;
        assert!(matches!(Credential::from_file(&other), Err(EvidenceError::Malformed { .. })), "{at}");
    }
    assert!(matches!(Credential::from_file(&file[..140]), Err(EvidenceError::Truncated { .. })));
    let long = [&file[..], &[0_u8][..]].concat();
    assert!(matches!(Credential::from_file(&long), Err(EvidenceError::Trailing { .. })));
    let huge = Credential { id_object: vec![0; 65_536], encrypted_secret: sized(b"") };
    assert!(matches!(huge.to_file(), Err(EvidenceError::TooLong { .. })));
}
