//! The contract that governs a chain, as a node sees it: where it is, how it is called, and what it answers.

use alloy_primitives::{Address, address};

/// Where the contract is, on every chain.
pub const ADDRESS: Address = address!("d01e000000000000000000000000000000000001");
