//! The machine that the box is.

use std::path::Path;

use axum::{Json, extract::State};
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use utoipa::ToSchema;

use super::{Api, problem::Problem};
use crate::admin::machine::{self, Space};

/// The machine.
#[derive(Serialize, ToSchema)]
pub(super) struct Machine {
    /// Where the box's data is.
    disk: Disk,
    memory: Memory,
    /// Processes that want to run, on average of 1, 5 and 15 minutes.
    load: [f64; 3],
    /// Processors.
    cpus: usize,
    /// What its sensors say; none on machines that have none.
    temperatures: Vec<Temperature>,
    /// What is signed at boot; none where the box runs without a TPM.
    tpm: Option<Tpm>,
    /// The box's image; none where it runs on another system.
    image: Option<Image>,
    /// Seconds since the machine was powered on.
    machine_uptime_s: u64,
}

/// A file system.
#[derive(Serialize, ToSchema)]
struct Disk {
    /// Its size.
    total_bytes: u64,
    /// What the box may still write.
    free_bytes: u64,
}

/// Main memory.
#[derive(Serialize, ToSchema)]
struct Memory {
    /// What the machine has.
    total_bytes: u64,
    /// What programs could still have.
    available_bytes: u64,
    /// What the box itself has.
    process_bytes: u64,
}

/// A sensor.
#[derive(Serialize, ToSchema)]
struct Temperature {
    /// The sensor's.
    name: String,
    /// Degrees.
    celsius: f32,
}

/// The TPM.
#[derive(Serialize, ToSchema)]
struct Tpm {
    /// How it is reached.
    tcti: String,
}

/// The image.
#[derive(Serialize, ToSchema)]
struct Image {
    /// Its version.
    version: String,
}

/// Disk, memory, temperatures, TPM and image.
#[utoipa::path(get, path = "/api/v1/system", tag = "box", operation_id = "system",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Machine),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn system(State(api): State<Api>) -> Result<Json<Machine>, Problem> {
    let looked = tokio::task::spawn_blocking(move || look(&api.home.data, api.home.tcti.clone())).await;
    looked.map_err(anyhow::Error::from).and_then(|machine| machine).map(Json).map_err(|error| Problem::failed(&error))
}

fn look(data: &Path, tcti: Option<String>) -> anyhow::Result<Machine> {
    let disk = Space::of(data)?;
    let mut system = System::new();
    system.refresh_memory();
    let own = Pid::from_u32(std::process::id());
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, memory);
    let load = System::load_average();
    let sensors = machine::sensors().into_iter();
    let temperatures = sensors.map(|sensor| Temperature { name: sensor.name, celsius: sensor.celsius });
    Ok(Machine {
        disk: Disk { total_bytes: disk.size, free_bytes: disk.free },
        memory: Memory {
            total_bytes: system.total_memory(),
            available_bytes: system.available_memory(),
            process_bytes: system.process(own).map_or(0, sysinfo::Process::memory),
        },
        load: [load.one, load.five, load.fifteen],
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        temperatures: temperatures.collect(),
        tpm: tcti.map(|tcti| Tpm { tcti }),
        image: image(),
        machine_uptime_s: System::uptime(),
    })
}

/// What os-release(5) says, where this is the box's own image.
fn image() -> Option<Image> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let version = value("IMAGE_VERSION")?;
    (value("IMAGE_ID")? == "dolmen").then_some(Image { version })
}
