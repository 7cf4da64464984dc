//! Gas prices.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U128};

use crate::{Backend, backend::BLOB_BASE_FEE, methods::Methods};

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_gasPrice", 0, async |backend: Arc<Backend>, _| {
        let query =
            |backend: &Backend| Ok(U128::from(backend.suggested_tip()?.saturating_add(backend.base_fee().into())));
        backend.read(query).await
    });
    methods.add("eth_maxPriorityFeePerGas", 0, async |backend: Arc<Backend>, _| {
        backend.read(|backend| Ok(U128::from(backend.suggested_tip()?))).await
    });
    methods.add("eth_blobBaseFee", 0, async |_, _| Ok(U128::from(BLOB_BASE_FEE)));
    methods.add("eth_feeHistory", 3, async |backend: Arc<Backend>, args| {
        let (count, newest): (U64, BlockNumberOrTag) = (args.required(0)?, args.required(1)?);
        let percentiles: Vec<f64> = args.optional(2)?.unwrap_or_default();
        backend.compute(move |backend| backend.fee_history(count.to(), newest, &percentiles)).await
    });
}
