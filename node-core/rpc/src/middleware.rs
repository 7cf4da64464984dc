//! Around every JSON-RPC call: Geth's words for unknown methods, the connection's counts of requests and of bytes to
//! send, metrics; and batches.

use std::{sync::Arc, time::Instant};

use jsonrpsee::{
    Extensions, MethodResponse, Methods, ResponsePayload,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    server::BatchResponseBuilder,
    types::{ErrorObjectOwned, Id, Request},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use tracing::Instrument as _;

use crate::{Backend, RpcError, RpcLimits, connection::ConnectionControl, eth::transactions, http::Caller};

/// The longest method name that an error repeats.
const METHOD_NAME_MAX: usize = 64;
/// The label of methods that do not exist.
const UNKNOWN: &str = "unknown";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    outcome: &'static str,
}

/// What is measured.
#[derive(Clone)]
pub(crate) struct RpcMetrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabel, Histogram>,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
}

impl RpcMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        // 0.1 ms to 26 s.
        let buckets = || Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let metrics = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("rpc");
        registry.register("calls", "JSON-RPC calls by method and outcome", metrics.calls.clone());
        registry.register("call_seconds", "Time a JSON-RPC call took, waiting included", metrics.seconds.clone());
        registry.register("connections", "Open HTTP and WebSocket connections", metrics.connections.clone());
        registry.register(
            "connections_refused",
            "Connections refused because too many were open",
            metrics.connections_refused.clone(),
        );
        metrics
    }

    fn observe(&self, method: &'static str, error: Option<i32>, started: Instant) {
        let outcome = match error {
            None => "ok",
            Some(-32603) => "failed",
            Some(-32005) => "limited",
            Some(_) => "refused",
        };
        self.calls.get_or_create(&CallLabels { method, outcome }).inc();
        self.seconds.get_or_create(&MethodLabel { method }).observe(started.elapsed().as_secs_f64());
    }
}

/// What the middleware of all connections shares.
pub(crate) struct Shared {
    pub(crate) backend: Arc<Backend>,
    pub(crate) methods: Methods,
    pub(crate) metrics: RpcMetrics,
    pub(crate) limits: RpcLimits,
}

/// jsonrpsee's service with the rules of this module.
#[derive(Clone)]
pub(crate) struct RpcMiddleware<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> RpcMiddleware<S> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl Shared {
    /// The method's registered name, or why it cannot be called.
    fn method(&self, request: &Request<'_>, in_batch: bool) -> Result<&'static str, RpcError> {
        let Some((name, _)) = self.methods.method_with_name(request.method_name()) else {
            let name: String = request.method_name().chars().take(METHOD_NAME_MAX).collect();
            return Err(RpcError::MethodNotFound(name));
        };
        let websocket = request.extensions().get::<Caller>().is_none_or(|caller| caller.websocket);
        if !websocket && matches!(name, "eth_subscribe" | "eth_unsubscribe") {
            return Err(RpcError::NoNotifications);
        }
        // jsonrpsee would answer it twice: at once and in the batch.
        if in_batch && name == "eth_subscribe" {
            return Err(RpcError::SubscriptionInBatch);
        }
        Ok(name)
    }
}

impl<S> RpcMiddleware<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Send + Sync,
{
    async fn answer(&self, request: Request<'_>, in_batch: bool) -> MethodResponse {
        let started = Instant::now();
        match self.shared.method(&request, in_batch) {
            Ok(name) => {
                let response = self.inner.call(request).instrument(span(name, 1)).await;
                self.shared.metrics.observe(name, response.as_error_code(), started);
                response
            }
            Err(error) => {
                self.shared.metrics.observe(UNKNOWN, Some(error.code()), started);
                error_response(request.id, error).with_extensions(request.extensions)
            }
        }
    }

