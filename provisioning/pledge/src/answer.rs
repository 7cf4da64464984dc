//! What an answer of HTTP means.

use serde::Deserialize;

use crate::{
    Answer,
    limits::{RETRY_AFTER_SECONDS_MAX, RETRY_AFTER_SECONDS_MIN},
};

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This is it.
    Done(Vec<u8>),
    /// Not yet: ask for the same again, after so many seconds.
    Later(u32),
    /// No. Where the same request may be answered otherwise later, when that is, if it is said.
    Refused(Problem, Option<u32>),
    /// Nothing that this protocol knows.
    Strange(&'static str),
}

/// A refusal (RFC 9457). All of it is somebody else's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) code: Option<String>,
    /// Whether the same request may be answered otherwise later.
    pub(crate) retry: bool,
}

/// Reads an answer whose body is to be of this type; of none where there is to be no body. Only some requests can be
/// answered by `202`. What is the server's own fault (5xx) may be answered otherwise later, whatever it says.
pub(crate) fn judge(answer: Answer, media_type: Option<&str>, may_wait: bool) -> Verdict {
    let Answer { status, content_type, retry_after, body } = answer;
    let is_of = |media_type: &str| {
        let found = content_type.as_deref().and_then(|found| found.split(';').next()).unwrap_or_default();
        found.trim().eq_ignore_ascii_case(media_type)
    };
    match status {
        200 | 204 if media_type.is_none() => Verdict::Done(Vec::new()),
        200 if media_type.is_some_and(is_of) => Verdict::Done(body),
        200 => Verdict::Strange("the answer is of another media type"),
        202 if may_wait => Verdict::Later(retry_seconds(retry_after.as_deref())),
        400..=599 => {
            let problem = Some(&body).filter(|_| is_of("application/problem+json"));
            let problem: Option<Problem> = problem.and_then(|body| serde_json::from_slice(body).ok());
            let seconds = retry_after.as_deref().map(|text| retry_seconds(Some(text)));
            match (problem, seconds) {
                (Some(problem), seconds) => {
                    let problem = Problem { retry: problem.retry || status >= 500, ..problem };
                    let seconds = seconds.filter(|_| problem.retry);
                    Verdict::Refused(problem, seconds)
                }
                // Too busy, which is no refusal.
                (None, Some(seconds)) if matches!(status, 429 | 503) => Verdict::Later(seconds),
                (None, _) if status >= 500 => Verdict::Strange("the registrar has failed, and does not say why"),
                (None, _) => {
                    let title = format!("the registrar answers with status {status} and no reason");
                    Verdict::Refused(Problem { title, ..Problem::default() }, None)
                }
            }
        }
        _ => Verdict::Strange("the answer has a status that nobody expects"),
    }
}

/// Seconds to wait; a minute where nobody says, or says a date: there is no clock.
fn retry_seconds(text: Option<&str>) -> u32 {
    const UNSAID: u32 = 60;
    let text = text.map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = text.map_or(UNSAID, |digits| digits.parse().unwrap_or(u32::MAX));
    seconds.clamp(RETRY_AFTER_SECONDS_MIN, RETRY_AFTER_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        let content_type = Some(content_type.to_owned()).filter(|text| !text.is_empty());
        Answer { status, content_type, retry_after: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_body_is_of_its_type() {
        let judge = |content_type, media_type| judge(answer(200, content_type, "x"), media_type, false);
        let done = Verdict::Done(b"x".to_vec());
        for content_type in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            assert_eq!(judge(content_type, Some("application/json")), done);
        }
        for content_type in ["", "text/html", "application/jsonx", "application/problem+json"] {
            assert!(matches!(judge(content_type, Some("application/json")), Verdict::Strange(_)), "{content_type}");
        }
        // Nobody reads a body that is not to be there.
        assert_eq!(judge("text/html", None), Verdict::Done(Vec::new()));
    }

    #[test]
    fn waits_are_clamped() {
        let wait = |status, text: Option<&str>, may_wait| {
            let retry_after = text.map(ToOwned::to_owned);
            judge(Answer { retry_after, ..answer(status, "", "") }, Some("application/json"), may_wait)
        };
        for (text, seconds) in [
            (None, 60),
            (Some(""), 60),
            (Some("soon"), 60),
            (Some("-5"), 60),
            (Some("Fri, 31 Dec 1999 23:59:59 GMT"), 60),
            (Some("0"), 1),
            (Some(" 7 "), 7),
            (Some("3600"), 3600),
            (Some("3601"), 3600),
            (Some("99999999999999999999999"), 3600),
        ] {
            assert_eq!(wait(202, text, true), Verdict::Later(seconds), "{text:?}");
        }
        assert!(matches!(wait(202, None, false), Verdict::Strange(_)));
        assert_eq!(wait(503, Some("5"), false), Verdict::Later(5));
        assert!(matches!(wait(503, None, true), Verdict::Strange(_)));
        assert!(matches!(wait(429, None, true), Verdict::Refused(_, None)));
        assert_eq!(wait(429, Some("5"), false), Verdict::Later(5));
        assert!(matches!(wait(403, Some("5"), false), Verdict::Refused(_, None)));
    }

    #[test]
    fn problems_are_read_as_far_as_they_go() {
        let problem = |content_type, body| match judge(answer(403, content_type, body), None, false) {
            Verdict::Refused(problem, None) => problem,
            verdict => panic!("{verdict:?}"),
        };
        let json = r#"{"title":"no","status":403,"code":"ek-other","retry":true,"more":[1]}"#;
        let read = Problem { title: "no".to_owned(), code: Some("ek-other".to_owned()), retry: true };
        assert_eq!(problem("application/problem+json", json), read);
        for (content_type, body) in [("text/html", json), ("application/problem+json", "{\"title\":7}"), ("", "")] {
            let unread = problem(content_type, body);
            assert!(unread.title.contains("403") && unread.code.is_none() && !unread.retry, "{unread:?}");
        }
    }

    /// One that helps to ask again is not asked before the time that it says.
    #[test]
    fn refusals_say_when_to_ask_again() {
        let refused = |status, retry, retry_after: Option<&str>| {
            let body = format!("{{\"title\":\"no\",\"code\":\"no-chain\",\"retry\":{retry}}}");
            let retry_after = retry_after.map(str::to_owned);
            match judge(Answer { retry_after, ..answer(status, "application/problem+json", &body) }, None, false) {
                Verdict::Refused(problem, seconds) => (problem.retry, seconds),
                verdict => panic!("{verdict:?}"),
            }
        };
        assert_eq!(refused(409, true, Some("9")), (true, Some(9)));
        assert_eq!(refused(409, true, None), (true, None));
        assert_eq!(refused(403, false, Some("9")), (false, None));
        // A server that has failed may not fail later.
        assert_eq!(refused(503, true, Some("9")), (true, Some(9)));
        assert_eq!(refused(500, false, None), (true, None));
    }

    #[test]
    fn other_statuses_are_strange() {
        for status in [0, 100, 201, 206, 301, 304, 500, 599, 600, 999, u16::MAX] {
            for media_type in [None, Some("application/json")] {
                let verdict = judge(answer(status, "application/json", "{}"), media_type, true);
                assert!(matches!(verdict, Verdict::Strange(_)), "{status}: {verdict:?}");
            }
        }
        assert!(matches!(judge(answer(204, "", ""), Some("application/json"), true), Verdict::Strange(_)));
    }
}
