//! The engine: one verifier per algorithm, put together for the CPU it runs on.

use std::{sync::Arc, time::Instant};

use dolmen_accel_api::{
    Address, Algorithm, BatchVerifier, Capabilities, Counters, EngineError, HashAlgorithm, Hasher, KeyCache,
    KeyCacheUsage, RecoverJob, Verdict, VerifyJob, self_test,
};

#[cfg(target_arch = "x86_64")]
use crate::arith::Adx;
use crate::{
    arith::{Arith, Portable},
    bls,
    builder::Builder,
    cache::Cache,
    comb::{self, Table},
    curve::{Edwards25519, P256, Secp256k1, Sm2},
    detect::{CpuFeatures, Ifma, Lanes},
    ecdsa::{EcdsaP256, EcdsaSecp256k1},
    ed25519::Ed25519,
    hash,
    point::Affine,
    sm2::Sm2Signatures,
    weierstrass::{BLOCK, Scheme, Verifier},
};

/// Bits of a window in the tables of the base points, which every signature uses: 11.5 MB each, two entries fewer in each
/// sum than with 13 bits and 4.7 MB.
const GENERATOR_WIDTH: usize = 15;

/// Settings of a [`CpuEngine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuConfig {
    /// Instructions that it may use.
    pub features: CpuFeatures,
    /// Bytes of tables of known keys, for each algorithm. Without room for a table every key is treated as unknown.
    pub table_bytes_max: usize,
    /// What it verifies. Each but BLS takes some megabytes for the table of its base point, and some time at the start.
    pub algorithms: &'static [Algorithm],
}

impl Default for CpuConfig {
    /// What the CPU has, and tables for 16 hot keys with the widest windows or 64 keys with wide ones.
    fn default() -> Self {
        Self { features: CpuFeatures::detect(), table_bytes_max: 64 << 20, algorithms: &Algorithm::ALL }
    }
}

/// What an algorithm's verifier does, whatever arithmetic it runs on.
trait Keyed: Send + Sync {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]);
    fn prepare(&self, keys: &[&[u8]]) -> usize;
    fn usage(&self) -> KeyCacheUsage;
    fn forget(&self);
}

/// The verifier that can also recover.
trait Recovering: Keyed {
    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]);
}

impl<A: Arith, S: Scheme> Keyed for Verifier<A, S> {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        Verifier::verify(self, jobs, verdicts);
    }

    fn prepare(&self, keys: &[&[u8]]) -> usize {
        Verifier::prepare(self, keys)
    }

    fn usage(&self) -> KeyCacheUsage {
        self.cache.usage()
    }

    fn forget(&self) {
        self.cache.forget();
    }
}

impl<A: Arith<Curve = Secp256k1>> Recovering for Verifier<A, EcdsaSecp256k1> {
    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) {
        Verifier::recover(self, jobs, signers);
    }
}

impl<A: Arith<Curve = Edwards25519>> Keyed for Ed25519<A> {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        Ed25519::verify(self, jobs, verdicts);
    }

    fn prepare(&self, keys: &[&[u8]]) -> usize {
        Ed25519::prepare(self, keys)
    }

    fn usage(&self) -> KeyCacheUsage {
        self.cache.usage()
    }

    fn forget(&self) {
        self.cache.forget();
    }
}

/// Makes the parts of a verifier.
struct Parts {
    config: CpuConfig,
    lanes: Lanes,
    builder: Builder,
    counters: Arc<Counters>,
}

impl Parts {
    /// Whether to use MULX and ADX, which the CPU must have.
    #[cfg(target_arch = "x86_64")]
    fn adx(&self) -> bool {
        self.config.features.adx && crate::detect::Adx::detect().is_some()
    }

    /// The 52-bit multiply-add, if it is to be used.
    fn ifma(&self) -> Option<Ifma> {
        self.config.features.ifma.then(Ifma::detect).flatten()
    }

    fn cache<A: Arith>(&self, extra: fn(&[u8; 64]) -> [u8; 32], has_address: bool) -> Cache<A> {
        let CpuConfig { table_bytes_max, .. } = self.config;
        Cache::new(table_bytes_max, extra, has_address, self.builder.clone(), Arc::clone(&self.counters))
    }

