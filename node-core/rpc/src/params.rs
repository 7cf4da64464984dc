//! Positional arguments, with Geth's words for what is wrong with them.

use jsonrpsee::{core::JsonRawValue, types::Params};
use serde::de::DeserializeOwned;

use crate::RpcError;

/// The arguments of one request.
pub(crate) struct Args(Vec<Box<JsonRawValue>>);

impl Args {
    /// Splits `params` into at most `most` arguments; no params are no arguments.
    pub(crate) fn parse(params: &Params<'_>, most: usize) -> Result<Self, RpcError> {
        let list = match params.as_str() {
            None | Some("null") => Vec::new(),
            Some(json) => serde_json::from_str::<Vec<Box<JsonRawValue>>>(json).map_err(|_| RpcError::NotAnArray)?,
        };
        if list.len() > most { Err(RpcError::TooManyArguments(most)) } else { Ok(Self(list)) }
    }

    /// An argument that must be there and not null.
    pub(crate) fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?.ok_or(RpcError::MissingArgument(index))
    }

    /// An argument that may be missing or null.
    pub(crate) fn optional<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, RpcError> {
        let Some(raw) = self.0.get(index) else { return Ok(None) };
        if raw.get() == "null" {
            return Ok(None);
        }
        serde_json::from_str(raw.get()).map(Some).map_err(|error| RpcError::argument(index, without_position(&error)))
    }
}

/// serde_json's message without the line and column, which are of no use to a caller that sent one argument.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |at| text[..at].to_owned())
}

#[cfg(test)]
mod tests {
    use alloy_eips::{BlockId, BlockNumberOrTag};
    use alloy_primitives::{Address, B256, Bytes, U64};
    use alloy_serde::JsonStorageKey;

    use super::*;

    fn args(json: &str) -> Args {
        Args::parse(&Params::new(Some(json)), 3).expect("parses")
    }

    fn message<T: std::fmt::Debug>(result: Result<T, RpcError>) -> String {
        result.expect_err("refused").to_string()
    }

    #[test]
    fn words_for_wrong_arguments() {
        assert_eq!(message(args("[]").required::<U64>(0)), "missing value for required argument 0");
        assert_eq!(message(args("[null]").required::<U64>(0)), "missing value for required argument 0");
        assert!(message(args(r#"["0x1","zz"]"#).required::<B256>(1)).starts_with("invalid argument 1: "));
        assert!(!message(args(r#"["0x1","zz"]"#).required::<B256>(1)).contains("line"));
        assert_eq!(args("[null]").optional::<U64>(0).expect("null is absent"), None);
        assert_eq!(
            message(Args::parse(&Params::new(Some("[1,2,3]")), 2).map(|_| ())),
            "too many arguments, want at most 2"
        );
        assert_eq!(message(Args::parse(&Params::new(Some(r#"{"a":1}"#)), 2).map(|_| ())), "non-array args");
        assert!(Args::parse(&Params::new(None), 0).is_ok());
    }

    #[test]
    fn block_parameters() {
        let block = |json: &str| args(&format!("[{json}]")).required::<BlockId>(0);
        for (tag, expected) in [
            ("latest", BlockNumberOrTag::Latest),
            ("safe", BlockNumberOrTag::Safe),
            ("finalized", BlockNumberOrTag::Finalized),
            ("pending", BlockNumberOrTag::Pending),
            ("earliest", BlockNumberOrTag::Earliest),
            ("0x10", BlockNumberOrTag::Number(16)),
        ] {
            assert_eq!(block(&format!("{tag:?}")).expect("a tag"), BlockId::Number(expected));
        }
        let hash = B256::repeat_byte(7);
        assert_eq!(
            block(&format!("{{\"blockHash\":\"{hash}\",\"requireCanonical\":true}}")).expect("EIP-1898"),
            BlockId::hash_canonical(hash)
        );
        assert_eq!(block(r#"{"blockNumber":"0x5"}"#).expect("EIP-1898"), BlockId::number(5));
        assert_eq!(block(&format!("\"{hash}\"")).expect("a hash"), BlockId::hash(hash));
        assert!(message(block("\"17\"")).contains("hex string without 0x prefix"));
        assert!(block("\"newest\"").is_err());
        assert!(block("{}").is_err());
    }

    #[test]
    fn storage_keys_may_be_short() {
        let key = |text: &str| args(&format!("[\"{text}\"]")).required::<JsonStorageKey>(0).expect(text).as_b256();
        assert_eq!(key("0x0"), B256::ZERO);
        assert_eq!(key("0x01"), B256::with_last_byte(1));
        assert_eq!(key("0xabc"), B256::left_padding_from(&[0x0a, 0xbc]));
        assert_eq!(key(&B256::repeat_byte(9).to_string()), B256::repeat_byte(9));
        assert!(args(&format!("[\"0x1{}\"]", "0".repeat(64))).required::<JsonStorageKey>(0).is_err());
    }

    #[test]
    fn binary_arguments() {
        assert!(args("[\"0x\"]").required::<Bytes>(0).expect("empty").is_empty());
        assert!(args("[\"0xabc\"]").required::<Bytes>(0).is_err());
        assert!(args("[\"0x12\"]").required::<Address>(0).is_err());
    }
}
