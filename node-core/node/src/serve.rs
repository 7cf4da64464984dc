//! Answering boxes that fetch a state: one request at a time, and so that it costs those who vote little.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dolmen_consensus::Consensus;
use dolmen_sync::{Gate, Server};
use dolmen_types::PublicKey;
use tokio::sync::mpsc;

use crate::{
    gossip::pool_ms,
    limits::{SYNC_BYTES_PER_SECOND, SYNC_REST},
    metrics::Metrics,
};

/// Answers requests on a blocking thread, one after the other, until the task is dropped. Between two of them it rests,
/// so that all peers together have a share of the box's line and of its processor; what each may have of that is the
/// [`Gate`]'s.
pub(crate) async fn answer(
    mut requests: mpsc::Receiver<(PublicKey, Bytes)>,
    server: Server,
    consensus: Arc<Consensus>,
    metrics: Arc<Metrics>,
) {
    let server = Arc::new(server);
    let mut gate = Gate::default();
    while let Some((from, message)) = requests.recv().await {
        let own = server.clone();
        let answering = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let answered = own.answer_within(&mut gate, &from, &message, pool_ms());
            (gate, answered, started.elapsed())
        });
        let (answered, took);
        (gate, answered, took) = match answering.await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "answering a box that joins failed; please report this");
                gate = Gate::default();
                continue;
            }
        };
        match answered {
            Ok(answer) => {
                let bytes = answer.len() as u64;
                metrics.sync_answers.inc();
                metrics.sync_bytes.inc_by(bytes);
                if !consensus.sync(from, answer) {
                    tracing::debug!(peer = %from, "no room for an answer to a box that joins");
                }
                tokio::time::sleep(rest(bytes, took)).await;
            }
            // The peers are the chain's boxes, and there are as many of these lines as it sends such messages: few a
            // second.
            Err(error) => {
                tracing::debug!(peer = %from, error = &error as &dyn std::error::Error, "a peer asks for what is nothing");
            }
        }
    }
}

/// How long to rest after an answer of so many bytes that took so long.
fn rest(bytes: u64, took: Duration) -> Duration {
    let on_the_line = Duration::from_micros(bytes.saturating_mul(1_000_000) / SYNC_BYTES_PER_SECOND);
    on_the_line.max(took * SYNC_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_no_more_than_their_share() {
        let quick = Duration::from_millis(1);
        assert_eq!(rest(SYNC_BYTES_PER_SECOND, quick), Duration::from_secs(1), "the line");
        assert_eq!(rest(100, Duration::from_millis(20)), Duration::from_millis(60), "the processor");
        assert!(rest(100, Duration::from_micros(20)) < quick, "who says little is heard soon");
    }
}