    /// Answers requests that send a transaction, in order.
    async fn answer_sends(&self, requests: Vec<Request<'_>>) -> Vec<MethodResponse> {
        let started = Instant::now();
        let params = requests.iter().map(Request::params);
        let span = span(transactions::SEND_RAW, requests.len());
        let results = transactions::send_raw_all(&self.shared.backend, params).instrument(span).await;
        let answers = requests.into_iter().zip(results).map(|(request, result)| {
            self.shared.metrics.observe(
                transactions::SEND_RAW,
                result.as_ref().err().map(ErrorObjectOwned::code),
                started,
            );
            match result {
                Ok(hash) => MethodResponse::response(request.id, ResponsePayload::success(hash), usize::MAX),
                Err(error) => MethodResponse::error(request.id, error),
            }
        });
        answers.collect()
    }

    async fn answer_batch(&self, batch: Batch<'_>) -> MethodResponse {
        let limits = &self.shared.limits;
        if batch.len() > limits.batch_length_max {
            let error = RpcError::BatchTooLarge { length: batch.len(), max: limits.batch_length_max };
            return error_response(Id::Null, error);
        }
        let mut responses = BatchResponseBuilder::new_with_limit(limits.response_bytes_max as usize);
        let mut notified = false;
        let mut entries = batch.into_iter().peekable();
        while let Some(entry) = entries.next() {
            let answers = match entry {
                Ok(BatchEntry::Call(request)) if sends(&request) => {
                    let mut requests = vec![request];
                    while let Some(Ok(BatchEntry::Call(request))) =
                        entries.next_if(|entry| matches!(entry, Ok(BatchEntry::Call(next)) if sends(next)))
                    {
                        requests.push(request);
                    }
                    self.answer_sends(requests).await
                }
                Ok(BatchEntry::Call(request)) => vec![self.answer(request, true).await],
                Ok(BatchEntry::Notification(_)) => {
                    notified = true;
                    continue;
                }
                Err(error) => {
                    let (error, id) = error.into_parts();
                    vec![MethodResponse::error(id, error)]
                }
            };
            for answer in answers {
                if let Err(too_large) = responses.append(answer) {
                    return too_large;
                }
            }
        }
        if responses.is_empty() && notified {
            return MethodResponse::notification();
        }
        MethodResponse::from_batch(responses.finish())
    }
}

/// Of requests of one method, as OpenTelemetry names them (semantic conventions of RPC).
fn span(method: &'static str, requests: usize) -> tracing::Span {
    tracing::debug_span!(
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system = "jsonrpc",
        rpc.method = method,
        requests
    )
}

fn sends(request: &Request<'_>) -> bool {
    request.method_name() == transactions::SEND_RAW
}

fn connection_of(extensions: &Extensions) -> Option<Arc<ConnectionControl>> {
    extensions.get::<Caller>().map(|caller| caller.connection.clone())
}

/// An answer is still the connection's after it is computed, until the peer took it. That to a subscription is not
/// counted: jsonrpsee has sent it by now.
fn charge(connection: Option<&ConnectionControl>, response: &MethodResponse) {
    if let Some(connection) = connection
        && !(response.is_notification() || response.is_subscription())
    {
        connection.charge(response.as_json().get().len());
    }
}

fn error_response(id: Id<'_>, error: RpcError) -> MethodResponse {
    MethodResponse::error(id, ErrorObjectOwned::from(error))
}

impl<S> RpcServiceT for RpcMiddleware<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let connection = connection_of(request.extensions());
            let _in_progress = connection.as_ref().map(ConnectionControl::begin);
            let response = service.answer(request, false).await;
            charge(connection.as_deref(), &response);
            response
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let connection = batch.iter().flatten().next().and_then(|entry| connection_of(entry.extensions()));
            let _in_progress = connection.as_ref().map(ConnectionControl::begin);
            let response = service.answer_batch(batch).await;
            charge(connection.as_deref(), &response);
            response
        }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        // JSON-RPC 2.0: a request without an id is not answered; nothing here is worth doing unanswered.
        std::future::ready(MethodResponse::notification().with_extensions(notification.extensions))
    }
}
