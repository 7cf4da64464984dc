//! The signature engines of this program, and in `backends/keys.rs` its devices that keep keys: the only shipped code
//! that names them.
//!
//! Everything else sees `dolmen_accel_api` and `dolmen_hsm_api`. The libraries of others stand beside the engines, for
//! benchmarks.

pub(crate) mod keys;

use std::{fmt, sync::Arc};

use anyhow::Context as _;
use clap::ValueEnum;
use dolmen_accel_api::{Algorithm, BatchVerifier, Hasher};
use dolmen_accel_cpu::{
    CpuConfig, CpuEngine, CpuFeatures,
    cipher::{Sm4Ctr, Sm4Gcm},
};
pub(crate) use dolmen_accel_library::{Library, Signs};
use openssl::cipher_ctx::CipherCtx;

/// An engine by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// The CPU, with all that it can do.
    Cpu,
    /// The CPU, with code that runs on every CPU.
    CpuPortable,
    /// None: one call into a library for each signature.
    Off,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an engine keeps tables of keys that come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Within its bound of memory.
    Kept,
    /// Not at all: every key stays unknown.
    None,
}

/// An engine that runs.
pub(crate) struct Engine {
    /// What verifies.
    pub(crate) verifier: Arc<dyn BatchVerifier>,
    /// What hashes, where the engine does.
    pub(crate) hasher: Option<Arc<dyn Hasher>>,
}

impl Backend {
    /// The name on the command line, in configuration and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuPortable => "cpu-portable",
            Self::Off => "off",
        }
    }

    /// Starts what a box needs: signatures of transactions, and of votes.
    pub(crate) fn node_engine(self) -> anyhow::Result<Arc<dyn BatchVerifier>> {
        let features = match self {
            Self::Cpu => CpuFeatures::detect(),
            Self::CpuPortable => CpuFeatures::PORTABLE,
            Self::Off => return Ok(Arc::new(dolmen_accel_library::baseline())),
        };
        let algorithms = &[Algorithm::EcdsaSecp256k1, Algorithm::Ed25519];
        let config = CpuConfig { features, algorithms, ..CpuConfig::default() };
        Ok(CpuEngine::start(config).with_context(|| format!("start the signature engine {}", self.name()))?)
    }

    /// Starts an engine.
    pub(crate) fn engine(self, tables: Tables) -> anyhow::Result<Engine> {
        let features = match self {
            Self::Cpu => CpuFeatures::detect(),
            Self::CpuPortable => CpuFeatures::PORTABLE,
            Self::Off => {
                return Ok(Engine { verifier: Arc::new(dolmen_accel_library::baseline()), hasher: None });
            }
        };
        let mut config = CpuConfig { features, ..CpuConfig::default() };
        if tables == Tables::None {
            config.table_bytes_max = 0;
        }
        let engine = CpuEngine::start(config).with_context(|| format!("start the engine {}", self.name()))?;
        Ok(Engine { verifier: engine.clone(), hasher: Some(engine) })
    }
}

/// Makes a key that signs test traffic, in the library whose signatures depend on nothing but key and message.
pub(crate) fn signer(algorithm: Algorithm, secret: &[u8; 32]) -> anyhow::Result<Box<dyn Signs>> {
    let library = match algorithm {
        Algorithm::EcdsaSecp256k1 => Library::Libsecp256k1,
        Algorithm::EcdsaP256 | Algorithm::Sm2 => Library::RustCrypto,
        Algorithm::Ed25519 => Library::Ed25519Dalek,
        Algorithm::Bls12381 => Library::Blst,
    };
    library.signer(algorithm, secret).with_context(|| format!("make a key of {algorithm} with {library}"))
}

/// A cipher that benchmarks know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// SM4 in Galois/counter mode (RFC 8998 §3).
    Sm4Gcm,
    /// SM4 in counter mode.
    Sm4Ctr,
    /// AES-128 in Galois/counter mode, for comparison.
    Aes128Gcm,
}

/// Encrypts messages under a key that it has, into buffers that are as long as a message and its tag. The nonces are
/// the number given and those after it.
pub(crate) type Seal = Box<dyn Fn(u64, &[&[u8]], &mut [Vec<u8>]) -> anyhow::Result<()> + Send + Sync>;

