//! The pool's bounds, and why each has its size.

/// The chain's parameters and the pool's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The epoch's base fee, wei per gas; see [`Pool::set_rules`](crate::Pool::set_rules).
    pub base_fee_per_gas: u64,
    /// Gas a block may use, likewise.
    pub block_gas_limit: u64,
    /// Largest EIP-2718 encoding of a transaction in bytes.
    pub tx_bytes_max: usize,
    /// Most encoded bytes in the pool. Decoded, a transaction takes up to 1.5 times its encoding and about 1 KiB more.
    pub total_bytes_max: usize,
    /// Most transactions in the pool.
    pub transactions_max: usize,
    /// Most transactions of one sender.
    pub per_sender_max: usize,
    /// Most queued transactions of one sender; below `per_sender_max`, so that the one that closes a gap has room.
    pub queued_per_sender_max: usize,
    /// Most encoded bytes of one sender.
    pub per_sender_bytes_max: usize,
    /// Most encoded bytes of one sender's queued transactions; below `per_sender_bytes_max` for the same reason.
    pub queued_per_sender_bytes_max: usize,
    /// How far a nonce may lie beyond the sender's next executable one.
    pub future_nonce_gap_max: u64,
    /// How long a transaction may stay queued, milliseconds.
    pub lifetime_ms: u64,
    /// How much more a replacement pays on fee cap and on tip cap, percent.
    pub price_bump_percent: u64,
    /// Local transactions waiting to be announced to peers; beyond it, only the rebroadcast announces one.
    pub outgoing_max: usize,
    /// How long after an announcement a local transaction that is still here is announced again, milliseconds; the
    /// wait doubles each time.
    pub rebroadcast_after_ms: u64,
    /// Most transactions that one [`Pool::rebroadcast`](crate::Pool::rebroadcast) announces again.
    pub rebroadcast_max: usize,
    /// Encoded bytes after which it announces no more.
    pub rebroadcast_bytes_max: usize,
}

/// Why a [`PoolConfig`] cannot work.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The sender cache was made for another chain.
    #[error("sender cache is for chain {cache}, the pool for chain {pool}: construct both with one chain id")]
    ChainId {
        /// The cache's chain id.
        cache: u64,
        /// The pool's chain id.
        pool: u64,
    },
    /// A bound that must not be zero is zero.
    #[error("pool bound `{0}` is zero: set it to at least 1")]
    Zero(&'static str),
    /// Two bounds contradict each other.
    #[error("pool bound `{smaller}` must be below `{larger}`")]
    Order {
        /// The bound that must be the smaller one.
        smaller: &'static str,
        /// The bound that must be the larger one.
        larger: &'static str,
    },
}

impl PoolConfig {
    /// The default bounds, for a chain with these parameters.
    pub const fn for_chain(chain_id: u64, base_fee_per_gas: u64, block_gas_limit: u64) -> Self {
        Self {
            chain_id,
            base_fee_per_gas,
            block_gas_limit,
            // Geth's txMaxSize.
            tx_bytes_max: 131_072,
            // With `transactions_max` below: at most about 160 MiB of memory when the pool is full.
            total_bytes_max: 64 << 20,
            // 13 s of traffic at 5,000 transactions a second: outlasts a change of proposers and a restart of a box.
            transactions_max: 65_536,
            // Applications send everything from one or two keys: at 5,000 a second, 0.8 s in flight.
            per_sender_max: 4096,
            // A load balancer that spreads one sender over several boxes opens gaps that gossip closes in some 100 ms.
            queued_per_sender_max: 1024,
            // A sixteenth of the pool: 1 KiB for each of its transactions, some 170 of the largest contracts.
            per_sender_bytes_max: 4 << 20,
            // The same for each of the queued ones.
            queued_per_sender_bytes_max: 1 << 20,
            // A nonce further ahead than the sender's room here cannot become executable from the pool alone.
            future_nonce_gap_max: 4096,
            // Geth's lifetime.
            lifetime_ms: 3 * 60 * 60 * 1000,
            // Geth's price bump.
            price_bump_percent: 10,
            // More than a second of traffic at 5,000 a second, 2 MB of pointers and indices at most.
            outgoing_max: 8192,
            // Well beyond the time to finality, so that only what a peer lost is sent twice.
            rebroadcast_after_ms: 5000,
            // About one gossip message of plain transfers,
            rebroadcast_max: 1024,
            // and of any others.
            rebroadcast_bytes_max: 262_144,
        }
    }

    /// Checks the relations between the bounds.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("tx_bytes_max", self.tx_bytes_max),
            ("transactions_max", self.transactions_max),
            ("queued_per_sender_max", self.queued_per_sender_max),
            ("outgoing_max", self.outgoing_max),
            ("rebroadcast_max", self.rebroadcast_max),
            ("rebroadcast_bytes_max", self.rebroadcast_bytes_max),
        ];
        if let Some((name, _)) = bounds.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(name));
        }
        let tx_bytes = ("tx_bytes_max", self.tx_bytes_max);
        let queued_bytes = ("queued_per_sender_bytes_max", self.queued_per_sender_bytes_max);
        let orders = [
            (tx_bytes, ("total_bytes_max", self.total_bytes_max)),
            (tx_bytes, queued_bytes),
            (queued_bytes, ("per_sender_bytes_max", self.per_sender_bytes_max)),
            (("queued_per_sender_max", self.queued_per_sender_max), ("per_sender_max", self.per_sender_max)),
        ];
        match orders.iter().find(|(smaller, larger)| smaller.1 >= larger.1) {
            Some(&((smaller, _), (larger, _))) => Err(ConfigError::Order { smaller, larger }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_contradict_are_refused() {
        let config = PoolConfig::for_chain(1, 0, 30_000_000);
        assert_eq!(config.check(), Ok(()));
        let queued = PoolConfig { queued_per_sender_max: 4096, ..config };
        let order = ConfigError::Order { smaller: "queued_per_sender_max", larger: "per_sender_max" };
        assert_eq!(queued.check(), Err(order));
        let bytes = PoolConfig { total_bytes_max: 131_072, ..config };
        assert_eq!(bytes.check(), Err(ConfigError::Order { smaller: "tx_bytes_max", larger: "total_bytes_max" }));
        let bytes = PoolConfig { per_sender_bytes_max: 1 << 20, ..config };
        let order = ConfigError::Order { smaller: "queued_per_sender_bytes_max", larger: "per_sender_bytes_max" };
        assert_eq!(bytes.check(), Err(order));
        assert_eq!(PoolConfig { outgoing_max: 0, ..config }.check(), Err(ConfigError::Zero("outgoing_max")));
    }
}
