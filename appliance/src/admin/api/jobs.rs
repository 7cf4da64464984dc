//! What takes longer than an answer: one job at a time, and how the last ones went.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use axum::{Json, extract::State, http::StatusCode};
use dolmen_access::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Api, body::Named, now, problem::Problem};

/// Jobs that are remembered.
const JOBS_MAX: usize = 16;

/// The jobs of this start of the box.
#[derive(Default)]
pub(super) struct Jobs(Mutex<VecDeque<Job>>);

/// A job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Job {
    /// By which it is asked for.
    id: u64,
    /// Which operation began it.
    kind: &'static str,
    state: JobState,
    /// What part of it is done, from 0 to 1.
    progress: f64,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// What came of it, in the form of its operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobState {
    /// It works.
    Running,
    /// There is a result.
    Done,
    /// There is none.
    Failed,
}

/// A job that began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobStarted {
    /// For `/api/v1/jobs/{id}`.
    job: u64,
}

/// Tells how far a job is, and that it ended, however it does.
pub(super) struct Progress {
    jobs: Arc<Jobs>,
    id: u64,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job on a thread of its own, which a stopping box does not wait for.
    pub(super) fn start<T: Serialize>(
        self: &Arc<Self>,
        kind: &'static str,
        work: impl FnOnce(&Progress) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<(StatusCode, Json<JobStarted>), Problem> {
        let progress = self.open(kind)?;
        let id = progress.id;
        let spawned = std::thread::Builder::new().name(kind.to_owned()).spawn(move || {
            let result = work(&progress).and_then(|result| serde_json::to_value(result).context("no JSON"));
            progress.end(result.map_err(|error| format!("{error:#}")));
        });
        // The closure was dropped, and the job with it ended.
        spawned.context("a thread for it does not start").map_err(|error| Problem::failed(&error))?;
        Ok((StatusCode::ACCEPTED, Json(JobStarted { job: id })))
    }

    fn open(self: &Arc<Self>, kind: &'static str) -> Result<Progress, Problem> {
        let mut jobs = self.lock();
        if let Some(running) = jobs.iter().find(|job| job.state == JobState::Running) {
            let detail =
                format!("the job {}, {}, is not done yet, and there is one at a time", running.id, running.kind);
            return Err(Problem::new(StatusCode::CONFLICT, "job-running", detail, "wait for it to end"));
        }
        let id = jobs.back().map_or(1, |last| last.id + 1);
        let (state, started_at) = (JobState::Running, Timestamp(now()));
        jobs.push_back(Job { id, kind, state, progress: 0.0, started_at, ended_at: None, result: None, error: None });
        if jobs.len() > JOBS_MAX {
            jobs.pop_front();
        }
        Ok(Progress { jobs: self.clone(), id })
    }

    /// Whether one runs.
    pub(super) fn busy(&self) -> bool {
        self.lock().iter().any(|job| job.state == JobState::Running)
    }

    fn get(&self, id: u64) -> Option<Job> {
        self.lock().iter().find(|job| job.id == id).cloned()
    }
}

impl Progress {
    /// What part of it is done, from 0 to 1.
    pub(super) fn at(&self, part: f64) {
        self.change(|job| job.progress = part.clamp(job.progress, 1.0));
    }

    /// The same of a task on a chain's files, which tells of one step after the other.
    pub(super) fn of_steps(&self, at: dolmen_archive::Progress) {
        if at.total > 0 {
            self.at(at.done as f64 / at.total as f64);
        }
    }

    fn end(&self, result: Result<Value, String>) {
        if let Err(error) = &result {
            tracing::warn!(job = self.id, error, "a job failed");
        }
        self.change(|job| {
            job.ended_at = Some(Timestamp(now()));
            match result {
                Ok(result) => (job.state, job.progress, job.result) = (JobState::Done, 1.0, Some(result)),
                Err(error) => (job.state, job.error) = (JobState::Failed, Some(error)),
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Job)) {
        let mut jobs = self.jobs.lock();
        jobs.iter_mut().find(|job| job.id == self.id && job.state == JobState::Running).map(change);
    }
}

impl Drop for Progress {
    /// A panic ends a job as well.
    fn drop(&mut self) {
        let running = self.jobs.get(self.id).is_some_and(|job| job.state == JobState::Running);
        if running {
            self.end(Err("it ended early: see the box's log".to_owned()));
        }
    }
}

/// How a job is, and what came of it.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = super::BOX, operation_id = "job", params(("id" = u64, Path)),
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Job),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn job(State(api): State<Api>, Named(id): Named<u64>) -> Result<Json<Job>, Problem> {
    let next = "begin it anew: the last jobs alone are remembered, until the box stops";
    api.home.jobs.get(id).map(Json).ok_or_else(|| Problem::not_here(format!("there is no job {id}"), next))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use anyhow::bail;

    use super::*;

    fn ended(jobs: &Arc<Jobs>, id: u64) -> Job {
        loop {
            let job = jobs.get(id).unwrap();
            if job.state != JobState::Running {
                return job;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn id(started: Result<(StatusCode, Json<JobStarted>), Problem>) -> u64 {
        started.expect("it starts").1.0.job
    }

    #[test]
    fn one_runs_at_a_time() {
        let jobs = Arc::new(Jobs::default());
        let (go, wait) = mpsc::channel::<()>();
        let first = id(jobs.start("first", move |progress| {
            progress.at(0.5);
            progress.at(0.25);
            wait.recv()?;
            Ok("result")
        }));
        while jobs.get(first).unwrap().progress < 0.5 {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(jobs.start("second", |_| Ok(())).unwrap_err().code(), "job-running");
        go.send(()).unwrap();
        let job = ended(&jobs, first);
        assert_eq!((job.state, job.progress, job.result), (JobState::Done, 1.0, Some("result".into())));
        assert!(job.ended_at >= Some(job.started_at));
        id(jobs.start("second", |_| Ok(())));
    }

    #[test]
    fn failures_and_panics_end_a_job() {
        let jobs = Arc::new(Jobs::default());
        let failed = id(jobs.start("fails", |_| -> anyhow::Result<()> { bail!("no luck") }));
        assert_eq!(ended(&jobs, failed).error.as_deref(), Some("no luck"));
        let panicked = id(jobs.start("panics", |_| -> anyhow::Result<()> { panic!("a test's panic") }));
        let job = ended(&jobs, panicked);
        assert!(job.state == JobState::Failed && job.error.unwrap().contains("ended early"));
    }

    #[test]
    fn the_last_ones_are_remembered() {
        let jobs = Arc::new(Jobs::default());
        for _ in 0..JOBS_MAX + 3 {
            let id = id(jobs.start("short", |_| Ok(())));
            ended(&jobs, id);
        }
        assert!(jobs.get(3).is_none() && jobs.get(4).is_some());
        assert_eq!(jobs.lock().len(), JOBS_MAX);
    }
}
