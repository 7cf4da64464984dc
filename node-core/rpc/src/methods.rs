//! The table of methods: how one is registered, and how its arguments and its answer pass through.

use std::{future::Future, sync::Arc};

use jsonrpsee::RpcModule;
use serde::Serialize;

use crate::{Backend, RpcError, params::Args};

/// Methods being registered.
pub(crate) struct Methods {
    module: RpcModule<Backend>,
}

impl Methods {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { module: RpcModule::from_arc(backend) }
    }

    /// Registers a method that takes at most `arguments_max` arguments.
    pub(crate) fn add<R, F, Fut>(&mut self, name: &'static str, arguments_max: usize, handler: F)
    where
        R: Serialize + Clone + Send + 'static,
        F: Fn(Arc<Backend>, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, RpcError>> + Send,
    {
        let callback = move |params: jsonrpsee::types::Params<'static>, backend, _| {
            let handler = handler.clone();
            async move { handler(backend, Args::parse(&params, arguments_max)?).await }
        };
        self.module.register_async_method(name, callback).expect("every method is registered once");
    }

    /// For what [`Self::add`] does not cover.
    pub(crate) const fn module(&mut self) -> &mut RpcModule<Backend> {
        &mut self.module
    }

    /// The table.
    pub(crate) fn finish(self) -> jsonrpsee::Methods {
        self.module.into()
    }
}
