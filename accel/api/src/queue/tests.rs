use std::sync::mpsc;

use super::*;
use crate::{Capabilities, Counters, KeyCache, KeyCacheUsage};

/// An engine that says whether the first byte of a digest is even, after it was told to go on.
struct Parity {
    capabilities: Capabilities,
    counters: Counters,
    go: Mutex<mpsc::Receiver<()>>,
    batches: Mutex<Vec<usize>>,
}

impl Parity {
    fn start() -> (Arc<Self>, mpsc::Sender<()>) {
        let (sender, go) = mpsc::channel();
        let capabilities = Capabilities {
            name: "parity",
            description: String::new(),
            algorithms: Algorithm::ALL.to_vec(),
            batch_preferred: 8,
            known_keys: false,
        };
        let engine =
            Self { capabilities, counters: Counters::default(), go: Mutex::new(go), batches: Mutex::default() };
        (Arc::new(engine), sender)
    }

    fn begin(&self, jobs: usize) {
        self.batches.lock().push(jobs);
        self.go.lock().recv().expect("the test says when to go on");
    }
}

impl BatchVerifier for Parity {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn verify(&self, algorithm: Algorithm, jobs: &[VerifyJob<'_>], out: &mut [Verdict]) -> Result<(), EngineError> {
        self.begin(jobs.len());
        if algorithm == Algorithm::Sm2 {
            return Err(EngineError::Unsupported { engine: "parity", algorithm });
        }
        for (job, verdict) in jobs.iter().zip(out) {
            let Message::Bytes(bytes) = job.message else { panic!("the tests send bytes") };
            *verdict = (bytes[0] % 2 == 0).into();
        }
        Ok(())
    }

    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError> {
        self.begin(jobs.len());
        for (job, signer) in jobs.iter().zip(signers) {
            *signer = (job.digest[0] % 2 == 0).then_some([job.digest[0]; 20]);
        }
        Ok(())
    }

    fn verify_aggregate(&self, _: &[&[u8]], _: &[u8], _: &[u8]) -> Result<Verdict, EngineError> {
        unreachable!("no queue aggregates")
    }

    fn keys(&self) -> &dyn KeyCache {
        self
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl KeyCache for Parity {
    fn prepare(&self, _: Algorithm, _: &[&[u8]]) -> usize {
        0
    }

    fn settle(&self) {}

    fn usage(&self) -> KeyCacheUsage {
        KeyCacheUsage::default()
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn config(batch_max: usize, linger: Duration) -> QueueConfig {
    QueueConfig { capacity: 16, batch_max, linger, workers: 1 }
}

fn job(first: u8) -> RecoverJob {
    RecoverJob { digest: [first; 32], signature: [0; 64], odd_y: false, hint: None }
}

fn request(algorithm: Algorithm, first: u8) -> VerifyRequest {
    let message = OwnedMessage::Bytes(Bytes::from(vec![first]));
    VerifyRequest { algorithm, key: Bytes::new(), message, signature: Bytes::new() }
}

#[test]
fn a_full_batch_does_not_wait_and_each_gets_its_own_result() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine.clone(), config(4, LONG));
    let pending: Vec<_> = (0..4).map(|first| queue.recover(job(first), None).unwrap()).collect();
    go.send(()).unwrap();
    let signers: Vec<_> = pending.into_iter().map(|pending| pending.wait().unwrap()).collect();
    assert_eq!(signers, [Some([0; 20]), None, Some([2; 20]), None]);
    assert_eq!(*engine.batches.lock(), [4]);
    let snapshot = queue.snapshot();
    assert_eq!((snapshot.batches, snapshot.jobs, snapshot.full, snapshot.expired), (1, 4, 0, 0));
}

#[test]
fn a_batch_that_does_not_fill_goes_when_its_time_is_up() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine.clone(), config(100, Duration::from_millis(1)));
    let pending = queue.recover(job(6), None).unwrap();
    go.send(()).unwrap();
    assert_eq!(pending.wait().unwrap(), Some([6; 20]));
    assert!(queue.is_empty());
}

#[test]
fn algorithms_mix_in_a_batch_and_an_engine_failure_reaches_its_own_jobs_only() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine.clone(), config(5, LONG));
    let p256: Vec<_> = (0..2).map(|i| queue.verify(request(Algorithm::EcdsaP256, i), None).unwrap()).collect();
    let sm2 = queue.verify(request(Algorithm::Sm2, 0), None).unwrap();
    let ed25519 = queue.verify(request(Algorithm::Ed25519, 4), None).unwrap();
    let signer = queue.recover(job(8), None).unwrap();
    for _ in 0..4 {
        go.send(()).unwrap();
    }
    assert_eq!(signer.wait().unwrap(), Some([8; 20]));
    let verdicts: Vec<_> = p256.into_iter().map(|pending| pending.wait().unwrap()).collect();
    assert_eq!(verdicts, [Verdict::Valid, Verdict::Invalid]);
    assert!(matches!(sm2.wait(), Err(QueueError::Engine(_))));
    assert_eq!(ed25519.wait().unwrap(), Verdict::Valid);
    assert_eq!(*engine.batches.lock(), [1, 2, 1, 1]);
}

#[test]
fn a_full_queue_says_so_and_takes_more_once_it_has_room() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine.clone(), config(1, LONG));
    let first = queue.recover(job(0), None).unwrap();
    while engine.batches.lock().is_empty() {
        std::thread::yield_now();
    }
    // The worker is busy with the first; sixteen may wait.
    let waiting: Vec<_> = (0..16).map(|first| queue.recover(job(first), None).unwrap()).collect();
    assert!(matches!(queue.recover(job(0), None), Err(QueueError::Full { capacity: 16 })));
    assert_eq!((queue.len(), queue.snapshot().full), (16, 1));
    for _ in 0..17 {
        go.send(()).unwrap();
    }
    first.wait().unwrap();
    for pending in waiting {
        pending.wait().unwrap();
    }
    let again = queue.recover(job(2), None).unwrap();
    go.send(()).unwrap();
    assert_eq!(again.wait().unwrap(), Some([2; 20]));
}

#[test]
fn a_job_whose_deadline_passed_costs_nothing() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine.clone(), config(2, LONG));
    let late = queue.recover(job(0), Some(Instant::now().checked_sub(Duration::from_millis(1)).unwrap())).unwrap();
    let timely = queue.recover(job(2), Some(Instant::now() + LONG)).unwrap();
    go.send(()).unwrap();
    assert!(matches!(late.wait(), Err(QueueError::DeadlineExceeded)));
    assert_eq!(timely.wait().unwrap(), Some([2; 20]));
    assert_eq!(*engine.batches.lock(), [1]);
    assert_eq!(queue.snapshot().expired, 1);
}

#[test]
fn who_waits_when_the_queue_closes_is_told() {
    let (engine, _go) = Parity::start();
    let queue = Queue::start(engine, config(2, LONG));
    let pending = queue.recover(job(0), None).unwrap();
    drop(queue);
    assert!(matches!(pending.wait(), Err(QueueError::Closed)));
}

#[tokio::test]
async fn results_can_be_awaited() {
    let (engine, go) = Parity::start();
    let queue = Queue::start(engine, config(1, LONG));
    let pending = queue.recover(job(4), None).unwrap();
    go.send(()).unwrap();
    assert_eq!(pending.await.unwrap(), Some([4; 20]));
}
