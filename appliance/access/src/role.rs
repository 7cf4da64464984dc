//! Roles, and what needs which.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Refusal;

/// What somebody may do. Each role may do all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Run the box: updates, backups, restarts.
    Operator,
    /// Decide who does, and what belongs to the consortium.
    SecurityOfficer,
}

impl Role {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::SecurityOfficer => "security-officer",
        }
    }
}

/// What a session still has to do before it may do anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// Set a password of its user's own.
    Password,
    /// Confirm a TOTP secret or store a passkey.
    SecondFactor,
}

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// A session, whatever it still has to do: `/session` and `/me/*`. API tokens have no self.
    Session,
    /// This role or a later one, of a session that has nothing to do any more or of an API token.
    Role(Role),
}

impl Requirement {
    /// Whether somebody fulfils it. `pending` is that of a session; `session` is whether it is one.
    pub(crate) const fn check(self, session: bool, role: Role, pending: Option<Pending>) -> Result<(), Refusal> {
        match (self, pending) {
            (Self::Session, _) if session => Ok(()),
            (Self::Session, _) => Err(Refusal::SessionNeeded),
            (Self::Role(_), Some(pending)) => Err(Refusal::Pending(pending)),
            (Self::Role(needed), None) if needed as u8 <= role as u8 => Ok(()),
            (Self::Role(needed), None) => Err(Refusal::RoleTooLow { needed, held: role }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_the_former() {
        let roles = [Role::Viewer, Role::Operator, Role::SecurityOfficer];
        assert!(roles.is_sorted());
        for (index, role) in roles.iter().enumerate() {
            assert_eq!(serde_json::to_string(role).unwrap(), format!("\"{}\"", role.name()));
            for (needed_index, needed) in roles.iter().enumerate() {
                let allowed = Requirement::Role(*needed).check(true, *role, None).is_ok();
                assert_eq!(allowed, needed_index <= index, "{role:?} {needed:?}");
                for pending in [Pending::Password, Pending::SecondFactor] {
                    assert!(Requirement::Role(*needed).check(true, *role, Some(pending)).is_err());
                    assert!(Requirement::Session.check(true, *role, Some(pending)).is_ok());
                }
            }
            assert!(Requirement::Session.check(false, *role, None).is_err());
        }
    }
}
