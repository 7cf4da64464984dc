//! Why something is refused. Each reason has a code that stays, the cause, the next step and a status of HTTP.

use std::{io, time::Duration};

use dolmen_provisioning_journal::JournalError;

use crate::{Pending, Role};

/// Why something is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    // Who asks.
    /// No session has this token, or it ended.
    #[error("there is no such session, or it has ended")]
    NoSession,
    /// No API token is this one, or it ended.
    #[error("the API token is not known, or it has expired")]
    NoToken,
    /// A cookie that a browser sent by itself.
    #[error("the request has no CSRF token of its session")]
    Csrf,
    /// An API token where a person is needed.
    #[error("this is about the one who is logged in, and an API token is nobody")]
    SessionNeeded,
    /// The session has something to do first.
    #[error("the session has to {0} first")]
    Pending(#[doc = "What."] Pending),
    /// The role does not allow it.
    #[error("this needs the role {needed}, and {held} was shown")]
    RoleTooLow {
        /// Needed.
        needed: Role,
        /// Shown.
        held: Role,
    },
    /// Somebody gives more than he has.
    #[error("nobody gives a role that he has not")]
    RoleAboveOwn,

    // Logging in.
    /// The name, the password or the second factor is wrong, or the user is disabled.
    #[error("the name, the password or the code is wrong")]
    WrongCredentials,
    /// The password is right.
    #[error("the password is right, and a second factor is needed")]
    SecondFactorRequired,
    /// Too many wrong passwords. A right one is refused as well.
    #[error("too many attempts to log in")]
    TooManyAttempts {
        /// When to come again.
        retry: Duration,
    },
    /// More passwords than the box hashes.
    #[error("the box checks as many passwords as it can")]
    Busy,
    /// The one-time password was not used in time.
    #[error("the one-time password has expired")]
    OneTimeExpired,
    /// The old password is wrong.
    #[error("the old password is wrong")]
    OldPassword,

    // The claim code.
    /// The box has users.
    #[error("the box was claimed already")]
    AlreadyClaimed,
    /// The box has no users.
    #[error("the box was not claimed yet")]
    NotClaimed,
    /// Not what the screen shows.
    #[error("this is not the claim code that the box's screen shows")]
    ClaimCode,
    /// A code counts once.
    #[error("the box's screen shows no claim code that was not used before")]
    ClaimCodeSpent,

    // What is asked for.
    /// Not a name.
    #[error("the name is not 1 to 64 letters, digits and . _ - @")]
    Name,
    /// Too short.
    #[error("the password has less than 12 characters")]
    PasswordShort,
    /// Too long.
    #[error("the password has more than 128 bytes")]
    PasswordLong,
    /// Everybody's.
    #[error("the password is one that many use, or has few different characters")]
    PasswordCommon,
    /// Guessed first.
    #[error("the password contains the name of its user or of the box")]
    PasswordName,
    /// The same again.
    #[error("the new password is the old one")]
    PasswordSame,
    /// A wrong TOTP code while it is set up.
    #[error("the code is not the one of now")]
    TotpCode,
    /// Nothing to confirm.
    #[error("no TOTP secret waits to be confirmed")]
    NoTotp,
    /// Nothing would be left.
    #[error("this is the last second factor")]
    LastFactor,
    /// Nobody has this name.
    #[error("there is no user of this name")]
    UnknownUser,
    /// Somebody has this name.
    #[error("there is a user of this name")]
    UserExists,
    /// He may not come in.
    #[error("the user is disabled")]
    UserDisabled,
    /// As many as there may be.
    #[error("there are as many {0} as there can be")]
    Full(#[doc = "Of what."] &'static str),
    /// Nobody could say who may do what.
    #[error("this is the last security officer who can log in")]
    LastSecurityOfficer,
    /// There is no such token.
    #[error("there is no API token of this id")]
    UnknownToken,
    /// The audit log tells them apart by their names.
    #[error("there is an API token of this name")]
    TokenExists,
    /// How long a token may hold.
    #[error("an API token holds 1 to 366 days")]
    Days,
    /// More often than anybody has to.
    #[error("too many changes by one user")]
    TooManyChanges,

    // Passkeys.
    /// WebAuthn has no addresses, only names.
    #[error("passkeys belong to a host name, and this is not one of the box's")]
    PasskeyHost,
    /// It was not begun here, or too long ago, or it was finished.
    #[error("the passkey ceremony is over, or was never begun")]
    PasskeyCeremony,
    /// What the browser sent is none.
    #[error("the passkey's answer cannot be read")]
    PasskeyForm(#[source] serde_json::Error),
    /// It does not hold. The library's reason is for the log, and is none of the peer's business.
    #[error("the passkey's answer does not hold")]
    PasskeyRefused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Its counter went back.
    #[error("the passkey's counter went back: there may be a copy of it")]
    PasskeyCloned,
    /// Of another user, or the same one.
    #[error("the passkey is one that is known already")]
    PasskeyKnown,
    /// There is no such passkey.
    #[error("there is no passkey of this id")]
    UnknownPasskey,

    // The box.
    /// The file of users or the journal was not written. Nothing was changed.
    #[error("the box cannot write down what is to be changed, so nothing was")]
    Store(#[source] io::Error),
    /// The same, of the journal.
    #[error("the box cannot write down who does what, so nothing was changed")]
    Journal(#[from] JournalError),
    /// An earlier write ended in between.
    #[error("the box does not know what is on its disk since a write failed")]
    Broken,
    /// No random bytes.
    #[error("the box has no random numbers")]
    Random(#[source] io::Error),
    /// No memory for a hash.
    #[error("the password cannot be hashed")]
    Hash,
    /// What we made cannot be written in the form that others read.
    #[error("the answer cannot be made")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password => "set a password",
            Self::SecondFactor => "set up a second factor",
        })
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
