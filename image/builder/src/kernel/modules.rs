//! Which module needs which, and in which order they are loaded.
//!
//! Source: modules.dep(5) and modprobe.d(5) for `softdep`.

use std::collections::{BTreeMap, BTreeSet};

/// Why modules cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// The kernel has none of that name.
    #[error("the kernel has no module {0}; correct its name in the recipe, or leave it out")]
    Unknown(String),
    /// A line that is none.
    #[error("the kernel's modules.dep is damaged at {0:?}; unpack its package again")]
    Damaged(String),
}

/// What depmod found out about a kernel's modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Path of a module below the kernel's folder, and of those that it needs: what has to be loaded first comes last.
    needs: BTreeMap<String, Vec<String>>,
    /// Path of each module by its name.
    paths: BTreeMap<String, String>,
    /// Names of modules, or of what they can do, that should be there before another.
    before: BTreeMap<String, Vec<String>>,
    /// Names of modules by what they can do, such as `crc32c`.
    aliases: BTreeMap<String, Vec<String>>,
    /// Names of those that are part of the kernel itself.
    builtin: BTreeSet<String>,
}

impl Modules {
    /// Reads `modules.dep`, `modules.softdep`, `modules.alias` and `modules.builtin`.
    ///
    /// # Errors
    ///
    /// [`ModulesError::Damaged`].
    pub fn parse(dep: &str, softdep: &str, alias: &str, builtin: &str) -> Result<Self, ModulesError> {
        let mut modules = Self { builtin: builtin.lines().map(name_of).collect(), ..Self::default() };
        for line in dep.lines() {
            let (path, needs) = line.split_once(':').ok_or_else(|| ModulesError::Damaged(line.to_owned()))?;
            modules.paths.insert(name_of(path), path.to_owned());
            modules.needs.insert(path.to_owned(), needs.split_whitespace().map(str::to_owned).collect());
        }
        for line in softdep.lines() {
            let mut words = line.split_whitespace();
            let (Some("softdep"), Some(name)) = (words.next(), words.next()) else { continue };
            let pre = words.skip_while(|word| *word != "pre:").skip(1).take_while(|word| !word.ends_with(':'));
            modules.before.entry(normal(name)).or_default().extend(pre.map(normal));
        }
        for line in alias.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Aliases with patterns are those of devices.
            if let ["alias", alias, name] = words[..] {
                modules.aliases.entry(normal(alias)).or_default().push(normal(name));
            }
        }
        Ok(modules)
    }

    /// Paths of all modules.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.needs.keys().map(String::as_str)
    }

    /// The path of a module by its name; none if it is part of the kernel.
    ///
    /// # Errors
    ///
    /// [`ModulesError::Unknown`].
    pub fn path(&self, name: &str) -> Result<Option<&str>, ModulesError> {
        match self.paths.get(&normal(name)) {
            Some(path) => Ok(Some(path)),
            None if self.builtin.contains(&normal(name)) => Ok(None),
            None => Err(ModulesError::Unknown(name.to_owned())),
        }
    }

    /// These modules and all that they need, by path.
    ///
    /// # Errors
    ///
    /// [`ModulesError::Unknown`].
    pub fn closure<'a>(&'a self, paths: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<String>, ModulesError> {
        let mut order = Vec::new();
        paths.into_iter().try_for_each(|path| self.visit(path, &mut order, &mut BTreeSet::new()))?;
        Ok(order.into_iter().collect())
    }

    /// Paths of these modules and of all that they need, each behind those that it needs.
    ///
    /// # Errors
    ///
    /// [`ModulesError::Unknown`].
    pub fn load_order(&self, names: &[String]) -> Result<Vec<String>, ModulesError> {
        let mut order = Vec::new();
        for name in names {
            if let Some(path) = self.path(name)? {
                self.visit(path, &mut order, &mut BTreeSet::new())?;
            }
        }
        Ok(order)
    }

    /// As modprobe does: what should be there before, then what a module needs, then itself.
    fn visit(&self, path: &str, order: &mut Vec<String>, open: &mut BTreeSet<String>) -> Result<(), ModulesError> {
        // Modules that should each be there before the other exist.
        if order.iter().any(|known| known == path) || !open.insert(path.to_owned()) {
            return Ok(());
        }
        let needs = self.needs.get(path).ok_or_else(|| ModulesError::Unknown(path.to_owned()))?;
        for name in self.before.get(&name_of(path)).into_iter().flatten() {
            // It may be one that this kernel does not have at all.
            let names = self.aliases.get(name).into_iter().flatten().chain([name]);
            for before in names.filter_map(|name| self.paths.get(name)) {
                self.visit(before, order, open)?;
            }
        }
        for need in needs.iter().rev() {
            self.visit(need, order, open)?;
        }
        order.push(path.to_owned());
        Ok(())
    }
}

/// The name of a module by its path: `kernel/drivers/md/dm-verity.ko.xz` is `dm_verity`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split(".ko").next().unwrap_or(file))
}

/// modprobe makes no difference between `-` and `_`.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/a.ko.xz: kernel/b.ko.xz kernel/c.ko.xz\nkernel/b.ko.xz: kernel/c.ko.xz\n\
                       kernel/c.ko.xz:\nkernel/x-y.ko.xz:\nkernel/z.ko.xz:\n";
    const SOFT: &str = "# Soft dependencies\nsoftdep c pre: x-y none post: a\nsoftdep x_y pre: c\nsoftdep z pre: sum\n";
    const ALIAS: &str = "# Aliases\nalias pci:v*d* a\nalias sum c\n";

    fn modules() -> Modules {
        Modules::parse(DEP, SOFT, ALIAS, "kernel/ext9.ko\n").unwrap()
    }

    fn order(names: &[&str]) -> Result<Vec<String>, ModulesError> {
        modules().load_order(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_needed_is_loaded_first() {
        assert_eq!(order(&["a", "z"]).unwrap(), ["x-y", "c", "b", "a", "z"].map(|name| format!("kernel/{name}.ko.xz")));
        assert_eq!(order(&["z"]).unwrap(), ["x-y", "c", "z"].map(|name| format!("kernel/{name}.ko.xz")));
        assert_eq!(order(&["x_y"]).unwrap(), ["c", "x-y"].map(|name| format!("kernel/{name}.ko.xz")));
    }

    #[test]
    fn what_is_built_in_is_not_loaded_and_what_is_unknown_refused() {
        assert_eq!(order(&["ext9"]).unwrap(), [""; 0]);
        assert!(matches!(order(&["z", "ext8"]), Err(ModulesError::Unknown(name)) if name == "ext8"));
        assert!(matches!(Modules::parse("kernel/a.ko.xz\n", "", "", ""), Err(ModulesError::Damaged(_))));
    }

    #[test]
    fn a_closure_has_all_that_is_needed() {
        let closure = modules().closure(["kernel/b.ko.xz"]).unwrap();
        assert_eq!(closure, ["b", "c", "x-y"].map(|name| format!("kernel/{name}.ko.xz")).into());
    }
}
