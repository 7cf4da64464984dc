//! Which disk the image goes to.
//!
//! Never the stick, never one that is read-only or too small, and no USB or removable disk unless it is named. Where
//! several are left a person is asked; without one, only a name decides.

use std::{fmt, path::PathBuf};

use dolmen_image_boot::block;
use dolmen_image_disk::gpt::BlockSize;

/// A whole disk, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// The kernel's name: `nvme0n1`.
    pub name: String,
    /// Its device node: `/dev/nvme0n1`.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// Bytes of its blocks, or none where no partition table counts in such.
    pub block_size: Option<BlockSize>,
    /// By the maker.
    pub model: String,
    /// By the maker. Empty where it tells none.
    pub serial: String,
    /// Names as in `/dev/disk/by-id`, without that folder.
    pub ids: Vec<String>,
    /// Whether it is connected by USB, by a cable that anybody may pull.
    pub usb: bool,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// Whether it takes no writes.
    pub read_only: bool,
    /// Whether the stick is on it.
    pub stick: bool,
}

/// Why a disk is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The image comes from there.
    Stick,
    /// It takes no writes.
    ReadOnly,
    /// Its blocks are neither 512 nor 4,096 bytes.
    Blocks,
    /// Too small: what is needed.
    TooSmall(u64),
    /// On USB, and not named.
    Usb,
    /// With a medium that can be taken out, and not named.
    Removable,
}

/// Disks that fit, and those that do not.
#[derive(Debug)]
pub struct Targets<'a> {
    /// Those that may be written to.
    pub fit: Vec<&'a DiskFacts>,
    /// The others.
    pub unfit: Vec<(&'a DiskFacts, Unfit)>,
}

/// Why there is no disk to write to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// None fits.
    #[error("no disk of this machine can take the image{}; put one in, or look at its cables", why(.0))]
    None(Vec<(String, Unfit)>),
    /// None is named so.
    #[error("no disk of this machine is {0:?}; look at the names below, and correct and sign the answer file again")]
    NotFound(String),
    /// The one that is named does not fit.
    #[error("the disk {name} cannot take the image: {unfit}; name another one")]
    Unfit {
        /// The kernel's name of it.
        name: String,
        /// Why not.
        unfit: Unfit,
    },
    /// Several could be meant.
    #[error("these disks could be meant: {}; name one of them in the answer file by its serial number", .0.join(", "))]
    Several(Vec<String>),
}

impl DiskFacts {
    /// Of a disk that the kernel lists. `wwid` is the number that the world knows it by, as the kernel shows it
    /// (`eui.0025385b01404e3a`), if it does.
    #[must_use]
    pub fn of(disk: block::Disk, wwid: Option<&str>) -> Self {
        let block_size = disk.block_size().ok();
        let (model, serial) = (disk.model.unwrap_or_default(), disk.serial.unwrap_or_default());
        Self {
            ids: ids(&disk.name, disk.usb, &model, &serial, wwid),
            name: disk.name,
            path: disk.path,
            bytes: disk.bytes,
            block_size,
            model,
            serial,
            usb: disk.usb,
            removable: disk.removable,
            read_only: disk.read_only,
            stick: false,
        }
    }

    /// Whether a person or an answer file means this one: by serial number, by a name in `/dev/disk/by-id`, by the
    /// device node, or by the kernel's name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let id = name.strip_prefix("/dev/disk/by-id/").unwrap_or(name);
        let kernel = name.strip_prefix("/dev/").unwrap_or(name);
        (!self.serial.is_empty() && self.serial == name) || self.ids.iter().any(|own| own == id) || self.name == kernel
    }

    /// Why it is not taken, if anything speaks against it. One that is named may be on USB or removable.
    #[must_use]
    pub fn unfit(&self, bytes_min: u64, named: bool) -> Option<Unfit> {
        let unfit = [
            (self.stick, Unfit::Stick),
            (self.read_only, Unfit::ReadOnly),
            (self.block_size.is_none(), Unfit::Blocks),
            (self.bytes < bytes_min, Unfit::TooSmall(bytes_min)),
            (self.usb && !named, Unfit::Usb),
            (self.removable && !named, Unfit::Removable),
        ];
        unfit.into_iter().find_map(|(is, unfit)| is.then_some(unfit))
    }
}

