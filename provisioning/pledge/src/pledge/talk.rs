//! Connections, and what registrars answer, whatever was asked.

use std::error::Error;

use super::{Admitting, At, Pledge};
use crate::{
    Answer, Hint, Key, Report,
    answer::{Problem, Verdict, judge},
    exchange::Exchange,
    fault::Fault,
    trust::{Connection, Server},
};

impl Pledge {
    pub(super) fn connected(&mut self, chain: &[Vec<u8>]) {
        let Some(hint) = self.route.next().cloned() else { return };
        let server = match Server::new(chain) {
            Ok(server) => server,
            Err(error) => return self.unusable(&hint, Fault::ServerCertificates, &error),
        };
        if let Some(owner) = &self.owner
            && let Err(error) = server.check(owner.anchor())
        {
            return self.unusable(&hint, Fault::ServerNotOwner, &error);
        }
        let enrolled = self.owner.as_ref().is_some_and(|owner| owner.enrolled.is_some());
        let key = if enrolled { Key::LDevId } else { Key::IDevId };
        if self.owner.is_none() {
            // Whatever is followed next has to be greater than what the TPM has now.
            self.epoch = None;
        }
        self.connection = Some(Connection { hint, server, key });
    }

    fn unusable(&mut self, hint: &Hint, fault: Fault, error: &dyn Error) {
        self.failure = Some(Report::own(fault.code(), error, Some(hint)));
        self.route.failed(hint);
    }

    pub(super) fn answered(&mut self, exchange: Exchange, answer: Answer) {
        if exchange.is_telemetry() {
            return self.told(exchange);
        }
        if answer.body.len() > exchange.answer_bytes_max() {
            return self.strange("the answer is larger than any");
        }
        match judge(answer, exchange.accept(), exchange.may_wait()) {
            Verdict::Done(body) => self.received(exchange, &body),
            Verdict::Later(seconds) => self.later(seconds),
            Verdict::Refused(problem, seconds) => self.refused_by(exchange, &problem, seconds),
            Verdict::Strange(text) => self.strange(text),
        }
    }

    fn received(&mut self, exchange: Exchange, body: &[u8]) {
        match exchange {
            Exchange::RequestVoucher => self.voucher_is(body),
            Exchange::CaCerts => self.authorities_are(body),
            Exchange::Enrolment => self.challenge_is(body),
            Exchange::Response => self.enrolling.appraising.accepted(),
            Exchange::SimpleEnroll => self.certificate_is(body),
            Exchange::Bundle => self.bundle_is(body),
            Exchange::Admission => self.role_is(body),
            // The first two are judged by nobody, the others are a keeper's.
            Exchange::VoucherStatus
            | Exchange::EnrollStatus
            | Exchange::AskQuote
            | Exchange::Attestation
            | Exchange::SimpleReenroll
            | Exchange::Departure => {}
        }
    }

    /// A registrar was told of a voucher or a certificate, and has answered, whatever it was.
    fn told(&mut self, exchange: Exchange) {
        if self.owner.is_none() {
            // It gave a voucher that does not hold: what is next from it would be the same.
            if let Some(hint) = self.disconnect() {
                self.route.refused(&hint);
            }
        } else if exchange == Exchange::VoucherStatus {
            self.enrolling.told = true;
        } else if self.enrolling.refused.is_some() {
            self.enrolling.begin_anew();
            if let Some(hint) = self.disconnect() {
                self.route.failed(&hint);
            }
        } else {
            self.disconnect();
        }
    }

    /// The registrar has to wait for somebody.
    fn later(&mut self, seconds: u32) {
        let Some(hint) = self.disconnect() else { return };
        if self.owner.is_none() {
            // Others may be quicker, and this one may be anybody.
            self.route.later(&hint, seconds);
        } else {
            self.route.served(&hint);
            self.wait = Some(seconds);
        }
    }

    fn refused_by(&mut self, exchange: Exchange, problem: &Problem, seconds: Option<u32>) {
        match exchange {
            Exchange::RequestVoucher => drop(self.forget_ask()),
            Exchange::Admission => self.admitting = Admitting::default(),
            _ => self.enrolling.begin_anew(),
        }
        let Some(hint) = self.disconnect() else { return };
        self.refusal = Some(Report::registrar(problem.code.as_deref(), &problem.title, Some(&hint)));
        match seconds {
            Some(seconds) => self.route.later(&hint, seconds),
            None if problem.retry => self.route.failed(&hint),
            None => self.route.refused(&hint),
        }
    }

    fn strange(&mut self, text: &str) {
        let hint = self.disconnect();
        self.failure = Some(Report::text(Fault::Answer.code(), text, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// The box refuses what its registrar gave it.
    pub(super) fn refuse(&mut self, code: &'static str, error: &dyn Error) {
        let hint = self.disconnect();
        self.refusal = Some(Report::own(code, error, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// There is no connection, or not any more, and no answer.
    pub(super) fn lost(&mut self, at: At, text: &str) {
        if at == At::Send(Exchange::VoucherStatus) {
            self.enrolling.not_told();
        }
        let hint = self.disconnect().or_else(|| self.route.next().cloned());
        self.failure = Some(Report::text(Fault::Connection.code(), text, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// Whom the box was connected to. What is only good for one connection is forgotten.
    pub(super) fn disconnect(&mut self) -> Option<Hint> {
        self.seeking.refused = None;
        self.enrolling.disconnected();
        self.connection.take().map(|connection| connection.hint)
    }
}
