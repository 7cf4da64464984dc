//! Published vectors, and messages that were changed.

use sm4::cipher::zeroize::ZeroizeOnDrop;

use super::*;

const KEY: [u8; 16] = hex("0123456789abcdeffedcba9876543210");
const PLAINTEXT: [u8; 64] = hex("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
     eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa");

/// Bytes from hexadecimal digits.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut bytes = [0; N];
    let mut i = 0;
    while i < 2 * N {
        let value = match digits[i] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        };
        bytes[i / 2] = bytes[i / 2] << 4 | value;
        i += 1;
    }
    bytes
}

/// SM4 of one block: the first block of CTR's key stream is the encrypted counter.
fn encrypt(cipher: &Sm4Ctr, block: &[u8; 16]) -> [u8; 16] {
    let mut stream = [0; 16];
    cipher.apply(block, &mut stream);
    stream
}

/// GB/T 32907-2016, appendix A.1 and A.2: one encryption and a million, with the key as the first plaintext.
#[test]
fn block_vectors() {
    let cipher = Sm4Ctr::new(&KEY);
    assert_eq!(encrypt(&cipher, &KEY), hex("681edf34d206965e86b3e94f536e4246"));
    let last = (0..1_000_000).fold(KEY, |block, _| encrypt(&cipher, &block));
    assert_eq!(last, hex("595298c7c6fd271f0402f804c33d3f66"));
}

/// Computed with OpenSSL 3.0 (`openssl enc -sm4-ctr`). The second counter runs over the end of 128 bits.
#[test]
fn ctr_vectors() {
    let cipher = Sm4Ctr::new(&KEY);
    let mut buffer = PLAINTEXT;
    cipher.apply(&hex("000102030405060708090a0b0c0d0e0f"), &mut buffer);
    assert_eq!(
        buffer,
        hex("ac3236cb970cc20791364c395a1342d1a3cbc1878c6f30cd074cce385cdd70c7\
             f234bc0e24c11980fd1286310ce37b922a46b894bee4feb79a3822940c935405")
    );
    cipher.apply(&hex("000102030405060708090a0b0c0d0e0f"), &mut buffer);
    assert_eq!(buffer, PLAINTEXT);

    let mut buffer: [u8; 50] = *PLAINTEXT.first_chunk().expect("50 of 64 bytes");
    cipher.apply(&[0xff; 16], &mut buffer);
    assert_eq!(
        buffer,
        hex("c2bb05d4a3d9ce4d3d40fe75e621db4beabb38a7c50dee004a88eecd86097ff7\
             a0b7b51ed1cd53fecd6450a9671767135dfd")
    );
}

/// RFC 8998, appendix A.1.
#[test]
fn gcm_vector() {
    let cipher = Sm4Gcm::new(&KEY);
    let nonce = hex("00001234567800000000abcd");
    let associated_data: [u8; 20] = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let mut buffer = PLAINTEXT;
    let tag = cipher.seal_in_place(&nonce, &associated_data, &mut buffer);
    assert_eq!(
        buffer,
        hex("17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
             d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d")
    );
    assert_eq!(tag, hex("83de3541e4c2b58177e065a9bf7b62ec"));
    assert_eq!(cipher.open_in_place(&nonce, &associated_data, &mut buffer, &tag), Ok(()));
    assert_eq!(buffer, PLAINTEXT);
}

/// GCM encrypts in counter mode from nonce || 2 on, whatever the length.
#[test]
fn gcm_and_ctr_agree() {
    let nonce = [7; 12];
    let mut iv = [0; 16];
    iv[..12].copy_from_slice(&nonce);
    iv[15] = 2;
    for len in 0..=PLAINTEXT.len() {
        let (mut sealed, mut counted) = (PLAINTEXT, PLAINTEXT);
        let tag = Sm4Gcm::new(&KEY).seal_in_place(&nonce, &[], &mut sealed[..len]);
        Sm4Ctr::new(&KEY).apply(&iv, &mut counted[..len]);
        assert_eq!(sealed, counted, "{len} bytes");
        assert_eq!(Sm4Gcm::new(&KEY).open_in_place(&nonce, &[], &mut sealed[..len], &tag), Ok(()));
        assert_eq!(sealed, PLAINTEXT);
    }
}

#[test]
fn every_change_is_refused() {
    let cipher = Sm4Gcm::new(&KEY);
    let (nonce, associated_data) = ([3; 12], [4; 21]);
    let mut sealed: [u8; 33] = *PLAINTEXT.first_chunk().expect("33 of 64 bytes");
    let tag = cipher.seal_in_place(&nonce, &associated_data, &mut sealed);

    let refused = |cipher: &Sm4Gcm, nonce: &[u8; 12], associated_data: &[u8], sealed: &[u8], tag: &[u8; 16]| {
        let mut buffer = sealed.to_vec();
        assert_eq!(cipher.open_in_place(nonce, associated_data, &mut buffer, tag), Err(TagMismatch));
        assert_eq!(buffer, sealed, "left as it was");
    };
    for (byte, bit) in (0..33).flat_map(|byte| (0..8).map(move |bit| (byte, 1 << bit))) {
        let mut changed = sealed;
        changed[byte] ^= bit;
        refused(&cipher, &nonce, &associated_data, &changed, &tag);
        if byte < 21 {
            let mut changed = associated_data;
            changed[byte] ^= bit;
            refused(&cipher, &nonce, &changed, &sealed, &tag);
        }
        if byte < 16 {
            let mut changed = tag;
            changed[byte] ^= bit;
            refused(&cipher, &nonce, &associated_data, &sealed, &changed);
            let mut changed = KEY;
            changed[byte] ^= bit;
            refused(&Sm4Gcm::new(&changed), &nonce, &associated_data, &sealed, &tag);
        }
        if byte < 12 {
            let mut changed = nonce;
            changed[byte] ^= bit;
            refused(&cipher, &changed, &associated_data, &sealed, &tag);
        }
    }
    refused(&cipher, &nonce, &associated_data, &sealed[..32], &tag);
    refused(&cipher, &nonce, &associated_data[..20], &sealed, &tag);
}

#[test]
fn keys_are_erased_and_not_shown() {
    // The libraries erase their keys only with their feature `zeroize`; without it this does not compile.
    fn erased<T: ZeroizeOnDrop>() {}
    erased::<AesGcm<Sm4, U12>>();
    erased::<Sm4>();

    assert_eq!(format!("{:?}", Sm4Gcm::new(&KEY)), "Sm4Gcm { .. }");
    assert_eq!(format!("{:?}", Sm4Ctr::new(&KEY)), "Sm4Ctr { .. }");
}
