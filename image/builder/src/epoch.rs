//! The one time that all files of an image have.

use std::path::Path;

use crate::process;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// `SOURCE_DATE_EPOCH` is no number.
    #[error("SOURCE_DATE_EPOCH is {0:?}; set it to seconds since 1970 up to 2106, or unset it")]
    Variable(String),
}

/// `SOURCE_DATE_EPOCH` if it is set, else the time of the last commit of the checkout that `folder` is in, else what the
/// recipe says.
///
/// # Errors
///
/// [`EpochError`].
pub fn epoch(variable: Option<&str>, folder: &Path, recipe: u64) -> Result<u64, EpochError> {
    if let Some(text) = variable {
        let seconds = text.parse::<u32>().map_err(|_| EpochError::Variable(text.to_owned()))?;
        return Ok(u64::from(seconds));
    }
    // Of the recipe's folder alone it would be older; of the whole tree it is that of the programs too.
    let mut command = process::command("git", ["log", "-1", "--format=%ct"]);
    let said = process::text(command.current_dir(folder)).ok();
    Ok(said.and_then(|said| said.trim().parse().ok()).unwrap_or(recipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(epoch(Some("1790000000"), folder.path(), 7).unwrap(), 1_790_000_000);
        assert_eq!(epoch(None, folder.path(), 7).unwrap(), 7);
        for wrong in ["", "now", "-1", "4294967296"] {
            assert!(matches!(epoch(Some(wrong), folder.path(), 7), Err(EpochError::Variable(_))), "{wrong}");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let inside = process::text(process::command("git", ["rev-parse"]).current_dir(here)).is_ok();
        assert_eq!(epoch(None, here, 7).unwrap() == 7, !inside);
    }
}
