//! The box's keys and certificates: where each is, and others for those that may change.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use axum::{Json, extract::State, http::StatusCode};
use dolmen_access::Timestamp;
use dolmen_hsm_api::{Algorithm, KeyUri, Residence};
use openssl::{
    asn1::Asn1TimeRef,
    x509::{X509, X509NameRef},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Home, body::Named, problem::Problem};
use crate::{
    admin::{Tls, status::KeyView, tls::fingerprint},
    config::BoxConfig,
    pledge::Report,
};

/// The key by which other boxes know this one.
const CONSENSUS: &str = "consensus";
/// The key of the page.
const TLS: &str = "tls";
/// The key of answers to programs.
const API: &str = "api";
/// The key of the certificate that the box's organisation gave it (IEEE 802.1AR).
const LDEVID: &str = "ldevid";

/// Uses of keys that have a new key, which waits for the next start.
#[derive(Default)]
pub(super) struct Rotated(Mutex<BTreeMap<&'static str, Option<String>>>);

impl Rotated {
    /// Whether there is one, and the fingerprint of its certificate, where it has one.
    fn of(&self, used_for: &str) -> Option<Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(used_for).cloned()
    }

    /// False where there is one already.
    fn add(&self, used_for: &'static str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !all.contains_key(used_for);
        all.entry(used_for).or_default();
        is_new
    }

    fn has_certificate(&self, used_for: &'static str, fingerprint: Option<&String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(used_for, fingerprint.cloned());
    }

    fn remove(&self, used_for: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(used_for);
    }
}

/// A key, and what there is about it.
#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    #[serde(flatten)]
    key: KeyView,
    /// Whether a new one waits for the next start.
    rotated: bool,
    /// SHA-256 of the certificate that browsers meet from then on; for `tls` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateView>,
}

/// A certificate (X.509).
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateView {
    /// Whose it is.
    subject: String,
    /// Who issued it; the subject itself where the box did.
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// `good`, `due`, `30-days`, `7-days`, `1-day`, `expired` or `clock-behind`.
    standing: String,
    /// SHA-256 of it, as browsers show it; none where the certificate is with the box's registrar.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(super) struct RotatedKey {
    /// Where it is: the name that the old one had.
    uri: String,
    /// Its public half.
    public_key: String,
    /// SHA-256 of the certificate that browsers meet after the next start; for `tls` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// The box's keys, where each lives, and their certificates.
#[utoipa::path(get, path = "/api/v1/keys", tag = super::BOX, operation_id = "keys",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Vec<Key>), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn keys(State(api): State<Api>) -> Result<Json<Vec<Key>>, Problem> {
    let shown = certificate_view(&api.page.certificate).map_err(|error| Problem::failed(&error))?;
    let mut shown = Some(shown);
    let own = api.page.keys.iter().cloned().map(|key| (api.home.rotated.of(key.used_for), key));
    let own = own.map(|(next, key)| Key {
        rotated: next.is_some(),
        next_fingerprint: next.flatten(),
        certificate: if key.used_for == TLS { shown.take() } else { None },
        key,
    });
    let mut keys: Vec<_> = own.collect();
    keys.extend(api.page.provisioning().and_then(ldevid));
    Ok(Json(keys))
}

/// The page's, as DER.
fn certificate_view(der: &[u8]) -> anyhow::Result<CertificateView> {
    let certificate = X509::from_der(der).context("the page's certificate")?;
    Ok(CertificateView {
        subject: common_name(certificate.subject_name()),
        issuer: common_name(certificate.issuer_name()),
        not_before: seconds(certificate.not_before())?,
        not_after: seconds(certificate.not_after())?,
        // It holds for decades.
        standing: "good".to_owned(),
        fingerprint: Some(fingerprint(der)),
    })
}

fn common_name(name: &X509NameRef) -> String {
    let entry = name.entries_by_nid(openssl::nid::Nid::COMMONNAME).next();
    entry.and_then(|entry| entry.data().to_string().ok()).map(|name| format!("CN={name}")).unwrap_or_default()
}

fn seconds(time: &Asn1TimeRef) -> anyhow::Result<Timestamp> {
    let since = openssl::asn1::Asn1Time::from_unix(0)?.diff(time)?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Ok(Timestamp(u64::try_from(seconds).unwrap_or(0)))
}

