//! The subcommands, and what they have in common.

pub(crate) mod build;
pub(crate) mod compare;
pub(crate) mod lock;
pub(crate) mod root;
pub(crate) mod usb;
pub(crate) mod verify;

use std::{
    env, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use dolmen_image_builder::{epoch, materials::Places, recipe::Recipe};

/// The test keys, in a checkout.
const TEST_KEYS: &str = "image/keys/test";

/// Where the recipe, its packages and the cache are.
#[derive(Args, Clone)]
pub(crate) struct SourceArgs {
    /// The recipe; its lock and the files laid over the root are beside it.
    #[arg(long, value_name = "FILE", default_value = "image/recipes/box.toml")]
    recipe: PathBuf,
    /// Where downloads, roots and tools are kept [default: image in $DOLMEN_CACHE or in ~/.cache/dolmen].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The mirror of Debian [default: the one that this machine's apt uses].
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Who signs.
#[derive(Args, Clone)]
pub(crate) struct SigningArgs {
    /// The folder with the keys [default: the test keys, which everybody has].
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Refuse the test keys.
    #[arg(long, requires = "keys")]
    production: bool,
}

impl SourceArgs {
    pub(crate) fn places(&self, keys: Option<&Path>) -> anyhow::Result<Places> {
        let cache = self.cache.clone().map_or_else(default_cache, Ok)?;
        let keys = keys.unwrap_or(Path::new(TEST_KEYS)).to_owned();
        Ok(Places { recipe: self.recipe.clone(), keys, cache, mirror: self.mirror.clone() })
    }
}

fn default_cache() -> anyhow::Result<PathBuf> {
    let set = env::var_os("DOLMEN_CACHE").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/dolmen"));
    let cache = set.or_else(home).context("neither DOLMEN_CACHE nor HOME is set; name a folder with --cache DIR")?;
    Ok(cache.join("image"))
}

/// The time of all files of an image.
pub(crate) fn seconds(recipe: &Recipe, workspace: &Path) -> anyhow::Result<u64> {
    Ok(epoch::epoch(env::var("SOURCE_DATE_EPOCH").ok().as_deref(), workspace, recipe.epoch)?)
}

/// The checkout, as an absolute path.
pub(crate) fn workspace() -> anyhow::Result<PathBuf> {
    env::current_dir().context("cannot tell which folder this runs in")
}

/// A line for the person, which may be gone.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{line}")
}
