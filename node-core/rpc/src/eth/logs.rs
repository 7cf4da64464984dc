//! `eth_getLogs`, and log filters as JSON.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256};
use dolmen_store::LogFilter;
use serde::Deserialize;

use crate::{
    Backend, RpcError, RpcLimits,
    backend::{BlockRange, LogCriteria},
    methods::Methods,
};

/// Places for topics that a log has.
const TOPICS_MAX: usize = 4;

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_getLogs", 1, async |backend: Arc<Backend>, args| {
        let criteria = args.required::<LogFilterJson>(0)?.into_criteria(backend.limits())?;
        backend.search(move |backend| backend.logs(&criteria)).await
    });
}

/// A log filter as callers write it. Unknown fields are ignored, as Geth does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFilterJson {
    from_block: Option<BlockNumberOrTag>,
    to_block: Option<BlockNumberOrTag>,
    block_hash: Option<B256>,
    address: Option<OneOrMany<Address>>,
    topics: Option<Vec<Option<OneOrMany<Option<B256>>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a hexadecimal value or an array of them")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

impl LogFilterJson {
    /// Checks the filter.
    pub(crate) fn into_criteria(self, limits: &RpcLimits) -> Result<LogCriteria, RpcError> {
        let refuse = |reason: &str| Err(RpcError::InvalidParams(reason.to_owned()));
        let range = match (self.block_hash, self.from_block, self.to_block) {
            (Some(hash), None, None) => BlockRange::Hash(hash),
            (None, from, to) => BlockRange::Range { from, to },
            _ => return refuse("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"),
        };
        let addresses = self.address.map(OneOrMany::into_vec).unwrap_or_default();
        let topics = self.topics.unwrap_or_default();
        if addresses.len() > limits.logs_values_max {
            return refuse("exceed max addresses");
        }
        if topics.len() > TOPICS_MAX {
            return refuse("exceed max topics");
        }
        let topics: Vec<Vec<Option<B256>>> =
            topics.into_iter().map(|place| place.map(OneOrMany::into_vec).unwrap_or_default()).collect();
        if topics.iter().any(|place| place.len() > limits.logs_values_max) {
            return refuse("exceed max topics");
        }
        // A null among the alternatives of a place matches anything there.
        let topics =
            topics.into_iter().map(|place| to_set(place.into_iter().collect::<Option<_>>().unwrap_or_default()));
        Ok(LogCriteria { range, filter: LogFilter::new(to_set(addresses), topics.collect()) })
    }
}

fn to_set<T: Eq + Hash>(values: Vec<T>) -> HashSet<T> {
    values.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, Log};
    use serde_json::{Value, json};

    use super::*;

    fn read(filter: Value) -> Result<LogCriteria, RpcError> {
        let filter: LogFilterJson = serde_json::from_value(filter).map_err(|error| RpcError::argument(0, error))?;
        filter.into_criteria(&RpcLimits { logs_values_max: 3, ..Default::default() })
    }

    fn reason(filter: Value) -> String {
        read(filter).expect_err("refused").to_string()
    }

    /// Whether a filter lets through a log of this address with these topics.
    fn passes(criteria: &LogCriteria, address: Address, topics: &[B256]) -> bool {
        criteria.filter.matches(&Log::new_unchecked(address, topics.to_vec(), Bytes::new()))
    }

    #[test]
    fn filters_as_libraries_send_them() {
        let (a, b, c) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let (x, y, z) = (B256::repeat_byte(3), B256::repeat_byte(4), B256::repeat_byte(5));
        let all = read(json!({})).unwrap();
        assert_eq!(all.range, BlockRange::Range { from: None, to: None });
        assert!(all.filter.values() == 0 && passes(&all, a, &[]));
        let one =
            read(json!({"fromBlock": "0x1", "toBlock": "latest", "address": a, "topics": [x], "limit": 5})).unwrap();
        let (from, to) = (Some(BlockNumberOrTag::Number(1)), Some(BlockNumberOrTag::Latest));
        assert_eq!(one.range, BlockRange::Range { from, to });
        assert!(one.filter.values() == 2 && passes(&one, a, &[x, y]));
        assert!(!passes(&one, b, &[x]) && !passes(&one, a, &[y]) && !passes(&one, a, &[]));
        let many = read(json!({"address": [a, b, a], "topics": [null, [x, y], [], [x, null]]})).unwrap();
        assert!(many.filter.values() == 4 && passes(&many, a, &[z, x, z, z]) && passes(&many, b, &[z, y, z, z]));
        assert!(!passes(&many, c, &[z, x, z, z]) && !passes(&many, a, &[z, z, z, z]) && !passes(&many, a, &[z, x, z]));
        assert_eq!(read(json!({"blockHash": x, "address": null, "topics": null})).unwrap().range, BlockRange::Hash(x));
    }

    #[test]
    fn filters_that_are_refused() {
        let x = B256::repeat_byte(3);
        assert!(reason(json!({"blockHash": x, "fromBlock": "0x1"})).starts_with("cannot specify both BlockHash"));
        assert_eq!(reason(json!({"topics": [x, x, x, x, x]})), "exceed max topics");
        assert_eq!(reason(json!({"topics": [[x, x, x, x]]})), "exceed max topics");
        assert_eq!(reason(json!({"address": vec![Address::ZERO; 4]})), "exceed max addresses");
        assert!(reason(json!({"address": "0x12"})).contains("expected a hexadecimal value"));
        assert!(reason(json!({"fromBlock": 7})).starts_with("invalid argument 0"));
    }
}
