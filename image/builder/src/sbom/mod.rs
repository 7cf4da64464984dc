//! What an image consists of, for those who look for a package in it: CycloneDX 1.6, JSON.
//!
//! Every Debian package of which something is in the root or the boot files, and every crate that is linked into one of
//! our programs, with the features that it is linked with.
//!
//! Source: CycloneDX 1.6 (ECMA-424), and the Package URL specification.

mod crates;

#[cfg(test)]
use std::collections::BTreeSet;

use dolmen_image_bundle::{PRODUCT, Version};
use serde::Serialize;

pub use crates::{Crate, CratesError, crates};

use crate::{identity, lock::Locked, system::Package};

/// The programs of ours that are in an image and on a stick, by their packages.
pub const PROGRAMS: [&str; 3] = ["dolmen", "dolmen-image-boot", "dolmen-image-installer"];

/// A bill of materials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sbom {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Metadata {
    timestamp: String,
    component: Component,
}

/// A package or a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<FileHash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct FileHash {
    alg: &'static str,
    content: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct License {
    expression: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

impl Sbom {
    /// Of an image. `locked` has the packages' hashes, and `root_hash` makes its number.
    #[must_use]
    pub fn new(
        version: &Version,
        seconds: u64,
        root_hash: &[u8],
        packages: &[Package],
        locked: &[&Locked],
        crates: &[Crate],
    ) -> Self {
        let image = component("operating-system", PRODUCT, &version.to_string(), format!("image:{PRODUCT}@{version}"));
        let mut components: Vec<Component> = packages.iter().map(|package| debian(package, locked)).collect();
        let mut parts: Vec<String> = components.iter().map(|component| component.bom_ref.clone()).collect();
        parts.extend(crates.iter().filter(|one| PROGRAMS.contains(&one.name.as_str())).map(Crate::bom_ref));
        components.extend(crates.iter().map(rust));
        components.sort();
        parts.sort();
        let mut dependencies = vec![Dependency { reference: image.bom_ref.clone(), depends_on: parts }];
        let depends = |one: &Crate| Dependency { reference: one.bom_ref(), depends_on: one.depends_on.clone() };
        dependencies.extend(crates.iter().map(depends));
        dependencies.sort();
        Self {
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: format!("urn:uuid:{}", identity::uuid("sbom", root_hash)),
            version: 1,
            metadata: Metadata { timestamp: timestamp(seconds), component: image },
            components,
            dependencies,
        }
    }

    /// How many packages and crates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("it is lists of texts");
        json.push(b'\n');
        json
    }

    /// References that are not unique, or lead nowhere.
    #[cfg(test)]
    fn broken_references(&self) -> Vec<String> {
        let mut known = BTreeSet::from([self.metadata.component.bom_ref.clone()]);
        let mut broken = Vec::new();
        for component in &self.components {
            if !known.insert(component.bom_ref.clone()) {
                broken.push(component.bom_ref.clone());
            }
        }
        let used = self.dependencies.iter().flat_map(|one| one.depends_on.iter().chain([&one.reference]));
        broken.extend(used.filter(|reference| !known.contains(*reference)).cloned());
        broken
    }
}

fn component(kind: &'static str, name: &str, version: &str, bom_ref: String) -> Component {
    let (name, version) = (name.to_owned(), version.to_owned());
    let (hashes, licenses, references, properties) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Component {
        kind,
        bom_ref,
        name,
        version,
        hashes,
        licenses,
        purl: None,
        external_references: references,
        properties,
    }
}

fn debian(package: &Package, locked: &[&Locked]) -> Component {
    let Package { name, version, architecture, source: (source, source_version), homepage, .. } = package;
    let purl = format!("pkg:deb/debian/{}@{}?arch={architecture}&distro=trixie", escaped(name), escaped(version));
    let locked = locked.iter().find(|locked| locked.name == *name && locked.version == *version);
    let property = |name, value: &String| Property { name, value: value.clone() };
    Component {
        purl: Some(purl.clone()),
        hashes: locked.map(|locked| FileHash { alg: "SHA-256", content: locked.sha256.clone() }).into_iter().collect(),
        external_references: homepage.iter().map(|url| Reference { kind: "website", url: url.clone() }).collect(),
        properties: vec![property("debian:source", source), property("debian:source-version", source_version)],
        ..component("library", name, version, purl)
    }
}

fn rust(one: &Crate) -> Component {
    let features = one.features.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let kind = if PROGRAMS.contains(&one.name.as_str()) { "application" } else { "library" };
    Component {
        purl: one.checksum.is_some().then(|| one.bom_ref()),
        hashes: one.checksum.iter().map(|hash| FileHash { alg: "SHA-256", content: hash.clone() }).collect(),
        licenses: one.license.iter().map(|expression| License { expression: expression.clone() }).collect(),
        properties: vec![Property { name: "cargo:features", value: features }],
        ..component(kind, &one.name, &one.version, one.bom_ref())
    }
}

/// Characters that a Package URL does not have as they are.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// RFC 3339, in UTC.
fn timestamp(seconds: u64) -> String {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin in March, so that the
    // day of a leap year is the last one.
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests;
