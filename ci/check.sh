#!/usr/bin/env bash
# Checks runbooks: one annotation per problem, at its line. Ends with runner's exit code.
set -euo pipefail

paths=()
while IFS= read -r line; do
    [ -z "$line" ] || paths+=("$line")
done <<<"${INPUT_RUNBOOK:-}"

code=0
"$RUNNER" check --format github ${paths[@]+-- "${paths[@]}"} || code=$?
echo "exitcode=$code" >>"$GITHUB_OUTPUT"
exit "$code"
