//! A box's numbers about its registrar, as OpenMetrics has them.

use std::fmt::Write as _;

use super::{Report, Trouble};

impl Report {
    /// The text of all of them, without the end marker.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, label: Option<(&str, &str)>, value: u64| {
            let label = label.map(|(name, value)| format!("{{{name}=\"{value}\"}}")).unwrap_or_default();
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{label} {value}");
        };
        let phase = "How far the box is in joining, or what it does with its registrar since.";
        gauge("dolmen_provisioning_phase", phase, Some(("phase", &self.phase)), 1);
        let refused = "What the box or its registrar refused last.";
        if let Some(Trouble { code, .. }) = self.refusal.as_ref().filter(|refusal| is_code(&refusal.code)) {
            gauge("dolmen_provisioning_refused", refused, Some(("code", code)), 1);
        }
        let failed = "What could not be done last.";
        if let Some(Trouble { code, .. }) = self.failure.as_ref().filter(|failure| is_code(&failure.code)) {
            gauge("dolmen_provisioning_failed", failed, Some(("code", code)), 1);
        }
        if let Some(certificate) = &self.certificate {
            let until = "The last second of the box's certificate, since 1970.";
            gauge("dolmen_certificate_until_seconds", until, None, certificate.until);
            let standing = "How the box's certificate stands.";
            gauge("dolmen_certificate_standing", standing, Some(("standing", &certificate.standing)), 1);
        }
        if let Some(attested) = self.attested {
            let help = "When the box's registrar last found it to be as it was, seconds since 1970.";
            gauge("dolmen_attested_seconds", help, None, attested);
        }
        text
    }
}

/// Codes of registrars are whatever they wrote.
fn is_code(code: &str) -> bool {
    code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{super::report::CertificateReport, *};

    #[test]
    fn numbers_have_names_and_labels() {
        let trouble = |code: &str| Trouble { code: code.into(), message: "x".into(), by: "pledge".into(), at: None };
        let report = Report {
            serial_number: "A".into(),
            phase: "resting".into(),
            refusal: Some(trouble("box-revoked")),
            failure: Some(trouble("\"} 1\nforged 2")),
            certificate: Some(CertificateReport {
                subject: "CN=A".into(),
                issuer: "CN=B".into(),
                public_key: String::new(),
                since: 1,
                until: 7,
                standing: "good".into(),
            }),
            attested: Some(5),
        };
        let text = report.metrics();
        for line in [
            "dolmen_provisioning_phase{phase=\"resting\"} 1",
            "dolmen_provisioning_refused{code=\"box-revoked\"} 1",
            "dolmen_certificate_until_seconds 7",
            "dolmen_certificate_standing{standing=\"good\"} 1",
            "dolmen_attested_seconds 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("forged"));
    }
}
