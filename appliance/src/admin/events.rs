//! What happens, as it happens: server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt as _, future, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{Page, api::problem::Problem};

/// Between two `status` events.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);
/// Event streams at once: half of the connections, so that the health checks and the page itself find room.
pub(super) const STREAMS_MAX: usize = 32;

/// Server-sent events: a `block` for each finalized block, a `status` every two seconds, `lagged` where the reader was
/// too slow and blocks were left out. They end when the box stops, and when the reader `may` no more.
pub(super) fn events<May: Future<Output = bool> + Send + 'static>(
    page: Arc<Page>,
    may: impl Fn() -> May + Send + 'static,
) -> Result<Response, Problem> {
    let place = page.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("this box serves {STREAMS_MAX} event streams at once");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", detail, "close other pages that show it")
    })?;
    let stopped = dolmen_provisioning_link::stopped(page.told.stop.clone());
    let blocks = stream::unfold(page.node.events(), |mut events| async move {
        match events.recv().await {
            Ok(finalized) => Some((Some(finalized.block.number()), events)),
            Err(RecvError::Lagged(_)) => Some((None, events)),
            Err(RecvError::Closed) => None,
        }
    });
    let source = page.clone();
    let blocks = blocks.filter_map(move |number| {
        // Too old for the list of recent blocks is too slow as well.
        let block = number.and_then(|number| source.node.metrics().recent_block(number));
        let event =
            block.map_or_else(|| Event::default().event("lagged").data("{}"), |block| json_event("block", &block));
        async move { Some(event) }
    });
    let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(STATUS_INTERVAL));
    let status = ticks.then(move |_| {
        let (page, may) = (page.clone(), may());
        async move { may.await.then(|| json_event("status", &page.status(false))) }
    });
    let events = stream::select(blocks.map(Some), status).take_while(|event| future::ready(event.is_some()));
    let events = events.filter_map(future::ready).take_until(stopped).map(move |event| {
        // Held until the stream is dropped.
        let _place = &place;
        Ok::<_, Infallible>(event)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn json_event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event("lagged").data("{}"))
}
