//! What boxes think of their vouchers and certificates (RFC 8995 §5.7 and §5.9.4).

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    Answer, Event, Refusal, Registrar, Step,
    limits::{NAME_CHARS_MAX, REASON_CHARS_MAX},
    peer::Pledge,
    refusal::clean,
    registrar::Turn,
};

/// The report, as RFC 8995 has it. What else a box has to say is not looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Report {
    version: String,
    status: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, rename = "reason-context")]
    _reason_context: Option<IgnoredAny>,
}

const VERSION: &str = "1";

impl Registrar {
    pub(crate) fn voucher_status(&mut self, turn: &mut Turn, pledge: &Pledge, body: &[u8]) -> Result<Answer, Refusal> {
        self.report(turn, pledge, body, Step::Voucher)
    }

    pub(crate) fn enroll_status(&mut self, turn: &mut Turn, pledge: &Pledge, body: &[u8]) -> Result<Answer, Refusal> {
        self.report(turn, pledge, body, Step::Enrolment)
    }

    /// Writes down what is new, so that a box that says the same again leaves no record.
    fn report(&mut self, turn: &mut Turn, pledge: &Pledge, body: &[u8], step: Step) -> Result<Answer, Refusal> {
        let one = self.approved(pledge)?;
        let report: Report = serde_json::from_slice(body).map_err(|_| Refusal::Report)?;
        if clean(&report.version, NAME_CHARS_MAX) != VERSION {
            return Err(Refusal::Report);
        }
        let new = (report.status, report.reason.map(|reason| clean(&reason, REASON_CHARS_MAX)));
        let held = match step {
            // The voucher may have come from elsewhere.
            Step::Voucher => &one.voucher_report,
            Step::Enrolment if one.certificates.is_empty() => return Err(Refusal::Order("ask for a certificate")),
            Step::Enrolment => &one.enrolment_report,
        };
        if held.as_ref() != Some(&new) {
            let (serial, (status, reason)) = (pledge.serial.clone(), new);
            self.record(turn, Event::Reported { serial, step, status, reason })?;
        }
        Ok(Answer::empty(200))
    }
}
