//! HTTP clients of this program.

use std::path::Path;

use anyhow::Context as _;
use reqwest::{Certificate, ClientBuilder};

/// Has a client trust the certificate that a box made for itself, and no other.
pub(crate) fn trusting(client: ClientBuilder, certificate: Option<&Path>) -> anyhow::Result<ClientBuilder> {
    let Some(path) = certificate else { return Ok(client) };
    let pem = std::fs::read(path).with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let certificate = Certificate::from_pem(&pem).with_context(|| format!("{} is no certificate", path.display()))?;
    Ok(client.tls_certs_only([certificate]))
}
