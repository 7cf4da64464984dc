//! What an operator asks of the registrar that runs, over a socket in its directory.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_link::local::{self, ask};
use dolmen_provisioning_registrar::{BoxState, Membership, Registrar, Standing};
use dolmen_provisioning_stick::LETTER_MESSAGE_BYTES_MAX;
use hyper::Method;
use openssl::x509::X509Crl;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::service::{Service, now};

/// The socket's file.
pub(super) const SOCKET: &str = "control.sock";
/// Bytes of a voucher.
pub(super) const VOUCHER_BYTES_MAX: usize = 64 << 10;
/// Bytes of what an operator sends: a box's letter at most.
const BODY_BYTES_MAX: usize = LETTER_MESSAGE_BYTES_MAX;

/// A box, for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BoxView {
    pub(crate) serial_number: String,
    pub(crate) standing: String,
    pub(crate) reason: Option<String>,
    pub(crate) since: u64,
    pub(crate) voucher: bool,
    pub(crate) wants_voucher: bool,
    pub(crate) image: Option<String>,
    pub(crate) judged: Option<u64>,
    pub(crate) certificate_until: Option<String>,
    pub(crate) chain: Option<String>,
    pub(crate) alarm: Option<String>,
}

impl BoxView {
    fn of(serial: &Serial, one: &BoxState) -> Self {
        let (standing, reason) = match &one.standing {
            Standing::Waiting => ("waiting", None),
            Standing::Approved => ("approved", None),
            Standing::Declined(reason) => ("declined", Some(reason.clone())),
            Standing::Revoked(reason) => ("revoked", Some(reason.clone())),
            Standing::Replaced(new) => ("replaced", Some(format!("by {new}"))),
        };
        let chain = one.membership.as_ref().map(|(_, membership)| match membership {
            Membership::Asked => "asked".to_owned(),
            Membership::Admitted(role) => role.name().to_owned(),
            Membership::TurnedAway(reason) => format!("turned away: {reason}"),
            Membership::Retired => "retired".to_owned(),
        });
        let until = one.certificates.last().map(|certificate| certificate.validity().not_after().to_string());
        Self {
            serial_number: serial.to_string(),
            standing: standing.to_owned(),
            reason,
            since: one.since,
            voucher: one.voucher.is_some(),
            wants_voucher: one.wanted.is_some(),
            image: one.appraised.as_ref().map(|appraised| appraised.appraisal.version().to_string()),
            judged: one.appraised.as_ref().map(|appraised| appraised.at),
            certificate_until: until,
            chain,
            alarm: one.alarm.clone(),
        }
    }
}

/// A voucher, as its maker signed it.
pub(super) type Voucher = dolmen_provisioning_appraisal::Bytes<VOUCHER_BYTES_MAX>;

/// What an operator does with a box.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Deed {
    /// Let it join.
    Approve { serial: Serial },
    /// Do not let it join.
    Decline { serial: Serial, reason: String },
    /// Have the chain asked once more for one that it turned away.
    AskAgain { serial: Serial },
    /// Take its alarm off: it was looked at.
    AllowChange { serial: Serial },
    /// Cast it out.
    Revoke { serial: Serial, reason: String },
    /// Let another box take its place.
    Replace { serial: Serial, new: Serial },
    /// Keep a voucher that a maker signed.
    Import { voucher: Voucher },
    /// Sign what a stick is to bring it before it asked.
    Prepare { serial: Serial },
    /// Sign its request for a voucher, for the maker.
    Export { serial: Serial },
    /// Sign the list of revoked certificates.
    Crl { days: u32 },
}

/// A deed, and whose it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    by: String,
    deed: Deed,
}

/// What is not done, with its causes.
struct Failure(anyhow::Error);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, format!("{:#}", self.0)).into_response()
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/boxes", get(boxes))
        .route("/deeds", post(deed))
        .route("/letters", post(letter))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}

/// The registrar's numbers alone, for whoever collects them.
pub(super) fn numbers(service: Arc<Service>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(service)
}

async fn boxes(State(service): State<Arc<Service>>) -> Result<Json<Vec<BoxView>>, Failure> {
    let view = |registrar: &Registrar| {
        registrar.state().boxes().iter().map(|(serial, one)| BoxView::of(serial, one)).collect()
    };
    Ok(Json(service.look(view).await?))
}

async fn deed(State(service): State<Arc<Service>>, body: Bytes) -> Result<Vec<u8>, Failure> {
    let Signed { by, deed } = serde_json::from_slice(&body)?;
    match deed {
        Deed::Import { voucher } => {
            service.change(|registrar, now| Ok(((), registrar.import(voucher.as_slice(), &by, now)?))).await?;
        }
        Deed::Approve { serial } => {
            service.change(|registrar, now| Ok(((), registrar.approve(&serial, &by, now)?))).await?;
        }
        Deed::Decline { serial, reason } => {
            service.change(|registrar, now| Ok(((), registrar.decline(&serial, &by, &reason, now)?))).await?;
        }
        Deed::AskAgain { serial } => {
            service.change(|registrar, now| Ok(((), registrar.ask_again(&serial, &by, now)?))).await?;
        }
        Deed::AllowChange { serial } => {
            service.change(|registrar, now| Ok(((), registrar.allow_change(&serial, &by, now)?))).await?;
        }
        Deed::Revoke { serial, reason } => {
            service.change(|registrar, now| Ok(((), registrar.revoke(&serial, &by, &reason, now)?))).await?;
        }
        Deed::Replace { serial, new } => {
            service.change(|registrar, now| Ok(((), registrar.replace(&serial, &new, &by, now)?))).await?;
        }
        Deed::Prepare { serial } => return Ok(service.mail.ahead(&service, &serial).await?),
        Deed::Export { serial } => return Ok(service.export(&serial, &by).await?),
        Deed::Crl { days } => {
            let crl = service.sign_crl(days).await?;
            return Ok(X509Crl::from_der(&crl)?.to_pem()?);
        }
    }
    Ok(Vec::new())
}

async fn letter(State(service): State<Arc<Service>>, letter: Bytes) -> Result<Vec<u8>, Failure> {
    Ok(service.mail.answer(&service, &letter).await?)
}

async fn metrics(State(service): State<Arc<Service>>) -> Result<String, Failure> {
    let now = now()?;
    Ok(service.look(|registrar| super::metrics::render(&registrar.metrics(now))).await?)
}

/// The boxes that a running registrar knows.
pub(super) async fn list(directory: &Path) -> anyhow::Result<Vec<BoxView>> {
    parse(&send(directory, Method::GET, "/boxes", Vec::new()).await?)
}

/// Has a running registrar do something.
pub(super) async fn act(directory: &Path, by: &str, deed: Deed) -> anyhow::Result<Vec<u8>> {
    let body = serde_json::to_vec(&Signed { by: by.to_owned(), deed })?;
    send(directory, Method::POST, "/deeds", body).await
}

/// Has a running registrar answer a letter.
pub(super) async fn answer(directory: &Path, letter: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    send(directory, Method::POST, "/letters", letter).await
}

async fn send(directory: &Path, method: Method, target: &str, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let (status, body) = ask_json(directory, method, target, body).await.context("the registrar does not answer")?;
    if status != 200 {
        bail!("{}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}

async fn ask_json(
    directory: &Path,
    method: Method,
    target: &str,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), local::LocalError> {
    ask(&directory.join(SOCKET), method, target, body).await
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).context("the registrar answers in a form that this version does not know")
}
