//! The engine alone, for work on it; `dolmen bench verify` and its like run the libraries of others beside it.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dolmen_accel_api::{
    Algorithm, BatchVerifier as _, HashAlgorithm, Hasher as _, KeyCache as _, Message, RecoverJob, Verdict, VerifyJob,
};
use dolmen_accel_cpu::{
    CpuConfig, CpuEngine,
    cipher::{Sm4Ctr, Sm4Gcm},
};
use dolmen_accel_library::{Library, Signs};

/// Keys that sign.
const KEYS: u8 = 64;

fn engine(table_bytes_max: usize) -> Arc<CpuEngine> {
    CpuEngine::start(CpuConfig { table_bytes_max, ..CpuConfig::default() }).expect("the engine passes its self-test")
}

fn signers(algorithm: Algorithm) -> Vec<Box<dyn Signs>> {
    let library = match algorithm {
        Algorithm::EcdsaSecp256k1 => Library::Libsecp256k1,
        Algorithm::EcdsaP256 | Algorithm::Sm2 => Library::RustCrypto,
        Algorithm::Ed25519 => Library::Ed25519Dalek,
        Algorithm::Bls12381 => Library::Blst,
    };
    (1..=KEYS).map(|key| library.signer(algorithm, &[key; 32]).expect("the library has the algorithm")).collect()
}

/// The `index`th digest that is signed.
fn digest(index: usize) -> [u8; 32] {
    std::array::from_fn(|at| index.to_le_bytes()[at % 8])
}

fn verify(criterion: &mut Criterion) {
    let engines = [("known", engine(CpuConfig::default().table_bytes_max)), ("unknown", engine(0))];
    for algorithm in Algorithm::ALL {
        let signers = signers(algorithm);
        let keys: Vec<_> = signers.iter().map(|signer| signer.public_key().to_vec()).collect();
        let prepared: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        engines[0].1.prepare(algorithm, &prepared);
        let digests: Vec<_> = (0..1024).map(digest).collect();
        let signed: Vec<_> = digests
            .iter()
            .zip(signers.iter().cycle())
            .map(|(digest, signer)| signer.sign(Message::Digest(digest)).to_vec())
            .collect();
        let job = |index: usize| VerifyJob {
            key: &keys[index % keys.len()],
            message: Message::Digest(&digests[index]),
            signature: &signed[index],
        };
        let jobs: Vec<_> = (0..1024).map(job).collect();
        let mut group = criterion.benchmark_group("verify");
        for (kind, engine) in &engines {
            for batch in [1, 16, 1024] {
                let mut verdicts = vec![Verdict::Invalid; batch];
                group.throughput(Throughput::Elements(batch as u64)).sample_size(10);
                group.bench_function(format!("alg={algorithm}/keys={kind}/batch={batch}"), |bencher| {
                    bencher.iter(|| engine.verify(algorithm, &jobs[..batch], &mut verdicts));
                    assert!(verdicts.iter().all(|verdict| verdict.is_valid()));
                });
            }
        }
        group.finish();
    }
}

fn recover(criterion: &mut Criterion) {
    let engine = engine(CpuConfig::default().table_bytes_max);
    let signers = signers(Algorithm::EcdsaSecp256k1);
    let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
    engine.prepare(Algorithm::EcdsaSecp256k1, &keys);
    let job = |index: usize| {
        let digest = digest(index);
        let (signature, odd_y) =
            signers[index % signers.len()].sign_recoverable(&digest).expect("libsecp256k1 recovers");
        RecoverJob { digest, signature, odd_y, hint: None }
    };
    let unknown: Vec<_> = (0..1024).map(job).collect();
    let mut found = vec![None; 1024];
    engine.recover(&unknown, &mut found).expect("the engine has secp256k1");
    let hinted: Vec<_> = unknown.iter().zip(&found).map(|(job, signer)| RecoverJob { hint: *signer, ..*job }).collect();
    let mut group = criterion.benchmark_group("recover");
    for (hint, jobs) in [("right", &hinted), ("none", &unknown)] {
        for batch in [1, 16, 1024] {
            let mut signers = vec![None; batch];
            group.throughput(Throughput::Elements(batch as u64)).sample_size(10);
            group.bench_function(format!("hint={hint}/batch={batch}"), |bencher| {
                bencher.iter(|| engine.recover(&jobs[..batch], &mut signers));
                assert_eq!(signers, found[..batch]);
            });
        }
    }
    group.finish();
}

fn hash(criterion: &mut Criterion) {
    let engine = engine(0);
    let mut group = criterion.benchmark_group("hash");
    for algorithm in HashAlgorithm::ALL {
        for size in [64, 1024] {
            let message = vec![0xa5; size];
            let messages = vec![&message[..]; 256];
            let mut digests = vec![[0; 32]; messages.len()];
            group.throughput(Throughput::Bytes((size * messages.len()) as u64));
            group.bench_function(format!("alg={}/size={size}/batch=256", algorithm.name()), |bencher| {
                bencher.iter(|| engine.hash(algorithm, &messages, &mut digests));
            });
        }
    }
    group.finish();
}

fn cipher(criterion: &mut Criterion) {
    let mut buffer = vec![0xa5; 8192];
    let mut group = criterion.benchmark_group("cipher");
    group.throughput(Throughput::Bytes(buffer.len() as u64));
    let gcm = Sm4Gcm::new(&[7; 16]);
    group.bench_function("alg=sm4-gcm/size=8192", |bencher| {
        bencher.iter(|| gcm.seal_in_place(&[1; 12], &[], &mut buffer));
    });
    let ctr = Sm4Ctr::new(&[7; 16]);
    group.bench_function("alg=sm4-ctr/size=8192", |bencher| bencher.iter(|| ctr.apply(&[1; 16], &mut buffer)));
    group.finish();
}

criterion_group!(benches, verify, recover, hash, cipher);
criterion_main!(benches);
