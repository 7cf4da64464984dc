//! What support asks for, in one file: an archive like that of the stick.
//!
//! No secrets: of the settings those on a list are taken, of the keys their public halves, and no file is read but those
//! of the kernel about the machine.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use dolmen_image_installer::support::archive;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Api, Home, keys, network, now, problem::Problem, system};
use crate::{
    admin::update::Updates,
    config::{BoxConfig, KeySettings},
    logging::{self, LogLevel, LogLine},
    run::CLIENT_VERSION,
};

/// The level of zstd.
const COMPRESSION: i32 = 6;
/// All lines that are kept.
const LINES_MAX: usize = usize::MAX;

/// The box's own facts, as files.
struct Facts {
    files: Vec<(String, Vec<u8>)>,
    missing: Vec<String>,
}

impl Facts {
    fn take(&mut self, name: &str, facts: Result<impl Serialize, Problem>) {
        let text = facts.map_err(|problem| problem.code().to_owned()).and_then(|facts| {
            let text = serde_json::to_vec_pretty(&facts);
            text.map_err(|error| error.to_string())
        });
        match text {
            Ok(text) => self.files.push((name.to_owned(), text)),
            Err(why) => self.missing.push(format!("{name}: {why}")),
        }
    }

    /// The archive. What is too long for it is left out, and said.
    fn archive(mut self, at: u64) -> Vec<u8> {
        let (_, left_out) = archive(&self.files, at);
        self.files.retain(|(name, _)| !left_out.contains(name));
        self.missing.extend(left_out.iter().map(|name| format!("{name}: too long")));
        self.files.insert(0, ("missing.txt".to_owned(), self.missing.join("\n").into_bytes()));
        archive(&self.files, at).0
    }
}

/// Make a support bundle: how the box is, its settings without secrets, its log and its numbers, as `.tar.zst`.
#[utoipa::path(post, path = "/api/v1/support-bundle", tag = super::BOX, operation_id = "support-bundle",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = OK, content(("application/zstd"))),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn support_bundle(State(api): State<Api>) -> Result<Response, Problem> {
    let at = now();
    let facts = gather(&api).await;
    let packed = tokio::task::spawn_blocking(move || zstd::encode_all(&*facts.archive(at), COMPRESSION));
    let packed = packed.await.map_err(anyhow::Error::from).and_then(|packed| packed.context("it cannot be compressed"));
    let packed = packed.map_err(|error| Problem::failed(&error))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    let name = format!("attachment; filename=\"support-{}-{at}.tar.zst\"", file_name(&api.home.config.name));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("letters and digits are ASCII"));
    Ok((headers, packed).into_response())
}

async fn gather(api: &Api) -> Facts {
    let mut facts = of_home(&api.home);
    facts.take("status.json", Ok(api.page.status(true)));
    facts.take("keys.json", keys::keys(State(api.clone())).await.map(|keys| keys.0));
    facts.take("system.json", system::system(State(api.clone())).await.map(|machine| machine.0));
    facts.take("network.json", network::network(State(api.clone())).await.map(|network| network.0));
    facts.take("update.json", Ok(api.page.updates.as_ref().and_then(Updates::report)));
    facts.files.push(("metrics.txt".to_owned(), api.page.metrics().into_bytes()));
    facts
}

/// What takes no running node.
fn of_home(home: &Arc<Home>) -> Facts {
    let mut facts = Facts { files: Vec::new(), missing: Vec::new() };
    let versions = json!({ "dolmen": env!("CARGO_PKG_VERSION"), "client": CLIENT_VERSION, "format": 1 });
    facts.take("versions.json", Ok(versions));
    facts.take("settings.json", Ok(settings(&home.config)));
    let log: String = logging::part(LogLevel::Trace, 0, LINES_MAX).lines.iter().map(text).collect();
    facts.files.push(("log.txt".to_owned(), log.into_bytes()));
    facts
}

