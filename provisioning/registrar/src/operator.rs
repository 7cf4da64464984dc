//! What operators and the chain say.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{Crl, RevocationList, UnixTime};

use crate::{
    Change, Effect, Event, Refusal, Registrar, Role, Who,
    limits::{EXPECTED_MAX, NAME_CHARS_MAX, REASON_CHARS_MAX},
    registrar::Turn,
    state::{BoxState, Membership, Standing},
    step::check_alarm,
};

impl Registrar {
    /// Lets a box join, be it one that waits, one that was declined, or one that has not come yet.
    ///
    /// # Errors
    ///
    /// [`Refusal::Revoked`] and [`Refusal::Replaced`]: that cannot be taken back, and [`Refusal::BoxesFull`].
    pub fn approve(&mut self, serial: &Serial, by: &str, now: u64) -> Result<Change, Refusal> {
        let mut turn = Turn::new(now, operator(by)?);
        match self.state.boxes().get(serial).map(|one| &one.standing) {
            Some(Standing::Approved) => return Ok(turn.into()),
            None if self.state.expected().contains(serial) => return Ok(turn.into()),
            None if self.state.expected().len() >= EXPECTED_MAX => return Err(Refusal::BoxesFull),
            Some(standing) => check_there(serial, standing)?,
            None => {}
        }
        self.record(&mut turn, Event::Approved { serial: serial.clone() })?;
        Ok(turn.into())
    }

    /// Does not let a box join. One that has joined is revoked instead.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`], [`Refusal::Text`] for the reason, and [`Refusal::Order`] for a box that has certificates.
    pub fn decline(&mut self, serial: &Serial, by: &str, reason: &str, now: u64) -> Result<Change, Refusal> {
        let (mut turn, reason) = (Turn::new(now, operator(by)?), text("a reason", reason, REASON_CHARS_MAX)?);
        match self.state.boxes().get(serial) {
            None if !self.state.expected().contains(serial) => return Err(Refusal::UnknownBox(serial.clone())),
            Some(one) if !one.certificates.is_empty() => {
                return Err(Refusal::Order("the box has a certificate; revoke it"));
            }
            Some(one) => check_there(serial, &one.standing)?,
            None => {}
        }
        self.challenges.remove(serial);
        self.record(&mut turn, Event::Declined { serial: serial.clone(), reason })?;
        Ok(turn.into())
    }

    /// Takes the alarm off a box that somebody looked at: it may enrol anew, once with other firmware. Its enrolled
    /// appraisal stays what attestations are compared with until then. One that differs in firmware alone is no alarm: the
    /// box is told to enrol anew ([`Refusal::EnrolAnew`]), and does so by itself. This may be said before the firmware is
    /// changed, too.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`].
    pub fn allow_change(&mut self, serial: &Serial, by: &str, now: u64) -> Result<Change, Refusal> {
        let mut turn = Turn::new(now, operator(by)?);
        let one = self.state.boxes().get(serial).ok_or_else(|| Refusal::UnknownBox(serial.clone()))?;
        if one.alarm.is_some() || !one.may_change {
            self.record(&mut turn, Event::Cleared { serial: serial.clone() })?;
        }
        Ok(turn.into())
    }

    /// Casts a box out for good: its certificates are revoked, it is refused from now on, and it is to leave the chain. A
    /// box that is to come back, as with a new disk, is decommissioned instead.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`], and [`Refusal::Text`] for the reason.
    pub fn revoke(&mut self, serial: &Serial, by: &str, reason: &str, now: u64) -> Result<Change, Refusal> {
        let (mut turn, reason) = (Turn::new(now, operator(by)?), text("a reason", reason, REASON_CHARS_MAX)?);
        let one = self.state.boxes().get(serial).ok_or_else(|| Refusal::UnknownBox(serial.clone()))?;
        if !matches!(one.standing, Standing::Revoked(_)) {
            self.forget(serial);
            self.record(&mut turn, Event::Revoked { serial: serial.clone(), reason })?;
            self.retire_gone(&mut turn, serial);
        }
        Ok(turn.into())
    }

