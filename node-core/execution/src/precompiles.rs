//! The precompiled contracts: Ethereum's at the [`FORK`], and one that checks Ed25519 signatures.
//!
//! ED25519VERIFY stands at [`dolmen_governance::ED25519_VERIFY`]. Input: the public key (32 bytes), the signature (64
//! bytes), the message (any length). Output: 32 bytes that say 1 where the signature holds, nothing where it does not,
//! as P256VERIFY answers (EIP-7951). It costs 3,000 gas and 12 for each 32 bytes of the message. Signatures are checked as
//! in ZIP 215, like votes: every box agrees on each.

use std::sync::OnceLock;

use alloy_primitives::{B256, Bytes};
use curve25519_dalek::{edwards::CompressedEdwardsY, edwards::EdwardsPoint, scalar::Scalar, traits::IsIdentity as _};
use dolmen_governance::ED25519_VERIFY;
use revm::{
    handler::EthPrecompiles,
    precompile::{
        EthPrecompileOutput, EthPrecompileResult, Precompile, PrecompileHalt, PrecompileId, PrecompileSpecId,
        Precompiles, eth_precompile_fn,
    },
};
use sha2::{Digest as _, Sha512};

use crate::FORK;

/// About what SM2 and P-256 would cost by time, to EIP-7951's 6,900.
const BASE_GAS: u64 = 3000;
/// As SHA-256 (0x02), which hashes twice as fast as SHA-512 on 32-bit machines and half as fast elsewhere.
const WORD_GAS: u64 = 12;

/// What an EVM of this chain is given.
pub(crate) fn precompiles() -> EthPrecompiles {
    EthPrecompiles { precompiles: all(), spec: FORK }
}

/// All of them.
pub(crate) fn all() -> &'static Precompiles {
    static ALL: OnceLock<Precompiles> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = Precompiles::new(PrecompileSpecId::from(FORK)).clone();
        all.extend([Precompile::new(
            PrecompileId::Custom("ED25519VERIFY".into()),
            ED25519_VERIFY,
            ed25519_verify_precompile,
        )]);
        all
    })
}

eth_precompile_fn!(ed25519_verify_precompile, ed25519_verify);

fn ed25519_verify(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    let words = input.len().saturating_sub(96).div_ceil(32) as u64;
    let gas = BASE_GAS.saturating_add(words.saturating_mul(WORD_GAS));
    if gas > gas_limit {
        return Err(PrecompileHalt::OutOfGas);
    }
    let valid = is_valid(input).unwrap_or(false);
    let output = if valid { Bytes::from(B256::with_last_byte(1)) } else { Bytes::new() };
    Ok(EthPrecompileOutput::new(gas, output))
}

/// ZIP 215: points in any encoding, the scalar below the order, and the equation with its cofactor. `None` where the input
/// has not the form.
fn is_valid(input: &[u8]) -> Option<bool> {
    let (key, rest) = input.split_first_chunk::<32>()?;
    let (commitment, rest) = rest.split_first_chunk::<32>()?;
    let (scalar, message) = rest.split_first_chunk::<32>()?;
    let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(*scalar))?;
    let point = |bytes: &[u8; 32]| CompressedEdwardsY(*bytes).decompress();
    let (public, commitment_point) = (point(key)?, point(commitment)?);
    let mut hash = Sha512::new();
    hash.update(commitment);
    hash.update(key);
    hash.update(message);
    let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let found = EdwardsPoint::vartime_double_scalar_mul_basepoint(&challenge, &-public, &scalar);
    Some((found - commitment_point).mul_by_cofactor().is_identity())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    /// RFC 8032, section 7.1, test 2.
    const KEY: [u8; 32] = hex!("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const SIGNATURE: [u8; 64] = hex!(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );

    fn output(input: &[u8]) -> Vec<u8> {
        ed25519_verify(input, 1_000_000).unwrap().bytes.to_vec()
    }

    #[test]
    fn a_signature_is_told_from_others() {
        let good = [&KEY[..], &SIGNATURE, &[0x72]].concat();
        assert_eq!(output(&good), B256::with_last_byte(1).0);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(output(&bad).is_empty(), "byte {place}");
        }
        for len in 0..good.len() {
            assert!(output(&good[..len]).is_empty(), "{len} bytes");
        }
    }

    /// The scalar plus the order: the same to a checker that reduces it.
    #[test]
    fn a_scalar_has_one_encoding() {
        let order = hex!("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut input = [&KEY[..], &SIGNATURE, &[0x72]].concat();
        let mut carry = 0;
        for (byte, add) in input[64..96].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(output(&input).is_empty());
    }

    #[test]
    fn gas_follows_the_message() {
        let gas = |len: usize| ed25519_verify(&vec![0; len], u64::MAX).unwrap().gas_used;
        assert_eq!([gas(0), gas(96), gas(97), gas(128), gas(129)], [3000, 3000, 3012, 3012, 3024]);
        assert!(ed25519_verify(&[0; 97], 3011).is_err());
    }
}
