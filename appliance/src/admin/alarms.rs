//! What somebody must see to, with its cause and the next step.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Page,
    machine::{Machine, Sensor, Space},
};
use crate::pledge::Report;

/// A disk with less than this part of it free is about to be full: RocksDB writes tables anew before it removes old ones.
const FREE_MIN: [(Severity, f64, u64); 2] = [(Severity::Critical, 0.05, 4 << 30), (Severity::Warning, 0.15, 16 << 30)];
/// What a sensor may say that does not tell its own limit, in degrees Celsius.
const CELSIUS_MAX: f32 = 95.0;
/// Below a sensor's limit, people are warned.
const CELSIUS_MARGIN: f32 = 5.0;

/// What somebody must see to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Alarm {
    /// What it is; it never changes.
    id: &'static str,
    severity: Severity,
    /// Which of its causes, where it has several; it never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    which: Option<&'static str>,
    /// Why, for people.
    cause: String,
    /// What the cause names, for those who say it in other words.
    values: BTreeMap<&'static str, String>,
    /// What to do.
    next: &'static str,
    /// The view in which it ends by itself, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_view: Option<u64>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The box does not do its part.
    Critical,
    /// It will not for long.
    Warning,
}

impl Alarm {
    fn new(id: &'static str, severity: Severity, cause: String, next: &'static str) -> Self {
        Self { id, severity, which: None, cause, values: BTreeMap::new(), next, until_view: None }
    }

