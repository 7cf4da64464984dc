//! A batch allocates nothing for its signatures: the buffers of earlier batches serve it. Counted by an allocator of
//! the test's own, on the thread that calls the engine.
#![cfg(test)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use dolmen_accel_api::{Algorithm, BatchVerifier as _, KeyCache as _, Message, RecoverJob, Verdict, VerifyJob};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};
use dolmen_accel_library::{Library, Signs};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calls of each thread.
struct Counting;

fn count() {
    // A thread that ends has no counter any more, and nobody asks for it.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: everything is the system allocator's, and counting allocates nothing: the counter is made at compile time and
// has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `work` is done.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const KEYS: usize = 16;
const BATCH: usize = 1024;

fn engine(table_bytes_max: usize) -> Arc<CpuEngine> {
    CpuEngine::start(CpuConfig { table_bytes_max, ..CpuConfig::default() }).expect("the engine passes its self-test")
}

fn signers(algorithm: Algorithm) -> Vec<Box<dyn Signs>> {
    let library = match algorithm {
        Algorithm::EcdsaSecp256k1 => Library::Libsecp256k1,
        Algorithm::EcdsaP256 => Library::OpenSsl,
        Algorithm::Ed25519 => Library::Ed25519Dalek,
        Algorithm::Sm2 | Algorithm::Bls12381 => Library::RustCrypto,
    };
    (1..=KEYS)
        .map(|key| library.signer(algorithm, &[u8::try_from(key).expect("few keys"); 32]).expect("a secret"))
        .collect()
}

/// Verifies 64 and 1024 signatures of messages, after as many before.
fn verify(algorithm: Algorithm, engine: &CpuEngine) {
    let signers = signers(algorithm);
    let messages: Vec<Vec<u8>> = (0..BATCH).map(|index| vec![index.to_le_bytes()[0]; index % 300]).collect();
    let signed = |(index, message): (usize, &Vec<u8>)| signers[index % KEYS].sign(Message::Bytes(message));
    let signatures: Vec<_> = messages.iter().enumerate().map(signed).collect();
    let jobs: Vec<_> = (0..BATCH)
        .map(|index| VerifyJob {
            key: signers[index % KEYS].public_key(),
            message: Message::Bytes(&messages[index]),
            signature: &signatures[index],
        })
        .collect();
    let mut verdicts = vec![Verdict::Invalid; BATCH];
    let mut run = |count: usize| {
        allocations(|| engine.verify(algorithm, &jobs[..count], &mut verdicts[..count]).expect("it has the algorithm"))
    };
    run(BATCH);
    engine.settle();
    assert_eq!((run(64), run(BATCH)), (0, 0), "{algorithm}: allocations for 64 and {BATCH} signatures");
    assert!(verdicts.iter().all(|verdict| verdict.is_valid()));
}

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Sm2, Algorithm::Ed25519];

#[test]
fn verification_by_known_keys_allocates_nothing() {
    let engine = engine(64 << 20);
    for algorithm in ALGORITHMS {
        let signers = signers(algorithm);
        let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
        assert_eq!(engine.prepare(algorithm, &keys), KEYS);
        let before = engine.counters().snapshot().key_misses;
        verify(algorithm, &engine);
        assert_eq!(engine.counters().snapshot().key_misses, before, "{algorithm}");
    }
}

#[test]
fn verification_by_unknown_keys_allocates_nothing() {
    let engine = engine(0);
    for algorithm in ALGORITHMS {
        verify(algorithm, &engine);
    }
    assert_eq!(engine.usage().keys, 0);
}

/// Recovers 64 and 1024 signers, after as many before.
fn recover(engine: &CpuEngine, jobs: &[RecoverJob]) {
    let mut signers = vec![None; BATCH];
    let mut run =
        |count: usize| allocations(|| engine.recover(&jobs[..count], &mut signers[..count]).expect("it has secp256k1"));
    run(BATCH);
    engine.settle();
    assert_eq!((run(64), run(BATCH)), (0, 0), "allocations for 64 and {BATCH} signers");
    assert!(signers.iter().all(Option::is_some));
}

#[test]
fn recovery_allocates_nothing() {
    let keys = signers(Algorithm::EcdsaSecp256k1);
    let job = |index: usize| {
        let digest = [index.to_le_bytes()[0]; 32];
        let (signature, odd_y) = keys[index % KEYS].sign_recoverable(&digest).expect("x is below the order");
        RecoverJob { digest, signature, odd_y, hint: None }
    };
    let mut jobs: Vec<_> = (0..BATCH).map(job).collect();
    let unknown = engine(0);
    recover(&unknown, &jobs);
    let mut signers = vec![None; BATCH];
    unknown.recover(&jobs, &mut signers).expect("it has secp256k1");
    for (job, signer) in jobs.iter_mut().zip(signers) {
        job.hint = signer;
    }
    let known = engine(64 << 20);
    let public_keys: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
    assert_eq!(known.prepare(Algorithm::EcdsaSecp256k1, &public_keys), KEYS);
    recover(&known, &jobs);
    assert!(known.counters().snapshot().key_hits >= (2 * BATCH + 64) as u64);
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}
