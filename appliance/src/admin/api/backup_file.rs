//! Files of backups: fetched from here to be kept elsewhere, and brought back to be restored.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::{
    body::Body as Content,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use dolmen_archive::Manifest;
use dolmen_hsm_api::private;
use futures::{StreamExt as _, stream};
use nix::sys::statvfs::statvfs;
use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{Api, backup, body::Named, problem::Problem};

/// What is read of a file at once.
const PIECE_BYTES: usize = 256 << 10;
/// The file that names the others, which has no secrets.
const MANIFEST: &str = "manifest.json";
/// Of a manifest that is brought back: thousands of backups.
const MANIFEST_BYTES_MAX: usize = 16 << 20;
/// What a box has to have free besides: a chain that cannot write stands still.
const RESERVE_BYTES: u64 = 1 << 30;
/// Between two looks at the disk.
const LOOK_BYTES: u64 = 16 << 20;
/// How long the sender of a file may be silent.
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// A file of a backup, or the manifest, to be kept elsewhere.
#[utoipa::path(get, path = "/api/v1/backups/{file}", tag = super::BOX, operation_id = "backup-file",
    params(("file" = String, Path)),
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = OK, content(("application/octet-stream"))),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn backup_file(State(api): State<Api>, Named(name): Named<String>) -> Result<Response, Problem> {
    let known = backup::manifest(&api).await?.is_some_and(|manifest| is_file_of(&manifest, &name));
    if !known {
        return Err(Problem::not_here("there is no such file of a backup", "take its name from the list of backups"));
    }
    let path = api.home.backups().join(&name);
    let opened = fs::File::open(&path).await.with_context(|| format!("cannot read {}", path.display()));
    let file = opened.map_err(|error| Problem::failed(&error))?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
    });
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok((headers, Content::from_stream(pieces)).into_response())
}

/// Bring a file of a backup back. `manifest.json` comes last: it makes the others count, and is refused where one of them
/// is missing. Nothing is believed because it is there: what is restored is proven.
#[utoipa::path(put, path = "/api/v1/backups/{file}", tag = super::BOX, operation_id = "put-backup-file",
    params(("file" = String, Path)),
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    request_body(content(("application/octet-stream"))),
    responses((status = CREATED), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn put_backup_file(
    State(api): State<Api>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Content,
) -> Result<StatusCode, Problem> {
    let _one = api.home.bringing.try_lock().map_err(|_| {
        let detail = "another file of a backup is on its way to the box";
        Problem::new(StatusCode::CONFLICT, "upload-running", detail, "wait for it to end: they come one at a time")
    })?;
    let directory = api.home.backups();
    fs::create_dir_all(&directory).await.map_err(|error| disk(&directory, &error))?;
    if name == MANIFEST {
        put_manifest(&api, &directory, body).await?;
        return Ok(StatusCode::CREATED);
    }
    if !is_name(&name) {
        let next = "give it the name that it had on the box that made it, as its manifest.json has it";
        return Err(unfit(format!("{name:?} is no name of a file of a backup"), next));
    }
    check_nobodys(&api, &name).await?;
    // The length is a hint that saves the way; the disk is looked at on it.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    room(&directory, length.unwrap_or(0))?;
    let (path, part) = (directory.join(&name), directory.join(format!(".{name}.part")));
    let stored = async {
        store(&directory, &part, body).await?;
        // A backup that was made meanwhile keeps its file.
        check_nobodys(&api, &name).await?;
        fs::rename(&part, &path).await.map_err(|error| disk(&path, &error))
    };
    let stored = stored.await;
    if stored.is_err() {
        // What is left of it is overwritten by the next.
        let _ = fs::remove_file(&part).await;
    }
    stored.map(|()| StatusCode::CREATED)
}

/// Whether no backup of the box has a file of this name.
async fn check_nobodys(api: &Api, name: &str) -> Result<(), Problem> {
    match backup::manifest(api).await? {
        Some(manifest) if is_file_of(&manifest, name) => {
            Err(exists(format!("the box has a backup with the file {name}")))
        }
        _ => Ok(()),
    }
}

async fn store(directory: &Path, part: &Path, body: Content) -> Result<(), Problem> {
    let mut pieces = body.into_data_stream();
    let mut file = fs::File::create(part).await.map_err(|error| disk(part, &error))?;
    let (mut written, mut looked) = (0, 0);
    while let Some(piece) = silent_no_longer(pieces.next()).await? {
        let piece = piece.map_err(|error| unfit(format!("the file broke off: {error}"), "send it again"))?;
        written += piece.len() as u64;
        if written - looked >= LOOK_BYTES {
            looked = written;
            room(directory, 0)?;
        }
        file.write_all(&piece).await.map_err(|error| disk(part, &error))?;
    }
    if written == 0 {
        return Err(unfit("the file is empty".to_owned(), "send its bytes as the body"));
    }
    file.sync_all().await.map_err(|error| disk(part, &error))
}

async fn put_manifest(api: &Api, directory: &Path, body: Content) -> Result<(), Problem> {
    let bytes = silent_no_longer(axum::body::to_bytes(body, MANIFEST_BYTES_MAX)).await?;
    let next = "take it from the backup's directory, as it is";
    let bytes = bytes.map_err(|error| unfit(format!("the manifest does not come: {error}"), next))?;
    let manifest = Manifest::parse(&bytes).map_err(|error| unfit(error.to_string(), next))?;
    if manifest.genesis_hash != api.page.genesis_hash {
        let detail = format!("it is of the chain with genesis {}, not of this box's", manifest.genesis_hash);
        return Err(unfit(detail, "take a backup of this box's chain"));
    }
    if let Some(present) = backup::manifest(api).await?
        && !manifest.backups.starts_with(&present.backups)
    {
        return Err(exists("the box has backups that this manifest does not name".to_owned()));
    }
    for file in manifest.latest().iter().flat_map(|backup| &backup.files) {
        let found = fs::metadata(directory.join(&file.name)).await.map(|found| found.len()).ok();
        if found != Some(file.bytes) {
            let detail = format!("{} is not there in its {} bytes", file.name, file.bytes);
            return Err(unfit(detail, "send that file first, and then the manifest"));
        }
    }
    let path: PathBuf = directory.join(MANIFEST);
    let written = tokio::task::spawn_blocking({
        let path = path.clone();
        move || private::write(&path, &bytes)
    });
    let written = written.await.map_err(|error| Problem::failed(&error.into()))?;
    written.map_err(|error| disk(&path, &error))
}

/// Whether a request may have a file of this name.
fn is_file_of(manifest: &Manifest, name: &str) -> bool {
    let listed = manifest.backups.iter().flat_map(|backup| &backup.files).any(|file| file.name == name);
    // What the manifest names has no path, but whoever can write to the directory could make it say so.
    let plain = Path::new(name).file_name().is_some_and(|only| only == name);
    plain && (listed || name == MANIFEST)
}

/// Whether a backup could have a file of this name: its number, what it holds, and how it is packed.
fn is_name(name: &str) -> bool {
    let Some((number, content)) = name.strip_suffix(".zst.age").and_then(|name| name.split_once('-')) else {
        return false;
    };
    number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit()) && matches!(content, "blocks" | "state")
}

