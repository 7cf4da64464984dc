//! What the box's machine has left and what its program takes, read when Prometheus asks.

use std::fmt;

use dolmen_types::Genesis;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::machine::{self, Directories, Space};
use crate::config::BoxConfig;

/// The box's own numbers.
pub(super) struct Numbers(Registry);

/// Where they are read.
struct Machine {
    info: [(&'static str, String); 4],
    engine: String,
    started_at: u64,
    directories: Directories,
}

impl Numbers {
    pub(super) fn new(
        config: &BoxConfig,
        genesis: &Genesis,
        genesis_hash: &str,
        engine: &str,
        started_at: u64,
    ) -> Self {
        let info = [
            ("name", config.name.clone()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("chain_id", genesis.file().chain_id.to_string()),
            ("genesis", genesis_hash.to_owned()),
        ];
        let directories = machine::directories(config);
        let mut registry = Registry::default();
        let machine = Machine { info, engine: engine.to_owned(), started_at, directories };
        registry.register_collector(Box::new(machine));
        Self(registry)
    }

    /// As text, without the end marker.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        if text::encode_registry(&mut text, &self.0).is_err() {
            tracing::error!("the box's own numbers could not be encoded");
        }
        text
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

impl Collector for Machine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let one = ConstGauge::new(1_i64);
        let mut family = encoder.encode_descriptor("dolmen_box_info", "This box", None, MetricType::Gauge)?;
        one.encode(family.encode_family(&self.info)?)?;
        let help = "The engine that checks signatures";
        let mut family = encoder.encode_descriptor("dolmen_signature_engine", help, None, MetricType::Gauge)?;
        one.encode(family.encode_family(&[("name", self.engine.as_str())])?)?;
        let help = "When the program started, in seconds since 1970";
        gauge(&mut encoder, "dolmen_start_time", help, Some(&Unit::Seconds), self.started_at)?;

        let disks = machine::spaces(&self.directories);
        let (free, size) = ("What the box may still write where it has these", "The size of that file system");
        for (name, help, pick) in [
            ("dolmen_filesystem_free", free, (|space: &Space| space.free) as fn(&Space) -> u64),
            ("dolmen_filesystem_size", size, |space: &Space| space.size),
        ] {
            let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            for (of, space) in &disks {
                ConstGauge::new(number(pick(space))).encode(family.encode_family(&[("of", *of)])?)?;
            }
        }
        process(&mut encoder)
    }
}

/// What Prometheus' own clients say of a process.
fn process(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (mut system, own) = (System::new(), Pid::from_u32(std::process::id()));
    let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, what);
    let Some(process) = system.process(own) else { return Ok(()) };
    let help = "Time that all threads have run";
    let cpu = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
    ConstCounter::new(process.accumulated_cpu_time() as f64 / 1000.0).encode(cpu)?;
    gauge(encoder, "process_resident_memory", "What it has in memory", Some(&Unit::Bytes), process.memory())?;
    let files = [
        ("process_open_fds", "Files and connections that are open", process.open_files()),
        ("process_max_fds", "How many may be", process.open_files_limit()),
    ];
    for (name, help, count) in files {
        let Some(count) = count else { continue };
        gauge(encoder, name, help, None, count as u64)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
    ConstGauge::new(number(value)).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
