//! `dolmen status`: a running box in a few lines.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{
    config::{self, BoxConfig},
    http, local_token,
};

/// Arguments of `dolmen status`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen status --config /etc/dolmen/box.toml\n  \
                  dolmen status --url https://10.0.0.5:9545 --certificate tls.pem --token token --json")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    whom: Whom,
    /// Print the JSON that the box answers.
    #[arg(long)]
    json: bool,
}

/// Which box is asked.
#[derive(Args)]
pub(crate) struct Whom {
    /// The settings of a box on this machine, which say where its page is.
    #[arg(long, value_name = "FILE", default_value = "box.toml", conflicts_with = "url")]
    config: PathBuf,
    /// The web page of a box, on any machine.
    #[arg(long, requires = "certificate", requires = "token")]
    url: Option<String>,
    /// The certificate of that page: keys/tls.pem in the box's directory.
    #[arg(long, value_name = "FILE", requires = "url")]
    certificate: Option<PathBuf>,
    /// A file with an API token of that box, or its own local-token, both of which show what a viewer sees.
    #[arg(long, value_name = "FILE", requires = "url")]
    token: Option<PathBuf>,
}

impl Whom {
    /// Asks it.
    pub(crate) async fn ask(&self) -> anyhow::Result<Answer> {
        match (&self.url, &self.certificate, &self.token) {
            (Some(url), Some(certificate), Some(token)) => ask(url, certificate, token).await,
            _ => ask_own(&BoxConfig::load(&self.config)?, config::directory(&self.config)).await,
        }
    }
}

/// A box's own words about itself.
pub(crate) struct Answer {
    /// `/api/v1/status`.
    pub(crate) status: Value,
    /// Whether it has the latest blocks.
    pub(crate) ready: bool,
    /// `ready`, or why it is not: a cause, a colon and the next step.
    pub(crate) reason: String,
}

/// Longest wait for an answer: a box that is busy may be late.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// Asks the box whose page is at an address, has a certificate, and takes a token.
async fn ask(url: &str, certificate: &Path, token: &Path) -> anyhow::Result<Answer> {
    let base = url.trim_end_matches('/');
    let hint = || format!("no box answers at {base}; give the address of its web page with --url");
    let client = http::trusting(reqwest::Client::builder().timeout(ANSWER_WAIT_MAX), certificate)?;
    let client = http::showing(client, token)?.build()?;
    let get = |path: &str| client.get(format!("{base}{path}")).send();
    let response = get("/api/v1/status").await.with_context(hint)?;
    let status = response.error_for_status().with_context(hint)?.json().await.with_context(hint)?;
    let ready = get("/readyz").await.with_context(hint)?;
    let is_ready = ready.status().is_success();
    Ok(Answer { status, ready: is_ready, reason: ready.text().await.unwrap_or_default().trim().to_owned() })
}

/// Asks the box of these settings, which are in its directory, on this machine.
pub(crate) async fn ask_own(config: &BoxConfig, directory: &Path) -> anyhow::Result<Answer> {
    let token = local_token::path(directory);
    let listen = config.admin.listen;
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    ask(&format!("https://{}", SocketAddr::new(ip, listen.port())), &certificate(config), &token).await
}

/// The certificate of a box's page.
pub(crate) fn certificate(config: &BoxConfig) -> PathBuf {
    config.keys.devices.dir.join("tls.pem")
}

/// Prints the status; `false` where the box is not ready.
pub(crate) async fn status(args: StatusArgs) -> anyhow::Result<bool> {
    let Answer { status, ready: is_ready, reason } = args.whom.ask().await?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(is_ready);
    }
    let text = |key: &str| status[key].as_str().unwrap_or("?").to_owned();
    let connected = status["peers"]
        .as_array()
        .map_or(0, |peers| peers.iter().filter(|peer| peer["connected"].as_bool().unwrap_or(false)).count());
    anstream::println!("{} ({}, version {})", text("name"), text("role"), text("version"));
    anstream::println!("  state     {}", reason);
    anstream::println!("  chain     {} (genesis {})", status["chain_id"], text("genesis_hash"));
    anstream::println!("  height    {} ({} ms ago)", status["height"], status["head_age_ms"]);
    match (status["finality_ms"]["p50"].as_f64(), status["finality_ms"]["p99"].as_f64()) {
        (Some(p50), Some(p99)) => anstream::println!("  finality  p50 {p50} ms, p99 {p99} ms"),
        _ => anstream::println!("  finality  no block finalized since the start"),
    }
    anstream::println!(
        "  peers     {connected} connected; {} of {} validators decide in epoch {}",
        status["quorum"],
        status["validators"],
        status["epoch"]
    );
    anstream::println!("  pool      {} pending, {} queued", status["pool"]["pending"], status["pool"]["queued"]);
    anstream::println!("  RPC       {}", text("rpc_url"));
    for key in status["keys"].as_array().into_iter().flatten() {
        let field = |name: &str| key[name].as_str().unwrap_or("?");
        anstream::println!(
            "  key       {}: {} ({}, in {})",
            field("use"),
            field("uri"),
            field("algorithm"),
            field("in")
        );
    }
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        let field = |name: &str| alarm[name].as_str().unwrap_or("?");
        anstream::println!("  ALARM     {}: {}", field("cause"), field("next"));
    }
    Ok(is_ready)
}