async fn silent_no_longer<T>(next: impl Future<Output = T>) -> Result<T, Problem> {
    timeout(SILENCE_MAX, next).await.map_err(|_| {
        let detail = format!("nothing came for {} s", SILENCE_MAX.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body-late", detail, "send it again")
    })
}

/// Whether there is room for so many bytes, and for the box besides.
fn room(directory: &Path, bytes: u64) -> Result<(), Problem> {
    let free = statvfs(directory).map_err(|error| disk(directory, &error.into()))?;
    let free = free.blocks_available().saturating_mul(free.fragment_size());
    if free < bytes.saturating_add(RESERVE_BYTES) {
        return Err(full(format!("the box has {free} bytes free, of which it keeps {RESERVE_BYTES} for its chain")));
    }
    Ok(())
}

fn unfit(detail: String, next: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "backup-file", detail, next)
}

fn exists(detail: String) -> Problem {
    let next = "restore from the backups that are there, or move them out of the box's directory of backups";
    Problem::new(StatusCode::CONFLICT, "file-exists", detail, next)
}

fn full(detail: String) -> Problem {
    let next = "free space, or name another disk as admin.backups in box.toml";
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail, next)
}

fn disk(path: &Path, error: &std::io::Error) -> Problem {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return full(format!("{} takes no more", path.display()));
    }
    Problem::failed(&anyhow::anyhow!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::backup::tests::backup, *};

    #[test]
    fn only_files_of_backups_are_given_out() {
        let backups = vec![backup(1, "000001-blocks.zst.age"), backup(2, "../box.toml")];
        let manifest = Manifest { format: 1, chain_id: 1, genesis_hash: Default::default(), backups };
        assert!(is_file_of(&manifest, "000001-blocks.zst.age") && is_file_of(&manifest, "manifest.json"));
        for other in ["000002-blocks.zst.age", "../box.toml", "..", "", "/etc/passwd", "./manifest.json", "lock"] {
            assert!(!is_file_of(&manifest, other), "{other}");
        }
    }

    #[test]
    fn only_files_of_backups_are_taken() {
        assert!(is_name("000001-blocks.zst.age") && is_name("123456-state.zst.age"));
        for other in [
            "",
            "manifest.json",
            ".lock",
            "../000001-blocks.zst.age",
            "000001-blocks.zst.age/x",
            "1-blocks.zst.age",
            "00000a-blocks.zst.age",
            "000001-other.zst.age",
            "000001-blocks.zst",
            "000001blocks.zst.age",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn a_disk_has_room_or_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(room(dir.path(), u64::MAX).unwrap_err().code(), "disk-full");
    }
}
