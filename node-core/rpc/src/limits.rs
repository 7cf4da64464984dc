//! Every bound of the RPC server, and why each has its size.

use std::time::Duration;

/// What a caller may ask of the RPC server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcLimits {
    /// Largest HTTP body or WebSocket message, bytes.
    pub body_bytes_max: u32,
    /// Largest response, bytes; a batch counts as one.
    pub response_bytes_max: u32,
    /// Most requests in a batch.
    pub batch_length_max: usize,
    /// Most open connections, HTTP and WebSocket together.
    pub connections_max: u32,
    /// Most subscriptions of one WebSocket connection.
    pub subscriptions_per_connection_max: u32,
    /// Requests of one connection in progress; beyond it the socket is not read.
    pub requests_per_connection_max: usize,
    /// Most subscriptions of all connections.
    pub subscriptions_max: usize,
    /// Messages waiting for one WebSocket connection's socket.
    pub outgoing_messages_max: u32,
    /// Bytes of answers that one connection has not taken yet; beyond it the socket is not read.
    pub unsent_bytes_max: usize,
    /// Bytes of answers that all connections have not taken yet; beyond it the one with the most is closed.
    pub unsent_bytes_all_max: usize,
    /// How long a connection may be silent with nothing to answer: on HTTP until a request is complete, on WebSocket
    /// until anything arrives, such as the answer to a ping.
    pub idle_max: Duration,
    /// How long a peer may take for [`Self::write_stall_bytes`] of what is to be written before it is closed.
    pub write_stall_max: Duration,
    /// The least that a peer takes in [`Self::write_stall_max`] while there is more to write.
    pub write_stall_bytes: usize,
    /// Most gas of `eth_call`, `eth_estimateGas` and `eth_createAccessList`.
    pub call_gas_max: u64,
    /// Calls, proofs, fee histories and decodings of old blocks running at one time.
    pub heavy_concurrent_max: usize,
    /// Log searches running at one time.
    pub searches_concurrent_max: usize,
    /// Other reads running at one time.
    pub reads_concurrent_max: usize,
    /// Transactions being taken in at one time.
    pub sends_concurrent_max: usize,
    /// How long a request may wait for its turn to run.
    pub turn_wait_max: Duration,
    /// Decoded blocks kept for the next request, bytes.
    pub recent_bytes_max: usize,
    /// Most blocks with logs that one log search looks into.
    pub logs_blocks_max: usize,
    /// From how many logs on one search ends, after the block that it is in.
    pub logs_results_max: usize,
    /// Most bytes of addresses, topics and data in the logs that one search returns.
    pub logs_bytes_max: usize,
    /// How long one search runs.
    pub logs_time_max: Duration,
    /// Most addresses, and most topics in one place, of a log filter.
    pub logs_values_max: usize,
    /// Most filters installed at one time.
    pub filters_max: usize,
    /// Most addresses and topics in all installed filters and log subscriptions together.
    pub filter_values_max: usize,
    /// How long a filter lives without being polled.
    pub filter_lifetime: Duration,
    /// Most blocks of one `eth_feeHistory`.
    pub fee_history_blocks_max: u64,
    /// Most percentiles of one `eth_feeHistory`.
    pub fee_history_percentiles_max: usize,
    /// Most transactions that one `eth_feeHistory` with percentiles looks at; fewer blocks are returned beyond it.
    pub fee_history_transactions_max: usize,
    /// How long `eth_sendRawTransactionSync` waits where the caller does not say.
    pub send_sync_wait: Duration,
    /// The longest wait of `eth_sendRawTransactionSync` that a caller may ask for.
    pub send_sync_wait_max: Duration,
    /// Most storage keys of one `eth_getProof`.
    pub proof_keys_max: usize,
    /// Most transactions that `txpool_content` and `txpool_inspect` list.
    pub txpool_content_max: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            // Geth's limit; the largest transaction takes 262,146 bytes of hexadecimal.
            body_bytes_max: 5 * 1024 * 1024,
            // Geth's limit for a batch; a full block of 8 MiB takes about twice that with its transactions as JSON.
            response_bytes_max: 25_000_000,
            // Geth's limit.
            batch_length_max: 1000,
            // Below the usual 1,024 open files of a process, beside the database's and the peers'.
            connections_max: 500,
            // An indexer follows a few dozen contracts; each subscription filters every block.
            subscriptions_per_connection_max: 128,
            // Hides the latency of a slow link; a client that has more outstanding gains nothing.
            requests_per_connection_max: 64,
            // Dozens of indexers; each compares every block's logs.
            subscriptions_max: 1024,
            // Beyond it the block queue that all subscribers share holds what is still to be sent.
            outgoing_messages_max: 64,
            // One largest answer and a quarter.
            unsent_bytes_max: 32_000_000,
            // Ten largest answers; who reads at all is seldom the one with the most.
            unsent_bytes_all_max: 256_000_000,
            // Four of the pings that a WebSocket connection gets every 30 s. The largest request fits at 44 kB/s.
            idle_max: Duration::from_secs(120),
            // Well above a lost packet's retransmissions.
            write_stall_max: Duration::from_secs(20),
            // 26 kbit/s, as over a poor mobile link.
            write_stall_bytes: 64 << 10,
            // Geth's default; about a quarter of a second of the EVM.
            call_gas_max: 50_000_000,
            // Leaves one processor to consensus and execution, whatever callers ask.
            heavy_concurrent_max: std::thread::available_parallelism().map_or(1, |count| (count.get() - 1).max(1)),
            // Each keeps a processor and the disk busy; calls go on beside them.
            searches_concurrent_max: 2,
            // Threads that wait for the disk more than they compute: none decodes a whole block.
            reads_concurrent_max: 32,
            // Signature checks and the pool's lock: more would not be faster, and reads do not stand before them.
            sends_concurrent_max: 16,
            // Callers time out after 30 s; saying that the node is busy before that lets them try another box.
            turn_wait_max: Duration::from_secs(10),
            // Several seconds of full blocks: whoever sent a transaction asks for its receipt within that time.
            recent_bytes_max: 64 << 20,
            // 100,000 bloom filters are 25 MB to read.
            logs_blocks_max: 100_000,
            // What public endpoints return; about 6 MB of JSON with little data. A block is never cut.
            logs_results_max: 10_000,
            // Twice that in hexadecimal, and the 6 MB: still below `response_bytes_max`.
            logs_bytes_max: 8_000_000,
            // Half of what a caller in the queue behind waits at most (`turn_wait_max`).
            logs_time_max: Duration::from_secs(5),
            // Geth's limit.
            logs_values_max: 1000,
            // One a user of a busy box; their contents are bounded by `filter_values_max`.
            filters_max: 1024,
            // Some 64 bytes each in a hash set: 64 MB.
            filter_values_max: 1_000_000,
            // Geth's lifetime.
            filter_lifetime: Duration::from_secs(5 * 60),
            // Geth's limit.
            fee_history_blocks_max: 1024,
            // Geth's limit.
            fee_history_percentiles_max: 100,
            // About a second of decoding.
            fee_history_transactions_max: 100_000,
            // A hundred blocks and more; EIP-7966 leaves the number to the node.
            send_sync_wait: Duration::from_secs(20),
            // Below `idle_max` and the timeout of common HTTP clients.
            send_sync_wait_max: Duration::from_secs(60),
            // Geth's limit.
            proof_keys_max: 1024,
            // The whole of a full pool would exceed `response_bytes_max`.
            txpool_content_max: 4096,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_agree() {
        let limits = RpcLimits::default();
        assert!(limits.send_sync_wait <= limits.send_sync_wait_max);
        assert!(limits.send_sync_wait_max < limits.idle_max);
        assert!(limits.body_bytes_max < limits.response_bytes_max);
        assert!(limits.heavy_concurrent_max >= 1);
        assert!(limits.response_bytes_max as usize <= limits.unsent_bytes_max);
        assert!(limits.unsent_bytes_max < limits.unsent_bytes_all_max);
        assert!(limits.logs_results_max * 600 + 2 * limits.logs_bytes_max < limits.response_bytes_max as usize);
        assert!(limits.logs_time_max < limits.turn_wait_max);
    }
}
