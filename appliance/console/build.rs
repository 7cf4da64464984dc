//! Builds the page with Vite and embeds it, compressed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// What the page is made of.
const SOURCES: [&str; 6] = ["src", "public", "index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"];

fn main() -> anyhow::Result<()> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=DOLMEN_CACHE");
    let (here, out) = (directory("CARGO_MANIFEST_DIR")?, directory("OUT_DIR")?);
    let page = out.join("page");
    ensure!(
        here.join("node_modules/vite").is_dir(),
        "what the page is built with is not here; run `scripts/setup.sh build`"
    );
    let to = page.to_str().context("the build directory is not UTF-8")?;
    npm(&here, &["exec", "--", "vite", "build", "--outDir", to, "--emptyOutDir", "--logLevel", "warn"])?;
    // Its `load_directory` would have cargo watch the directory that this writes, and so build the page each time.
    let code = memory_serve::assets_to_code(to, &page, &out, true, |_| {});
    fs::write(out.join("page.rs"), code).context("the list of the page's files cannot be written")
}

fn directory(variable: &str) -> anyhow::Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| format!("cargo does not say {variable}"))
}

/// Runs npm, of the PATH or of where `make setup` put Node.js.
fn npm(here: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let cache = env::var_os("DOLMEN_CACHE").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/dolmen"));
    let own = cache.or(home).map(|cache| cache.join("node/bin"));
    let known = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(own.into_iter().chain(env::split_paths(&known)))?;
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(here).env("PATH", path);
    let ended =
        command.output().context("the page is built with Node.js, which is not here; run `scripts/setup.sh build`")?;
    let said = [ended.stdout, ended.stderr].concat();
    ensure!(ended.status.success(), "`npm {}` failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&said));
    Ok(())
}
