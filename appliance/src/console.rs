//! `dolmen console`: what a box shows of itself on its screen and its serial line, and its power button.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::Args;
use dolmen_image_console::{
    Closed, Console, Front as _, Language, Place, RecoveryKey,
    status::{Peers, Problem, State, Status, Update},
};
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use openssl::{hash::MessageDigest, x509::X509};

use crate::{
    boot, claim,
    config::BoxConfig,
    pledge, power_button,
    status::{self, Answer},
    update::Report,
};

/// Arguments of `dolmen console`.
#[derive(Args)]
#[command(after_help = "Example:\n  dolmen console --dir /data/dolmen --tty /dev/ttyS0")]
pub(crate) struct ConsoleArgs {
    /// The directory of the box.
    #[arg(long, value_name = "DIRECTORY", default_value = "/data/dolmen")]
    dir: PathBuf,
    /// The recovery key of the data, as long as it is shown.
    #[arg(long, value_name = "FILE", default_value = "/run/dolmen/recovery-key")]
    recovery_key: PathBuf,
    /// A terminal to show it on instead of the screen and the first serial line.
    #[arg(long, value_name = "DEVICE")]
    tty: Option<PathBuf>,
}

/// Between two looks at the box.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// A clock before this was never set (2026-01-01).
const CLOCK_SET_S: u64 = 1_767_225_600;

