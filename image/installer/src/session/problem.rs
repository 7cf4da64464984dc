//! What went wrong, as a person is told: the cause and what to do next, in their language, and below them what the
//! error says.

use std::io;

use dolmen_image_boot::report::chain;
use dolmen_image_bundle::BundleError;
use dolmen_image_console::{Language, Phrase, Role, Words, widgets::Message};
use dolmen_image_disk::gpt::GptError;

use crate::{
    esp::EspError,
    layout::DISK_BYTES_MIN,
    plan::Refusal,
    target::{DiskFacts, TargetError},
    texts,
    write::NotWritten,
};

/// Something that a person should read.
#[derive(Debug)]
pub(super) struct Problem(Box<Told>);

#[derive(Debug)]
struct Told {
    title: Words,
    cause: Words,
    next: Phrase,
    detail: String,
}

impl Problem {
    fn new(title: Words, cause: Words, next: impl Into<Phrase>, detail: String) -> Self {
        Self(Box::new(Told { title, cause, next: next.into(), detail }))
    }

    /// For the log.
    pub(super) fn line(&self) -> String {
        let Told { cause, detail, .. } = &*self.0;
        let cause = cause.get(Language::English);
        if detail.is_empty() { cause.to_owned() } else { format!("{cause} {detail}") }
    }

    /// For the screen.
    pub(super) fn message(&self) -> Message {
        let Told { title, cause, next, detail } = &*self.0;
        let message = Message::problem(*title, *cause, next.clone());
        if detail.is_empty() { message } else { message.text(Role::Quiet, detail.as_str()) }
    }
}

pub(super) fn no_stick(error: &io::Error) -> Problem {
    Problem::new(texts::TITLE, texts::NO_STICK, texts::NO_STICK_NEXT, error.to_string())
}

pub(super) fn several_sticks<'a>(sticks: impl Iterator<Item = &'a DiskFacts>) -> Problem {
    let names: Vec<_> = sticks.map(|disk| disk.to_string()).collect();
    Problem::new(texts::TITLE, texts::STICKS, texts::STICKS_NEXT, names.join("; "))
}

pub(super) fn bad_bundle(error: BundleError) -> Problem {
    Problem::new(texts::TITLE, texts::BAD_BUNDLE, texts::BAD_BUNDLE_NEXT, chain(&error))
}

pub(super) fn bad_answer(why: String) -> Problem {
    Problem::new(texts::TITLE, texts::BAD_ANSWER, texts::BAD_ANSWER_NEXT, why)
}

pub(super) fn no_identity() -> Problem {
    Problem::new(texts::REFUSED, texts::NO_IDENTITY, texts::NO_IDENTITY_NEXT, String::new())
}

pub(super) fn no_marker(why: &str) -> Problem {
    Problem::new(texts::TITLE, texts::NO_MARKER, texts::NO_MARKER_NEXT, why.to_owned())
}

pub(super) fn no_support(error: &EspError) -> Problem {
    Problem::new(texts::REFUSED, texts::SUPPORT_FAILED, texts::SUPPORT_FAILED_NEXT, chain(error))
}

pub(super) fn tpm(why: String) -> Problem {
    Problem::new(texts::REFUSED, texts::TPM, texts::TPM_NEXT, why)
}

pub(super) fn disk_failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(texts::REFUSED, texts::DISK_FAILED, texts::DISK_FAILED_NEXT, chain(error))
}

pub(super) fn unreadable(error: &GptError) -> Problem {
    match error {
        GptError::DiskTooSmall { .. } => Problem::new(texts::REFUSED, texts::LAYOUT, texts::LAYOUT_NEXT, chain(error)),
        _ => disk_failed(error),
    }
}

pub(super) fn no_target(error: &TargetError) -> Problem {
    let next = texts::NO_DISK_NEXT.with(&[("gib", &DISK_BYTES_MIN.div_ceil(1 << 30))]);
    match error {
        TargetError::None(_) => Problem::new(texts::REFUSED, texts::NO_DISK, next, error.to_string()),
        TargetError::NotFound(_) | TargetError::Unfit { .. } | TargetError::Several(_) => {
            Problem::new(texts::REFUSED, texts::WHICH_DISK, texts::WHICH_DISK_NEXT, error.to_string())
        }
    }
}

pub(super) fn refused(refusal: &Refusal) -> Problem {
    let (cause, next) = match refusal {
        Refusal::HasData => (texts::HAS_DATA, texts::HAS_DATA_NEXT),
        Refusal::Foreign(_) => (texts::FOREIGN, texts::FOREIGN_NEXT),
        Refusal::NothingToKeep(_) => (texts::NOTHING_TO_KEEP, texts::NOTHING_TO_KEEP_NEXT),
        Refusal::OtherData => (texts::OTHER_DATA, texts::OTHER_DATA_NEXT),
        Refusal::Layout(_) => (texts::LAYOUT, texts::LAYOUT_NEXT),
        Refusal::SlotBytes { .. } => (texts::SLOT_BYTES, texts::SLOT_BYTES_NEXT),
        Refusal::SecurityVersion { .. } => (texts::FLOOR, texts::FLOOR_NEXT),
    };
    Problem::new(texts::REFUSED, cause, next, chain(refusal))
}

pub(super) fn not_written(error: &NotWritten) -> Problem {
    let cause = if error.touched { texts::TOUCHED } else { texts::UNTOUCHED };
    Problem::new(texts::FAILED, cause, texts::FAILED_NEXT, chain(&error.cause))
}
