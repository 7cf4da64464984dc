//! The box's page, embedded: what `npm run build` makes of the folder. It asks its box alone, under `/api/v1`.

use axum::{Router, http::StatusCode, routing::get};
use memory_serve::{CacheControl, MemoryServe};

/// Serves the page. Each path that is no file is the page itself, whose router knows its screens.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    MemoryServe::new(include!(concat!(env!("OUT_DIR"), "/page.rs")))
        .index_file(Some("/index.html"))
        .fallback(Some("/index.html"))
        .fallback_status(StatusCode::OK)
        // Names of files change with what is in them; the page itself changes with the program.
        .html_cache_control(CacheControl::NoCache)
        .cache_control(CacheControl::Long)
        // In brotli, packed at build time: each browser that speaks HTTPS reads it.
        .enable_brotli(true)
        .enable_gzip(false)
        .into_router()
        // A file of another version of the page is not the page.
        .route("/assets/{*file}", get(|| async { StatusCode::NOT_FOUND }))
}
