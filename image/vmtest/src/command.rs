//! QEMU's command line.

use std::path::Path;

use serde_json::json;

use crate::{Accelerator, Attachment, Drive, Machine, running::Power};

/// The id of a drive's device; the node of its disk is called as the drive.
pub(crate) fn device_id(drive: &str) -> String {
    format!("device-{drive}")
}

/// The program.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// The network's card.
pub(crate) const NETWORK: &str = "net0";

/// What makes QEMU this machine.
pub(crate) fn arguments(machine: &Machine, accelerator: Accelerator, power: &Power) -> Vec<String> {
    let mut line = Line(Vec::new());
    line.add(&accelerator.arguments());
    line.add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    line.add(&["-m", &machine.memory_mib.to_string(), "-smp", &machine.processors.to_string()]);
    firmware(&mut line, machine);
    // The console is QEMU's own input and output, so that not a byte of it is lost.
    line.add(&["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    line.add(&["-chardev", &format!("socket,id=control,server=on,wait=off,{}", path(&power.control()))]);
    line.add(&["-mon", "chardev=control,mode=control"]);
    line.add(&["-object", "rng-random,id=random,filename=/dev/urandom"]);
    line.device("virtio-rng-pci,rng=random");
    line.add(&["-rtc", &format!("clock=host,base={}", machine.clock.as_deref().unwrap_or("utc"))]);
    line.add(&["-uuid", &machine.uuid.to_string()]);
    let serial = escape(&machine.serial);
    line.add(&["-smbios", &format!("type=1,manufacturer=Dolmen,product=Virtual box,serial={serial}")]);
    if machine.tpm.is_some() {
        line.add(&["-chardev", &format!("socket,id=tpm,{}", path(&power.tpm()))]);
        line.add(&["-tpmdev", "emulator,id=tpm0,chardev=tpm"]);
        line.device("tpm-crb,tpmdev=tpm0");
    }
    if machine.watchdog {
        line.device("i6300esb");
        line.add(&["-action", "watchdog=reset"]);
    }
    if machine.screen {
        line.device("VGA");
    }
    if let Some(network) = &machine.network {
        line.add(&["-netdev", &network.argument(NETWORK)]);
        // Without its own program for booting from the network.
        line.device(&format!("virtio-net-pci,netdev={NETWORK},romfile="));
    }
    drives(&mut line, &machine.drives);
    line.0
}

/// Code that cannot be written and variables that only code in system management mode can write: what Secure Boot
/// stands on.
fn firmware(line: &mut Line, machine: &Machine) {
    line.blockdev("code", machine.firmware.code_path(), true);
    line.blockdev("variables", machine.firmware.variables_path(), false);
    line.add(&["-machine", "q35,smm=on,pflash0=code,pflash1=variables"]);
    line.add(&["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"]);
}

fn drives(line: &mut Line, drives: &[Drive]) {
    if drives.iter().any(|drive| drive.attachment == Attachment::Usb) {
        line.device("qemu-xhci,id=xhci");
    }
    let mut sata_ports = 0..;
    for (index, drive) in drives.iter().enumerate() {
        let (name, id) = (&drive.name, device_id(&drive.name));
        line.blockdev(name, drive.disk.path(), drive.read_only);
        let model = match drive.attachment {
            Attachment::Virtio => "virtio-blk-pci".to_owned(),
            Attachment::Nvme => "nvme".to_owned(),
            Attachment::Ahci => format!("ide-hd,bus=ide.{}", sata_ports.next().unwrap_or_default()),
            Attachment::Usb => "usb-storage,bus=xhci.0,removable=on".to_owned(),
        };
        line.device(&format!("{model},drive={name},id={id},serial={name},bootindex={index}"));
    }
}

struct Line(Vec<String>);

impl Line {
    fn add(&mut self, arguments: &[&str]) {
        self.0.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    fn device(&mut self, device: &str) {
        self.add(&["-device", device]);
    }

    /// A file as a disk. Zeros that are written become holes.
    fn blockdev(&mut self, node: &str, file: &Path, read_only: bool) {
        let node = json!({
            "driver": "raw",
            "node-name": node,
            "read-only": read_only,
            "discard": "unmap",
            "detect-zeroes": if read_only { "off" } else { "unmap" },
            "file": { "driver": "file", "filename": file, "discard": "unmap" },
        });
        self.add(&["-blockdev", &node.to_string()]);
    }
}

fn path(socket: &Path) -> String {
    format!("path={}", escape(&socket.display().to_string()))
}

/// A comma ends a value, two are one in it.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}
