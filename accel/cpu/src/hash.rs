//! SM3, Keccak-256, SHA-256 and SHA-512 of many short messages at once.
//!
//! A message is the concatenation of `N` parts, so that a prefix or a key need not be copied in front of it. Lengths may
//! differ from message to message. Nothing is allocated. Meant for public data: buffers on the stack are not erased.
//!
//! Each compression function is written once, generic over the word it computes with: an integer, or a vector that
//! carries the words of several messages.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cursor;
mod function;
mod keccak;
mod sha2;
#[cfg(target_arch = "x86_64")]
mod sha2_rounds;
mod sm3;
#[cfg(target_arch = "x86_64")]
mod wide;
mod word;

#[cfg(test)]
mod tests;

use self::{
    keccak::Keccak256,
    sha2::{Sha256, Sha512},
    sm3::Sm3,
};
use crate::detect::Lanes;

/// Defines a hash function of many messages and one of a single message.
macro_rules! hash {
    ($(#[$doc:meta])* $many:ident, $one:ident, $function:ident, $len:literal) => {
        $(#[$doc])*
        ///
        /// `digests[i]` becomes the digest of `messages[i]`.
        ///
        /// # Panics
        ///
        /// If the two slices differ in length.
        pub fn $many<const N: usize>(lanes: Lanes, messages: &[[&[u8]; N]], digests: &mut [[u8; $len]]) {
            assert_eq!(messages.len(), digests.len(), "one digest for each message");
            match lanes {
                Lanes::Scalar => function::scalar::<$function, _, N>(messages, digests),
                #[cfg(target_arch = "x86_64")]
                Lanes::Avx2(cpu) => wide::wide::<$function, _, _, _, N>(cpu, messages, digests),
                #[cfg(target_arch = "x86_64")]
                Lanes::Avx512(cpu) => wide::wide::<$function, _, _, _, N>(cpu, messages, digests),
            }
        }

        #[doc = concat!("[`", stringify!($many), "()`] of one message.")]
        #[must_use]
        pub fn $one<const N: usize>(parts: [&[u8]; N]) -> [u8; $len] {
            let mut digest = [[0; $len]];
            function::scalar::<$function, _, N>(&[parts], &mut digest);
            let [digest] = digest;
            digest
        }
    };
}

hash! {
    /// SM3 (GB/T 32905-2016).
    sm3, sm3_one, Sm3, 32
}
hash! {
    /// Keccak-256 as in Ethereum, with the padding of the original submission.
    keccak256, keccak256_one, Keccak256, 32
}
hash! {
    /// SHA-256 (FIPS 180-4).
    sha256, sha256_one, Sha256, 32
}
hash! {
    /// SHA-512 (FIPS 180-4).
    sha512, sha512_one, Sha512, 64
}
