//! Boxes that want to join the organisation, where this box's page is told of its registrar.

use std::path::Path;

use axum::{Extension, Json, extract::State, http::StatusCode};
use dolmen_access::{Caller, Timestamp};
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_link::local::LocalError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::{Body, Named},
    now,
    problem::Problem,
};
use crate::registrar::{self, BoxView};

/// Boxes in an answer, those that wait first; a registrar has as many waiting at most.
const BOXES_MAX: usize = 1000;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 256;
/// The standing of a box that somebody has to decide about.
const WAITING: &str = "waiting";

/// A box that came to the registrar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Candidate {
    /// Its serial number, by the certificate of its maker.
    serial: String,
    /// Since when it stands so.
    since: Timestamp,
    /// `waiting`, `approved`, `declined`, `revoked` or `replaced`.
    standing: String,
    /// Why, where somebody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it has shown.
    report: CandidateReport,
}

/// What a box has shown to its registrar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct CandidateReport {
    /// Whether its maker's voucher for it is here.
    voucher: bool,
    /// Whether it waits for one.
    wants_voucher: bool,
    /// The version that its TPM vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// When that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_at: Option<Timestamp>,
    /// Until when its certificate holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_until: Option<String>,
    /// How it stands with the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    /// What somebody has to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<String>,
}

/// That a box may not join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decline {
    /// Why, for whoever asks later; 256 bytes at most.
    reason: String,
}

impl From<BoxView> for Candidate {
    fn from(one: BoxView) -> Self {
        let report = CandidateReport {
            voucher: one.voucher,
            wants_voucher: one.wants_voucher,
            image: one.image,
            judged_at: one.judged.map(Timestamp),
            certificate_until: one.certificate_until,
            chain: one.chain,
            alarm: one.alarm,
        };
        let (serial, since) = (one.serial_number, Timestamp(one.since));
        Self { serial, since, standing: one.standing, reason: one.reason, report }
    }
}

/// The boxes that came to the organisation's registrar, those that wait first.
#[utoipa::path(get, path = "/api/v1/inbox", tag = super::BOX, operation_id = "inbox",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Vec<Candidate>),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn inbox(State(api): State<Api>) -> Result<Json<Vec<Candidate>>, Problem> {
    let boxes = registrar::boxes(directory(&api)?).await.map_err(|error| unanswered(&error))?;
    Ok(Json(in_order(boxes)))
}

/// Let a box join, be it here or not yet.
#[utoipa::path(post, path = "/api/v1/inbox/{serial}/approve", tag = super::BOX, operation_id = "approve-box",
    params(("serial" = String, Path)),
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn approve_box(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(serial): Named<String>,
) -> Result<StatusCode, Problem> {
    let (directory, serial) = (directory(&api)?, serial_of(serial)?);
    let by = by(&api, caller).await?;
    registrar::approve(directory, &by, serial).await.map_err(|error| unanswered(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Do not let a box join.
#[utoipa::path(post, path = "/api/v1/inbox/{serial}/decline", tag = super::BOX, operation_id = "decline-box",
    params(("serial" = String, Path)), request_body = Decline,
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn decline_box(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(serial): Named<String>,
    Body(Decline { reason }): Body<Decline>,
) -> Result<StatusCode, Problem> {
    let (directory, serial) = (directory(&api)?, serial_of(serial)?);
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        let detail = format!("the reason has none or more than {REASON_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "reason", detail, "say why in a sentence"));
    }
    let by = by(&api, caller).await?;
    registrar::decline(directory, &by, serial, reason).await.map_err(|error| unanswered(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn directory(api: &Api) -> Result<&Path, Problem> {
    api.home.config.admin.registrar.as_deref().ok_or_else(|| {
        let detail = "this box's page is told of no registrar";
        let next =
            "ask at the box of the organisation that runs one, or name its directory as admin.registrar in box.toml";
        Problem::new(StatusCode::NOT_FOUND, "no-registrar", detail, next)
    })
}

fn serial_of(text: String) -> Result<Serial, Problem> {
    Serial::try_from(text).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "serial", error.to_string(), "take it from the list of boxes")
    })
}

/// Who does it, for the registrar's journal.
async fn by(api: &Api, caller: Caller) -> Result<String, Problem> {
    api.access(move |access| access.who(&caller, now())).await
}

fn unanswered(error: &anyhow::Error) -> Problem {
    if error.downcast_ref::<LocalError>().is_some() {
        let next = "start the registrar, as the user that the box runs as";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "registrar-silent", format!("{error:#}"), next)
    } else {
        let next = "look at how the box stands with the registrar";
        Problem::new(StatusCode::CONFLICT, "registrar-refused", format!("{error:#}"), next)
    }
}

/// Those that wait first, and the latest of them.
fn in_order(boxes: Vec<BoxView>) -> Vec<Candidate> {
    let mut candidates: Vec<_> = boxes.into_iter().map(Candidate::from).collect();
    candidates.sort_by(|a, b| {
        let rank = |one: &Candidate| (one.standing != WAITING, std::cmp::Reverse(one.since));
        rank(a).cmp(&rank(b)).then_with(|| a.serial.cmp(&b.serial))
    });
    candidates.truncate(BOXES_MAX);
    candidates
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(serial: &str, standing: &str, since: u64) -> BoxView {
        let text = json!({
            "serial_number": serial, "standing": standing, "reason": null, "since": since, "voucher": true,
            "wants_voucher": false, "image": "1.2.0", "judged": 7, "certificate_until": null, "chain": null,
            "alarm": null,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn boxes_that_wait_come_first_and_the_list_is_bounded() {
        let mut boxes = vec![one("a", "approved", 9), one("b", "waiting", 1), one("c", "waiting", 2)];
        let order = |boxes: &[BoxView]| {
            let boxes = boxes.iter().map(|one| serde_json::from_value(json!(one)).unwrap()).collect();
            in_order(boxes).into_iter().map(|one| one.serial).collect::<Vec<_>>()
        };
        assert_eq!(order(&boxes), ["c", "b", "a"]);
        boxes.extend((0..BOXES_MAX).map(|number| one(&format!("d{number}"), "approved", 3)));
        assert_eq!(order(&boxes).len(), BOXES_MAX);
        let shown = Candidate::from(one("a", "approved", 9));
        assert_eq!((shown.report.image.as_deref(), shown.report.judged_at), (Some("1.2.0"), Some(Timestamp(7))));
    }

    #[tokio::test]
    async fn a_registrar_that_is_not_there_is_told_from_one_that_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let error = registrar::boxes(dir.path()).await.unwrap_err();
        assert_eq!(unanswered(&error).code(), "registrar-silent");
        assert_eq!(unanswered(&anyhow::anyhow!("the box was revoked")).code(), "registrar-refused");
        assert_eq!(serial_of(" x".to_owned()).unwrap_err().code(), "serial");
    }
}
