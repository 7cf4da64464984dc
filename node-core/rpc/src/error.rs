//! Why a request failed, with the codes and words that Geth's users expect.

use alloy_primitives::{B256, Bytes, U256, hex};
use dolmen_execution::{AskError, CallError};
use dolmen_pool::{AddError, VerifyAllError};
use dolmen_store::StoreError;
use dolmen_types::transaction::DecodeError;
use jsonrpsee::types::ErrorObjectOwned;

/// Why a request failed. [`RpcError::code`] gives its JSON-RPC code.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No such method.
    #[error("the method {0} does not exist/is not available")]
    MethodNotFound(String),
    /// A subscription over HTTP, which has no way back.
    #[error("notifications not supported")]
    NoNotifications,
    /// A subscription in a batch.
    #[error("eth_subscribe cannot be in a batch; send it on its own")]
    SubscriptionInBatch,
    /// No such subscription.
    #[error("no {0:?} subscription in eth namespace")]
    NoSubscription(String),
    /// `params` is not an array.
    #[error("non-array args")]
    NotAnArray,
    /// More arguments than the method takes.
    #[error("too many arguments, want at most {0}")]
    TooManyArguments(usize),
    /// A required argument is missing or null.
    #[error("missing value for required argument {0}")]
    MissingArgument(usize),
    /// An argument cannot be read.
    #[error("invalid argument {index}: {reason}")]
    InvalidArgument {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The arguments can be read but not used.
    #[error("{0}")]
    InvalidParams(String),
    /// No block with this hash or number.
    #[error("header not found")]
    HeaderNotFound,
    /// No block with this hash, for a log search.
    #[error("unknown block")]
    UnknownBlock,
    /// No such filter, or it expired.
    #[error("filter not found")]
    FilterNotFound,
    /// A filter of pending transactions was not polled in time.
    #[error(
        "{0} announcements of pending transactions were lost before this poll; poll more often. The filter goes on"
    )]
    MissedTransactions(u64),
    /// More asked for than one request may get.
    #[error("{0}")]
    Limit(String),
    /// More requests in one batch than are answered.
    #[error("batch too large: {length} requests, the most is {max}")]
    BatchTooLarge {
        /// Requests in it.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes are not a transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The pool refused the transaction.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The transaction was taken but not finalized in time (EIP-7966).
    #[error("the transaction was added to the pool but was not finalized within {timeout_ms} ms")]
    NotFinalizedInTime {
        /// Its hash.
        hash: B256,
        /// How long the request waited.
        timeout_ms: u128,
    },
    /// The call reverted.
    #[error("execution reverted{}", revert_reason(.0).map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted(Bytes),
    /// The call failed or cannot be made.
    #[error("{0}")]
    Call(String),
    /// Nobody governs the chain.
    #[error("this chain has no governance contract")]
    NotGoverned,
    /// The state, the proof or the blocks asked for are not kept.
    #[error(transparent)]
    NotKept(StoreError),
    /// The node's own fault; the log has the cause.
    #[error("internal error: {0}; the node's log has the cause")]
    Internal(&'static str),
}

impl RpcError {
    /// The JSON-RPC error code.
    pub const fn code(&self) -> i32 {
        match self {
            // EIP-1474: limit exceeded, or ours to mend.
            Self::Add(AddError::NotChecked(error)) => {
                if error.is_overload() {
                    -32005
                } else {
                    -32603
                }
            }
            Self::MethodNotFound(_) | Self::NoNotifications | Self::NoSubscription(_) => -32601,
            Self::NotAnArray
            | Self::TooManyArguments(_)
            | Self::MissingArgument(_)
            | Self::InvalidArgument { .. }
            | Self::InvalidParams(_) => -32602,
            Self::HeaderNotFound
            | Self::UnknownBlock
            | Self::FilterNotFound
            | Self::MissedTransactions(_)
            | Self::Decode(_)
            | Self::Add(_)
            | Self::Call(_)
            | Self::NotGoverned
            | Self::NotKept(_) => -32000,
            // As Geth.
            Self::BatchTooLarge { .. } | Self::SubscriptionInBatch => -32600,
            // EIP-1474: limit exceeded.
            Self::Limit(_) => -32005,
            Self::Reverted(_) => 3,
            // EIP-7966.
            Self::NotFinalizedInTime { .. } => 4,
            Self::Internal(_) => -32603,
        }
    }

    /// An argument that was read but breaks a rule.
    pub(crate) fn argument(index: usize, reason: impl ToString) -> Self {
        Self::InvalidArgument { index, reason: reason.to_string() }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownBlock { .. } => Self::HeaderNotFound,
            error @ (StoreError::Pruned { .. } | StoreError::ProofTooOld { .. } | StoreError::NoBlock { .. }) => {
                Self::NotKept(error)
            }
            error => {
                let cause = std::error::Error::source(&error);
                tracing::error!(%error, ?cause, "a request could not read the database");
                Self::Internal("the database cannot be read")
            }
        }
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::State(error) => error.into(),
            CallError::Reverted(output) => Self::Reverted(output),
            error @ (CallError::BothStateAndDiff(_) | CallError::PrecompileCode(_)) => {
                Self::InvalidParams(error.to_string())
            }
            error => Self::Call(error.to_string()),
        }
    }
}