    fn generator<A: Arith>(&self, cache: &Cache<A>) -> Arc<Table<A>> {
        Arc::new(Table::new(&Affine::generator(), &comb::layout::<A::Curve>(GENERATOR_WIDTH), cache.pool()))
    }

    fn weierstrass<A: Arith, S: Scheme>(&self) -> Verifier<A, S> {
        let cache = self.cache(S::extra, S::HAS_ADDRESS);
        Verifier::new(self.generator(&cache), cache, self.lanes, self.ifma(), Arc::clone(&self.counters))
    }

    fn ed25519<A: Arith<Curve = Edwards25519>>(&self) -> Ed25519<A> {
        let cache = self.cache(|_| [0; 32], false);
        Ed25519::new(self.generator(&cache), cache, self.lanes, self.ifma(), Arc::clone(&self.counters))
    }
}

/// Signature verification and hashing on the calling thread's CPU.
pub struct CpuEngine {
    capabilities: Capabilities,
    parts: Parts,
    secp256k1: Option<Box<dyn Recovering>>,
    p256: Option<Box<dyn Keyed>>,
    sm2: Option<Box<dyn Keyed>>,
    ed25519: Option<Box<dyn Keyed>>,
}

/// The verifier of a curve, with the arithmetic that the CPU has.
macro_rules! on_this_cpu {
    ($parts:ident.$make:ident, $curve:ident $(, $scheme:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        let adx = $parts.adx().then(|| Box::new($parts.$make::<Adx<$curve> $(, $scheme)?>()) as _);
        #[cfg(not(target_arch = "x86_64"))]
        let adx = None;
        adx.unwrap_or_else(|| Box::new($parts.$make::<Portable<$curve> $(, $scheme)?>()) as _)
    }};
}

impl CpuEngine {
    /// Makes an engine and lets it prove itself on known answers.
    ///
    /// # Errors
    ///
    /// [`EngineError::SelfTest`] if this CPU computes something else than it should.
    pub fn start(config: CpuConfig) -> Result<Arc<Self>, EngineError> {
        let lanes = config.features.lanes();
        let parts = Parts { config, lanes, builder: Builder::start(), counters: Arc::default() };
        let has = |algorithm| config.algorithms.contains(&algorithm);
        let engine = Self {
            capabilities: Capabilities {
                name: if config.features == CpuFeatures::PORTABLE { "cpu-portable" } else { "cpu" },
                description: format!("{}; hashes in {lanes} lanes", config.features),
                algorithms: config.algorithms.to_vec(),
                batch_preferred: 4 * BLOCK,
                known_keys: true,
            },
            secp256k1: has(Algorithm::EcdsaSecp256k1)
                .then(|| on_this_cpu!(parts.weierstrass, Secp256k1, EcdsaSecp256k1)),
            p256: has(Algorithm::EcdsaP256).then(|| on_this_cpu!(parts.weierstrass, P256, EcdsaP256)),
            sm2: has(Algorithm::Sm2).then(|| on_this_cpu!(parts.weierstrass, Sm2, Sm2Signatures)),
            ed25519: has(Algorithm::Ed25519).then(|| on_this_cpu!(parts.ed25519, Edwards25519)),
            parts,
        };
        self_test::run(&engine)?;
        self_test::run_hasher(engine.capabilities.name, &engine)?;
        // The keys of the known answers are nobody's.
        engine.parts.builder.settle();
        engine.each_keyed().for_each(Keyed::forget);
        Ok(Arc::new(engine))
    }

    fn secp256k1(&self) -> Result<&dyn Recovering, EngineError> {
        self.secp256k1.as_deref().ok_or(self.unsupported(Algorithm::EcdsaSecp256k1))
    }

    /// The verifier of an algorithm with comb tables, of which BLS is none.
    fn keyed(&self, algorithm: Algorithm) -> Result<&dyn Keyed, EngineError> {
        let verifier = match algorithm {
            Algorithm::EcdsaSecp256k1 => return self.secp256k1().map(|verifier| verifier as _),
            Algorithm::EcdsaP256 => self.p256.as_deref(),
            Algorithm::Sm2 => self.sm2.as_deref(),
            Algorithm::Ed25519 => self.ed25519.as_deref(),
            Algorithm::Bls12381 => None,
        };
        verifier.ok_or(self.unsupported(algorithm))
    }