    /// Puts one box into another's place: the old one is cast out for good, the new one need not be approved any more. It
    /// may have asked for its admission, and been turned away: the chain is asked again, for both.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`] for one that never came, [`Refusal::Order`] for the same box, one that is in the place of
    /// another or one of the chain's, and [`Refusal::Declined`], [`Refusal::Revoked`] or [`Refusal::Replaced`] for one that may not come.
    pub fn replace(&mut self, old: &Serial, new: &Serial, by: &str, now: u64) -> Result<Change, Refusal> {
        let mut turn = Turn::new(now, operator(by)?);
        let unknown = |serial: &Serial| Refusal::UnknownBox(serial.clone());
        let gone = self.state.boxes().get(old).ok_or_else(|| unknown(old))?;
        let comes = self.state.boxes().get(new).ok_or_else(|| unknown(new))?;
        if gone.standing == Standing::Replaced(new.clone()) {
            return Ok(turn.into());
        }
        check_there(old, &gone.standing)?;
        check_there(new, &comes.standing)?;
        if let Standing::Declined(reason) = &comes.standing {
            return Err(Refusal::Declined { serial: new.clone(), reason: reason.clone() });
        }
        let held = comes.membership.as_ref().map(|(_, membership)| membership);
        let is_member = comes.former.is_some() || matches!(held, Some(Membership::Admitted(_)));
        let is_turned_away = matches!(held, Some(Membership::TurnedAway(_)));
        if old == new || comes.replaces.is_some() || is_member {
            return Err(Refusal::Order("take a new box, which is not one of the chain's and replaces no other"));
        }
        if comes.standing == Standing::Waiting {
            self.record(&mut turn, Event::Approved { serial: new.clone() })?;
        }
        self.forget(old);
        self.record(&mut turn, Event::Replaced { old: old.clone(), new: new.clone() })?;
        if is_turned_away {
            self.record(&mut turn, Event::AskedAgain { serial: new.clone() })?;
        }
        self.retire_gone(&mut turn, old);
        self.effects_follow(&mut turn, new);
        Ok(turn.into())
    }

    /// Asks the chain once more for a box that it turned away, as where a proposal expired before enough had voted.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`], [`Refusal::Revoked`], [`Refusal::Replaced`] and [`Refusal::Alarmed`] for one that may not
    /// ask, and [`Refusal::Order`] for one that was not turned away.
    pub fn ask_again(&mut self, serial: &Serial, by: &str, now: u64) -> Result<Change, Refusal> {
        let mut turn = Turn::new(now, operator(by)?);
        let one = self.state.boxes().get(serial).ok_or_else(|| Refusal::UnknownBox(serial.clone()))?;
        check_there(serial, &one.standing)?;
        check_alarm(serial, one)?;
        match &one.membership {
            Some((_, Membership::TurnedAway(_))) => {
                self.record(&mut turn, Event::AskedAgain { serial: serial.clone() })?;
            }
            Some((_, Membership::Asked)) => {}
            _ => return Err(Refusal::Order("the chain has to turn the box away")),
        }
        self.effects_follow(&mut turn, serial);
        Ok(turn.into())
    }

    /// The chain took a box, by this request. What is said of a request that counts no more changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownBox`], and [`Refusal::Order`] for a box that did not ask.
    pub fn admitted(&mut self, serial: &Serial, request: &str, role: Role, now: u64) -> Result<Change, Refusal> {
        let event = Event::Admitted { serial: serial.clone(), role };
        self.decided(serial, request, &Membership::Admitted(role), event, now)
    }

    /// The chain does not take a box, by this request.
    ///
    /// # Errors
    ///
    /// As [`admitted`](Self::admitted), and [`Refusal::Text`] for the reason.
    pub fn turned_away(&mut self, serial: &Serial, request: &str, reason: &str, now: u64) -> Result<Change, Refusal> {
        let reason = text("a reason", reason, REASON_CHARS_MAX)?;
        let event = Event::TurnedAway { serial: serial.clone(), reason: reason.clone() };
        self.decided(serial, request, &Membership::TurnedAway(reason), event, now)
    }

    /// A box is one of the chain's no more by the key of this request, whoever wanted that. It may ask again by another.
    ///
    /// # Errors
    ///
    /// As [`admitted`](Self::admitted).
    pub fn retired(&mut self, serial: &Serial, request: &str, now: u64) -> Result<Change, Refusal> {
        let event = Event::Retired { serial: serial.clone() };
        self.decided(serial, request, &Membership::Retired, event, now)
    }

    fn decided(
        &mut self,
        serial: &Serial,
        request: &str,
        new: &Membership,
        event: Event,
        now: u64,
    ) -> Result<Change, Refusal> {
        let mut turn = Turn::new(now, Who::Chain);
        let one = self.state.boxes().get(serial).ok_or_else(|| Refusal::UnknownBox(serial.clone()))?;
        if one.former.as_deref() == Some(request) {
            // It is on its way out: whatever else becomes of it, it has to be retired.
            if *new == Membership::Retired {
                self.record(&mut turn, Event::FormerRetired { serial: serial.clone() })?;
                self.effects_follow(&mut turn, serial);
            }
            return Ok(turn.into());
        }
        let (asked, held) = one.membership.as_ref().ok_or(Refusal::Order("the box has to ask for its admission"))?;
        if asked == request && held != new {
            self.record(&mut turn, event)?;
            // Cast out while its admission was under way.
            if matches!(new, Membership::Admitted(_)) {
                self.retire_gone(&mut turn, serial);
            }
        }
        Ok(turn.into())
    }

