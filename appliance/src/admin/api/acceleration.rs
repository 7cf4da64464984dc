//! What checks signatures: which engines there are, which one runs, and how fast each is on this machine.

use std::sync::OnceLock;

use axum::{Json, extract::State, http::StatusCode};
use clap::ValueEnum as _;
use dolmen_accel_api::Capabilities;
use dolmen_access::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    jobs::{JobStarted, Progress},
    problem::Problem,
};
use crate::{
    backends::Backend,
    bench::crypto::{Curve, curve},
};

/// What checks signatures.
#[derive(Serialize, ToSchema)]
pub(super) struct Acceleration {
    /// The engines of this program.
    backends: Vec<EngineView>,
    /// The one that runs, as the box was started.
    selected: &'static str,
    /// Its check against known answers; none for `off`, whose libraries have none here.
    self_test: Option<SelfTest>,
}

/// An engine.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct EngineView {
    /// Its name on the command line.
    name: &'static str,
    /// What it verifies in a node.
    algorithms: Vec<&'static str>,
    state: EngineState,
    /// Why it is in that state, and what it uses.
    why: String,
}

/// How an engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EngineState {
    /// It runs.
    Selected,
    /// It started here, gave the known answers and was stopped.
    Available,
    /// It does not start here.
    Unavailable,
}

/// A check against known answers. An engine that fails it does not start, and neither does its box.
#[derive(Serialize, ToSchema)]
pub(super) struct SelfTest {
    at: Timestamp,
    /// Whether it gave the right answers.
    passed: bool,
}

/// Engines that were looked at, once: each takes a moment to start.
#[derive(Default)]
pub(super) struct Engines(OnceLock<Vec<EngineView>>);

impl Engines {
    fn look(&self, backend: Backend, capabilities: &Capabilities) -> Vec<EngineView> {
        let view = |of: &Backend| if *of == backend { selected(*of, capabilities) } else { try_out(*of) };
        self.0.get_or_init(|| Backend::value_variants().iter().map(view).collect()).clone()
    }
}

fn selected(backend: Backend, capabilities: &Capabilities) -> EngineView {
    let why = format!("the box was started with --accel {backend}, or with nothing else; {}", capabilities.description);
    EngineView { name: backend.name(), algorithms: algorithms(capabilities), state: EngineState::Selected, why }
}

fn try_out(backend: Backend) -> EngineView {
    let name = backend.name();
    match backend.node_engine() {
        Ok(engine) => {
            let capabilities = engine.capabilities();
            let why = format!("another was chosen at the start; {}", capabilities.description);
            EngineView { name, algorithms: algorithms(capabilities), state: EngineState::Available, why }
        }
        Err(error) => {
            EngineView { name, algorithms: Vec::new(), state: EngineState::Unavailable, why: format!("{error:#}") }
        }
    }
}

fn algorithms(capabilities: &Capabilities) -> Vec<&'static str> {
    capabilities.algorithms.iter().map(|algorithm| algorithm.name()).collect()
}

/// The engines that check signatures, and which one runs.
#[utoipa::path(get, path = "/api/v1/acceleration", tag = super::BOX, operation_id = "acceleration",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Acceleration),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn acceleration(State(api): State<Api>) -> Result<Json<Acceleration>, Problem> {
    let (selected, at) = (api.page.engine.backend, Timestamp(api.page.started_at));
    let looked = tokio::task::spawn_blocking(move || api.home.engines.look(selected, &api.page.engine.capabilities));
    let backends = looked.await.map_err(|error| Problem::failed(&error.into()))?;
    // It runs, so it has passed.
    let self_test = (selected != Backend::Off).then_some(SelfTest { at, passed: true });
    Ok(Json(Acceleration { backends, selected: selected.name(), self_test }))
}

/// Measure how many signatures each engine checks in a second, by the size of the batch: some ten seconds of one core.
/// The job's result is a `Curve`.
#[utoipa::path(post, path = "/api/v1/acceleration/benchmark", tag = super::BOX, operation_id = "benchmark",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = ACCEPTED, body = JobStarted),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn benchmark(State(api): State<Api>) -> Result<(StatusCode, Json<JobStarted>), Problem> {
    api.home
        .jobs
        .start("benchmark", |progress: &Progress| -> anyhow::Result<Curve> { curve(&|part| progress.at(part)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_engine_is_selected_and_the_others_start() {
        let capabilities = Backend::Off.node_engine().unwrap().capabilities().clone();
        let engines = Engines::default().look(Backend::Off, &capabilities);
        let states: Vec<_> = engines.iter().map(|engine| (engine.name, engine.state)).collect();
        assert_eq!(
            states,
            [("cpu", EngineState::Available), ("cpu-portable", EngineState::Available), ("off", EngineState::Selected)]
        );
        assert!(engines.iter().all(|engine| engine.algorithms.contains(&"secp256k1")));
    }
}
