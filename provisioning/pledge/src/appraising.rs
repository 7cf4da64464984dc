//! A box shows its registrar which TPM it has, and answers what the registrar asks it then.

use dolmen_provisioning_appraisal::{Challenge, Enrolment, Message as _, MessageError, Response};

use crate::exchange::Exchange;

/// How far a box is with it. Nothing of it is stored: each step can be done again.
#[derive(Debug, Default)]
pub(crate) struct Appraising {
    enrolment: Option<Vec<u8>>,
    /// Good for one connection.
    challenge: Option<Challenge>,
    /// Good for one connection.
    response: Option<Vec<u8>>,
    is_done: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showing {
    /// The TPM's keys and logs are to be gathered.
    Attest,
    /// The TPM has a challenge to answer.
    Respond,
    /// Something is to be sent.
    Send(Exchange),
}

impl Appraising {
    /// What comes next; none where the registrar knows the box.
    pub(crate) const fn next(&self) -> Option<Showing> {
        match self {
            Self { is_done: true, .. } => None,
            Self { enrolment: None, .. } => Some(Showing::Attest),
            Self { challenge: None, .. } => Some(Showing::Send(Exchange::Enrolment)),
            Self { response: None, .. } => Some(Showing::Respond),
            Self { .. } => Some(Showing::Send(Exchange::Response)),
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.is_done
    }

    pub(crate) const fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// What is to be sent.
    pub(crate) fn body(&self, exchange: Exchange) -> &[u8] {
        let body = if exchange == Exchange::Enrolment { &self.enrolment } else { &self.response };
        body.as_deref().unwrap_or_default()
    }

    pub(crate) fn enrolment_is(&mut self, enrolment: &Enrolment) -> Result<(), MessageError> {
        self.enrolment = Some(enrolment.to_json()?);
        Ok(())
    }

    pub(crate) fn challenge_is(&mut self, body: &[u8]) -> Result<(), MessageError> {
        self.challenge = Some(Challenge::from_json(body)?);
        Ok(())
    }

    pub(crate) fn response_is(&mut self, response: &Response) -> Result<(), MessageError> {
        self.response = Some(response.to_json()?);
        Ok(())
    }

    /// The registrar took the response.
    pub(crate) const fn accepted(&mut self) {
        self.is_done = true;
    }

    pub(crate) fn disconnected(&mut self) {
        (self.challenge, self.response) = (None, None);
    }
}
