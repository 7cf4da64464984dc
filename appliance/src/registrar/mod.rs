//! `dolmen registrar`: admits an organisation's boxes. What it decides stands in `provisioning/registrar`; here it gets
//! its keys, its socket, its journal and its chain.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{RequestBuilder, Subject};
use dolmen_provisioning_discovery::Announcement;
use dolmen_provisioning_link::{Limits, acceptor, local, serve as serve_tls};
use openssl::x509::X509Req;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

pub(crate) use self::{
    control::BoxView,
    service::RegistrarSigners,
    settings::{Admit, ChainSettings, FILE, References, RegistrarKeys, Settings},
};
use self::{
    control::{Deed, Voucher},
    service::Service,
};
use crate::{gov, logging, run::stdin_eof, supervisor};

mod act;
mod chain;
mod control;
mod mail;
mod metrics;
mod serve;
mod service;
mod settings;

/// Boxes at once: each asks for seconds.
const CONNECTIONS_MAX: usize = 256;
/// How long requests that are under way may take when the registrar stops.
const STOP_MAX: std::time::Duration = std::time::Duration::from_secs(2);
/// Between two looks at who has not attested in time.
const TICK: std::time::Duration = std::time::Duration::from_secs(60);

/// Arguments of `dolmen registrar`.
#[derive(Args)]
pub(crate) struct RegistrarArgs {
    /// The registrar's directory: registrar.toml, its certificates, and the journal of all that happened.
    #[arg(long, global = true, value_name = "DIR", default_value = "registrar")]
    registrar: PathBuf,
    /// Who does this, for the journal.
    #[arg(long, global = true, value_name = "NAME", default_value = "operator")]
    by: String,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: RegistrarCommand,
}