    /// What is still to be done on the chain: after a restart, or where it was not reported as done.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state.boxes().iter().flat_map(|(serial, one)| self.effects_of(serial, one)).collect()
    }

    /// What is to be done for a box. A key of before goes first: two of one box are never admitted at once.
    fn effects_of(&self, serial: &Serial, one: &BoxState) -> Vec<Effect> {
        let code = match &one.standing {
            Standing::Revoked(_) => "revoked",
            Standing::Replaced(_) => "replaced",
            Standing::Waiting => "left",
            Standing::Approved | Standing::Declined(_) => "rejoined",
        };
        let retire = |request: &String| {
            let (serial, request, code) = (serial.clone(), request.clone(), code.to_owned());
            Effect::Retire { serial, request, code }
        };
        let former = one.former.as_ref().map(retire);
        let present = one.membership.as_ref().and_then(|(request, membership)| match (&one.standing, membership) {
            (Standing::Approved, Membership::Asked) => self.admit(serial, one, request),
            (Standing::Approved, _) => self.effect_of_alarm(serial, one),
            (Standing::Revoked(_) | Standing::Replaced(_), membership) if membership.is_open() => Some(retire(request)),
            _ => None,
        });
        former.into_iter().chain(present).collect()
    }

    fn admit(&self, serial: &Serial, one: &BoxState, request: &str) -> Option<Effect> {
        if one.former.is_some() || check_alarm(serial, one).is_err() {
            return None;
        }
        let (appraisal, since): (Hash, _) = (one.appraised.as_ref()?.appraisal.hash(), one.asked_since?);
        let (serial, request, replaces) = (serial.clone(), request.to_owned(), one.replaces.clone());
        Some(Effect::Admit { serial, request, appraisal, since, replaces })
    }

    /// What is to be done for a box follows from what was recorded of it.
    pub(crate) fn effects_follow(&self, turn: &mut Turn, serial: &Serial) {
        let effects = self.state.boxes().get(serial).map(|one| self.effects_of(serial, one));
        turn.effects.extend(effects.into_iter().flatten());
    }

    pub(crate) fn retire_gone(&self, turn: &mut Turn, serial: &Serial) {
        let effects = self.state.boxes().get(serial).map(|one| self.effects_of(serial, one));
        let effects = effects.into_iter().flatten().filter(|effect| matches!(effect, Effect::Retire { .. }));
        turn.effects.extend(effects);
    }

    /// What was asked of a box counts no more.
    pub(crate) fn forget(&mut self, serial: &Serial) {
        self.challenges.remove(serial);
        self.quotes.remove(serial);
    }

    /// Signs a list of all certificates that were taken back, which holds for so many seconds.
    ///
    /// # Errors
    ///
    /// [`Refusal::Crl`] and [`Refusal::Time`].
    pub async fn sign_crl(&mut self, now: u64, seconds: u64) -> Result<(Change, Crl), Refusal> {
        let mut turn = Turn::new(now, Who::Registrar);
        let number = self.state.crl_number() + 1;
        let list = RevocationList {
            number,
            this_update: turn.time()?,
            next_update: UnixTime::from_secs(now.saturating_add(seconds))?,
            revoked: self.state.revoked().clone(),
        };
        let crl = self.setup.authority.revoke(&list).await.map_err(Refusal::Crl)?;
        self.record(&mut turn, Event::CrlSigned { number })?;
        Ok((turn.into(), crl))
    }
}

/// Whether a box is not gone for good.
fn check_there(serial: &Serial, standing: &Standing) -> Result<(), Refusal> {
    match standing {
        Standing::Revoked(reason) => Err(Refusal::Revoked { serial: serial.clone(), reason: reason.clone() }),
        Standing::Replaced(new) => Err(Refusal::Replaced { old: serial.clone(), new: new.clone() }),
        _ => Ok(()),
    }
}

/// A person, by his name.
pub(crate) fn operator(by: &str) -> Result<Who, Refusal> {
    text("the name of who does this", by, NAME_CHARS_MAX).map(Who::Operator)
}

fn text(what: &'static str, text: &str, chars_max: usize) -> Result<String, Refusal> {
    let fits = (1..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(Refusal::Text(what)) }
}
