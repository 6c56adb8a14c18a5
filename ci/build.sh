#!/usr/bin/env bash
# Finds the program, or builds it from the source that this action comes with. Output `path` says where it is.
set -euo pipefail
# shellcheck source=ci/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ -n "${INPUT_RUNNER_PATH:-}" ]; then
    runner="$(command -v -- "$INPUT_RUNNER_PATH")" || refuse "\`runner-path\`: $INPUT_RUNNER_PATH is no program"
else
    root="$RUNNER_TEMP/runner-program" # what action.yml caches
    runner="$root/bin/runner"
    # In the source's own folder: cargo obeys the .cargo/config.toml above the folder it is started in, and a pull request
    # could bring one.
    [ -x "$runner" ] || (
        cd "$ci/.."
        CARGO_TARGET_DIR="$RUNNER_TEMP/runner-target" cargo install --locked --path . --root "$root"
    )
fi
"$runner" --version
echo "path=$runner" >>"$GITHUB_OUTPUT"
