#!/usr/bin/env bash
# Checks and runs a runbook. Says how it ended. Ends with runner's exit code.
set -euo pipefail
# shellcheck source=ci/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

events="$(mktemp -d "$RUNNER_TEMP/runner-run.XXXXXX")/events.jsonl"
arguments_of run --json-into "$events"

code=0
"$RUNNER" check --format github ${INPUT_CONFIG:+--config "$INPUT_CONFIG"} -- "$INPUT_RUNBOOK" || code=$?
[ "$code" -ne 0 ] || literally supervise "$RUNNER" "${arguments[@]}" || code=$?
python3 "$ci/outputs.py" run "$events" "$code" || [ "$code" -ne 0 ] || code=1
exit "$code"
