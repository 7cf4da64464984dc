//! Settings of the box itself that people change: its name, and where its log and its traces go. They are in box.toml,
//! and in effect with the next start.

use std::{fs, path::Path};

use anyhow::Context as _;
use axum::{Json, extract::State, http::StatusCode};
use dolmen_hsm_api::private;
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table, value};
use utoipa::ToSchema;

use super::{Api, Home, body::Body, problem::Problem};
use crate::{
    config::BoxConfig,
    logging::{Collector, SyslogServer},
};

/// Characters of a name.
const NAME_MAX: usize = 64;

/// Settings of the box.
#[derive(Serialize, ToSchema)]
pub(super) struct Settings {
    /// What people call the box.
    name: String,
    /// Where traces go; there are none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    traces: Option<String>,
    /// The syslog server that gets the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    syslog: Option<String>,
    /// Whether something of that is in effect with the next start alone.
    pending: bool,
    /// Whether they can be changed here; else whoever set the box up has kept that to themselves.
    writable: bool,
}

/// What people call the box, and where what it says of itself goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BoxSettings {
    /// What people call the box, 1 to 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Where traces go, by OTLP over HTTP, as in `http://10.0.0.5:4318`; there are none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traces: Option<String>,
    /// A syslog server that gets the log, as in `udp://10.0.0.5:514` or `tcp://10.0.0.5:601`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    syslog: Option<String>,
}

impl BoxSettings {
    fn of(config: &BoxConfig) -> Self {
        Self {
            name: config.name.clone(),
            traces: config.traces.endpoint.as_ref().map(ToString::to_string),
            syslog: config.log.syslog.as_ref().map(ToString::to_string),
        }
    }

    /// The same as they are written, or why they are not.
    fn checked(self) -> Result<Self, Problem> {
        let bad = |code: &'static str, detail: String| {
            let next = "correct it; nothing was changed";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, next)
        };
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            let detail = format!("a name has 1 to {NAME_MAX} characters, none of which is a control character");
            return Err(bad("box-name", detail));
        }
        let traces = self.traces.map(|text| text.parse::<Collector>()).transpose();
        let traces = traces.map_err(|error| bad("traces", error.to_string()))?;
        let syslog = self.syslog.map(|text| text.parse::<SyslogServer>()).transpose();
        let syslog = syslog.map_err(|error| bad("syslog", error.to_string()))?;
        Ok(Self { name, traces: traces.map(|to| to.to_string()), syslog: syslog.map(|to| to.to_string()) })
    }
}

/// What people call the box, and where its log and its traces go.
#[utoipa::path(get, path = "/api/v1/settings", tag = super::BOX, operation_id = "settings",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Settings), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn settings(State(api): State<Api>) -> Result<Json<Settings>, Problem> {
    on_a_thread(&api, look).await
}

/// Change them, in box.toml. They are in effect with the next start.
#[utoipa::path(put, path = "/api/v1/settings", tag = super::BOX, operation_id = "set-settings",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])), request_body = BoxSettings,
    responses((status = OK, body = Settings), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn change_settings(
    State(api): State<Api>,
    Body(settings): Body<BoxSettings>,
) -> Result<Json<Settings>, Problem> {
    let settings = settings.checked()?;
    if !is_writable(&api.home.around.settings) {
        let detail = "the box may not write its box.toml";
        let next = "change it where the box was set up, and restart the box";
        return Err(Problem::new(StatusCode::CONFLICT, "settings-read-only", detail, next));
    }
    on_a_thread(&api, move |home| {
        let path = &home.around.settings;
        let _one = home.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = changed(&text, &settings)?;
        // Never a file that the box would not start with.
        BoxConfig::parse(&text, path)?;
        private::write(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        tracing::info!(?settings, "the settings of the box were changed; they are in effect with its next start");
        look(home)
    })
    .await
}

async fn on_a_thread(
    api: &Api,
    work: impl FnOnce(&Home) -> anyhow::Result<Settings> + Send + 'static,
) -> Result<Json<Settings>, Problem> {
    let home = api.home.clone();
    let done = tokio::task::spawn_blocking(move || work(&home)).await;
    done.map_err(anyhow::Error::from).and_then(|done| done).map(Json).map_err(|error| Problem::failed(&error))
}

fn look(home: &Home) -> anyhow::Result<Settings> {
    let settings = BoxSettings::of(&BoxConfig::load(&home.around.settings)?);
    let pending = settings != BoxSettings::of(&home.config);
    let BoxSettings { name, traces, syslog } = settings;
    Ok(Settings { name, traces, syslog, pending, writable: is_writable(&home.around.settings) })
}

/// The file is replaced, which its directory has to allow.
fn is_writable(settings: &Path) -> bool {
    let directory = settings.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    access(settings, AccessFlags::W_OK).is_ok() && access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// The file with other settings; what else it says, and how, stays.
fn changed(text: &str, settings: &BoxSettings) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse().context("box.toml is no TOML")?;
    document["name"] = value(&settings.name);
    set(&mut document, "log", "syslog", settings.syslog.as_deref());
    set(&mut document, "traces", "endpoint", settings.traces.as_deref());
    Ok(document.to_string())
}

fn set(document: &mut DocumentMut, part: &str, name: &str, to: Option<&str>) {
    let part = document.entry(part).or_insert_with(|| Item::Table(Table::new()));
    if let Some(part) = part.as_table_like_mut() {
        match to {
            Some(to) => drop(part.insert(name, value(to))),
            None => drop(part.remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Ours.\nname = \"a\" # as on its lid\ngenesis = \"g\"\ndata_dir = \"d\"\n\n[p2p]\n\
                        listen = \"127.0.0.1:1\"\n\n[log]\nformat = \"json\"\n";

    fn of(text: &str) -> BoxSettings {
        BoxSettings::of(&BoxConfig::parse(text, Path::new("box.toml")).unwrap())
    }

    #[test]
    fn what_else_the_file_says_stays() {
        let own = BoxSettings {
            name: "Box \"7\"".to_owned(),
            traces: Some("http://10.0.0.5:4318".to_owned()),
            syslog: Some("udp://10.0.0.5:514".to_owned()),
        };
        let text = changed(TEXT, &own).unwrap();
        assert_eq!(of(&text), own);
        for kept in ["# Ours.", "format = \"json\"", "listen = \"127.0.0.1:1\""] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        // And back.
        let plain = BoxSettings { name: "a".to_owned(), traces: None, syslog: None };
        assert_eq!(of(&changed(&text, &plain).unwrap()), plain);
        let inline =
            TEXT.replace("\n[log]\nformat = \"json\"\n", "").replace("# Ours.\n", "log = {format = \"json\"}\n");
        assert_eq!(of(&changed(&inline, &own).unwrap()), own);
    }

    #[test]
    fn settings_hold() {
        let with = |name: &str, traces: Option<&str>, syslog: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            BoxSettings { name: name.to_owned(), traces: owned(traces), syslog: owned(syslog) }.checked()
        };
        let code = |settings: Result<BoxSettings, Problem>| settings.map(|_| "").unwrap_or_else(|error| error.code());
        assert_eq!(with(" 盒子 7 ", Some("http://10.0.0.5:4318/"), None).unwrap().name, "盒子 7");
        for name in ["", " ", "a\nb", &"x".repeat(65)] {
            assert_eq!(code(with(name, None, None)), "box-name", "{name}");
        }
        assert_eq!(code(with("a", Some("10.0.0.5"), None)), "traces");
        assert_eq!(code(with("a", None, Some("10.0.0.5"))), "syslog");
    }
}