#[derive(Subcommand)]
enum RegistrarCommand {
    /// Make the registrar's keys, and write requests for their certificates: registrar.csr and issuing.csr. Where there is
    /// no registrar.toml yet, write one to fill in first.
    #[command(after_help = "Example:\n  dolmen registrar init --registrar /etc/dolmen/registrar")]
    Init,
    /// Serve boxes until SIGINT or SIGTERM.
    #[command(after_help = "Example:\n  dolmen registrar run --registrar /etc/dolmen/registrar")]
    Run {
        /// Stop when standard input ends: a parent that dies takes the registrar with it.
        #[arg(long, hide = true)]
        stop_on_stdin_eof: bool,
    },
    /// Show the boxes that came, and how each stands.
    #[command(after_help = "Example:\n  dolmen registrar boxes --json")]
    Boxes,
    /// Let a box join, be it here or not yet.
    #[command(after_help = "Example:\n  dolmen registrar approve BOX-0001")]
    Approve {
        /// Its serial number.
        serial: Serial,
    },
    /// Do not let a box join.
    #[command(after_help = "Example:\n  dolmen registrar decline BOX-0001 --reason \"not ours\"")]
    Decline {
        /// Its serial number.
        serial: Serial,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Have the chain asked once more for a box that it turned away, as where a proposal expired.
    #[command(after_help = "Example:\n  dolmen registrar ask-again BOX-0001")]
    AskAgain {
        /// Its serial number.
        serial: Serial,
    },
    /// Take the alarm off a box that somebody looked at: it may enrol once with other firmware.
    #[command(after_help = "Example:\n  dolmen registrar allow-change BOX-0001")]
    AllowChange {
        /// Its serial number.
        serial: Serial,
    },
    /// Cast a box out for good: its certificate is revoked, its vote ends.
    #[command(after_help = "Example:\n  dolmen registrar revoke BOX-0001 --reason stolen --yes")]
    Revoke {
        /// Its serial number.
        serial: Serial,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Give the registrar vouchers that a maker signed.
    #[command(after_help = "Example:\n  dolmen registrar import vouchers/*.vcj")]
    Import {
        /// The files.
        #[arg(required = true)]
        vouchers: Vec<PathBuf>,
    },
    /// Write a box's request for a voucher, signed by the registrar, for the maker's `dolmen masa answer`.
    #[command(after_help = "Example:\n  dolmen registrar export BOX-0001 --out BOX-0001.vrq")]
    Export {
        /// Its serial number.
        serial: Serial,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write onto a stick what a box needs that finds no registrar: its voucher.
    #[command(after_help = "Example:\n  dolmen registrar prepare BOX-0001 --stick /media/stick")]
    Prepare {
        /// Its serial number.
        serial: Serial,
        /// Where the stick is mounted.
        #[arg(long, value_name = "DIR")]
        stick: PathBuf,
    },
    /// Answer the letters of boxes that a stick brought. It may be put in again when something was decided.
    #[command(after_help = "Example:\n  dolmen registrar carry --stick /media/stick")]
    Carry {
        /// Where the stick is mounted.
        #[arg(long, value_name = "DIR")]
        stick: PathBuf,
    },
    /// Sign the list of revoked certificates.
    #[command(after_help = "Example:\n  dolmen registrar crl --out crl.pem")]
    Crl {
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Days until the next one.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
}

/// Runs a subcommand.
pub(crate) async fn registrar(args: RegistrarArgs) -> anyhow::Result<()> {
    let RegistrarArgs { registrar: directory, by, json, command } = args;
    let deed = match command {
        RegistrarCommand::Init => return init(&directory).await,
        RegistrarCommand::Run { stop_on_stdin_eof } => return run(&directory, stop_on_stdin_eof).await,
        RegistrarCommand::Boxes => return print(&control::list(&directory).await?, json),
        RegistrarCommand::Import { vouchers } => {
            for path in vouchers {
                let length = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
                ensure!(length <= control::VOUCHER_BYTES_MAX as u64, "{} is no voucher", path.display());
                let voucher = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let deed = Deed::Import { voucher: Voucher::new(voucher)? };
                control::act(&directory, &by, deed).await.with_context(|| path.display().to_string())?;
            }
            return Ok(());
        }
        RegistrarCommand::Export { serial, out } => {
            let request = control::act(&directory, &by, Deed::Export { serial }).await?;
            return fs::write(&out, request).with_context(|| format!("cannot write {}", out.display()));
        }
        RegistrarCommand::Prepare { serial, stick } => {
            let path = mail::ahead_path(&stick, &serial)?;
            mail::put(&path, &control::act(&directory, &by, Deed::Prepare { serial }).await?)?;
            anstream::println!("{}: put the stick into the box", path.display());
            return Ok(());
        }
        RegistrarCommand::Carry { stick } => {
            for (letter, path) in mail::letters(&stick)? {
                let reply = control::answer(&directory, letter).await.with_context(|| path.display().to_string())?;
                mail::put(&path, &reply)?;
                anstream::println!("{}: carry the stick back", path.display());
            }
            return Ok(());
        }
        RegistrarCommand::Crl { out, days } => {
            let crl = control::act(&directory, &by, Deed::Crl { days }).await?;
            return fs::write(&out, crl).with_context(|| format!("cannot write {}", out.display()));
        }
        RegistrarCommand::Approve { serial } => Deed::Approve { serial },
        RegistrarCommand::Decline { serial, reason } => Deed::Decline { serial, reason },
        RegistrarCommand::AskAgain { serial } => Deed::AskAgain { serial },
        RegistrarCommand::AllowChange { serial } => Deed::AllowChange { serial },
        RegistrarCommand::Revoke { serial, reason, yes } => {
            ensure!(yes, "{serial} would lose its certificate and its vote for good; say --yes to revoke it");
            Deed::Revoke { serial, reason }
        }
    };
    control::act(&directory, &by, deed).await.map(|_| ())
}

/// Has a registrar that runs put one box into the place of another.
pub(crate) async fn replace(directory: &Path, by: &str, serial: Serial, new: Serial) -> anyhow::Result<()> {
    control::act(directory, by, Deed::Replace { serial, new }).await.map(drop)
}

/// The boxes that a registrar knows that runs.
pub(crate) async fn boxes(directory: &Path) -> anyhow::Result<Vec<BoxView>> {
    control::list(directory).await
}

/// Has a registrar that runs let a box join.
pub(crate) async fn approve(directory: &Path, by: &str, serial: Serial) -> anyhow::Result<()> {
    control::act(directory, by, Deed::Approve { serial }).await.map(drop)
}

/// Has a registrar that runs let a box not join.
pub(crate) async fn decline(directory: &Path, by: &str, serial: Serial, reason: String) -> anyhow::Result<()> {
    control::act(directory, by, Deed::Decline { serial, reason }).await.map(drop)
}

/// What a new registrar begins with.
const TEMPLATE: &str = include_str!("registrar.toml");

async fn init(directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(FILE);
    if !path.try_exists().with_context(|| format!("cannot read {}", path.display()))? {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        fs::write(&path, TEMPLATE).with_context(|| format!("cannot write {}", path.display()))?;
        anstream::println!("{}: fill it in, then run this again", path.display());
        return Ok(());
    }
    let settings = Settings::load(directory)?;
    let RegistrarSigners { registrar, issuing, account } = RegistrarSigners::open(&settings)?;
    for (key, name) in [(registrar, "registrar"), (issuing, "issuing")] {
        let subject = Subject::new("registrar", &format!("{} {name}", settings.name))?;
        let request = RequestBuilder::new(&subject, Vec::new())?.sign(&*key).await?;
        let path = directory.join(format!("{name}.csr"));
        let pem = X509Req::from_der(request.der())?.to_pem()?;
        fs::write(&path, pem).with_context(|| format!("cannot write {}", path.display()))?;
        anstream::println!("{}: have it answered with `dolmen ca issue {name}`", path.display());
    }
    if let Some(account) = account {
        anstream::println!("{}: the organisation's account, which needs ether for gas", gov::account_of(account)?);
    }
    Ok(())
}

async fn run(directory: &Path, stop_on_stdin_eof: bool) -> anyhow::Result<()> {
    logging::init(logging::LogFormat::default());
    let settings = Settings::load(directory)?;
    let signers = RegistrarSigners::open(&settings)?;
    let (watcher, chain) = chain::Watcher::new(&settings, signers.account.clone())?;
    let organisation = watcher.organisation().await.context("the registrar's chain does not answer")?;
    let (broken, mut breaks) = mpsc::channel(1);
    let service = Service::open(directory, &organisation, &settings, signers, chain, broken)?;
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!("cannot serve boxes on {}; choose another listen in registrar.toml", settings.listen)
    })?;
    let address = listener.local_addr().context("the listening socket has no address")?;
    let socket = local::listen(&directory.join(control::SOCKET))?;
    let _announced = settings.announce.then(|| Announcement::new(&settings.name, address.port())).transpose();
    let _announced = _announced.unwrap_or_else(|error| {
        tracing::warn!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "the registrar is not announced: boxes need its address"
        );
        None
    });
    let (stop, stopped) = watch::channel(false);
    let numbers =
        match settings.metrics {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!("cannot show numbers on {address}; choose another metrics in registrar.toml")
            })?),
            None => None,
        };
    let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
    let router = serve::router(service.clone());
    let served =
        tokio::spawn(serve_tls(listener, Some(acceptor(service.identity.clone())?), router, limits, stopped.clone()));
    let shown = numbers.map(|listener| {
        let router = control::numbers(service.clone());
        tokio::spawn(serve_tls(listener, None, router, Limits::default(), stopped.clone()))
    });
    let controlled = tokio::spawn(local::serve_local(socket, control::router(service.clone()), stopped));
    let mut watched = tokio::spawn(watcher.run(service.clone()));
    tracing::info!(%address, organisation, name = settings.name, "serving boxes");
    supervisor::ready();
    let (mut terminate, mut ticks) = (signal(SignalKind::terminate())?, tokio::time::interval(TICK));
    let eof = stdin_eof();
    tokio::pin!(eof);
    let outcome = loop {
        tokio::select! {
            () = &mut eof, if stop_on_stdin_eof => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = tokio::signal::ctrl_c() => break Ok(()),
            Some(error) = breaks.recv() => break Err(error),
            ended = &mut watched => break ended.context("the chain's task panicked")?,
            _ = ticks.tick() => {
                if let Err(error) = service.tick().await {
                    break Err(error);
                }
            }
        }
    };
    supervisor::stopping();
    stop.send_replace(true);
    watched.abort();
    let ended = async { tokio::join!(served, controlled, futures::future::OptionFuture::from(shown)) };
    let _ = tokio::time::timeout(STOP_MAX, ended).await;
    let _ = fs::remove_file(directory.join(control::SOCKET));
    outcome
}

fn print(boxes: &[BoxView], json: bool) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = anstream::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(boxes)?)?;
        return Ok(());
    }
    let width = boxes.iter().map(|one| one.serial_number.len()).max().unwrap_or(0);
    for one in boxes {
        let chain = one.chain.as_deref().unwrap_or("");
        let image = one.image.as_deref().unwrap_or("");
        let alarm = one.alarm.as_ref().map(|alarm| format!("  ALARM {alarm}")).unwrap_or_default();
        let wants = if one.wants_voucher { "  wants a voucher" } else { "" };
        writeln!(out, "{:width$}  {:9}  {:10}  {chain:10}{wants}{alarm}", one.serial_number, one.standing, image)?;
    }
    Ok(())
}
