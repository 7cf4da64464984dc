//! What SM2 hashes before it signs.
//!
//! Devices can hash too ([`Session::sm3_with_identity`](crate::Session::sm3_with_identity)), but a message would cross
//! the bus to spare a CPU a microsecond.

use sm3::{Digest as _, Sm3};

/// The default identity (GB/T 35276-2017 §10).
pub(crate) const IDENTITY: &[u8; 16] = b"1234567812345678";
/// Its length in bits, as it is hashed.
const IDENTITY_BITS: u16 = 128;
/// `a`, `b` and the generator of the curve (GB/T 32918.5-2017 §2).
const CURVE: [u64; 16] = [
    0xffff_fffe_ffff_ffff,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_fffc,
    0x28e9_fa9e_9d9f_5e34,
    0x4d5a_9e4b_cf65_09a7,
    0xf397_89f5_15ab_8f92,
    0xddbc_bd41_4d94_0e93,
    0x32c4_ae2c_1f19_8119,
    0x5f99_0446_6a39_c994,
    0x8fe3_0bbf_f266_0be1,
    0x715a_4589_334c_74c7,
    0xbc37_36a2_f4f6_779c,
    0x59bd_cee3_6b69_2153,
    0xd0a9_877c_c62a_4740,
    0x02df_32e5_2139_f0a0,
];

/// `Z` of a public key (GB/T 32918.2-2016 §5.5).
pub(crate) fn z(public_key: &[u8; 64]) -> [u8; 32] {
    let mut hash = Sm3::new();
    hash.update(IDENTITY_BITS.to_be_bytes());
    hash.update(IDENTITY);
    for word in CURVE {
        hash.update(word.to_be_bytes());
    }
    hash.update(public_key);
    hash.finalize().into()
}

/// `e`, which is signed in the message's place (§6.1 there).
pub(crate) fn e(z: &[u8; 32], message: &[u8]) -> [u8; 32] {
    Sm3::new().chain_update(z).chain_update(message).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GB/T 32918.5-2017, appendix A.2.
    #[test]
    fn the_standards_example_is_hashed_to_its_e() {
        let key = "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
                   ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
        let z = z(&const_hex::decode_to_array(key).unwrap());
        assert_eq!(const_hex::encode(z), "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3");
        let e = const_hex::encode(e(&z, b"message digest"));
        assert_eq!(e, "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
    }
}
