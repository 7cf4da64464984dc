//! The chain's data types: transactions, blocks, receipts, genesis. Encodings and rules that need no IO.
//!
//! Everything is standard Ethereum (Osaka) unless its documentation says otherwise; [`block`] lists what a consortium
//! chain with sub-second blocks fixes differently.

pub mod block;
pub mod certificate;
pub mod epochs;
pub mod genesis;
pub mod key;
pub mod receipt;
pub mod transaction;

pub use block::{Block, BlockError};
pub use certificate::Certificate;
pub use epochs::Epochs;
pub use genesis::{Genesis, GenesisError, GenesisFile, Validator};
pub use key::PublicKey;
pub use receipt::Receipt;
pub use transaction::Transaction;