    fn with<const N: usize>(mut self, values: [(&'static str, String); N]) -> Self {
        self.values = values.into();
        self
    }

    fn which(mut self, which: &'static str) -> Self {
        self.which = Some(which);
        self
    }
}

impl Page {
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let provisioning = self.provisioning();
        let of_machine = of_machine(&self.told.machine.borrow());
        let of_registrar = provisioning.iter().flat_map(of_registrar);
        self.vote_alarms().into_iter().chain(of_machine).chain(of_registrar).collect()
    }

    fn vote_alarms(&self) -> Vec<Alarm> {
        let Some(votes) = self.node.votes() else { return Vec::new() };
        let fenced = votes.fence.filter(|_| votes.fenced).map(|fence| {
            let cause = format!("votes up to {fence} may have been signed by a copy of this box's log of votes");
            let next =
                "look for another box with this key and stop it; this one votes again when the chain has passed that";
            let alarm =
                Alarm::new("votes_fenced", Severity::Critical, cause, next).with([("fence", fence.to_string())]);
            Alarm { until_view: Some(fence.view), ..alarm }
        });
        let failing = votes.failing.filter(|_| fenced.is_none()).map(|cause| {
            let next = "see that the device with the key, the TPM and the disk work; the box votes again by itself";
            Alarm::new("votes_failing", Severity::Critical, cause, next)
        });
        fenced.into_iter().chain(failing).collect()
    }
}

/// Of the machine that the box is.
fn of_machine(machine: &Machine) -> Vec<Alarm> {
    let emptiest = |(_, one): &(_, Space), (_, other): &(_, Space)| one.free_part().total_cmp(&other.free_part());
    // One alarm where data and keys share a disk, and the worse of two.
    let disk = machine.disks.iter().copied().min_by(emptiest).and_then(full);
    let over = |one: &&Sensor, other: &&Sensor| (one.celsius - limit(one)).total_cmp(&(other.celsius - limit(other)));
    let temperature = machine.sensors.iter().max_by(over).and_then(hot);
    disk.into_iter().chain(temperature).collect()
}

/// Whether a disk is about to be full. A small part of a large one is still a lot, and no reason to wake people.
fn full((of, space): (&'static str, Space)) -> Option<Alarm> {
    let is_below = |part: f64, bytes: u64| space.free_part() < part && space.free < bytes;
    let (severity, ..) = FREE_MIN.into_iter().find(|(_, part, bytes)| is_below(*part, *bytes))?;
    let (percent, mebibytes) = (format!("{:.0}", space.free_part() * 100.0), (space.free >> 20).to_string());
    let cause = format!("the disk with the box's {of} has {percent} % left, {mebibytes} MiB");
    let next = "remove old backups, logs or whatever else fills it, or give the box a larger disk; a box whose disk is \
                full ends";
    Some(Alarm::new("disk", severity, cause, next).which(of).with([("percent", percent), ("mebibytes", mebibytes)]))
}

/// Whether a part of the machine is too hot.
fn hot(sensor: &Sensor) -> Option<Alarm> {
    let (celsius, limit) = (sensor.celsius, limit(sensor));
    let severity = match celsius {
        _ if celsius >= limit => Severity::Critical,
        _ if celsius >= limit - CELSIUS_MARGIN => Severity::Warning,
        _ => return None,
    };
    let (celsius, limit) = (format!("{celsius:.0}"), format!("{limit:.0}"));
    let cause = format!("the sensor {} says {celsius} °C, and its limit is {limit} °C", sensor.name);
    let next = "see that its fans turn and the air goes through; the machine slows down, and then turns itself off";
    let values = [("sensor", sensor.name.clone()), ("celsius", celsius), ("limit", limit)];
    Some(Alarm::new("temperature", severity, cause, next).with(values))
}

fn limit(sensor: &Sensor) -> f32 {
    sensor.limit.unwrap_or(CELSIUS_MAX)
}

/// About the box and its registrar.
fn of_registrar(report: &Report) -> Vec<Alarm> {
    let standing = report.certificate.as_ref().map(|certificate| &*certificate.standing);
    let certificate = standing.and_then(|standing| {
        let (severity, which, days, cause) = match standing {
            "expired" => (Severity::Critical, "expired", "0", "the box's certificate has expired".to_owned()),
            "clock-behind" => {
                (Severity::Warning, "clock-behind", "0", "the box's certificate is not valid yet".to_owned())
            }
            "30-days" | "7-days" | "1-day" => {
                let cause = format!("the box's certificate ends in less than {}", standing.replace('-', " "));
                (Severity::Warning, "ends", standing.split('-').next().unwrap_or_default(), cause)
            }
            _ => return None,
        };
        let next = "see that the box reaches its registrar and that its clock is right; it renews by itself";
        Some(Alarm::new("certificate", severity, cause, next).which(which).with([("days", days.to_owned())]))
    });
    let refusal = report.refusal.as_ref().map(|refusal| {
        let cause = format!("{} ({})", refusal.message, refusal.code);
        let next = "ask whoever runs the organisation's registrar: its journal says more";
        Alarm::new("registrar", Severity::Warning, cause, next).with([("code", refusal.code.to_string())])
    });
    certificate.into_iter().chain(refusal).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GIB: u64 = 1 << 30;

    fn space(free: u64, size: u64) -> Space {
        Space { free, size }
    }

    fn sensor(celsius: f32, limit: Option<f32>) -> Sensor {
        Sensor { name: "coretemp Package id 0".to_owned(), celsius, limit }
    }

    /// The page says each alarm in the words of its languages.
    #[test]
    fn the_page_has_words_for_each() {
        let words: Value = serde_json::from_str(include_str!("../../console/src/i18n/en.json")).unwrap();
        let report = |standing: &str| -> Report {
            serde_json::from_value(json!({
                "serial_number": "BOX-0001",
                "phase": "member",
                "refusal": { "code": "box-revoked", "message": "it is", "by": "registrar" },
                "certificate": {
                    "subject": "", "issuer": "", "public_key": "", "since": 0, "until": 0, "standing": standing,
                },
            }))
            .unwrap()
        };
        let reports = ["expired", "clock-behind", "30-days", "1-day"].map(report);
        let machines =
            ["data", "keys"].map(|of| Machine { disks: vec![(of, space(0, GIB))], sensors: vec![sensor(100.0, None)] });
        let alarms = machines.iter().flat_map(of_machine).chain(reports.iter().flat_map(of_registrar));
        let alarms: Vec<_> = alarms.collect();
        assert_eq!(alarms.len(), 12);
        for alarm in &alarms {
            let own = &words["alarm"][alarm.id];
            let cause = alarm.which.map_or("cause".to_owned(), |which| format!("cause_{which}"));
            for part in ["title", "next", &cause] {
                assert!(own[part].is_string(), "{part} of {alarm:?}");
            }
            // Nothing else is asked for than what the alarm tells.
            let asked = own[&cause].as_str().unwrap().split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
            for value in asked {
                assert!(value == "cause" || alarm.values.contains_key(value), "{value} of {alarm:?}");
            }
        }
    }

    fn found(disks: Vec<(&'static str, Space)>, sensors: Vec<Sensor>) -> Vec<(&'static str, Severity)> {
        of_machine(&Machine { disks, sensors }).into_iter().map(|alarm| (alarm.id, alarm.severity)).collect()
    }

    #[test]
    fn a_disk_is_said_to_fill_before_it_is_full() {
        for (free, size, is) in [
            (64 * GIB, 64 * GIB, None),
            (10 * GIB, 64 * GIB, None),
            (9 * GIB, 64 * GIB, Some(Severity::Warning)),
            (3 * GIB, 64 * GIB, Some(Severity::Critical)),
            (0, 64 * GIB, Some(Severity::Critical)),
            (20 * GIB, 1000 * GIB, None),
            (10 * GIB, 1000 * GIB, Some(Severity::Warning)),
            (GIB / 10, GIB, Some(Severity::Warning)),
            // It does not say.
            (0, 0, None),
        ] {
            let expected: Vec<_> = is.into_iter().map(|severity| ("disk", severity)).collect();
            assert_eq!(found(vec![("data", space(free, size))], Vec::new()), expected, "{free} of {size}");
        }
    }

    #[test]
    fn the_worse_of_two_disks_is_named() {
        let disks = vec![("data", space(30 * GIB, 64 * GIB)), ("keys", space(GIB / 100, GIB))];
        let alarms = of_machine(&Machine { disks, sensors: Vec::new() });
        assert_eq!((alarms.len(), alarms[0].which), (1, Some("keys")));
        assert_eq!(alarms[0].cause, "the disk with the box's keys has 1 % left, 10 MiB");
    }

    #[test]
    fn heat_is_measured_by_the_sensors_own_limit() {
        let of = |sensors| found(Vec::new(), sensors);
        assert_eq!(of(Vec::new()), []);
        assert_eq!(of(vec![sensor(79.0, Some(100.0)), sensor(94.0, Some(100.0))]), []);
        assert_eq!(of(vec![sensor(79.0, Some(84.0)), sensor(94.0, Some(100.0))]), [("temperature", Severity::Warning)]);
        assert_eq!(of(vec![sensor(84.0, Some(84.0))]), [("temperature", Severity::Critical)]);
        assert_eq!(of(vec![sensor(89.0, None)]), []);
        assert_eq!(of(vec![sensor(95.0, None)]), [("temperature", Severity::Critical)]);
    }
}
