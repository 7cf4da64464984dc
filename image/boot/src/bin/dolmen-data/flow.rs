//! What is done with the data partition of a box.
//!
//! 1. An image below the TPM's version floor opens nothing. With a floor that cannot be read, nor does the TPM.
//! 2. An empty partition gets its data: LUKS2 with the label `dolmen-new`, a random key, the TPM, a recovery key in
//!    place of the random one, a file system, directories; people are told the recovery key, and then the label becomes
//!    `dolmen-data`. The power may fail anywhere in this: what is not labelled so is made anew, and what is, never.
//! 3. Later boots open it with the TPM. If that refuses, an image on trial gives way to the one before, which it may
//!    still open for. Another one asks people for the recovery key, and has the TPM open it from then on.
//! 4. Whatever else the partition holds stays there, and the box does not come up.

use anyhow::{Context as _, Error, Result, anyhow};
use dolmen_image_boot::power::Power;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::{
    machine::{Image, Machine, News, State, VolumeKey},
    recovery_key::RecoveryKey,
};

/// How often a recovery key may be typed before the box is switched off. Nobody can guess one; this is for whoever
/// stands before it and has no other to type.
pub(crate) const TRIES: u32 = 5;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The data are there.
    Ready,
    /// They are not, and nothing else is left to do with the machine.
    Leave(Power),
}

/// From a machine that was just started to one with data, or to the end.
pub(crate) fn run(machine: &mut impl Machine, image: &Image) -> Outcome {
    let opened = open(machine, image);
    match opened {
        Ok(()) => {
            machine.tell(&News::Ready);
            Outcome::Ready
        }
        Err(error) => {
            machine.tell(&News::Refused(format!("{error:#}")));
            Outcome::Leave(if image.on_trial { Power::Reboot } else { Power::Off })
        }
    }
}

fn open(machine: &mut impl Machine, image: &Image) -> Result<()> {
    let tpm = check_floor(machine, image)?;
    if let Err(error) = machine.grow_partition() {
        machine.tell(&News::Warning(format!("cannot grow the data partition: {error:#}")));
    }
    match machine.state().context("cannot look at the data partition")? {
        State::Empty | State::Unfinished => {
            tpm.context("data are only made with a TPM that opens them")?;
            create(machine)
        }
        State::Made => {
            unlock(machine, image, tpm)?;
            machine.check_file_system()?;
            machine.mount()?;
            if let Err(error) = machine.grow_file_system() {
                machine.tell(&News::Warning(format!("cannot grow the file system: {error:#}")));
            }
            machine.furnish()
        }
        State::Foreign => Err(anyhow!(
            "the data partition holds something that is neither empty nor LUKS2; if nobody needs it, install this box \
             anew without keeping data"
        )),
    }
}

/// An error if this image is too old. Otherwise whether the TPM may be used, or why not.
fn check_floor(machine: &mut impl Machine, image: &Image) -> Result<Result<()>> {
    let version = image.security_version;
    match machine.floor() {
        Ok(Some(floor)) if version < floor => Err(anyhow!(
            "this image's security version {version} is below {floor}, the lowest that this box has been set to run; \
             start a newer image"
        )),
        Ok(_) => Ok(Ok(())),
        // An attacker who can hide the floor from an old image must not have the TPM open the data for it.
        Err(error) => Ok(Err(error)),
    }
}

fn create(machine: &mut impl Machine) -> Result<()> {
    let mut key = VolumeKey::default();
    getrandom(&mut key[..], GetRandomFlags::empty()).context("cannot get a random key")?;
    machine.format(&key).context("cannot make an encrypted volume")?;
    machine.enrol_tpm(&key[..]).context("cannot have the TPM open the volume")?;
    let recovery_key = machine.enrol_recovery_key(&key).context("cannot make a recovery key")?;
    // Not by the random key, which is gone, so that data are only put where the TPM opens them.
    machine.unlock_by_tpm().context("the TPM does not open what it has just been made to")?;
    machine.make_file_system().context("cannot make a file system")?;
    machine.mount()?;
    machine.furnish()?;
    machine.tell(&News::Created);
    // Before the label: a key that was shown in vain does no harm, one that was never shown does.
    machine.tell(&News::RecoveryKey(&recovery_key));
    machine.label_made().context("cannot label the volume as made")
}

fn unlock(machine: &mut impl Machine, image: &Image, tpm: Result<()>) -> Result<()> {
    let usable = tpm.is_ok();
    let Err(reason) = tpm.and_then(|()| machine.unlock_by_tpm()) else {
        machine.tell(&News::Unlocked);
        return Ok(());
    };
    if image.on_trial {
        return Err(reason.context("the TPM does not open the data for this image, which is on trial"));
    }
    machine.tell(&News::Refused(format!("{reason:#}")));
    let key = unlock_by_people(machine)?;
    machine.tell(&News::Unlocked);
    // A TPM that is only switched off opens the data again once it is back.
    if usable && let Err(error) = machine.forget_tpm().and_then(|()| machine.enrol_tpm(key.as_str().as_bytes())) {
        machine
            .tell(&News::Warning(format!("cannot have the TPM open the data, so that the next boot asks: {error:#}")));
    }
    Ok(())
}

fn unlock_by_people(machine: &mut impl Machine) -> Result<RecoveryKey> {
    for number in 1..=TRIES {
        let typed = machine.ask(number, TRIES).ok_or_else(nobody)?;
        match typed.map(|key| machine.unlock_by_key(&key).map(|opened| opened.then_some(key))) {
            Some(Ok(Some(key))) => return Ok(key),
            Some(Ok(None)) => machine.tell(&News::Warning("this is not the recovery key of these data".into())),
            Some(Err(error)) => machine.tell(&News::Warning(format!("{error:#}"))),
            None => machine.tell(&News::Warning(
                "this is no recovery key; it has 64 letters in 8 groups, of c b d e f g h i j k l n r t u v".into(),
            )),
        }
    }
    Err(anyhow!("no recovery key in {TRIES} tries; switch the box on again to try more"))
}

fn nobody() -> Error {
    anyhow!("nobody typed a recovery key")
}
