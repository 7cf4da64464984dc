//! The kernel of an image, and those of its modules that a box may need.

mod modules;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

pub use modules::{Modules, ModulesError};

use crate::{
    file::{self, FileError},
    process::{self, ProcessError},
    recipe::Recipe,
    tools::{Tools, ToolsError},
    tree::{Content, Node, Tree, TreeError},
};

/// Where kernels have their modules.
const FOLDER: &str = "usr/lib/modules";

/// Why there is no kernel, or a module is missing.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Not one kernel in the packages.
    #[error("the unpacked packages have {0} kernels instead of one; correct `unpack` in the recipe")]
    Count(usize),
    /// A pattern of the recipe means nothing.
    #[error("the recipe's [kernel] keeps {0}, but the kernel has no such module; correct the line")]
    Nothing(String),
    /// Names and needs of modules.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// The kernel's files in its package.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The folder in which modules are looked at.
    #[error(transparent)]
    File(#[from] FileError),
    /// depmod or xz.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// They fail.
    #[error("cannot {action}")]
    Tool {
        /// What they were to do.
        action: String,
        /// What they said.
        #[source]
        source: ProcessError,
    },
}

/// A kernel with the modules that stay.
#[derive(Debug)]
pub struct Kernel {
    release: String,
    image: Vec<u8>,
    modules: Modules,
    /// The modules and depmod's tables, as they go into the root.
    files: Vec<(String, Node)>,
}

impl Kernel {
    /// Takes the kernel out of the unpacked packages and keeps the recipe's modules. `work` is an empty folder, which
    /// has to stay as long as the kernel is in use.
    ///
    /// # Errors
    ///
    /// [`KernelError`] names what the recipe has wrong.
    pub fn take(unpacked: &Tree, recipe: &Recipe, tools: &Tools, work: &Path) -> Result<Self, KernelError> {
        let releases: Vec<&str> = unpacked.names(FOLDER).collect();
        let [release] = releases[..] else { return Err(KernelError::Count(releases.len())) };
        let staged = Staged::new(unpacked, release, work)?;
        staged.depmod(tools)?;
        let kept = kept(&staged.modules()?, recipe)?;
        staged.keep(&kept)?;
        staged.depmod(tools)?;
        let image = unpacked.read(&format!("boot/vmlinuz-{release}"))?;
        Ok(Self { release: release.to_owned(), image, modules: staged.modules()?, files: staged.files(&kept)? })
    }

    /// As `uname -r` tells it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The bzImage.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Puts modules and tables into a root.
    ///
    /// # Errors
    ///
    /// [`KernelError::Tree`].
    pub fn install(&self, root: &mut Tree) -> Result<(), KernelError> {
        for (path, node) in &self.files {
            root.insert(path, node.clone())?;
        }
        Ok(())
    }

    /// Modules and all that they need, decompressed, in the order in which they are to be loaded: names of files, and
    /// their bytes.
    ///
    /// # Errors
    ///
    /// [`KernelError`].
    pub fn load(&self, names: &[String], tools: &Tools) -> Result<Vec<(String, Vec<u8>)>, KernelError> {
        let mut loaded = Vec::new();
        for path in self.modules.load_order(names)? {
            let place = format!("{FOLDER}/{}/{path}", self.release);
            let Some((_, Node { kind: crate::tree::Kind::File(content), .. })) =
                self.files.iter().find(|(name, _)| *name == place)
            else {
                return Err(ModulesError::Unknown(path).into());
            };
            let name = path.rsplit('/').next().unwrap_or(&path);
            let bytes = match name.strip_suffix(".xz") {
                None => (name, read(content, &place)?),
                Some(name) => (name, decompress(&read(content, &place)?, &path, tools)?),
            };
            loaded.push((bytes.0.to_owned(), bytes.1));
        }
        Ok(loaded)
    }
}

/// Modules that the recipe keeps, and all that they need.
fn kept(modules: &Modules, recipe: &Recipe) -> Result<BTreeSet<String>, KernelError> {
    let mut roots = Vec::new();
    for pattern in &recipe.kernel.modules {
        let before = roots.len();
        let below = |path: &&str| path.strip_prefix("kernel/").is_some_and(|path| pattern.matches(path));
        let excepted = |path: &str| {
            path.strip_prefix("kernel/")
                .is_some_and(|path| recipe.kernel.except.iter().any(|other| other.matches(path)))
        };
        roots.extend(modules.paths().filter(below).filter(|path| !excepted(path)));
        if roots.len() == before {
            return Err(KernelError::Nothing(pattern.to_string()));
        }
    }
    for name in recipe.boot.modules.iter().chain(&recipe.stick.modules) {
        roots.extend(modules.path(name)?);
    }
    Ok(modules.closure(roots)?)
}

fn read(content: &Content, place: &str) -> Result<Vec<u8>, KernelError> {
    let mut bytes = Vec::new();
    let fail = |source| TreeError::Read { path: place.to_owned(), source };
    content.open().and_then(|mut content| content.read_to_end(&mut bytes)).map_err(fail)?;
    Ok(bytes)
}

