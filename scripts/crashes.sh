#!/usr/bin/env bash
# All crashes of docs/reliability.md, one after the other: an hour and a half on two cores. CI has a share of them.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
cargo build --locked --profile sweep
runner="$target/sweep/runner"
python="$target/tmp/moto/venv/bin/python" # which `cargo test` has installed
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
step() { printf '\n== %s\n' "$*"; "$@"; }

first=(--param image=ami-healthy-1)
step "$runner" test runbooks/prod-deploy.rhai --crashes "${first[@]}"
step "$runner" run runbooks/prod-deploy.rhai --sim --world "$work/world" --journal "$work/journal" "${first[@]}" -qq
step "$runner" test runbooks/prod-deploy.rhai --crashes --param image=ami-healthy-2 --world "$work/world"
step "$runner" test runbooks/staging-deploy.rhai --crashes "${first[@]}"
step "$runner" test runbooks/prod-deploy.rhai --crashes --double 10000 "${first[@]}"
step scripts/kill_points.py --runner "$runner" --results "$work/killed"
step scripts/kill_points.py --runner "$runner" --moto "$python" --results "$work/moto"
step scripts/kill_points.py --runner "$runner" --errors --results "$work/errors"
step scripts/kill_points.py --runner "$runner" --random 200 --results "$work/random"
