//! Answers that programs can check: signed by a key of the box (HTTP Message Signatures, RFC 9421).

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::hex;
use anyhow::bail;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use dolmen_hsm_api::{Algorithm, Domain, KeyError, Message, Signer};
use openssl::{base64::encode_block, sha::sha256};
use serde::Serialize;

/// What is signed: the status, the body by its digest, and what was asked, so that an answer to another question does
/// not pass. Who wants to know that an answer is new puts something of its own into the query.
const COMPONENTS: &str = r#"("@status" "content-digest" "@path";req "@query";req)"#;

/// Signs answers, where the box has a key for it.
pub(super) struct Answers(Option<(Arc<dyn Signer>, &'static str)>);

impl Answers {
    pub(super) fn new(key: Option<Arc<dyn Signer>>) -> anyhow::Result<Self> {
        let Some(key) = key else { return Ok(Self(None)) };
        // RFC 9421 §3.3.4 and §3.3.6.
        let algorithm = match key.algorithm() {
            Algorithm::EcdsaP256 => "ecdsa-p256-sha256",
            Algorithm::Ed25519 => "ed25519",
            other => bail!(
                "the key {} is of {other}; answers are signed with p256 or ed25519: name another as keys.api",
                key.uri()
            ),
        };
        Ok(Self(Some((key, algorithm))))
    }

    /// An answer in JSON, signed where there is a key.
    pub(super) async fn json(&self, uri: &Uri, value: &impl Serialize) -> Response {
        let Ok(body) = serde_json::to_vec(value) else {
            return (StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written; see the log\n").into_response();
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((key, algorithm)) = &self.0 {
            match sign(&**key, algorithm, uri, &body).await {
                Ok(signed) => headers.extend(signed),
                Err(error) => {
                    tracing::error!(key = %key.uri(), %error, "an answer was not signed");
                    let text = format!("this box signs its answers, and cannot: {error}\n");
                    return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
                }
            }
        }
        (headers, body).into_response()
    }
}

async fn sign(
    key: &dyn Signer,
    algorithm: &str,
    uri: &Uri,
    body: &[u8],
) -> Result<[(header::HeaderName, HeaderValue); 3], KeyError> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let digest = format!("sha-256=:{}:", encode_block(&sha256(body)));
    let parameters = format!("{COMPONENTS};created={created};keyid=\"{}\";alg=\"{algorithm}\"", keyid(key));
    let base = base(uri, &digest, &parameters);
    let signature = key.sign(Domain::Api, Message::Bytes(base.as_bytes())).await?;
    let header = |name, text: String| (name, HeaderValue::try_from(text).expect("digits and names of keys are ASCII"));
    Ok([
        header(header::HeaderName::from_static("content-digest"), digest),
        header(header::HeaderName::from_static("signature-input"), format!("dolmen={parameters}")),
        header(header::HeaderName::from_static("signature"), format!("dolmen=:{}:", encode_block(&signature.0))),
    ])
}

/// The key's public half, by which whoever checks tells boxes apart.
fn keyid(key: &dyn Signer) -> String {
    hex::encode(key.public_key())
}

/// The signature base (RFC 9421 §2.5).
fn base(uri: &Uri, digest: &str, parameters: &str) -> String {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    format!(
        "\"@status\": 200\n\"content-digest\": {digest}\n\"@path\";req: {path}\n\"@query\";req: ?{query}\n\
         \"@signature-params\": {parameters}"
    )
}
