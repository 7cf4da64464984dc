//! What a machine consists of, and that nothing of it is left.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use dolmen_image_vmtest::{Accelerator, Attachment, Disk, Drive, Network, Tpm, VmError};
use uuid::Uuid;

use crate::{
    program::GREETING,
    support::{BOOT_MAX, machine, signed},
};

/// A place in a TPM for eight bytes, and commands on it.
const INDEX: &str = "0x01800fff";

fn read_index(tpm: &mut Tpm) -> Result<String, String> {
    tpm.tool("tpm2_nvread", &[INDEX, "-C", "o", "-s", "8"]).expect("swtpm is installed")
}

/// What is written into a TPM outlives the boots of its machine. Another one does not have it.
#[test]
fn a_tpm_keeps_its_state() {
    let mut tpm = Tpm::new().unwrap();
    tpm.tool("tpm2_nvdefine", &[INDEX, "-C", "o", "-s", "8", "-a", "ownerread|ownerwrite"]).unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("value");
    std::fs::write(&file, b"remember").unwrap();
    tpm.tool("tpm2_nvwrite", &[INDEX, "-C", "o", "-i", file.to_str().unwrap()]).unwrap().unwrap();

    let mut machine = machine("tpm", &signed()).tpm(tpm);
    for _ in 0..2 {
        let mut running = machine.start().unwrap();
        running.wait_for_within(GREETING, BOOT_MAX).unwrap();
        running.cut_power();
        assert_eq!(read_index(machine.tpm_mut().unwrap()).unwrap(), "remember");
    }
    let mut first = machine.replace_tpm(Some(Tpm::new().unwrap())).unwrap();
    assert!(read_index(machine.tpm_mut().unwrap()).is_err());
    machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
    assert_eq!(read_index(&mut first).unwrap(), "remember");
}

#[test]
fn two_machines_at_once_have_ports_of_their_own() {
    let network = Network::new().forward(80).forward(8545);
    let mut machines = ["one", "two"].map(|name| machine(name, &signed()).network(network.clone()));
    let mut running = machines.each_mut().map(|machine| machine.start().unwrap());
    let mut ports: Vec<u16> =
        running.iter_mut().flat_map(|running| [80, 8545].map(|guest| running.port(guest).unwrap())).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4, "{ports:?}");
    assert!(matches!(running[0].port(22), Err(VmError::NoPort(22))));
    for running in &mut running {
        running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    }
}

#[test]
fn dropping_a_machine_leaves_nothing() {
    let mut machine = machine("dropped", &signed()).tpm(Tpm::new().unwrap());
    let running = machine.start().unwrap();
    let processes = running.processes();
    let exists = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
    assert_eq!((processes.len(), processes.iter().all(exists)), (2, true));
    drop(running);
    assert!(!processes.iter().any(exists));
    let left = [machine.artefacts().to_owned(), machine.disk("disk").unwrap().path().to_owned()];
    assert!(left.iter().all(|path| path.exists()));
    drop(machine);
    assert!(!left.iter().any(|path| path.exists()));
}

/// Also where nobody drops it: the kernel ends what a thread has started when the thread ends.
#[test]
fn a_machine_ends_with_its_thread() {
    let start = || {
        let mut machine = machine("forgotten", &signed()).tpm(Tpm::new().unwrap());
        let running = machine.start().unwrap();
        let processes = running.processes();
        std::mem::forget(running);
        processes
    };
    let processes = std::thread::spawn(start).join().unwrap();
    // One that nobody has waited for is still there, as a zombie.
    let runs = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
    };
    let begin = Instant::now();
    while processes.iter().any(runs) {
        assert!(begin.elapsed() < Duration::from_secs(20), "{processes:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// QEMU takes all that a machine can have.
#[test]
fn a_machine_can_have_everything() {
    let mut machine = machine("everything", &signed())
        .accelerator(Accelerator::Tcg)
        .memory_mib(512)
        .processors(2)
        .tpm(Tpm::new().unwrap())
        .network(Network::new().open())
        .clock("2026-11-26T12:00:00")
        .smbios(Uuid::from_u128(42), "A, B")
        .watchdog()
        .screen();
    for (name, attachment) in [("nvme", Attachment::Nvme), ("sata", Attachment::Ahci), ("usb", Attachment::Usb)] {
        machine.insert(Drive::new(name, Disk::empty(1 << 20).unwrap(), attachment), false);
    }
    machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
}

#[test]
fn a_screen_can_be_looked_at() {
    let mut machine = machine("screen", &signed()).screen();
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    let picture = std::fs::read(running.screenshot("hello").unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    running.press(&["shift", "d"]).unwrap();
    running.wait_for_within("D", BOOT_MAX).unwrap();
    let after = std::fs::read(running.screenshot("key").unwrap()).unwrap();
    assert!(picture != after);
}

/// QEMU's own complaint is in the error.
#[test]
fn a_machine_that_cannot_be_says_why() {
    let mut machine = machine("impossible", &signed()).processors(100_000);
    let error = machine.start().map(drop).unwrap_err().to_string();
    assert!(error.contains("Invalid SMP CPUs"), "{error}");
    machine.discard_artefacts();
}
