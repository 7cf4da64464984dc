//! What a box tells its registrar about a voucher or a certificate (RFC 8995 §5.7 and §5.9.4).

use serde::Serialize;

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    status: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(rename = "reason-context")]
    context: Context,
}

/// Nothing: the code says it.
#[derive(Serialize)]
struct Context {}

/// The text: whether the box takes it, and if not, why.
pub(crate) fn telemetry(refused: Option<&str>) -> Vec<u8> {
    let status = Status { version: "1", status: refused.is_none(), reason: refused, context: Context {} };
    // Nothing in it can fail to be written.
    serde_json::to_vec(&status).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_rfc_8995() {
        assert_eq!(telemetry(None), br#"{"version":"1","status":true,"reason-context":{}}"#);
        let refused = br#"{"version":"1","status":false,"reason":"voucher-serial","reason-context":{}}"#;
        assert_eq!(telemetry(Some("voucher-serial")), refused);
    }
}
