//! Finding the packages that a recipe asks for, in the archive as it is today.
//!
//! apt itself finds them, in a folder of its own where nothing is installed and with the mirror alone as source: what
//! this machine has installed, pinned or added to its sources makes no difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use super::Locked;
use crate::{
    file::{self, FileError},
    process::{self, ProcessError},
    recipe::Debian,
};

/// The keys of Debian's archive: every Debian has them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What a system of Debian cannot do without, in the words of apt-patterns(7).
const ESSENTIAL: &str = "?essential";

/// Why the packages are not found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The folder for it cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// apt cannot read the archive.
    #[error("cannot read {suite} from {mirror}; check the network, or name another mirror with --mirror URL")]
    Update {
        /// The release.
        suite: String,
        /// The mirror.
        mirror: String,
        /// What apt said.
        #[source]
        source: ProcessError,
    },
    /// apt cannot find a package, or what it depends on.
    #[error("the archive does not have what the recipe asks for; mend the package lists of its [debian]")]
    Install(#[source] ProcessError),
    /// apt knows a package, but not what is in its archive.
    #[error("apt does not say where {package} is in the archive, and its hash; try again later")]
    Incomplete {
        /// Which.
        package: String,
    },
}

/// What apt tells of a package.
type Fields = BTreeMap<String, String>;

/// Finds the packages: those for the root, those to take apart, and the tools. `folder` is an empty one for apt.
///
/// # Errors
///
/// [`ResolveError`].
pub fn resolve(debian: &Debian, mirror: &str, folder: &Path) -> Result<[Vec<Locked>; 3], ResolveError> {
    let apt = Apt::new(debian, mirror, folder)?;
    let install = apt.simulate([ESSENTIAL].into_iter().chain(debian.install.iter().map(String::as_str)))?;
    let unpack = apt.exact(&debian.unpack)?;
    let tools = apt.simulate(debian.tools.iter().map(String::as_str))?;
    Ok([apt.locked(&install)?, apt.locked(&unpack)?, apt.locked(&tools)?])
}

/// apt with a folder of its own.
struct Apt<'a> {
    folder: &'a Path,
    architecture: &'a str,
}

impl<'a> Apt<'a> {
    fn new(debian: &'a Debian, mirror: &str, folder: &'a Path) -> Result<Self, ResolveError> {
        let Debian { suite, component, architecture, .. } = debian;
        for name in ["state/lists/partial", "cache/archives/partial", "etc"] {
            file::create_folder(&folder.join(name))?;
        }
        file::write(&folder.join("status"), b"")?;
        let source = format!("deb [arch={architecture} signed-by={KEYRING}] {mirror} {suite} {component}\n");
        file::write(&folder.join("sources.list"), source.as_bytes())?;
        let apt = Self { folder, architecture };
        let update = ["update", "--error-on=any"];
        process::run(apt.command("apt-get").args(update)).map_err(|source| ResolveError::Update {
            suite: suite.clone(),
            mirror: mirror.to_owned(),
            source,
        })?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, name) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "etc"),
            ("Dir::Etc::Preferences", "preferences"),
            ("Dir::Etc::PreferencesParts", "etc"),
        ] {
            command.arg("-o").arg(format!("{option}={}", self.folder.join(name).display()));
        }
        for option in ["APT::Install-Recommends=false", "APT::Sandbox::User=root", "Acquire::Languages=none"] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("APT::Architecture={}", self.architecture));
        command.arg("-o").arg(format!("APT::Architectures={}", self.architecture));
        command
    }

    /// What would be installed where nothing is: names and versions.
    fn simulate<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<(String, String)>, ResolveError> {
        let mut command = self.command("apt-get");
        command.args(["--simulate", "install"]).args(names);
        Ok(installed(&process::text(&mut command).map_err(ResolveError::Install)?))
    }

    /// The named packages, and those that they depend on in exactly their version, so that a kernel's name without a
    /// version brings the kernel along but not the makers of initrds.
    fn exact(&self, names: &[String]) -> Result<Vec<(String, String)>, ResolveError> {
        let (mut found, mut open) = (BTreeSet::new(), names.to_vec());
        while let Some(name) = open.pop() {
            let Some(fields) = self.show(std::slice::from_ref(&name))?.pop() else {
                return Err(ResolveError::Incomplete { package: name });
            };
            let version = fields.get("Version").cloned().unwrap_or_default();
            let depends = fields.get("Depends").map(String::as_str).unwrap_or_default();
            if found.insert((name, version.clone())) {
                open.extend(depends_exactly(depends, &version));
            }
        }
        Ok(found.into_iter().collect())
    }

    fn locked(&self, packages: &[(String, String)]) -> Result<Vec<Locked>, ResolveError> {
        let names: Vec<String> = packages.iter().map(|(name, version)| format!("{name}={version}")).collect();
        let shown = self.show(&names)?;
        let find = |name: &String, version: &String| {
            let fields = shown
                .iter()
                .find(|fields| fields.get("Package") == Some(name) && fields.get("Version") == Some(version))?;
            Some(Locked {
                name: name.clone(),
                version: version.clone(),
                path: fields.get("Filename")?.clone(),
                bytes: fields.get("Size")?.parse().ok()?,
                sha256: fields.get("SHA256")?.clone(),
            })
        };
        let incomplete = |name: &String| ResolveError::Incomplete { package: name.clone() };
        packages.iter().map(|(name, version)| find(name, version).ok_or_else(|| incomplete(name))).collect()
    }

    fn show(&self, names: &[String]) -> Result<Vec<Fields>, ResolveError> {
        let mut command = self.command("apt-cache");
        command.args(["show", "--no-all-versions"]).args(names);
        Ok(stanzas(&process::text(&mut command).map_err(ResolveError::Install)?))
    }
}

