#!/usr/bin/env bash
# Runs one command as a named step and says how long it took.
#
#   scripts/step.sh NAME COMMAND [ARGUMENT...]
#   scripts/step.sh --last NAME COMMAND [ARGUMENT...]   prints nothing after the command: its last line stays last
set -euo pipefail

last=false
if [[ ${1:-} == --last ]]; then
  last=true
  shift
fi
if (($# < 2)); then
  echo "usage: scripts/step.sh [--last] NAME COMMAND [ARGUMENT...]" >&2
  exit 2
fi
name=$1
shift

printf '==> %s\n' "$name"
if $last; then
  exec "$@"
fi

status=0
"$@" || status=$?
if ((status == 0)); then
  printf '==> %s: %d s\n' "$name" "$SECONDS"
else
  printf '==> %s: failed after %d s with exit status %d: %s\n' "$name" "$SECONDS" "$status" "$*" >&2
fi
exit "$status"