/// The settings, without what leads to secrets.
fn settings(config: &BoxConfig) -> Value {
    let BoxConfig { name, genesis, data_dir, keys, p2p, rpc, admin, sync, history, update, log, traces } = config;
    let KeySettings { consensus, tls, api, vote_counter, devices } = keys;
    let uri = |uri: &dolmen_hsm_api::KeyUri| uri.to_string().split('?').next().unwrap_or_default().to_owned();
    json!({
        "name": name,
        "genesis": genesis,
        "data_dir": data_dir,
        "p2p": p2p,
        "rpc": rpc,
        "admin": admin,
        "sync": sync,
        "history": history,
        "log": log,
        "traces": traces,
        "update": update.as_ref().map(|update| json!({ "spool": update.spool, "report": update.report })),
        "keys": {
            "consensus": uri(consensus),
            "tls": uri(tls),
            "api": api.as_ref().map(uri),
            "vote_counter": vote_counter,
            "dir": devices.dir,
            "tcti": devices.tcti,
        },
    })
}

/// A line for people.
fn text(line: &LogLine) -> String {
    let LogLine { seq, at_ms, level, target, message, fields } = line;
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
    let at = dolmen_access::Timestamp(at_ms / 1000).to_string();
    format!("{seq} {}.{:03}Z {level:?} {target}: {message}{fields}\n", at.trim_end_matches('Z'), at_ms % 1000)
}

/// A name that every system takes for a file.
fn file_name(name: &str) -> String {
    name.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{admin::Around, backends::keys::Keys, restart::Restart};

    const SECRETS: [&str; 4] = ["hunter2-passphrase", "hunter2-pin", "AAAA-hunter2-CODE", "hunter2-key"];

    /// A box whose every file is a secret.
    fn home(dir: &Path) -> Arc<Home> {
        let keys = dir.join("keys");
        fs::create_dir(&keys).unwrap();
        for (path, secret) in [
            (keys.join("passphrase"), SECRETS[0]),
            (dir.join("pin"), SECRETS[1]),
            (dir.join("claim-code"), SECRETS[2]),
            (keys.join("consensus.key"), SECRETS[3]),
        ] {
            fs::write(path, secret).unwrap();
        }
        let path = dir.join("box.toml");
        let text = "name = \"box one\"\ngenesis = \"genesis.json\"\ndata_dir = \"data\"\n\
                    [p2p]\nlisten = \"127.0.0.1:1\"\n\
                    [keys]\nconsensus = \"soft:consensus\"\n\
                    tls = \"pkcs11:token=T;object=page?module-path=/lib.so&pin-source=file:/etc/hunter2-pin\"\n\
                    [keys.devices]\npassphrase_file = \"keys/passphrase\"\n\
                    [update]\nspool = \"spool\"\nrelease_keys = \"k\"\nreport = \"r\"\n";
        fs::write(&path, text).unwrap();
        let config = BoxConfig::load(&path).unwrap();
        let keys = Arc::new(Keys::new(config.keys.devices.clone()).unwrap());
        let around = Around { settings: path, keys, certificate: None, restart: Restart::default() };
        Arc::new(Home::of(&config, around))
    }

    #[test]
    fn no_secret_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let archive = of_home(&home).archive(1_790_000_000);
        let text = String::from_utf8_lossy(&archive);
        for present in ["box one", "pkcs11:token=T;object=page", "soft:consensus", CLIENT_VERSION, "settings.json"] {
            assert!(text.contains(present), "{present}");
        }
        for absent in SECRETS.into_iter().chain(["hunter2", "pin-source", "claim-code", "passphrase"]) {
            assert!(!text.contains(absent), "{absent}");
        }
    }

    #[test]
    fn a_line_of_the_log_is_a_line() {
        let fields = [("error".to_owned(), "two\nlines".to_owned())].into();
        let (target, message) = ("dolmen".to_owned(), "broken".to_owned());
        let line = LogLine { seq: 3, at_ms: 1_790_000_000_042, level: LogLevel::Warn, target, message, fields };
        assert_eq!(text(&line), "3 2026-09-21T14:13:20.042Z Warn dolmen: broken error=\"two\\nlines\"\n");
    }

    #[test]
    fn any_name_is_a_file_name() {
        assert_eq!(file_name("box-1/é \"x\"\r\n"), "box-1----x---");
        assert_eq!(file_name(&"x".repeat(100)).len(), 64);
    }
}