/// `Inst NAME (VERSION ...` of `apt-get --simulate`.
fn installed(said: &str) -> Vec<(String, String)> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
        Some((name.split(':').next()?.to_owned(), rest.split_whitespace().next()?.to_owned()))
    };
    said.lines().filter_map(package).collect()
}

/// `NAME (= VERSION)` in a line of dependencies, where the version is this one.
fn depends_exactly(depends: &str, version: &str) -> Vec<String> {
    let exact = |one: &str| Some(one.trim().strip_suffix(&format!("(= {version})"))?.trim().to_owned());
    depends.split(',').filter_map(exact).collect()
}

/// Paragraphs of `Field: value`. Lines that go on a field are left out: none of those that are asked for has any.
fn stanzas(text: &str) -> Vec<Fields> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (!line.starts_with(' ')).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.lines().filter_map(field).collect::<Fields>());
    paragraphs.filter(|fields| !fields.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_install() {
        let said = "Reading package lists...\n\
                    Inst libc6 (2.41-12+deb13u5 Debian:13.8/stable [amd64])\n\
                    Inst zlib1g:amd64 (1:1.3.dfsg+really1.3.1-1+b1 Debian:13.8/stable [amd64]) []\n\
                    Conf libc6 (2.41-12+deb13u5 Debian:13.8/stable [amd64])\n";
        let names = [("libc6", "2.41-12+deb13u5"), ("zlib1g", "1:1.3.dfsg+really1.3.1-1+b1")];
        assert_eq!(installed(said), names.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }

    #[test]
    fn a_package_without_a_version_brings_the_one_with_it() {
        let depends = "linux-image-6.12.117+deb13-amd64 (= 6.12.117-1), kmod, linux-base (>= 4.12~)";
        assert_eq!(depends_exactly(depends, "6.12.117-1"), ["linux-image-6.12.117+deb13-amd64"]);
        assert_eq!(depends_exactly(depends, "6.12.117-2"), [""; 0]);
    }

    #[test]
    fn fields_of_packages() {
        let text = "Package: a\nDescription: one\n Filename: not this\nFilename: pool/a.deb\n\nPackage: b\nSize: 7\n\n";
        let stanzas = stanzas(text);
        assert_eq!(stanzas.len(), 2);
        assert_eq!((stanzas[0]["Filename"].as_str(), stanzas[1]["Size"].as_str()), ("pool/a.deb", "7"));
    }
}
