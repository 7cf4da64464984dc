//! The listening socket: HTTP and WebSocket on one port.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    sync::Arc,
    time::Duration,
};

use jsonrpsee::{
    Methods as MethodTable,
    server::{
        BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle, StopHandle,
        middleware::rpc::RpcServiceBuilder, serve_with_graceful_shutdown, stop_channel,
    },
};
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{
    AllowedHosts, Backend, RpcLimits,
    connection::{Connection, ConnectionControl, Place, Unsent},
    debug, dolmen,
    eth::{self, filters::Filters},
    http::HttpService,
    methods::Methods,
    middleware::{RpcMetrics, RpcMiddleware, Shared},
    net_web3_txpool,
    pubsub::{self, HexIds},
};

/// Pause after a failed accept, which means that the process is out of file descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// What a connection too many gets.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A running JSON-RPC server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct RpcServer {
    address: SocketAddr,
    handle: ServerHandle,
    places: Arc<Semaphore>,
    connections_max: u32,
}

impl RpcServer {
    /// Serves JSON-RPC on `listener`, with the limits of `backend`, to requests that name no host beyond those that
    /// always are allowed. Needs a tokio runtime.
    pub fn start(listener: StdTcpListener, backend: Arc<Backend>, registry: &mut Registry) -> io::Result<Self> {
        Self::start_for(AllowedHosts::default(), listener, backend, registry)
    }

    /// As [`Self::start`], to requests that name one of `hosts`, too.
    pub fn start_for(
        hosts: AllowedHosts,
        listener: StdTcpListener,
        backend: Arc<Backend>,
        registry: &mut Registry,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let limits = *backend.limits();
        let methods = method_table(Arc::clone(&backend));
        let shared = Arc::new(Shared { backend, methods, metrics: RpcMetrics::register(registry), limits });
        let (stop, handle) = stop_channel();
        let places = Arc::new(Semaphore::new(limits.connections_max as usize));
        tokio::spawn(accept(listener, stop, places.clone(), shared, Arc::new(hosts)));
        tracing::info!(%address, "JSON-RPC is served");
        Ok(Self { address, handle, places, connections_max: limits.connections_max })
    }

    /// Where it listens; the port is known even if port 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests in progress finish, and returns when all connections are closed or after
    /// `grace`. Says whether all were closed.
    pub async fn shutdown(self, grace: Duration) -> bool {
        // Fails only where it has stopped already.
        let _ = self.handle.stop();
        tokio::time::timeout(grace, self.places.acquire_many(self.connections_max)).await.is_ok()
    }
}

/// Every method of the server.
fn method_table(backend: Arc<Backend>) -> MethodTable {
    let filters = Arc::new(Filters::new(*backend.limits()));
    let mut methods = Methods::new(backend);
    eth::register(&mut methods, &filters);
    debug::register(&mut methods);
    dolmen::register(&mut methods);
    net_web3_txpool::register(&mut methods);
    pubsub::register(&mut methods);
    methods.finish()
}

fn server_config(limits: &RpcLimits) -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(limits.body_bytes_max)
        .max_response_body_size(limits.response_bytes_max)
        .max_connections(limits.connections_max)
        .max_subscriptions_per_connection(limits.subscriptions_per_connection_max)
        // The middleware limits them, with an error that says the limit.
        .set_batch_request_config(BatchRequestConfig::Unlimited)
        .set_message_buffer_capacity(limits.outgoing_messages_max)
        // A ping every 30 s keeps WebSocket connections from being idle.
        .enable_ws_ping(PingConfig::default())
        .set_id_provider(HexIds)
        .build()
}

async fn accept(
    listener: TcpListener,
    stop: StopHandle,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
    hosts: Arc<AllowedHosts>,
) {
    let (config, limits) = (server_config(&shared.limits), shared.limits);
    let unsent = Unsent::new(&limits);
    let layer = shared.clone();
    let middleware = RpcServiceBuilder::new().layer_fn(move |service| RpcMiddleware::new(service, layer.clone()));
    let services = Server::builder().set_config(config).set_rpc_middleware(middleware).to_service_builder();
    let stopped = stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return,
        };
        let Some((socket, place)) = admit(accepted, &places, &shared.metrics).await else { continue };
        let control = ConnectionControl::new(&limits, &unsent);
        let service = services.clone().build(shared.methods.clone(), stop.clone());
        let service = HttpService::new(service, control.clone(), hosts.clone());
        let connection = Connection::new(socket, control, place, &limits);
        let stopped = stop.clone().shutdown();
        tokio::spawn(async move {
            if let Err(error) = serve_with_graceful_shutdown(connection, service, stopped).await {
                tracing::debug!(%error, "an RPC connection failed");
            }
        });
    }
}

/// Takes a connection in, if there is room.
async fn admit(
    accepted: io::Result<(TcpStream, SocketAddr)>,
    places: &Arc<Semaphore>,
    metrics: &RpcMetrics,
) -> Option<(TcpStream, Place)> {
    let (socket, _) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "an RPC connection cannot be accepted; check the limit of open files");
            tokio::time::sleep(ACCEPT_RETRY).await;
            return None;
        }
    };
    let Ok(place) = places.clone().try_acquire_owned() else {
        metrics.connections_refused.inc();
        // A courtesy that must not wait: the answer fits the socket's empty buffer, or is lost.
        let _ = socket.try_write(TOO_MANY);
        return None;
    };
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "an RPC connection went before it was served");
        return None;
    }
    Some((socket, Place::new(place, metrics.connections.clone())))
}

#[cfg(test)]
mod tests;