/// Shows the box until SIGTERM or SIGINT. On the machine's own screen it also listens to the power button.
pub(crate) async fn console(args: ConsoleArgs) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        asked.store(true, Ordering::Relaxed);
        std::io::Result::Ok(())
    });
    if args.tty.is_none() {
        tokio::spawn(power_button::serve());
    }
    let (tell, mut told) = tokio::sync::watch::channel(starting());
    let shown = tokio::task::spawn_blocking(move || {
        let places = args.tty.map_or_else(Place::of_machine, |terminal| vec![Place::Serial { terminal }]);
        let mut console = Console::new(Language::English, places);
        console.stop_on(stop);
        loop {
            let status = told.borrow_and_update().clone();
            if let Err(Closed) = console.turn(&status, LOOK_INTERVAL) {
                return;
            }
        }
    });
    let mut shown = shown;
    loop {
        tell.send_replace(look(&args.dir, &args.recovery_key).await);
        tokio::select! {
            ended = &mut shown => return ended.context("the screen's thread panicked"),
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

fn starting() -> Status {
    Status::starting("Dolmen", env!("CARGO_PKG_VERSION"), "")
}

/// All that is known about the box now.
async fn look(dir: &Path, recovery_key: &Path) -> Status {
    let mut status = starting();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    status.time = (now >= CLOCK_SET_S).then_some(now);
    status.recovery_key = fs::read_to_string(recovery_key).ok().and_then(|key| RecoveryKey::parse(key.trim()).ok());
    let Ok(config) = BoxConfig::load(&dir.join(boot::SETTINGS)) else {
        if let Some(report) = pledge::Report::load(dir) {
            join(&report, &mut status);
        }
        return status;
    };
    status.name.clone_from(&config.name);
    status.pages = Some(pages(config.admin.listen));
    status.claim_code = fs::read_to_string(dir.join(claim::FILE)).ok().map(|code| code.trim().to_owned());
    if let Some(update) = &config.update {
        status.update = Report::load(&update.report).and_then(|report| what_became_of(&report));
    }
    status.fingerprint = fingerprint(&status::certificate(&config));
    match status::ask_own(&config, dir).await {
        Ok(answer) => understand(&answer, &mut status),
        // It is there before it serves: a chain takes its time to open.
        Err(error) => tracing::debug!(error = format!("{error:#}"), "the box does not answer yet"),
    }
    status
}

/// What a box that has not joined yet tells: how far it is, and what is in its way.
fn join(report: &pledge::Report, status: &mut Status) {
    status.name.clone_from(&report.serial_number);
    status.state = State::Joining(Some(phase(&report.phase).into()));
    let refused = report.refusal.as_ref().map(|refusal| {
        let at = refusal.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        let next =
            if refusal.by == "registrar" { "ask whoever runs the registrar" } else { "see the operator's guide" };
        Problem { cause: format!("{} ({}{at})", refusal.message, refusal.code).into(), next: next.into() }
    });
    let failed = report.failure.as_ref().map(|failure| Problem {
        cause: format!("{} ({})", failure.message, failure.code).into(),
        next: "check network and registrar; the box goes on trying".into(),
    });
    status.problem = refused.or(failed);
}

fn phase(code: &str) -> &str {
    match code {
        "discovering" => "looks for registrars",
        "pausing" => "waits before it asks again",
        "connecting" => "calls a registrar",
        "asking" => "asks for a voucher",
        "taking-ownership" => "follows its voucher",
        "attesting" => "shows its TPM and its image",
        "enrolling" => "asks for its certificate",
        "fetching-bundle" => "asks for its chain",
        "awaiting-admission" => "waits to be admitted to the chain",
        "member" => "is one of the chain's",
        other => other,
    }
}

/// Where the page is: at each address of a real interface, those of version 4 first.
fn pages(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let up =
        |flags: InterfaceFlags| flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let addresses = interfaces.filter(|interface| up(interface.flags)).filter_map(|interface| interface.address);
    let mut pages: Vec<SocketAddr> = addresses
        .filter_map(|address| address.as_sockaddr_in().map(|address| (address.ip(), listen.port()).into()))
        .collect();
    pages.sort();
    pages
}

fn fingerprint(certificate: &Path) -> Option<[u8; 32]> {
    let certificate = X509::from_pem(&fs::read(certificate).ok()?).ok()?;
    certificate.digest(MessageDigest::sha256()).ok()?.as_ref().try_into().ok()
}

fn understand(Answer { status: answer, ready, reason }: &Answer, status: &mut Status) {
    status.height = answer["height"].as_u64();
    let peers = answer["peers"].as_array().map_or(&[][..], Vec::as_slice);
    let connected = peers.iter().filter(|peer| peer["connected"].as_bool() == Some(true)).count();
    status.peers = Some(Peers { connected, known: peers.len() });
    status.state = match answer["role"].as_str() {
        _ if answer["syncing"].as_bool() == Some(true) => State::Joining(Some(reason.as_str().into())),
        Some("validator") => State::Validator,
        _ => State::Following,
    };
    let alarm = &answer["alarms"][0];
    let problem = |cause: &str, next: &str| Some(Problem { cause: cause.into(), next: next.into() });
    status.problem = match (alarm["cause"].as_str(), alarm["next"].as_str()) {
        (Some(cause), Some(next)) => problem(cause, next),
        _ if *ready || matches!(status.state, State::Joining(_)) => None,
        // `cause: next step`, as the box words it.
        _ => reason.split_once(": ").and_then(|(cause, next)| problem(cause, next)),
    };
}

/// What the slots say of the last update.
fn what_became_of(report: &Report) -> Option<Update> {
    let running = report.running.clone();
    match (report.tries_left, &report.other, report.other_tries_left) {
        (Some(tries_left), ..) => Some(Update::OnTrial { version: running, tries_left }),
        (None, Some(other), Some(0)) => Some(Update::FellBack { version: other.clone(), running }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_boxs_answer_becomes_a_screen() {
        let mut status = starting();
        let peers = json!([{ "connected": true }, { "connected": false }]);
        let status_json = json!({ "height": 7, "role": "validator", "syncing": false, "peers": peers, "alarms": [] });
        let mut answer = Answer { status: status_json, ready: true, reason: "ready".into() };
        understand(&answer, &mut status);
        assert_eq!((status.height, status.peers), (Some(7), Some(Peers { connected: 1, known: 2 })));
        assert_eq!((&status.state, &status.problem), (&State::Validator, &None));
        (answer.ready, answer.reason) = (false, "no block finalized for 9 ms: check that a quorum is reachable".into());
        understand(&answer, &mut status);
        assert!(
            status.problem.as_ref().is_some_and(|problem| problem.next == "check that a quorum is reachable".into())
        );
        (answer.ready, answer.reason) = (true, "ready".into());
        answer.status["alarms"] = json!([{ "cause": "votes are fenced", "next": "look for another box" }]);
        answer.status["role"] = "follower".into();
        understand(&answer, &mut status);
        assert_eq!(status.state, State::Following);
        assert!(status.problem.as_ref().is_some_and(|problem| problem.cause == "votes are fenced".into()));
        (answer.ready, answer.reason) = (false, "catching up: block 3 of 9".into());
        answer.status["syncing"] = true.into();
        answer.status["alarms"] = json!([]);
        understand(&answer, &mut status);
        assert_eq!(status.state, State::Joining(Some("catching up: block 3 of 9".into())));
        assert_eq!(status.problem, None);
    }

    #[test]
    fn a_box_that_joins_says_how_far_it_is_and_what_is_in_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = json!({
            "serial_number": "BOX-0001", "phase": "awaiting-admission", "refusal": null, "failure": null,
            "certificate": null, "attested": null,
        });
        let told = |report: &serde_json::Value| {
            fs::write(dir.path().join("provisioning.json"), report.to_string()).unwrap();
            let mut status = starting();
            join(&pledge::Report::load(dir.path()).unwrap(), &mut status);
            status
        };
        let status = told(&report);
        assert_eq!(status.state, State::Joining(Some("waits to be admitted to the chain".into())));
        assert_eq!((&*status.name, status.problem), ("BOX-0001", None));
        let trouble = |code: &str| json!({ "code": code, "message": "no", "by": "registrar", "at": "10.0.0.1:8443" });
        report["failure"] = trouble("connection");
        assert_eq!(told(&report).problem.unwrap().cause, "no (connection)".into());
        report["refusal"] = trouble("box-revoked");
        assert_eq!(told(&report).problem.unwrap().cause, "no (box-revoked at 10.0.0.1:8443)".into());
    }

    #[test]
    fn the_page_is_at_every_address_of_the_machine_or_at_its_own() {
        let own = "192.0.2.1:443".parse().unwrap();
        assert_eq!(pages(own), [own]);
        let all = pages("0.0.0.0:443".parse().unwrap());
        assert!(all.iter().all(|page| page.port() == 443 && !page.ip().is_loopback()), "{all:?}");
    }
}
