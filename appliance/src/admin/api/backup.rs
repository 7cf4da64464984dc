//! Encrypted copies of the chain, made here: what `dolmen backup` does.

use axum::{Json, extract::State, http::StatusCode};
use dolmen_access::Timestamp;
use dolmen_archive::{Backup, BackupKind, Manifest, Recipients};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, body::Body, jobs::JobStarted, problem::Problem, restore::RestoredView};
use crate::{archive, restored::Place};

/// Backups in an answer, the latest.
const BACKUPS_MAX: usize = 256;
/// Who may open one.
const RECIPIENTS_MAX: usize = 16;

/// The backups that are on this box.
#[derive(Serialize, ToSchema)]
pub(super) struct Backups {
    /// Where they are.
    directory: String,
    /// The latest first.
    backups: Vec<BackupView>,
    /// Whether there are earlier ones.
    more: bool,
    /// What was restored from them and waits for the next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<RestoredView>,
}

/// A backup.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct BackupView {
    /// From 1.
    number: u32,
    /// `full`, or `incremental` with the blocks since the one before.
    kind: &'static str,
    /// Its first block.
    from: u64,
    /// Its last one.
    to: u64,
    created_at: Timestamp,
    /// All its files.
    bytes: u64,
    /// The public keys whose secret halves open it.
    recipients: Vec<String>,
    /// Its files, for `/api/v1/backups/{file}`. All of those since the last full one make a whole backup, with
    /// `manifest.json`.
    files: Vec<BackupFile>,
}

/// A file of a backup, compressed with zstd and encrypted with age.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BackupFile {
    /// Of the file.
    name: String,
    /// Its size.
    bytes: u64,
    /// Of its content.
    sha256: String,
}

/// Asks for a backup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBackup {
    /// Public keys of `age-keygen`, `age1…`; those of the backup before where there are none.
    #[serde(default)]
    #[schema(example = json!(["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]))]
    recipients: Vec<String>,
    /// Back up everything, and not the blocks since the last one alone.
    #[serde(default)]
    full: bool,
}

impl From<&Backup> for BackupView {
    fn from(backup: &Backup) -> Self {
        let file = |file: &dolmen_archive::DataFile| BackupFile {
            name: file.name.clone(),
            bytes: file.bytes,
            sha256: alloy_primitives::hex::encode(file.sha256),
        };
        Self {
            number: backup.number,
            kind: match backup.kind {
                BackupKind::Full => "full",
                BackupKind::Incremental => "incremental",
            },
            from: backup.from,
            to: backup.to,
            created_at: Timestamp(backup.created),
            bytes: backup.files.iter().map(|file| file.bytes).sum(),
            recipients: backup.recipients.clone(),
            files: backup.files.iter().map(file).collect(),
        }
    }
}

/// The backups of the chain that are on this box.
#[utoipa::path(get, path = "/api/v1/backups", tag = super::BOX, operation_id = "backups",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = OK, body = Backups),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn backups(State(api): State<Api>) -> Result<Json<Backups>, Problem> {
    let manifest = manifest(&api).await?;
    let place = Place::beside(&api.home.config.data_dir);
    let restored = tokio::task::spawn_blocking(move || place.waiting()).await;
    let restored = restored.map_err(anyhow::Error::from).and_then(|restored| restored);
    let restored = restored.map_err(|error| Problem::failed(&error))?;
    let made = manifest.as_ref().map(|manifest| manifest.backups.as_slice()).unwrap_or_default();
    Ok(Json(Backups {
        directory: api.home.backups().display().to_string(),
        backups: made.iter().rev().take(BACKUPS_MAX).map(BackupView::from).collect(),
        more: made.len() > BACKUPS_MAX,
        restored: restored.map(RestoredView::from),
    }))
}

/// Back up the chain, encrypted, without stopping the box. The job's result is the backup, or null where no block was
/// proven since the last one. Neither keys nor settings are in it.
#[utoipa::path(post, path = "/api/v1/backups", tag = super::BOX, operation_id = "make-backup",
    security(("session" = ["operator"]), ("token" = ["operator"])), request_body = NewBackup,
    responses((status = ACCEPTED, body = JobStarted),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn make_backup(
    State(api): State<Api>,
    Body(NewBackup { recipients, full }): Body<NewBackup>,
) -> Result<(StatusCode, Json<JobStarted>), Problem> {
    let recipients = if recipients.is_empty() {
        let last = manifest(&api).await?.and_then(|manifest| manifest.backups.into_iter().next_back());
        last.map(|last| last.recipients).unwrap_or_default()
    } else {
        recipients
    };
    let recipients = parse(&recipients)?;
    let home = api.home.clone();
    api.home.jobs.start("make-backup", move |progress| {
        let (chain, database) = (archive::chain(&home.config)?, archive::database(&home.config));
        let watch = &mut |at: dolmen_archive::Progress| progress.of_steps(at);
        let made = dolmen_archive::backup(&chain, &database, &home.backups(), &recipients, full, watch)?;
        Ok(made.as_ref().map(BackupView::from))
    })
}

/// What the box's directory of backups holds.
pub(super) async fn manifest(api: &Api) -> Result<Option<Manifest>, Problem> {
    let directory = api.home.backups();
    let loaded = tokio::task::spawn_blocking(move || anyhow::Ok(Manifest::load(&directory)?)).await;
    loaded.map_err(anyhow::Error::from).and_then(|loaded| loaded).map_err(|error| Problem::failed(&error))
}

fn parse(recipients: &[String]) -> Result<Recipients, Problem> {
    let bad = |detail: String| {
        let next = "give the public keys of age-keygen, age1..., whose secret halves are kept elsewhere";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "recipients", detail, next)
    };
    if recipients.len() > RECIPIENTS_MAX {
        return Err(bad(format!("there are more than {RECIPIENTS_MAX} recipients")));
    }
    Recipients::parse(recipients.iter().map(String::as_str)).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use dolmen_archive::{DataContent, DataFile};

    use super::*;

    pub(in crate::admin::api) fn backup(number: u32, name: &str) -> Backup {
        let file =
            DataFile { content: DataContent::Blocks, name: name.to_owned(), bytes: 5, sha256: Default::default() };
        Backup {
            number,
            kind: BackupKind::Full,
            from: 1,
            to: 9,
            hash: Default::default(),
            created: 1_790_000_000,
            recipients: vec!["age1".to_owned()],
            files: vec![file.clone(), DataFile { bytes: 6, ..file }],
        }
    }

    #[test]
    fn recipients_are_public_keys() {
        let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned();
        assert_eq!(parse(std::slice::from_ref(&key)).unwrap().names(), std::slice::from_ref(&key));
        for wrong in [vec![], vec!["age1".to_owned()], vec![key; RECIPIENTS_MAX + 1]] {
            assert_eq!(parse(&wrong).err().unwrap().code(), "recipients", "{}", wrong.len());
        }
    }

    #[test]
    fn a_backup_is_as_long_as_its_files() {
        let view = BackupView::from(&backup(3, "a"));
        assert_eq!((view.number, view.kind, view.bytes, view.files.len()), (3, "full", 11, 2));
    }
}
