//! Letters of boxes that somebody carries here on a stick, and the replies to them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use dolmen_hsm_api::private;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{Certificate, cms::Unsigned};
use dolmen_provisioning_registrar::{Call, Peer, Setup};
use dolmen_provisioning_stick::{
    Answer, Arrived, Body, DIRECTORY, Finished, LETTER_MESSAGE_BYTES_MAX, Name, Office, Reply, directory,
};
use dolmen_provisioning_voucher::{IdevidRoots, SerialNumber};
use tokio::sync::Mutex;

use super::service::Service;

/// The last reply to each certificate of a box.
const KEPT: &str = "replies";

/// Answers letters, one after the other.
pub(super) struct Mail {
    kept: PathBuf,
    makers: IdevidRoots,
    authorities: Vec<Certificate>,
    certificates: Vec<Certificate>,
    turn: Mutex<()>,
}

impl Mail {
    pub(super) fn new(directory: &Path, setup: &Setup) -> anyhow::Result<Self> {
        let kept = directory.join(KEPT);
        fs::create_dir_all(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
        let authority = &setup.authority;
        let authorities = [std::slice::from_ref(authority.certificate()), authority.chain()].concat();
        let (makers, certificates) = (setup.makers.clone(), setup.certificates.clone());
        Ok(Self { kept, makers, authorities, certificates, turn: Mutex::new(()) })
    }

    fn office(&self) -> Office<'_> {
        Office { makers: &self.makers, authorities: &self.authorities, certificates: &self.certificates }
    }

    /// The reply to a letter.
    pub(super) async fn answer(&self, service: &Service, letter: &[u8]) -> anyhow::Result<Vec<u8>> {
        let _turn = self.turn.lock().await;
        let office = self.office();
        let arrived = Arrived::verify(letter, &office)?;
        let serial: Serial = arrived.serial_number().as_str().parse()?;
        let path = self.kept.join(format!("{}.cms", arrived.signer()));
        let kept = match fs::read(&path) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut visit = arrived.visit(kept.as_deref(), &office)?;
        while let Some(asked) = visit.next() {
            let request = asked.request;
            let call = Call::parse(request.method.name(), &request.path, request.content_type.as_deref());
            let answer = match call {
                Ok(call) => {
                    let peer = Peer { certificates: asked.certificates, address: "stick" };
                    service.handle_carried(call, peer, &request.body.0).await?
                }
                Err(error) => error.into(),
            };
            visit.answered(Answer {
                status: answer.status,
                content_type: answer.media.map(str::to_owned),
                retry_after: answer.retry_after.map(|seconds| seconds.to_string()),
                body: Body(answer.body),
            });
        }
        let vouchers = service.look(|registrar| registrar.state().vouchers().get(&serial).cloned()).await?;
        match visit.finish(vouchers.into_iter().collect(), &office)? {
            Finished::Kept(reply) => Ok(reply),
            Finished::Unsigned { unsigned, keep } => {
                let reply = service.sign(&unsigned).await?;
                if keep {
                    private::write(&path, &reply).with_context(|| format!("cannot write {}", path.display()))?;
                }
                Ok(reply)
            }
        }
    }

    /// What a box that has not asked yet is given: its voucher.
    pub(super) async fn ahead(&self, service: &Service, serial: &Serial) -> anyhow::Result<Vec<u8>> {
        let voucher = service.look(|registrar| registrar.state().vouchers().get(serial).cloned()).await?;
        let voucher =
            voucher.with_context(|| format!("there is no voucher for {serial}; import the one of its sale"))?;
        let reply: Unsigned = Reply::ahead(serial.as_str().parse()?, vec![voucher]).to_sign(&self.certificates)?;
        service.sign(&reply).await
    }
}

/// The letters on a stick that have no reply there, with where that is to be written; of each box the last one.
pub(super) fn letters(stick: &Path) -> anyhow::Result<Vec<(Vec<u8>, PathBuf)>> {
    let folder = stick.join(DIRECTORY);
    let boxes = fs::read_dir(&folder)
        .with_context(|| format!("there is no {}; is this a stick that was in a box?", folder.display()))?;
    let mut letters = Vec::new();
    for one in boxes {
        let folder = one.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let Ok(listed) = fs::read_dir(&folder) else { continue };
        let names: Vec<_> = listed.flatten().filter_map(|file| file.file_name().into_string().ok()).collect();
        let Some(letter) = Name::latest_letter(names.iter().map(String::as_str)) else { continue };
        let path = folder.join(letter.to_string());
        let length = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        if length > LETTER_MESSAGE_BYTES_MAX as u64 {
            bail!("{} has {length} bytes, which no letter has", path.display());
        }
        let letter_bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        letters.push((letter_bytes, folder.join(Name::reply(letter.number).to_string())));
    }
    Ok(letters)
}

/// Where what is written ahead for a box goes.
pub(super) fn ahead_path(stick: &Path, serial: &Serial) -> anyhow::Result<PathBuf> {
    let serial: SerialNumber = serial.as_str().parse()?;
    Ok(stick.join(DIRECTORY).join(directory(&serial)).join(Name::AHEAD.to_string()))
}

/// Writes a reply, whole or not at all.
pub(super) fn put(path: &Path, reply: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a reply lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    private::write(path, reply).with_context(|| format!("cannot write {}", path.display()))
}
