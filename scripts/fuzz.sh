#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes: each target of tests/fuzz, or those that are named, one after the other.
#
#   scripts/fuzz.sh [TARGET...]
#
# libFuzzer is guided by the code that an input reaches. It comes with the crate libfuzzer-sys, and the pinned compiler
# can instrument what it compiles: neither another toolchain nor a tool of cargo's is needed. Each target is fuzzed for
# ${DOLMEN_FUZZ_SECONDS:-60} seconds. Inputs that reached something new are kept in the target directory, for the next
# time; one that breaks a target is left in tests/fuzz/regressions/TARGET, where the test of the same name reads it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${DOLMEN_FUZZ_SECONDS:-60}
directory=${CARGO_TARGET_DIR:-target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')

# Instrumented, so in a directory of its own; --target, so that programs of the build are not. Overflows and failed
# assertions of debugging are findings: the profile is dev. `--cfg fuzzing` is left out, by which some crates would no
# longer check signatures.
flags=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Ccodegen-units=1
)
RUSTFLAGS="${flags[*]}" CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_INCREMENTAL=0 \
  cargo build --locked -p dolmen-fuzz --features libfuzzer --target "$triple" --target-dir "$directory"
program=$directory/$triple/debug/dolmen-fuzz

if (($# > 0)); then
  targets=("$@")
else
  mapfile -t targets < <("$program" 2>/dev/null)
fi

broken=()
printf '%-24s %12s %10s %8s %8s\n' target executions per_second edges corpus
for target in "${targets[@]}"; do
  regressions=tests/fuzz/regressions/$target
  corpus=$directory/corpus/$target
  seeds=$directory/seeds/$target
  log=$directory/$target.log
  mkdir -p "$regressions" "$corpus" "$seeds"
  status=0
  DOLMEN_FUZZ_TARGET=$target DOLMEN_FUZZ_SEEDS=$seeds "$program" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$regressions/" "$corpus" "$seeds" "$regressions" >"$log" 2>&1 || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  edges=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+' || true)
  printf '%-24s %12s %10s %8s %8s\n' "$target" "${executions:-?}" \
    "$((${executions:-0} / (seconds > 0 ? seconds : 1)))" "${edges:-?}" "$(find "$corpus" -type f | wc -l)"
  # An input of before need not break it any more; git keeps no empty directories.
  rmdir "$regressions" 2>/dev/null || true
  if ((status != 0)); then
    broken+=("$target")
    tail -n 30 "$log" >&2
  fi
done

if ((${#broken[@]} > 0)); then
  echo "fuzz: broken: ${broken[*]}; the inputs lie in tests/fuzz/regressions, the logs in $directory" >&2
  exit 1
fi
echo "fuzz: ${#targets[@]} targets, $seconds s each, none broken"