/// The key by which the box's organisation knows it.
fn ldevid(report: Report) -> Option<Key> {
    let certificate = report.certificate?;
    Some(Key {
        key: KeyView {
            used_for: LDEVID,
            uri: crate::pledge::LDEVID.to_owned(),
            algorithm: Algorithm::EcdsaP256.name(),
            place: Residence::Device.name(),
            public_key: certificate.public_key,
        },
        rotated: false,
        next_fingerprint: None,
        certificate: Some(CertificateView {
            subject: certificate.subject,
            issuer: certificate.issuer,
            not_before: Timestamp(certificate.since),
            not_after: Timestamp(certificate.until),
            standing: certificate.standing,
            fingerprint: None,
        }),
    })
}

/// Make a new key in the place of one; it is in effect with the next start. The old one stays beside it until the one
/// after that is made. `use` is `tls` or `api`: by the others the box is known.
#[utoipa::path(post, path = "/api/v1/keys/{use}/rotate", tag = super::BOX, operation_id = "rotate-key",
    params(("use" = String, Path)),
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = OK, body = RotatedKey), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate_key(
    State(api): State<Api>,
    Named(used_for): Named<String>,
) -> Result<Json<RotatedKey>, Problem> {
    let settings = &api.home.config.keys;
    let (used_for, uri) = match used_for.as_str() {
        TLS => (TLS, settings.tls.clone()),
        API => {
            let uri = settings.api.clone().ok_or_else(|| {
                Problem::not_here(
                    "this box has no key for what it answers to programs",
                    "name one, keys.api in box.toml",
                )
            })?;
            (API, uri)
        }
        CONSENSUS | LDEVID => {
            let detail = format!("by its key {used_for} the box is known to others");
            let next = "replace the box: its successor has a key of its own";
            return Err(Problem::new(StatusCode::CONFLICT, "identity-key", detail, next));
        }
        _ => return Err(Problem::not_here("there is no key for that", "take the use from the list of keys")),
    };
    if !api.home.rotated.add(used_for) {
        let detail = "a new key waits for the next start already, and this one is in use until then";
        return Err(Problem::new(StatusCode::CONFLICT, "rotation-waits", detail, "restart the box"));
    }
    let home = api.home.clone();
    let made = tokio::task::spawn_blocking(move || make(&home, used_for, &uri)).await;
    let rotated = made.map_err(anyhow::Error::from).and_then(|made| made).map_err(|error| Problem::failed(&error))?;
    tracing::warn!(used_for, public_key = rotated.public_key, "a new key waits for the next start");
    Ok(Json(rotated))
}

fn make(home: &Home, used_for: &'static str, uri: &KeyUri) -> anyhow::Result<RotatedKey> {
    let keys = &home.around.keys;
    // From here on a second one would take the key away that is in use, whatever becomes of the certificate: the next
    // start makes one where there is none.
    let key =
        keys.store(uri).and_then(|store| Ok(store.rotate(uri)?)).inspect_err(|_| home.rotated.remove(used_for))?;
    let BoxConfig { name, admin, .. } = &home.config;
    let directory = keys.dir();
    let certificate = || Tls::make_next(key.clone(), directory, name, admin.listen, &admin.hosts);
    let fingerprint = (used_for == TLS).then(certificate).transpose()?;
    home.rotated.has_certificate(used_for, fingerprint.as_ref());
    let KeyView { uri, public_key, .. } = KeyView::new(used_for, &*key);
    Ok(RotatedKey { uri, public_key, fingerprint })
}

/// Ask the box's registrar for another certificate now, before its time. How it went is in the status and in the keys.
#[utoipa::path(post, path = "/api/v1/certificate/renew", tag = super::BOX, operation_id = "renew-certificate",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = ACCEPTED), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn renew_certificate(State(api): State<Api>) -> Result<StatusCode, Problem> {
    let Some(wish) = &api.home.around.certificate else {
        let detail = "this box has no registrar that would renew its certificate";
        let next = "the certificate of its page is the box's own: rotate the key of the page";
        return Err(Problem::new(StatusCode::CONFLICT, "no-registrar", detail, next));
    };
    wish.notify_one();
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_certificates_are_seconds() {
        let time = openssl::asn1::Asn1Time::from_str_x509("20600101000000Z").unwrap();
        assert_eq!(seconds(&time).unwrap().0, 2_840_140_800);
        assert_eq!(seconds(&openssl::asn1::Asn1Time::from_unix(-5).unwrap()).unwrap().0, 0);
    }
}
