//! A box's administration API, as its page or a program uses it.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use serde_json::{Value, json};

use crate::{BoxInfo, PATIENCE, http, wait_for};

/// The cookie of a session.
const COOKIE: &str = "__Host-dolmen-session";

/// Somebody at the API of one box: nobody, a session, or whoever has an API token.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where the box's page is.
    pub address: SocketAddr,
    /// Its certificate.
    pub certificate: PathBuf,
    /// The session's cookie.
    pub cookie: Option<String>,
    /// The session's CSRF token.
    pub csrf: Option<String>,
    /// An API token.
    pub token: Option<String>,
}

/// What the API answers.
#[derive(Clone, Debug)]
pub struct Said {
    /// Status code.
    pub status: u16,
    /// Header lines as sent.
    pub headers: String,
    /// The body, null where it is no JSON.
    pub json: Value,
}

impl Said {
    /// The code of the problem that it is.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

impl Admin {
    /// Nobody, at a box whose page answers: at a start it comes last.
    pub fn nobody(own: &BoxInfo) -> Self {
        let (address, certificate) = (own.admin_address(), own.certificate.clone());
        wait_for(&format!("the page of {}", own.name), PATIENCE, || {
            http::https(address, &certificate, "GET /api/v1/box", &[], "").ok().filter(|answer| answer.status == 200)
        });
        Self { address, certificate, cookie: None, csrf: None, token: None }
    }

    /// The first user of a box, with a second factor. Returns the TOTP secret.
    pub fn claim(own: &BoxInfo, name: &str, password: &str) -> (Self, String) {
        let mut admin = Self::nobody(own);
        let code = fs::read_to_string(&own.claim_code).expect("the claim code");
        let said =
            admin.call("POST /claim", json!({"claim_code": code.trim_end(), "name": name, "password": password}));
        assert_eq!(said.status, 201, "{said:?}");
        let secret = admin.set_up_totp();
        (admin, secret)
    }

    /// Sets TOTP up for the session's user and returns the secret.
    pub fn set_up_totp(&mut self) -> String {
        let said = self.call("POST /me/totp", json!({}));
        let secret = said.json["secret_base32"].as_str().unwrap_or_else(|| panic!("{said:?}")).to_owned();
        let said = self.call("POST /me/totp/confirm", json!({"totp": totp(&secret)}));
        assert_eq!(said.json["recovery_codes"].as_array().map(Vec::len), Some(8), "{said:?}");
        secret
    }

    /// A request, `METHOD PATH` below `/api/v1`, with a body in JSON where that is not null. A session that it answers
    /// with is this one's from now on.
    pub fn call(&mut self, request: &str, body: Value) -> Said {
        let said = self.try_call(request, &body, &[]);
        let cookie = said.headers.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.strip_prefix(COOKIE));
        if let Some(cookie) = cookie {
            let value = cookie.trim_start_matches('=').split(';').next().expect("a value");
            self.cookie = (!value.is_empty()).then(|| value.to_owned());
            // It changes with the cookie, and not every answer shows it.
            if self.cookie.is_some() {
                let session = self.try_call("GET /session", &Value::Null, &[]);
                self.csrf = session.json["csrf_token"].as_str().map(str::to_owned);
            }
        }
        said
    }

    /// A request with more headers, after which nothing is remembered.
    pub fn try_call(&self, request: &str, body: &Value, headers: &[(&str, &str)]) -> Said {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.try_send(request, text, &[headers, &[("Content-Type", "application/json")]].concat())
    }

    /// A request with any body.
    pub fn try_send(&self, request: &str, body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Said {
        let (method, path) = request.split_once(' ').expect("METHOD PATH");
        let cookie = self.cookie.as_ref().map(|cookie| format!("{COOKIE}={cookie}"));
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let own = [("Cookie", &cookie), ("X-CSRF-Token", &self.csrf), ("Authorization", &token)];
        let own = own.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let headers: Vec<_> = own.chain(headers.iter().copied()).collect();
        let request = format!("{method} /api/v1{path}");
        let answer = http::https(self.address, &self.certificate, &request, &headers, body);
        let answer = answer.unwrap_or_else(|error| panic!("{request}: {error}"));
        Said {
            status: answer.status,
            headers: answer.headers,
            json: serde_json::from_str(&answer.body).unwrap_or_default(),
        }
    }
}

/// The code of now (RFC 6238: SHA-1, 30 seconds, six digits).
pub fn totp(secret: &str) -> String {
    let bits = secret.bytes().fold((Vec::new(), 0_u32, 0), |(mut bytes, bits, count), digit| {
        let digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|own| *own == digit).expect("Base32");
        let (bits, count) = (bits << 5 | u32::try_from(digit).expect("five bits"), count + 5);
        if count < 8 {
            return (bytes, bits, count);
        }
        bytes.push((bits >> (count - 8) & 255) as u8);
        (bytes, bits, count - 8)
    });
    let steps = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 30;
    let key = PKey::hmac(&bits.0).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha1(), &key).expect("HMAC");
    signer.update(&steps.to_be_bytes()).expect("HMAC");
    let digest = signer.sign_to_vec().expect("HMAC");
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
