//! The page of a box that has not joined yet: how far it is, and what is in its way.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use dolmen_provisioning_link::{Limits, serve};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    admin::{self, Tls},
    pledge::Report,
};

type Reports = watch::Receiver<Option<Report>>;

/// Served until it is stopped.
pub(super) struct WaitingPage {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl WaitingPage {
    pub(super) async fn start(listen: SocketAddr, tls: &Tls, reports: Reports) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot serve the web page on {listen}; choose another address for it"))?;
        let mut router = Router::new()
            .route("/api/provisioning", get(provisioning))
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .with_state(reports);
        for (path, media_type, content) in [
            ("/", "text/html; charset=utf-8", include_str!("../../web/joining.html")),
            ("/joining.js", "text/javascript; charset=utf-8", include_str!("../../web/joining.js")),
            ("/joining.css", "text/css; charset=utf-8", include_str!("../../web/joining.css")),
        ] {
            router = router.route(path, get(move || async move { admin::file(media_type, content) }));
        }
        let router = admin::guard(router, &[]);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Some(tls.acceptor.clone()), router, Limits::default(), stopped));
        Ok(Self { task, stop })
    }

    /// Gives the port back.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(admin::STOP_GRACE, &mut self.task).await.is_err() {
            self.task.abort();
            // It is gone when this returns.
            let _ = (&mut self.task).await;
        }
    }
}

async fn provisioning(State(reports): State<Reports>) -> Response {
    let report = reports.borrow().clone();
    ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

async fn metrics(State(reports): State<Reports>) -> Response {
    let text = reports.borrow().as_ref().map(Report::metrics).unwrap_or_default();
    ([(header::CONTENT_TYPE, admin::OPENMETRICS)], text + "# EOF\n").into_response()
}

async fn readyz(State(reports): State<Reports>) -> Response {
    let phase = reports.borrow().as_ref().map_or_else(|| "starting".to_owned(), |report| report.phase.clone());
    (StatusCode::SERVICE_UNAVAILABLE, format!("the box joins its chain: {phase}\n")).into_response()
}
