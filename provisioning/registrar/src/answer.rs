//! What a registrar answers, and what its driver has to do.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Serial;
use serde::Serialize;

use crate::{
    CallError, Record, Refusal, Role,
    call::{CERTIFICATES, CMS, JSON, PROBLEM, VOUCHER},
};

/// An answer of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What the body is; none where there is no body.
    pub media: Option<&'static str>,
    /// In how many seconds to ask again: 1 to 3600.
    pub retry_after: Option<u32>,
    /// The methods that there are, where another was asked for.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

/// RFC 9457 §3.1, with two members of ours.
#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    retry: bool,
}

impl Answer {
    /// With nothing to say.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, media: None, retry_after: None, allow: None, body: Vec::new() }
    }

    /// Later.
    pub(crate) fn wait(seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::empty(202) }
    }

    fn with(media: &'static str, body: Vec<u8>) -> Self {
        Self { media: Some(media), body, ..Self::empty(200) }
    }

    pub(crate) fn voucher(message: Vec<u8>) -> Self {
        Self::with(VOUCHER, message)
    }

    pub(crate) fn cms(message: Vec<u8>) -> Self {
        Self::with(CMS, message)
    }

    pub(crate) fn json(text: Vec<u8>) -> Self {
        Self::with(JSON, text)
    }

    pub(crate) fn certificates(base64: String) -> Self {
        Self::with(CERTIFICATES, base64.into_bytes())
    }

    pub(crate) fn role(role: Role) -> Self {
        Self::json(format!("{{\"role\":\"{}\"}}", role.name()).into_bytes())
    }

    /// A refusal. `seconds` is when to ask again, if that helps.
    pub(crate) fn refusal(refusal: &Refusal, seconds: u32) -> Self {
        let answer = Self::problem(refusal.status(), &refusal.to_string(), refusal.code(), refusal.retry());
        Self { retry_after: refusal.retry().then_some(seconds), ..answer }
    }

    fn problem(status: u16, title: &str, code: &str, retry: bool) -> Self {
        let problem = Problem { title, status, code, retry };
        // Texts and numbers always can be written.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        Self { status, ..Self::with(PROBLEM, body) }
    }

    /// The headers besides `Content-Length`. Bodies of EST are in Base64 and say so (RFC 7030 §4.1.3).
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let base64 = self.media == Some(CERTIFICATES);
        let media = self.media.map(|media| ("Content-Type", media.to_owned()));
        let encoding = base64.then(|| ("Content-Transfer-Encoding", "base64".to_owned()));
        let retry = self.retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
        let allow = self.allow.map(|methods| ("Allow", methods.to_owned()));
        [media, encoding, retry, allow].into_iter().flatten().collect()
    }
}

/// A request that is none is not recorded: anybody can send such.
impl From<CallError> for Answer {
    fn from(error: CallError) -> Self {
        let allow = if let CallError::Method { allow } = error { Some(allow) } else { None };
        Self { allow, ..Self::problem(error.status(), &error.to_string(), error.code(), false) }
    }
}

/// What is to be done on the chain. It may be asked for again: after a restart, and as long as it was not reported as
/// done. Whoever does it looks first whether it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The box asks to be one of the chain's, and no other key of it is one. Report what the chain says:
    /// [`admitted`](crate::Registrar::admitted) or [`turned_away`](crate::Registrar::turned_away).
    Admit {
        /// The box.
        serial: Serial,
        /// What it signed, as `dolmen gov request` made it.
        request: String,
        /// Hash of its appraisal.
        appraisal: Hash,
        /// Since when it is asked for, seconds since 1970. What the chain decided before that was another question.
        since: u64,
        /// The box in whose place it comes.
        replaces: Option<Serial>,
    },
    /// The box should not vote any more, for this reason.
    Demote {
        /// The box.
        serial: Serial,
        /// The request by whose key it is one of the chain's.
        request: String,
        /// The code of the alarm.
        code: String,
    },
    /// A key of the box should be one of the chain's no more, for this reason. Report it:
    /// [`retired`](crate::Registrar::retired). That it is not one is not enough, as long as somebody may vote for it.
    ///
    /// For the reason `rejoined` the box came back with another key, and [`Effect::Admit`] for that follows the report. A
    /// chain that replaces one key by another at once may be asked for this instead, for what the box's state has as its
    /// membership: then the old one is reported as retired, and after that the new one as admitted.
    Retire {
        /// The box.
        serial: Serial,
        /// The request by whose key it is, or may become, one of the chain's.
        request: String,
        /// The code of the alarm, `revoked`, `replaced` or `rejoined`.
        code: String,
    },
}

/// What becomes of a request. In this order: the records are appended to the journal and synced, then the answer is sent
/// and the effects are done. If the journal does not take them the answer is not sent, and the registrar is opened anew
/// from the journal: what it has in memory is ahead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the records are to be appended before the answer is sent"]
pub struct Outcome {
    /// What happened.
    pub records: Vec<Record>,
    /// The answer.
    pub answer: Answer,
    /// What is to be done.
    pub effects: Vec<Effect>,
}

/// What becomes of something that an operator or the chain said: as [`Outcome`], without an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "the records are to be appended"]
pub struct Change {
    /// What happened.
    pub records: Vec<Record>,
    /// What is to be done.
    pub effects: Vec<Effect>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_problems() {
        let answer = Answer::refusal(&Refusal::InboxFull, 30);
        let text = "{\"title\":\"the inbox of approvals is full; ask the organisation's operator to go through it\",\
                    \"status\":503,\"code\":\"inbox-full\",\"retry\":true}";
        assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), text);
        let headers = [("Content-Type", "application/problem+json"), ("Retry-After", "30")];
        assert_eq!(answer.headers(), headers.map(|(name, value)| (name, value.to_owned())));
        let answer = Answer::from(CallError::Method { allow: "GET" });
        assert_eq!((answer.status, answer.headers()[1].clone()), (405, ("Allow", "GET".to_owned())));
    }

    #[test]
    fn certificates_say_that_they_are_base64() {
        let headers = Answer::certificates("TWFu".to_owned()).headers();
        let expected = [
            ("Content-Type", "application/pkcs7-mime; smime-type=certs-only"),
            ("Content-Transfer-Encoding", "base64"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(Answer::role(Role::Validator).body, b"{\"role\":\"validator\"}");
        assert_eq!(Answer::wait(7).headers(), [("Retry-After", "7".to_owned())]);
        assert!(Answer::empty(204).headers().is_empty());
    }
}