impl From<AskError> for RpcError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Call(error) => error.into(),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "a question about governance failed");
                Self::Internal("the governance contract does not answer")
            }
        }
    }
}

impl From<VerifyAllError> for RpcError {
    fn from(error: VerifyAllError) -> Self {
        // Finalized transactions were verified before the vote.
        tracing::error!(%error, cause = %error.source, "a stored transaction's sender cannot be recovered");
        Self::Internal("a stored transaction does not verify")
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let data = match &error {
            RpcError::Reverted(output) => Some(hex::encode_prefixed(output)),
            RpcError::NotFinalizedInTime { hash, .. } => Some(hash.to_string()),
            _ => None,
        };
        Self::owned(error.code(), error.to_string(), data)
    }
}

/// What a Solidity contract gave as its reason: the text of `Error(string)`, Geth's words for `Panic(uint256)`, `None`
/// for anything else.
pub fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_at_checked(4)?;
    let word = |at: usize| arguments.get(at..at.checked_add(32)?).and_then(U256::try_from_be_slice);
    match selector {
        // Error(string)
        [0x08, 0xc3, 0x79, 0xa0] => {
            let start = usize::try_from(word(0)?).ok()?;
            let len = usize::try_from(word(start)?).ok()?;
            let text = arguments.get(start.checked_add(32)?..)?.get(..len)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        // Panic(uint256)
        [0x4e, 0x48, 0x7b, 0x71] => Some(panic_reason(word(0)?)),
        _ => None,
    }
}

/// Geth's words for Solidity's panic codes.
fn panic_reason(code: U256) -> String {
    let reason = match u8::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_string(text: &str) -> Vec<u8> {
        let mut output = hex!("08c379a0").to_vec();
        output.extend(U256::from(32).to_be_bytes::<32>());
        output.extend(U256::from(text.len()).to_be_bytes::<32>());
        output.extend(text.as_bytes());
        output.resize(4 + 64 + text.len().next_multiple_of(32), 0);
        output
    }

    fn panic(code: U256) -> Vec<u8> {
        [&hex!("4e487b71")[..], &code.to_be_bytes::<32>()].concat()
    }

    #[test]
    fn reasons_of_reverts() {
        assert_eq!(revert_reason(&error_string("not owner")).as_deref(), Some("not owner"));
        assert_eq!(revert_reason(&panic(U256::from(0x11))).as_deref(), Some("arithmetic underflow or overflow"));
        assert_eq!(revert_reason(&panic(U256::from(0x99))).as_deref(), Some("unknown panic code: 0x99"));
        assert_eq!(revert_reason(&hex!("deadbeef")), None);
        assert_eq!(revert_reason(&[]), None);
    }

    #[test]
    fn revert_data_from_a_contract_cannot_panic_the_node() {
        let full = error_string("a longer reason than one word of thirty-two bytes");
        for len in 0..full.len() {
            revert_reason(&full[..len]);
        }
        let mut huge_offset = full.clone();
        huge_offset[4..36].fill(0xff);
        assert_eq!(revert_reason(&huge_offset), None);
        let mut largest_usize = full.clone();
        largest_usize[28..36].fill(0xff);
        assert_eq!(revert_reason(&largest_usize), None);
        let mut huge_len = full;
        huge_len[36..68].fill(0xff);
        assert_eq!(revert_reason(&huge_len), None);
    }

    #[test]
    fn codes_and_words() {
        let object = |error: RpcError| {
            let object = ErrorObjectOwned::from(error);
            (object.code(), object.message().to_owned(), object.data().map(|data| data.get().to_owned()))
        };
        let missing = "the method eth_nope does not exist/is not available".to_owned();
        assert_eq!(object(RpcError::MethodNotFound("eth_nope".into())), (-32601, missing, None));
        assert_eq!(
            object(RpcError::MissingArgument(0)),
            (-32602, "missing value for required argument 0".to_owned(), None)
        );
        let output = error_string("no");
        let data = format!("\"0x{}\"", hex::encode(&output));
        assert_eq!(object(RpcError::Reverted(output.into())), (3, "execution reverted: no".to_owned(), Some(data)));
        assert_eq!(
            object(RpcError::Reverted(Bytes::new())),
            (3, "execution reverted".to_owned(), Some("\"0x\"".to_owned()))
        );
        let pruned = object(StoreError::Pruned { number: 5, floor: 77 }.into());
        assert_eq!(pruned.0, -32000);
        assert!(pruned.1.contains("from block 77"), "{}", pruned.1);
        assert_eq!(object(StoreError::UnknownBlock { number: 9, head: 1 }.into()).1, "header not found");
        let damaged = object(StoreError::Damaged { what: "header", key: "00".into() }.into());
        assert_eq!(damaged.0, -32603);
        assert_eq!(object(RpcError::Limit("too much".to_owned())).0, -32005);
        assert_eq!(object(RpcError::SubscriptionInBatch).0, -32600);
        assert_eq!(object(RpcError::MissedTransactions(3)).0, -32000);
    }
}
