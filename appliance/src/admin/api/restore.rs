//! The box's chain from a backup, while the box runs: it is restored beside the box's own and takes its place with the
//! next start.

use alloy_primitives::B256;
use axum::{Json, extract::State, http::StatusCode};
use dolmen_access::Secret;
use dolmen_archive::{Identities, Restored};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, backup, body::Body, jobs::JobStarted, problem::Problem};
use crate::{
    archive,
    restored::{Place, Waiting},
};

/// Asks for a restore.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreRequest {
    /// The secret half of a recipient's key, `AGE-SECRET-KEY-1…`, of `age-keygen`. The box keeps it in memory alone, and
    /// until the job has ended.
    identity: Secret,
}

/// What was restored.
#[derive(Serialize, ToSchema)]
pub(super) struct RestoredView {
    /// Its last block.
    pub(super) head: u64,
    /// That block's hash.
    #[schema(value_type = String)]
    pub(super) hash: B256,
    /// Backups that were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backups: Option<usize>,
}

impl From<Waiting> for RestoredView {
    fn from(Waiting { head, hash }: Waiting) -> Self {
        Self { head, hash, backups: None }
    }
}

/// Restore the chain from the backups on this box. All of it is proven, in a place of its own, while the box goes on; it
/// takes the place of the box's chain with the next start, after which the box fetches what is newer. Keys, settings and
/// the log of votes stay.
#[utoipa::path(post, path = "/api/v1/restore", tag = super::BOX, operation_id = "restore",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])), request_body = RestoreRequest,
    responses((status = ACCEPTED, body = JobStarted), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn restore(
    State(api): State<Api>,
    Body(RestoreRequest { identity }): Body<RestoreRequest>,
) -> Result<(StatusCode, Json<JobStarted>), Problem> {
    let identities = Identities::parse(identity.expose()).map_err(|error| {
        let next = "give the whole line, or the file that age-keygen wrote";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "identity", error.to_string(), next)
    })?;
    if backup::manifest(&api).await?.is_none_or(|manifest| manifest.latest().is_empty()) {
        let next = "put the files of a backup there first, its manifest last";
        return Err(Problem::new(StatusCode::CONFLICT, "no-backups", "this box has no backup to restore from", next));
    }
    let home = api.home.clone();
    api.home.jobs.start("restore", move |progress| {
        let place = Place::beside(&home.config.data_dir);
        place.drop_restored()?;
        let chain = archive::chain(&home.config)?;
        let watch = &mut |at: dolmen_archive::Progress| progress.of_steps(at);
        let options = home.config.history.options();
        let Restored { head, hash, backups, .. } =
            dolmen_archive::restore(&chain, &home.backups(), &identities, &place.restored, options, watch)?;
        place.mark(Waiting { head, hash })?;
        tracing::warn!(head, %hash, "a chain from a backup waits for the next start");
        Ok(RestoredView { head, hash, backups: Some(backups) })
    })
}

/// Drop what was restored and waits for the next start.
#[utoipa::path(delete, path = "/api/v1/restore", tag = super::BOX, operation_id = "drop-restored",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = NO_CONTENT), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn drop_restored(State(api): State<Api>) -> Result<StatusCode, Problem> {
    if api.home.jobs.busy() {
        let detail = "a job is at work, which may be the one that restores";
        return Err(Problem::new(StatusCode::CONFLICT, "job-running", detail, "wait for it to end"));
    }
    let place = Place::beside(&api.home.config.data_dir);
    let dropped = tokio::task::spawn_blocking(move || place.drop_restored()).await;
    let dropped = dropped.map_err(anyhow::Error::from).and_then(|dropped| dropped);
    dropped.map(|()| StatusCode::NO_CONTENT).map_err(|error| Problem::failed(&error))
}
