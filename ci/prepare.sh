#!/usr/bin/env bash
# The first step: refuses inputs that make no sense, and says under which key the built program is cached.
set -euo pipefail
# shellcheck source=ci/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case "${INPUT_COMMAND:-}" in
    plan | run) [ -n "${INPUT_RUNBOOK:-}" ] || refuse "\`command: $INPUT_COMMAND\` needs a \`runbook\`" ;;
    check) ;;
    comment) [ -n "${INPUT_PLANS:-}" ] || refuse "\`command: comment\` needs \`plans\`, the folder with the downloaded plans" ;;
    *) refuse "\`command\` is \`${INPUT_COMMAND:-}\`, which is none of plan, run, check and comment" ;;
esac
for path in "${INPUT_RUNBOOK:-}" "${INPUT_CONFIG:-}"; do
    case "/$path/" in
        */../*) refuse "\`$path\` leaves the repository" ;;
    esac
done

# Whatever goes into the program, and what it is built on.
cd "$ci/.."
digest="$({
    echo "${ImageOS:-}" "$(uname -sm)"
    find Cargo.toml Cargo.lock src stdlib -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -c1-32)"
echo "key=runner-$digest" >>"$GITHUB_OUTPUT"
