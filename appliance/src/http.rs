//! HTTP clients of this program.

use std::path::Path;

use anyhow::Context as _;
use reqwest::{
    Certificate, ClientBuilder,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use crate::local_token;

/// Has a client trust the certificate that a box made for itself, and no other.
pub(crate) fn trusting(client: ClientBuilder, certificate: &Path) -> anyhow::Result<ClientBuilder> {
    let path = certificate;
    let pem = std::fs::read(path).with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let certificate = Certificate::from_pem(&pem).with_context(|| format!("{} is no certificate", path.display()))?;
    Ok(client.tls_certs_only([certificate]))
}

/// Has a client show a token: a box's own on its machine, or an API token.
pub(crate) fn showing(client: ClientBuilder, token: &Path) -> anyhow::Result<ClientBuilder> {
    let token = local_token::load(token)?;
    let value = [b"Bearer ", token.as_slice()].concat();
    let mut value = HeaderValue::from_bytes(&value).context("the token is no line of text")?;
    value.set_sensitive(true);
    Ok(client.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)])))
}
