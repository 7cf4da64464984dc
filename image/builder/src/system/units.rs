//! Units of systemd, as far as a build can tell that they will work.

use crate::tree::{Tree, TreeError};

/// Where units are.
const FOLDERS: [&str; 2] = ["usr/lib/systemd/system", "etc/systemd/system"];
/// Settings with a command line.
const COMMANDS: [&str; 8] = [
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "ExecReloadPost",
];
/// What may stand before a program (systemd.service(5)).
const PREFIXES: [char; 6] = ['@', '-', ':', '+', '!', '|'];

/// Why a unit will not work.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// Its file.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What it runs is not there.
    #[error(
        "the unit {unit} runs {program}, which is not in the image; keep the program in the recipe, or drop the unit"
    )]
    NoProgram {
        /// Which unit.
        unit: String,
        /// Which program.
        program: String,
    },
}

/// Says whether all programs are there that units run.
///
/// # Errors
///
/// [`UnitsError::NoProgram`] names the first.
pub(super) fn check(root: &Tree) -> Result<(), UnitsError> {
    for folder in FOLDERS {
        for name in root.names(folder).filter(|name| name.ends_with(".service")) {
            let unit = format!("{folder}/{name}");
            if root.file(&unit).is_err() {
                continue;
            }
            for program in programs(&root.read_text(&unit)?) {
                if root.file(&program).is_err() {
                    return Err(UnitsError::NoProgram { unit, program });
                }
            }
        }
    }
    Ok(())
}

/// Programs by their paths; without one systemd looks in `/usr/bin`, mostly.
fn programs(unit: &str) -> Vec<String> {
    let program = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let value = COMMANDS.contains(&name.trim()).then(|| value.trim().trim_start_matches(PREFIXES))?;
        let program = value.split_whitespace().next()?;
        Some(if program.starts_with('/') { program.to_owned() } else { format!("/usr/bin/{program}") })
    };
    unit.lines().filter_map(program).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    #[test]
    fn programs_of_units_must_be_there() {
        let mut root = Tree::default();
        let unit = "[Service]\nExecStartPre=-!/usr/bin/a --b\nExecStart=@c d\n# ExecStop=/none\nExecStop=\n";
        assert_eq!(programs(unit), ["/usr/bin/a", "/usr/bin/c"]);
        root.insert("usr/lib/systemd/system/x.service", Node::file(unit.as_bytes())).unwrap();
        root.insert("usr/bin/a", Node::file(*b"")).unwrap();
        let error = check(&root).unwrap_err();
        assert!(matches!(&error, UnitsError::NoProgram { program, .. } if program == "/usr/bin/c"), "{error}");
        root.insert("usr/bin/c", Node::file(*b"")).unwrap();
        check(&root).unwrap();
    }
}
