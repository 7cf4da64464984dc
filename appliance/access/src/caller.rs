//! Who asks: only a session's or a token's secret makes a [`Principal`].

use std::net::IpAddr;

use crate::{Name, Pending, Role, secret::Bytes, session::SessionKey, state::UserId};

/// Somebody who showed a session's token or an API token. Holding one says that it was good then: each call looks again.
#[derive(Clone, Debug)]
pub struct Principal(pub(crate) Shown);

/// What was shown.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    Session(SessionKey),
    Token(Bytes<8>),
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub who: Principal,
    /// The address that the connection comes from.
    pub from: IpAddr,
}

/// What comes with a session's cookie.
#[derive(Clone, Copy, Debug)]
pub enum Csrf<'a> {
    /// Nothing: the method is GET or HEAD, which change nothing.
    SafeMethod,
    /// The header `X-CSRF-Token` of any other method, or that there is none.
    Header(Option<&'a str>),
}

impl<'a> Csrf<'a> {
    /// For a method of HTTP: all but GET and HEAD need the header.
    #[must_use]
    pub fn of(method: &str, header: Option<&'a str>) -> Self {
        if matches!(method, "GET" | "HEAD") { Self::SafeMethod } else { Self::Header(header) }
    }
}

/// Somebody as he is now.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// He himself, or who made the API token.
    pub(crate) user: UserId,
    /// How the audit log calls him.
    pub(crate) who: String,
    pub(crate) name: Name,
    pub(crate) role: Role,
    pub(crate) pending: Option<Pending>,
    pub(crate) session: Option<SessionKey>,
}
