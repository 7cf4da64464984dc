//! What the installer does once it is known what.

use std::{io::Read as _, time::Duration};

use dolmen_image_boot::report::chain;
use dolmen_image_bundle::{SignedManifest, answer::Answer};
use dolmen_image_console::{
    Role,
    widgets::{Message, Progress},
};
use dolmen_image_disk::gpt::{Gpt, GptError, Uuid};
use serde_json::{Value, json};

use super::{
    DISKS_INTERVAL, InSocket, Session, Shown, Stop, menu,
    problem::{self, Problem},
    title_of,
};
use crate::{
    disk::Section,
    installed::{self, Findings, Slot},
    layout::{self, DISK_BYTES_MIN, ESP},
    limits::LOGS_MAX,
    machine::Machine,
    plan::{Change, Plan, plan},
    prior::{Content, Prior},
    support::{self, Known},
    target::{DiskFacts, TargetError, choose},
    texts,
    write::write,
};

/// GUIDs that a new table needs.
const GUIDS: usize = 5;
/// How long it is waited for a disk that an answer file means, since some controllers find theirs late.
const TARGET_WAIT: Duration = Duration::from_secs(30);

impl<M: Machine> Session<'_, M> {
    /// Changes a disk that a person chooses and confirms. None where they go back.
    pub(super) fn change_attended(
        &mut self,
        change: Change,
        stick: &mut InSocket<M::Disk>,
        checked: &SignedManifest,
    ) -> Result<Option<Message>, Stop> {
        let disks = self.disks(stick)?;
        let Some(disk) = menu::choose_disk(self.front, &disks)? else { return Ok(None) };
        // What would be refused anyhow need not be confirmed.
        let (prior, open) = self.prior(&disk)?;
        drop(open);
        let holds = menu::held(&prior.content);
        self.plan(change, prior, checked)?;
        if !menu::confirm(self.front, change, &disk, holds)? {
            return Ok(None);
        }
        self.change(change, &disk, stick, checked).map(Some)
    }

    /// Changes the disk that an answer file means.
    pub(super) fn change_unattended(
        &mut self,
        change: Change,
        answer: &Answer,
        stick: &mut InSocket<M::Disk>,
        checked: &SignedManifest,
    ) -> Result<Message, Stop> {
        let bytes_min = DISK_BYTES_MIN.max(answer.min_bytes.unwrap_or(0));
        let end = self.machine.uptime() + TARGET_WAIT;
        let disk = loop {
            let disks = self.disks(stick)?;
            match choose(&disks, answer.disk.as_deref(), bytes_min) {
                Ok(disk) => break disk.clone(),
                Err(TargetError::None(_) | TargetError::NotFound(_)) if self.machine.uptime() < end => {
                    self.machine.wait(DISKS_INTERVAL);
                }
                Err(error) => {
                    for disk in &disks {
                        self.say(&format!("disk {disk}"));
                    }
                    return Err(problem::no_target(&error).into());
                }
            }
        };
        self.change(change, &disk, stick, checked)
    }

    /// Changes a disk.
    fn change(
        &mut self,
        change: Change,
        disk: &DiskFacts,
        stick: &mut InSocket<M::Disk>,
        checked: &SignedManifest,
    ) -> Result<Message, Stop> {
        let version = &checked.manifest().version;
        self.say(&format!("{} {version} on {disk}", change.word()));
        let (prior, mut open) = self.prior(disk)?;
        self.say(&format!("found {}", prior.content));
        let plan = self.plan(change, prior, checked)?;
        let payload = self.machine.open(&stick.facts).map_err(|error| problem::no_stick(&error))?;
        let payload = Section::new(payload, stick.stick.payload.clone());
        let mut noise = self.machine.noise().map_err(|error| problem::disk_failed(&error))?;

        let mut shown = Shown::default();
        let mut view = Progress::new(texts::STEP_READ, 0);
        let written = write(&plan, &mut open, payload, self.keys, checked, &mut noise, &mut |step| {
            let now = self.machine.uptime();
            if step.done == 0 {
                self.say(&format!("step {:?}", step.step));
                self.journal.save(&mut stick.files);
                view = Progress::new(title_of(step.step), step.all).text(Role::Warning, texts::DO_NOT_PULL);
            }
            if shown.is_due(now, step.done == 0 || step.done == step.all) {
                view.meter.at(now, step.done);
                // Nobody stops a disk half way: consoles that are closed have no say.
                let _ = self.front.turn(&view, Duration::ZERO);
            }
        });
        let written = written.map_err(|error| problem::not_written(&error))?;
        self.say(&format!("installed {version} on {disk}"));
        for erased in &written.erased {
            let discarded = if erased.discarded { "and discarded" } else { "not discarded: the drive cannot" };
            self.say(&format!("erased the first {} bytes of a volume, {discarded}", erased.overwritten));
        }
        self.installed = layout::find(&plan.table, ESP).ok().map(|(esp, _)| esp.clone());
        self.save(stick);
        let values: &[(_, &dyn std::fmt::Display)] = &[("version", version), ("disk", disk)];
        let mut message = Message::new(texts::DONE).text(Role::Strong, texts::DONE_TEXT.with(values));
        if !written.erased.is_empty() {
            message = message.text(Role::Text, texts::DONE_ERASED.with(&[("count", &written.erased.len())]));
        }
        Ok(message.text(Role::Text, texts::DONE_NEXT))
    }

    /// Opens a disk for writing, and looks what is on it.
    fn prior(&mut self, disk: &DiskFacts) -> Result<(Prior, M::Disk), Problem> {
        let block_size = disk.block_size.ok_or_else(|| problem::disk_failed(&GptError::BlockSize(0)))?;
        let mut open = self.machine.open_to_write(disk).map_err(|error| problem::disk_failed(&error))?;
        let prior = Prior::read(&mut open, block_size).map_err(|error| problem::unreadable(&error))?;
        Ok((prior, open))
    }

    fn plan(&mut self, change: Change, prior: Prior, checked: &SignedManifest) -> Result<Plan, Problem> {
        let floor = self.machine.security_floor().map_err(problem::tpm)?;
        let mut bytes = [[0; 16]; GUIDS];
        let noise = self.machine.noise().and_then(|mut noise| noise.read_exact(bytes.as_flattened_mut()));
        noise.map_err(|error| problem::disk_failed(&error))?;
        let mut guids = bytes.into_iter().map(random_guid);
        plan(change, prior, checked.manifest(), floor, &mut || guids.next().unwrap_or_default())
            .map_err(|refusal| problem::refused(&refusal))
    }

    /// Looks at what is installed on all disks but the stick. The bundle has been checked already.
    pub(super) fn verify(&mut self, stick: &mut InSocket<M::Disk>, checked: &SignedManifest) -> Result<Message, Stop> {
        let mut message = Message::new(texts::VERIFIED);
        for disk in self.disks(stick)?.into_iter().filter(|disk| !disk.stick) {
            let Some(block_size) = disk.block_size else { continue };
            message = message.text(Role::Strong, disk.to_string());
            let mut open = self.machine.open(&disk).map_err(|error| problem::disk_failed(&error))?;
            let prior = Prior::read(&mut open, block_size).map_err(|error| problem::unreadable(&error))?;
            self.say(&format!("found {} on {disk}", prior.content));
            let Content::Dolmen(installed) = prior.content else {
                message = message.text(Role::Text, menu::held(&prior.content));
                continue;
            };
            for damage in &installed.damage {
                self.say(&format!("{} of {}: {}", damage.part, disk.name, chain(&damage.cause)));
            }
            let findings = self.look(&mut open, &installed.table, checked)?;
            let right = findings.is_bundle() && installed.damage.is_empty() && installed.unfinished.is_none();
            self.say(&format!(
                "verified {}: {}",
                disk.name,
                if right { "right" } else { "not this image, or changed" }
            ));
            message = if right {
                let version = &checked.manifest().version;
                message.text(Role::Text, texts::VERIFIED_RIGHT.with(&[("version", version)]))
            } else {
                message.text(Role::Warning, texts::VERIFIED_OTHER)
            };
        }
        Ok(message)
    }

    /// Looks at one disk, and notes down what is there.
    fn look(&mut self, disk: &mut M::Disk, table: &Gpt, checked: &SignedManifest) -> Result<Findings, Stop> {
        let mut shown = Shown::default();
        let mut closed = Ok(());
        let mut view = Progress::new(texts::VERIFIED, layout::SLOTS.len() as u64 * layout::ROOT_BYTES);
        let findings = installed::look(disk, table, checked.manifest(), &mut |done, all| {
            let now = self.machine.uptime();
            if closed.is_ok() && shown.is_due(now, done == all) {
                view.meter.at(now, done);
                closed = self.front.turn(&view, Duration::ZERO).map(drop);
            }
        });
        closed?;
        let findings = findings.map_err(|error| problem::disk_failed(&error))?;
        for (slot, (name, _)) in findings.slots.iter().zip(layout::SLOTS) {
            self.say(&match slot {
                Slot::Empty => format!("{name} is empty"),
                Slot::Whole { root, of_bundle: true } => format!("{name} is whole: this image, {root}"),
                Slot::Whole { root, .. } => format!("{name} is whole: another image, {root}"),
                Slot::Damaged { root, cause } => format!("{name} of {root}: {}", chain(cause)),
            });
        }
        match &findings.esp {
            Ok(esp) => {
                for file in &esp.files {
                    self.say(&format!("{} bytes {} {}", file.bytes, const_hex::encode(file.sha256), file.path));
                }
                for (is, what) in [(esp.boot_loader, "boot loader"), (esp.uki, "UKI"), (esp.settings, "settings")] {
                    if !is {
                        self.say(&format!("the {what} is not this image's"));
                    }
                }
            }
            Err(error) => self.say(&chain(error)),
        }
        Ok(findings)
    }

    /// Writes what support asks for to the stick.
    pub(super) fn support(
        &mut self,
        stick: &mut InSocket<M::Disk>,
        checked: Option<&SignedManifest>,
    ) -> Result<Message, Stop> {
        let disks = self.disks(stick)?;
        let tables: Vec<_> = disks.iter().map(|disk| self.table_of(disk)).collect();
        let known = Known {
            log: self.journal.text(),
            versions: self.versions(checked),
            disks: disks.iter().zip(tables).collect(),
            time: self.machine.time(),
        };
        let archive = support::bundle(&self.machine.root(), &known);
        let label = self.identity.label();
        let written = stick.files.free_name(LOGS_MAX, |number| format!("support-{label}-{number}.tar"));
        let written = written.and_then(|name| stick.files.write(&name, &archive).map(|()| name));
        let name = written.map_err(|error| problem::no_support(&error))?;
        self.say(&format!("support bundle {name}, {} bytes", archive.len()));
        Ok(Message::new(texts::SUPPORT).text(Role::Text, texts::SUPPORT_DONE.with(&[("file", &name)])))
    }

    fn versions(&self, checked: Option<&SignedManifest>) -> Value {
        let bundle = checked.map(SignedManifest::manifest).map(|manifest| {
            json!({
                "version": manifest.version.to_string(),
                "security_version": manifest.security_version.get(),
                "root_hash": manifest.root_hash.to_string(),
                "release_key": manifest.release_key.to_string(),
                "test_keys": manifest.test_keys,
            })
        });
        json!({ "installer": self.version, "bundle": bundle })
    }

    fn table_of(&mut self, disk: &DiskFacts) -> Value {
        let Some(block_size) = disk.block_size else { return json!({ "error": "unknown size of blocks" }) };
        match self.machine.open(disk).map(|mut open| Gpt::read(&mut open, block_size)) {
            Ok(Ok(found)) => support::table_json(&found.table, &found.damage),
            Ok(Err(error)) => json!({ "error": chain(&error) }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }
}

/// A GUID of random bytes, version 4. RFC 9562 §5.4.
fn random_guid(mut bytes: [u8; 16]) -> Uuid {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}