impl<'a> Targets<'a> {
    /// Of a machine's disks, for an image that needs `bytes_min` bytes.
    #[must_use]
    pub fn of(disks: &'a [DiskFacts], bytes_min: u64) -> Self {
        let mut targets = Self { fit: vec![], unfit: vec![] };
        for disk in disks {
            match disk.unfit(bytes_min, false) {
                None => targets.fit.push(disk),
                Some(unfit) => targets.unfit.push((disk, unfit)),
            }
        }
        targets
    }
}

/// The disk that is meant where nobody can be asked: the one that is named, or the only one that fits.
///
/// # Errors
///
/// Any [`TargetError`].
pub fn choose<'a>(disks: &'a [DiskFacts], name: Option<&str>, bytes_min: u64) -> Result<&'a DiskFacts, TargetError> {
    let Some(name) = name else {
        let targets = Targets::of(disks, bytes_min);
        return match targets.fit[..] {
            [one] => Ok(one),
            [] => {
                let unfit = targets.unfit.iter().map(|(disk, unfit)| (disk.name.clone(), *unfit));
                Err(TargetError::None(unfit.collect()))
            }
            _ => Err(several(&targets.fit)),
        };
    };
    let named: Vec<_> = disks.iter().filter(|disk| disk.is_named(name)).collect();
    match named[..] {
        [] => Err(TargetError::NotFound(name.to_owned())),
        [one] => match one.unfit(bytes_min, true) {
            None => Ok(one),
            Some(unfit) => Err(TargetError::Unfit { name: one.name.clone(), unfit }),
        },
        _ => Err(several(&named)),
    }
}

/// The names that udev's rules would make in `/dev/disk/by-id`: no udev runs here.
fn ids(name: &str, usb: bool, model: &str, serial: &str, wwid: Option<&str>) -> Vec<String> {
    let mut ids = Vec::new();
    // As udev writes names: spaces become underscores, and so do several at once.
    let [model, serial] = [model, serial].map(|text| text.split_whitespace().collect::<Vec<_>>().join("_"));
    if !serial.is_empty() {
        match name {
            _ if usb => ids.push(format!("usb-{model}_{serial}")),
            nvme if nvme.starts_with("nvme") => ids.push(format!("nvme-{model}_{serial}")),
            virtio if virtio.starts_with("vd") => ids.push(format!("virtio-{serial}")),
            card if card.starts_with("mmcblk") => ids.push(format!("mmc-{model}_{serial}")),
            scsi if scsi.starts_with("sd") => {
                ids.extend(["ata", "scsi"].map(|kind| format!("{kind}-{model}_{serial}")));
            }
            _ => {}
        }
    }
    match wwid.and_then(|wwid| wwid.split_once('.')) {
        Some(("eui", number)) => ids.push(format!("nvme-eui.{number}")),
        Some(("naa", number)) => ids.push(format!("wwn-0x{number}")),
        _ => {}
    }
    ids
}

fn several(disks: &[&DiskFacts]) -> TargetError {
    TargetError::Several(disks.iter().map(|disk| disk.to_string()).collect())
}

fn why(unfit: &[(String, Unfit)]) -> String {
    let each: Vec<_> = unfit.iter().map(|(name, unfit)| format!("{name}: {unfit}")).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join("; ")) }
}

