# shellcheck shell=bash
# Sourced by the scripts of this project, after `set -euo pipefail`.

# The top of the checkout, wherever the caller stands.
# shellcheck disable=SC2034 # used by the scripts that source this file
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

# quietly COMMAND...: its output only matters when it fails.
quietly() {
    local output status=0
    output=$("$@" 2>&1) || status=$?
    if ((status != 0)); then
        printf '%s\n' "$output" >&2
    fi
    return "$status"
}

# build PRESET [cmake option...]: configures and builds; prints nothing unless it fails.
build() {
    local preset=$1
    shift
    # In a subshell, because presets are looked up in the current directory.
    (cd "$root" && quietly cmake --preset "$preset" "$@" \
        && quietly cmake --build --preset "$preset" -j"$(nproc)")
}

# stage NAME COMMAND...: runs one stage of a longer job. A failure ends the script through `set -e`,
# and stages_end() names the stage; so no stage may be called in a condition, which suspends `set -e`.
stages=()
stage_now=
stage() {
    local start=$SECONDS
    stage_now=$1
    printf '\n== %s\n' "$stage_now"
    shift
    "$@"
    stages+=("$(printf '%5d s  %s' "$((SECONDS - start))" "$stage_now")")
    stage_now=
}

# stages_end: the summary, the last thing that a script with stages prints. For its EXIT trap.
stages_end() {
    local status=$?
    printf '\n'
    if ((${#stages[@]} > 0)); then
        printf '%s\n' "${stages[@]}"
    fi
    printf '%5d s  in all\n' "$SECONDS"
    if ((status != 0)); then
        printf '%s: failed in stage "%s"\n' "$0" "${stage_now:-start}" >&2
    fi
}
