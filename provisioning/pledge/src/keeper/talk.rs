//! Connections, and what registrars answer, whatever was asked.

use std::error::Error;

use super::{Keeper, Leaving, Round};
use crate::{
    Answer, Hint, Key, Report,
    answer::{Problem, Verdict, judge},
    exchange::Exchange,
    fault::Fault,
    limits::UNFIT_SECONDS,
    trust::{CertificateRefusal, Connection, Server},
};

/// By which codes a registrar says that the box is to enrol anew: its certificate is none, or none any more, or is of an
/// authority that is another since; or its firmware is another, which an operator allowed.
const ENROL_ANEW: [&str; 4] = ["ldevid-expired", "ldevid-not-issued", "ldevid-unknown", "enrol-anew"];

/// By which codes a registrar says that it cast the box out before.
const CAST_OUT: [&str; 2] = ["box-revoked", "box-replaced"];

impl Keeper {
    pub(super) fn connected(&mut self, chain: &[Vec<u8>]) {
        let Some(hint) = self.route.next().cloned() else { return };
        let server = match Server::new(chain) {
            Ok(server) => server,
            Err(error) => return self.unusable(&hint, Fault::ServerCertificates, &error),
        };
        if let Err(error) = server.check(self.member.root()) {
            return self.unusable(&hint, Fault::ServerNotOwner, &error);
        }
        self.connection = Some(Connection { hint, server, key: self.client() });
    }

    fn unusable(&mut self, hint: &Hint, fault: Fault, error: &dyn Error) {
        self.failure = Some(Report::own(fault.code(), error, Some(hint)));
        self.route.failed(hint);
    }

    pub(super) fn answered(&mut self, exchange: Exchange, answer: Answer, now: u64) {
        if answer.body.len() > exchange.answer_bytes_max() {
            return self.strange("the answer is larger than any");
        }
        match judge(answer, exchange.accept(), exchange.may_wait()) {
            Verdict::Done(body) => self.received(exchange, &body, now),
            Verdict::Later(seconds) => self.later(seconds),
            Verdict::Refused(problem, seconds) => self.refused_by(&problem, seconds),
            Verdict::Strange(text) => self.strange(text),
        }
    }

    fn received(&mut self, exchange: Exchange, body: &[u8], now: u64) {
        match exchange {
            Exchange::AskQuote => self.quote_is(body),
            Exchange::Attestation => self.acknowledged(body, now),
            Exchange::Enrolment => self.challenge_is(body),
            Exchange::Response => self.round.accepted(),
            Exchange::SimpleReenroll => self.certificate_is(body),
            Exchange::CaCerts => self.authorities_are(body),
            Exchange::Departure => self.leaving = Some(Leaving::Told),
            // Those of a pledge.
            Exchange::RequestVoucher
            | Exchange::VoucherStatus
            | Exchange::SimpleEnroll
            | Exchange::EnrollStatus
            | Exchange::Bundle
            | Exchange::Admission => {}
        }
    }

    /// The registrar is busy, or somebody has to decide first.
    fn later(&mut self, seconds: u32) {
        if let Some(hint) = self.give_up() {
            self.route.later(&hint, seconds);
        }
    }

    fn refused_by(&mut self, problem: &Problem, seconds: Option<u32>) {
        let is_new = self.unproven;
        let was_member = self.client() == Key::LDevId;
        let Some(hint) = self.give_up() else { return };
        let report = Report::registrar(problem.code.as_deref(), &problem.title, Some(&hint));
        let disowned = self.leaving.is_none() && was_member && ENROL_ANEW.contains(&report.code());
        // Nothing of it counts there any more.
        if self.leaving.is_some() && CAST_OUT.contains(&report.code()) {
            self.leaving = Some(Leaving::Told);
        }
        self.refusal = Some(report);
        match seconds {
            // Enrolling anew helps, but not twice.
            _ if disowned && is_new => {
                self.unproven = false;
                self.route.later(&hint, UNFIT_SECONDS);
            }
            _ if disowned => self.disowned = true,
            Some(seconds) => self.route.later(&hint, seconds),
            None if problem.retry => self.route.failed(&hint),
            None => self.route.refused(&hint),
        }
    }

    pub(super) fn strange(&mut self, text: &str) {
        let hint = self.give_up();
        self.failure = Some(Report::text(Fault::Answer.code(), text, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// The box refuses what its registrar asked.
    pub(super) fn refuse(&mut self, code: &'static str, error: &dyn Error) {
        let hint = self.give_up();
        self.refusal = Some(Report::own(code, error, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// The box refuses the certificate that its registrar gave it.
    pub(super) fn refuse_certificate(&mut self, refusal: &CertificateRefusal) {
        let hint = self.give_up();
        self.refusal = Some(Report::own(refusal.code(), refusal, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.later(&hint, UNFIT_SECONDS);
        }
    }

    /// There is no connection, or not any more, and no answer.
    pub(super) fn lost(&mut self, text: &str) {
        let hint = self.give_up().or_else(|| self.route.next().cloned());
        self.failure = Some(Report::text(Fault::Connection.code(), text, hint.as_ref()));
        if let Some(hint) = hint {
            self.route.failed(&hint);
        }
    }

    /// The registrar did all that was asked.
    pub(super) fn served(&mut self) {
        self.faults = 0;
        if let Some(hint) = self.disconnect() {
            self.route.served(&hint);
        }
    }

    /// As [`disconnect`](Self::disconnect); the next round begins with the box's certificate, if that holds.
    fn give_up(&mut self) -> Option<Hint> {
        self.disowned = false;
        self.disconnect()
    }

    /// Whom the box was connected to. All that is known of this round is forgotten: each step can be done again.
    pub(super) fn disconnect(&mut self) -> Option<Hint> {
        self.round = Round::default();
        self.connection.take().map(|connection| connection.hint)
    }
}