    fn each_keyed(&self) -> impl Iterator<Item = &dyn Keyed> {
        self.capabilities.algorithms.iter().filter_map(|algorithm| self.keyed(*algorithm).ok())
    }

    fn unsupported(&self, algorithm: Algorithm) -> EngineError {
        EngineError::Unsupported { engine: self.capabilities.name, algorithm }
    }

    /// Fails unless it was made for BLS.
    fn require_bls(&self) -> Result<(), EngineError> {
        let has = self.capabilities.supports(Algorithm::Bls12381);
        has.then_some(()).ok_or(self.unsupported(Algorithm::Bls12381))
    }

    /// The instructions in use.
    pub fn features(&self) -> CpuFeatures {
        self.parts.config.features
    }
}

impl BatchVerifier for CpuEngine {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        jobs: &[VerifyJob<'_>],
        verdicts: &mut [Verdict],
    ) -> Result<(), EngineError> {
        assert_eq!(jobs.len(), verdicts.len(), "one verdict per job");
        let start = Instant::now();
        if algorithm == Algorithm::Bls12381 {
            self.require_bls()?;
            bls::verify(jobs, verdicts);
        } else {
            self.keyed(algorithm)?.verify(jobs, verdicts);
        }
        let refused = verdicts.iter().filter(|verdict| !verdict.is_valid()).count();
        self.parts.counters.batch(jobs.len(), refused, start.elapsed());
        Ok(())
    }

    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError> {
        assert_eq!(jobs.len(), signers.len(), "one signer per job");
        let start = Instant::now();
        self.secp256k1()?.recover(jobs, signers);
        let refused = signers.iter().filter(|signer| signer.is_none()).count();
        self.parts.counters.batch(jobs.len(), refused, start.elapsed());
        Ok(())
    }

    fn verify_aggregate(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> Result<Verdict, EngineError> {
        self.require_bls()?;
        let start = Instant::now();
        let verdict = bls::verify_aggregate(keys, message, signature);
        self.parts.counters.batch(1, usize::from(!verdict.is_valid()), start.elapsed());
        Ok(verdict)
    }

    fn keys(&self) -> &dyn KeyCache {
        self
    }

    fn counters(&self) -> &Counters {
        &self.parts.counters
    }
}

impl KeyCache for CpuEngine {
    fn prepare(&self, algorithm: Algorithm, keys: &[&[u8]]) -> usize {
        self.keyed(algorithm).map_or(0, |verifier| verifier.prepare(keys))
    }

    fn settle(&self) {
        self.parts.builder.settle();
    }

    fn usage(&self) -> KeyCacheUsage {
        self.each_keyed().map(Keyed::usage).fold(KeyCacheUsage::default(), |sum, usage| KeyCacheUsage {
            keys: sum.keys + usage.keys,
            bytes: sum.bytes + usage.bytes,
            bytes_max: sum.bytes_max + usage.bytes_max,
        })
    }
}

impl Hasher for CpuEngine {
    fn hash(&self, algorithm: HashAlgorithm, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        assert_eq!(messages.len(), digests.len(), "one digest per message");
        let lanes = self.parts.lanes;
        // As arrays of one part, a stack's worth at a time.
        let mut parts: [[&[u8]; 1]; BLOCK] = [[&[]]; BLOCK];
        for (messages, digests) in messages.chunks(BLOCK).zip(digests.chunks_mut(BLOCK)) {
            for (part, message) in parts.iter_mut().zip(messages) {
                *part = [message];
            }
            let parts = &parts[..messages.len()];
            match algorithm {
                HashAlgorithm::Sm3 => hash::sm3(lanes, parts, digests),
                HashAlgorithm::Keccak256 => hash::keccak256(lanes, parts, digests),
                HashAlgorithm::Sha256 => hash::sha256(lanes, parts, digests),
            }
        }
    }
}