/// As menus and logs show it: `nvme0n1, 512.1 GB, SAMSUNG MZVL2512, S64ANS0T123456`.
impl fmt::Display for DiskFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.bytes / 100_000_000;
        write!(f, "{}, {}.{} GB", self.name, tenths / 10, tenths % 10)?;
        for text in [&self.model, &self.serial] {
            if !text.is_empty() {
                write!(f, ", {text}")?;
            }
        }
        if self.usb { f.write_str(", USB") } else { Ok(()) }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stick => f.write_str("this is the stick"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::Blocks => f.write_str("its blocks are neither 512 nor 4096 bytes"),
            Self::TooSmall(needed) => {
                write!(f, "it is smaller than the {} MiB that are needed", needed.div_ceil(1 << 20))
            }
            Self::Usb => f.write_str("it is on USB"),
            Self::Removable => f.write_str("its medium can be taken out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: u64 = 1 << 31;

    fn disk(name: &str, bytes: u64) -> DiskFacts {
        DiskFacts {
            name: name.to_owned(),
            path: format!("/dev/{name}").into(),
            bytes,
            block_size: Some(BlockSize::Bytes512),
            model: "Model".to_owned(),
            serial: format!("S-{name}"),
            ids: vec![format!("nvme-Model_S-{name}")],
            usb: false,
            removable: false,
            read_only: false,
            stick: false,
        }
    }

    #[test]
    fn the_only_one_that_fits_is_taken() {
        let disks = [
            DiskFacts { stick: true, usb: true, ..disk("sda", NEEDED) },
            DiskFacts { usb: true, ..disk("sdb", NEEDED) },
            DiskFacts { removable: true, ..disk("sdc", NEEDED) },
            DiskFacts { read_only: true, ..disk("sdd", NEEDED) },
            DiskFacts { block_size: None, ..disk("sde", NEEDED) },
            disk("sdf", NEEDED - 1),
            disk("nvme0n1", NEEDED),
        ];
        assert_eq!(choose(&disks, None, NEEDED).unwrap().name, "nvme0n1");
        let error = choose(&disks[..6], None, NEEDED).unwrap_err();
        let TargetError::None(unfit) = &error else { panic!("{error}") };
        let reasons: Vec<_> = unfit.iter().map(|(_, unfit)| *unfit).collect();
        let [stick, usb, removable] = [Unfit::Stick, Unfit::Usb, Unfit::Removable];
        assert_eq!(reasons, [stick, usb, removable, Unfit::ReadOnly, Unfit::Blocks, Unfit::TooSmall(NEEDED)]);
        assert!(error.to_string().contains("sdf: it is smaller than the 2048 MiB"), "{error}");
    }

    #[test]
    fn of_several_only_a_name_decides() {
        let disks = [disk("sda", NEEDED), disk("sdb", NEEDED)];
        assert!(matches!(choose(&disks, None, NEEDED), Err(TargetError::Several(names)) if names.len() == 2));
        for name in ["S-sdb", "nvme-Model_S-sdb", "/dev/disk/by-id/nvme-Model_S-sdb", "/dev/sdb", "sdb"] {
            assert_eq!(choose(&disks, Some(name), NEEDED).unwrap().name, "sdb", "{name}");
        }
        assert_eq!(choose(&disks, Some("S-sd"), NEEDED).unwrap_err(), TargetError::NotFound("S-sd".to_owned()));
        // Cheap disks share their serial numbers, or tell none.
        let twins = [disk("sda", NEEDED), DiskFacts { serial: "S-sda".to_owned(), ..disk("sdb", NEEDED) }];
        assert!(matches!(choose(&twins, Some("S-sda"), NEEDED), Err(TargetError::Several(_))));
        let nameless = [DiskFacts { serial: String::new(), ..disk("sda", NEEDED) }];
        assert!(choose(&nameless, Some(""), NEEDED).is_err());
    }

    #[test]
    fn a_name_makes_usb_fit_and_nothing_else() {
        let usb = DiskFacts { usb: true, removable: true, ..disk("sda", NEEDED) };
        assert_eq!(choose(std::slice::from_ref(&usb), Some("sda"), NEEDED).unwrap().name, "sda");
        for (disk, expected) in [
            (DiskFacts { stick: true, ..usb.clone() }, Unfit::Stick),
            (DiskFacts { read_only: true, ..usb.clone() }, Unfit::ReadOnly),
            (DiskFacts { bytes: 1, ..usb }, Unfit::TooSmall(NEEDED)),
        ] {
            let error = choose(&[disk], Some("sda"), NEEDED).unwrap_err();
            assert_eq!(error, TargetError::Unfit { name: "sda".to_owned(), unfit: expected });
        }
    }

    #[test]
    fn names_are_those_that_udev_makes() {
        let names = |name, usb, wwid| ids(name, usb, "SAMSUNG  MZVL 2512", "S64 ANS0", wwid);
        let eui = Some("eui.0025385b01404e3a");
        assert_eq!(names("nvme0n1", false, eui), ["nvme-SAMSUNG_MZVL_2512_S64_ANS0", "nvme-eui.0025385b01404e3a"]);
        assert_eq!(names("sda", true, None), ["usb-SAMSUNG_MZVL_2512_S64_ANS0"]);
        assert_eq!(names("vda", false, None), ["virtio-S64_ANS0"]);
        let sata = names("sda", false, Some("naa.5002538e40b4b2d3"));
        assert_eq!(sata[1..], ["scsi-SAMSUNG_MZVL_2512_S64_ANS0", "wwn-0x5002538e40b4b2d3"]);
        assert_eq!(ids("sda", false, "Model", "", Some("t10.x")), Vec::<String>::new());
    }

    #[test]
    fn a_disk_is_shown_as_people_know_it() {
        let shown = DiskFacts { usb: true, ..disk("sda", 512_110_190_592) }.to_string();
        assert_eq!(shown, "sda, 512.1 GB, Model, S-sda, USB");
    }
}
