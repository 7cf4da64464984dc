//! API tokens: for programs, which have no second factor.
//!
//! A token is `dolmen_` and 256 random bits in base 62. The file has its SHA-256, which nobody turns back. A token counts
//! as long as the user who made it may come in, and allows no more than he may: whoever is sent away leaves none behind.

use crate::{
    Caller, Name, NewToken, Refusal, Requirement, Role, Secret, TokenMade, TokenView,
    access::Access,
    limits::{LAST_USED_SECONDS, TOKEN_DAYS_MAX, TOKENS_MAX},
    secret::Bytes,
    state::{State, Token, User},
};

/// What tokens begin with, so that those who look for leaked secrets find them.
const PREFIX: &str = "dolmen_";
/// Digits of 128 bits in base 62.
const HALF_DIGITS: usize = 22;

fn text(bits: &Bytes<32>) -> Secret {
    let (high, low) = bits.get().split_at(16);
    let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let [high, low] = [high, low].map(|bytes| base62::encode_fmt(half(bytes)));
    Secret::from(format!("{PREFIX}{high:0>HALF_DIGITS$}{low:0>HALF_DIGITS$}"))
}

/// The token that somebody shows.
pub(crate) fn find(state: &State, shown: &str) -> Result<Bytes<8>, Refusal> {
    // Nothing longer is hashed.
    let plausible = shown.len() == PREFIX.len() + 2 * HALF_DIGITS && shown.starts_with(PREFIX);
    let digest = Bytes::digest(shown.as_bytes());
    let found = state.tokens.iter().find(|token| plausible && token.digest == digest);
    found.map(|token| token.id.clone()).ok_or(Refusal::NoToken)
}

/// A token that counts, and who made it.
pub(crate) fn live<'a>(state: &'a State, id: &Bytes<8>, now: u64) -> Result<(&'a Token, &'a User), Refusal> {
    let token = state.tokens.iter().find(|token| token.id == *id && now < token.expires_at).ok_or(Refusal::NoToken)?;
    let user = state.user(&token.created_by).filter(|user| !user.disabled).ok_or(Refusal::NoToken)?;
    Ok((token, user))
}

/// Notes that a token is used, to the hour; none where that is known.
pub(crate) fn used(state: &State, id: &Bytes<8>, now: u64) -> Option<State> {
    let place = state.tokens.iter().position(|token| token.id == *id)?;
    let last = state.tokens.get(place)?.last_used_at;
    if last.is_some_and(|last| now < last.saturating_add(LAST_USED_SECONDS)) {
        return None;
    }
    let mut next = state.clone();
    next.tokens.get_mut(place)?.last_used_at = Some(now);
    Some(next)
}

impl Access {
    /// `GET /tokens`, for [`Role::SecurityOfficer`].
    ///
    /// # Errors
    ///
    /// Those of [`require`](Self::require).
    pub fn tokens(&self, caller: &Caller, now: u64) -> Result<Vec<TokenView>, Refusal> {
        let officer = Requirement::Role(Role::SecurityOfficer);
        self.act(caller, "list-tokens", None, officer, now, |inner, _, _| {
            Ok(inner.state.tokens.iter().filter_map(|token| inner.state.token_view(token)).collect())
        })
    }

    /// `POST /tokens`: makes one, for [`Role::SecurityOfficer`].
    ///
    /// # Errors
    ///
    /// [`Refusal::Name`], [`Refusal::TokenExists`], [`Refusal::Days`], [`Refusal::RoleAboveOwn`], [`Refusal::Full`] at 128
    /// tokens, those of [`require`](Self::require) and of a disk.
    pub fn create_token(&self, caller: &Caller, request: &NewToken, now: u64) -> Result<TokenMade, Refusal> {
        let (officer, target) = (Requirement::Role(Role::SecurityOfficer), Some(request.name.as_str()));
        self.act(caller, "create-token", target, officer, now, |inner, live, note| {
            let name = Name::new(&request.name).ok_or(Refusal::Name)?;
            if !(1..=TOKEN_DAYS_MAX).contains(&request.days) {
                return Err(Refusal::Days);
            }
            if request.role > live.role {
                return Err(Refusal::RoleAboveOwn);
            }
            let bits = Bytes::<32>::random(&mut *inner.random).map_err(Refusal::Random)?;
            let (id, secret) = (Bytes::random(&mut *inner.random).map_err(Refusal::Random)?, text(&bits));
            let made = TokenMade { id: id.hex(), token: secret.clone() };
            let token = Token {
                id,
                digest: Bytes::digest(secret.expose().as_bytes()),
                name,
                role: request.role,
                created_at: now,
                expires_at: now.saturating_add(u64::from(request.days) * 24 * 60 * 60),
                last_used_at: None,
                created_by: live.user.clone(),
            };
            inner.commit(note, now, |state| {
                // Those that ended make room, for others and of their name.
                state.tokens.retain(|token| token.expires_at > now);
                if state.tokens.len() >= TOKENS_MAX {
                    return Err(Refusal::Full("API tokens"));
                }
                if state.tokens.iter().any(|one| one.name.key() == token.name.key()) {
                    return Err(Refusal::TokenExists);
                }
                state.tokens.push(token);
                Ok(made)
            })
        })
    }

    /// `DELETE /tokens/{id}`, for [`Role::SecurityOfficer`]: it counts no more.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownToken`], those of [`require`](Self::require) and of a disk.
    pub fn delete_token(&self, caller: &Caller, id: &str, now: u64) -> Result<(), Refusal> {
        let officer = Requirement::Role(Role::SecurityOfficer);
        self.act(caller, "delete-token", Some(id), officer, now, |inner, _, note| {
            inner.commit(note, now, |state| {
                let place = state.tokens.iter().position(|token| token.id.hex() == id);
                state.tokens.remove(place.ok_or(Refusal::UnknownToken)?);
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_256_bits() {
        assert_eq!(text(&Bytes::new([0; 32])).expose(), format!("dolmen_{}", "0".repeat(44)));
        let most = text(&Bytes::new([255; 32]));
        let half = base62::encode_fmt(u128::MAX).to_string();
        assert_eq!((half.len(), most.expose()), (HALF_DIGITS, format!("dolmen_{half}{half}").as_str()));
        let one = text(&Bytes::new(std::array::from_fn(|index| u8::from(index == 15))));
        assert_eq!(one.expose(), format!("dolmen_{}1{}", "0".repeat(21), "0".repeat(22)));
    }
}
