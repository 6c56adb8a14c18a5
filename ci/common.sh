# What the steps of action.yml share. Inputs come in variables, `runbook` in INPUT_RUNBOOK: what somebody wrote into a
# pull request never becomes part of a script.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who read this file in
ci="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

refuse() {
    echo "::error title=runner::$1"
    exit 3
}

# The arguments of `runner $1` that the inputs stand for, in the array `arguments`. What else there is to say is $2 and on.
arguments_of() {
    arguments=("$@" --no-input)
    [ -z "${INPUT_ENV:-}" ] || arguments+=(--env "$INPUT_ENV")
    [ -z "${INPUT_PARAMS_FILE:-}" ] || arguments+=(--params-file "$INPUT_PARAMS_FILE")
    [ -z "${INPUT_CONFIG:-}" ] || arguments+=(--config "$INPUT_CONFIG")
    local line
    while IFS= read -r line; do
        [ -z "$line" ] || arguments+=(--param "$line")
    done <<<"${INPUT_PARAMS:-}"
    while IFS= read -r line; do
        [ -z "$line" ] || arguments+=("$line")
    done <<<"${INPUT_ARGUMENTS:-}"
    arguments+=(-- "$INPUT_RUNBOOK")
}

# Runs a command so that what stops the job reaches it, and its exit code is kept. GitHub sends SIGINT to a step's first
# process only, which is this script; after 7.5 s SIGTERM, after 2.5 s more it kills. `exec` would pass the signals on as
# well, but nobody would be left to say what the exit code was.
supervise() {
    local child code=0 signalled=yes
    set -m # without job control, bash starts commands in the background with SIGINT ignored
    "$@" </dev/null &
    child=$!
    set +m
    trap 'signalled=yes; kill -INT "$child" 2>/dev/null || true' INT
    trap 'signalled=yes; kill -TERM "$child" 2>/dev/null || true' TERM
    while [ -n "$signalled" ]; do
        signalled=
        code=0
        wait "$child" || code=$?
    done
    trap - INT TERM
    return "$code"
}

# Runs a command whose output is text, also where it looks like a command to GitHub: a runbook may log anything. Both
# streams go one way, or a line of the second could come after the end of the first.
literally() {
    local code=0 token
    token="$(python3 -c 'import secrets; print(secrets.token_hex(16))')"
    echo "::stop-commands::$token"
    "$@" 2>&1 || code=$?
    printf '\n::%s::\n' "$token"
    return "$code"
}
