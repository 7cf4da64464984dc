//! The `eth` namespace.

mod blocks;
mod calls;
mod fees;
pub(crate) mod filters;
pub(crate) mod logs;
mod proof;
mod state;
pub(crate) mod transactions;

use std::sync::Arc;

use crate::methods::Methods;

pub(crate) fn register(methods: &mut Methods, filters: &Arc<filters::Filters>) {
    blocks::register(methods);
    transactions::register(methods);
    state::register(methods);
    proof::register(methods);
    calls::register(methods);
    fees::register(methods);
    logs::register(methods);
    filters::register(methods, filters);
}