impl Cipher {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Sm4Gcm, Self::Sm4Ctr, Self::Aes128Gcm];

    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sm4Gcm => "sm4-gcm",
            Self::Sm4Ctr => "sm4-ctr",
            Self::Aes128Gcm => "aes-128-gcm",
        }
    }

    /// Bytes that a ciphertext is longer than its message.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Sm4Gcm | Self::Aes128Gcm => 16,
            Self::Sm4Ctr => 0,
        }
    }

    /// The mode whose ciphertexts this one's are, but for the tags, because both count from two.
    pub(crate) const fn counter_mode(self) -> Option<Self> {
        match self {
            Self::Sm4Gcm => Some(Self::Sm4Ctr),
            Self::Sm4Ctr | Self::Aes128Gcm => None,
        }
    }

    /// Encryption by an engine, where it has the cipher.
    pub(crate) fn engine(self, backend: Backend, key: &[u8; 16]) -> Option<Seal> {
        match (backend, self) {
            (Backend::Cpu | Backend::CpuPortable, Self::Sm4Gcm) => {
                let cipher = Sm4Gcm::new(key);
                Some(each(move |block, buffer, tag| {
                    let nonce = block.first_chunk().expect("a block has the nonce in it");
                    tag.copy_from_slice(&cipher.seal_in_place(nonce, &[], buffer));
                }))
            }
            (Backend::Cpu | Backend::CpuPortable, Self::Sm4Ctr) => {
                let cipher = Sm4Ctr::new(key);
                Some(each(move |block, buffer, _| cipher.apply(block, buffer)))
            }
            (Backend::Off, _) | (_, Self::Aes128Gcm) => None,
        }
    }

    /// Encryption by a library, where it has the cipher.
    pub(crate) fn library(self, library: Library, key: &[u8; 16]) -> Option<Seal> {
        match library {
            Library::OpenSsl => self.openssl(key),
            _ => None,
        }
    }

    /// Encryption by the OpenSSL of the system; SM4-GCM came with 3.1.
    fn openssl(self, key: &[u8; 16]) -> Option<Seal> {
        let name = match self {
            Self::Sm4Gcm => "SM4-GCM",
            Self::Sm4Ctr => "SM4-CTR",
            Self::Aes128Gcm => "AES-128-GCM",
        };
        let cipher = openssl::cipher::Cipher::fetch(None, name, None).ok()?;
        let (key, tag_len) = (*key, self.tag_len());
        Some(Box::new(move |first, messages, sealed| {
            let mut context = CipherCtx::new()?;
            context.encrypt_init(Some(&cipher), Some(&key), None)?;
            let iv_len = context.iv_length();
            for ((message, sealed), number) in messages.iter().zip(sealed).zip(first..) {
                context.encrypt_init(None, None, Some(&counter_block(number)[..iv_len]))?;
                let (ciphertext, tag) = sealed.split_at_mut(message.len());
                context.cipher_update(message, Some(ciphertext))?;
                if tag_len > 0 {
                    context.cipher_final(&mut [])?;
                    context.tag(tag)?;
                }
            }
            Ok(())
        }))
    }
}

/// Encrypts one message after the other in place, given its [`counter_block`].
fn each(seal: impl Fn(&[u8; 16], &mut [u8], &mut [u8]) + Send + Sync + 'static) -> Seal {
    Box::new(move |first, messages, sealed| {
        for ((message, sealed), number) in messages.iter().zip(sealed).zip(first..) {
            let (buffer, tag) = sealed.split_at_mut(message.len());
            buffer.copy_from_slice(message);
            seal(&counter_block(number), buffer, tag);
        }
        Ok(())
    })
}

/// The nonce of a message in 12 bytes and the number of its first block, which is two in GCM.
fn counter_block(number: u64) -> [u8; 16] {
    let mut block = [0; 16];
    block[4..12].copy_from_slice(&number.to_be_bytes());
    block[15] = 2;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_of_engine_and_library_agree() {
        let key = [7; 16];
        let messages: Vec<Vec<u8>> = (0..40).map(|len| vec![0xa5; len * 7]).collect();
        let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
        let run = |cipher: Cipher, seal: Seal| {
            let mut sealed: Vec<_> = messages.iter().map(|message| vec![0; message.len() + cipher.tag_len()]).collect();
            seal(1 << 40, &messages, &mut sealed).unwrap();
            sealed
        };
        let counter = |seal: Option<Seal>| run(Cipher::Sm4Ctr, seal.unwrap());
        let ours = counter(Cipher::Sm4Ctr.engine(Backend::Cpu, &key));
        assert_eq!(ours, counter(Cipher::Sm4Ctr.library(Library::OpenSsl, &key)));

        let sealed = run(Cipher::Sm4Gcm, Cipher::Sm4Gcm.engine(Backend::Cpu, &key).unwrap());
        for (sealed, ours) in sealed.iter().zip(&ours) {
            assert_eq!(sealed[..ours.len()], *ours, "GCM is counter mode with a tag");
        }
        let tags: std::collections::HashSet<_> =
            sealed.iter().map(|sealed| sealed[sealed.len() - 16..].to_vec()).collect();
        assert_eq!(tags.len(), sealed.len());
        assert!(!tags.contains(&vec![0; 16]));
    }

    #[test]
    fn every_engine_starts_and_verifies_everything() {
        for backend in Backend::value_variants() {
            let engine = backend.engine(Tables::None).unwrap();
            for algorithm in Algorithm::ALL {
                assert!(engine.verifier.capabilities().supports(algorithm), "{} and {algorithm}", backend.name());
                signer(algorithm, &[1; 32]).unwrap();
            }
        }
    }
}