fn decompress(bytes: &[u8], path: &str, tools: &Tools) -> Result<Vec<u8>, KernelError> {
    let mut command = tools.command("xz")?;
    command.args(["--decompress", "--stdout"]);
    let failed = |source| KernelError::Tool { action: format!("decompress {path}"), source };
    process::feed(&mut command, &mut |pipe| pipe.write_all(bytes)).map_err(failed)
}

/// Modules on the machine's disk, for depmod.
struct Staged<'a> {
    release: &'a str,
    /// What depmod takes for a root.
    root: &'a Path,
    /// The modules' folder in it.
    folder: PathBuf,
}

impl<'a> Staged<'a> {
    fn new(unpacked: &Tree, release: &'a str, root: &'a Path) -> Result<Self, KernelError> {
        let prefix = format!("{FOLDER}/{release}/");
        let folder = root.join(&prefix);
        // depmod looks below `lib`, as before Debian had merged it with `usr/lib`.
        symlink("usr/lib", root.join("lib")).map_err(file::failed("make the link lib in", root))?;
        for (path, node) in unpacked.iter() {
            let (Some(name), crate::tree::Kind::File(content)) = (path.strip_prefix(&prefix), &node.kind) else {
                continue;
            };
            let place = folder.join(name);
            place.parent().map_or(Ok(()), file::create_folder)?;
            let mut out = file::create(&place)?;
            let copied = content.open().and_then(|mut content| io::copy(&mut content, &mut out));
            copied.map_err(file::failed("write", &place))?;
        }
        Ok(Self { release, root, folder })
    }

    fn depmod(&self, tools: &Tools) -> Result<(), KernelError> {
        let mut command = tools.command("depmod")?;
        command.arg("--basedir").arg(self.root).arg(self.release);
        let failed = |source| KernelError::Tool { action: "find out what modules need".to_owned(), source };
        process::run(&mut command).map_err(failed)?;
        Ok(())
    }

    fn modules(&self) -> Result<Modules, KernelError> {
        let read = |name| file::read_text(&self.folder.join(name));
        let (dep, softdep, alias) = (read("modules.dep")?, read("modules.softdep")?, read("modules.alias")?);
        Ok(Modules::parse(&dep, &softdep, &alias, &read("modules.builtin")?)?)
    }

    /// Removes all other modules.
    fn keep(&self, kept: &BTreeSet<String>) -> Result<(), KernelError> {
        for path in self.modules()?.paths().filter(|path| !kept.contains(*path)) {
            let place = self.folder.join(path);
            fs::remove_file(&place).map_err(file::failed("remove", &place))?;
        }
        Ok(())
    }

    fn files(&self, kept: &BTreeSet<String>) -> Result<Vec<(String, Node)>, KernelError> {
        let mut files = Vec::new();
        let tables = fs::read_dir(&self.folder).map_err(file::failed("read the folder", &self.folder))?;
        let mut names: Vec<String> = kept.iter().cloned().collect();
        for table in tables {
            let table = table.map_err(file::failed("read the folder", &self.folder))?;
            let name = table.file_name().to_string_lossy().into_owned();
            // The order of the build, which nobody reads any more.
            if name.starts_with("modules.") && name != "modules.order" {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let place = self.folder.join(&name);
            let bytes = file::length(&place)?;
            let node = Node { mode: 0o644, ..Node::program(place, bytes) };
            files.push((format!("{FOLDER}/{}/{name}", self.release), node));
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        materials::{Materials, Places},
        progress::Progress,
    };

    /// Fetches the locked packages if they are not in the cache.
    #[test]
    #[ignore = "150 MB from the mirror of Debian, and half a minute"]
    fn modules_are_loaded_as_modprobe_does() {
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cache = std::env::var("DOLMEN_CACHE").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/dolmen"));
        let places = Places {
            recipe: image.join("recipes/box.toml"),
            keys: image.join("keys/test"),
            cache: cache.join("image"),
            mirror: None,
        };
        let materials = Materials::gather(&places, false, &Progress::silent()).unwrap();
        let Materials { kernel, tools, recipe, work, .. } = &materials;
        let names: BTreeSet<&String> = recipe.boot.modules.iter().chain(&recipe.stick.modules).collect();
        for name in names {
            let mut modprobe = tools.command("modprobe").unwrap();
            modprobe.arg("--dirname").arg(work.path().join("modules"));
            modprobe.args(["--set-version", kernel.release(), "--show-depends", name]);
            let said = process::text(&mut modprobe).unwrap();
            let file = |line: &str| Some(line.strip_prefix("insmod ")?.trim().rsplit('/').next()?.to_owned());
            let order = kernel.modules.load_order(std::slice::from_ref(name)).unwrap();
            let order: Vec<String> = order.iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect();
            // It names what several others need several times.
            let mut expected: Vec<String> = Vec::new();
            said.lines().filter_map(file).for_each(|file| {
                if !expected.contains(&file) {
                    expected.push(file);
                }
            });
            assert_eq!(order, expected, "{name}");
        }
    }
}
