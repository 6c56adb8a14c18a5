#!/usr/bin/env bash
# Checks and plans a runbook. Leaves the plan in a folder, and says what is in it. Ends with runner's exit code.
set -euo pipefail
# shellcheck source=ci/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The settings of the base branch that speak for the runbook: those with the given name, else the nearest above it. They
# are looked for where the base has them, so a change cannot get rid of a policy by moving its own.
base_settings() {
    local base="$1" dir
    if [ -n "${INPUT_CONFIG:-}" ] && [ -f "$base/$INPUT_CONFIG" ]; then
        echo "$base/$INPUT_CONFIG"
        return
    fi
    dir="$(dirname -- "$INPUT_RUNBOOK")"
    while [ "$dir" != . ] && [ "$dir" != / ] && [ ! -f "$base/$dir/runner.toml" ]; do
        dir="$(dirname -- "$dir")"
    done
    [ ! -f "$base/$dir/runner.toml" ] || echo "$base/$dir/runner.toml"
}

folder="$(mktemp -d "$RUNNER_TEMP/runner-plan.XXXXXX")"
formats=(--format text --format markdown --format json --format html --out "$folder")
policy=()
if [ -n "${INPUT_BASE:-}" ]; then
    settings="$(base_settings "$INPUT_BASE")"
    if [ -n "$settings" ]; then
        policy=(--policy-from "$settings")
    else
        echo "::warning title=runner::the base branch has no runner.toml for this runbook, so it has no policy to obey"
    fi
fi
arguments_of plan --untrusted "${formats[@]}" ${policy[@]+"${policy[@]}"}

# Problems of the script become annotations one by one. The plan is asked for all the same: it says so in the comment.
checked=0
"$RUNNER" check --format github ${INPUT_CONFIG:+--config "$INPUT_CONFIG"} -- "$INPUT_RUNBOOK" || checked=$?
code=0
literally supervise "$RUNNER" "${arguments[@]}" || code=$?

annotate=()
[ "$checked" -ne 0 ] || annotate=(--annotate)
python3 "$ci/outputs.py" plan "$folder" "$code" ${annotate[@]+"${annotate[@]}"} || [ "$code" -ne 0 ] || code=1
[ "$code" -ne 0 ] || code=$checked
exit "$code"
