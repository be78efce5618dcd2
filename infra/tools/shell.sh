# shellcheck shell=sh
# Functions of the scripts in this folder, which source this file.

need() { # tools
  for tool; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool is missing. Install it, then run this script again." >&2; exit 2; }
  done
}

# The output of a command without carriage returns, which tools on Windows print. Fails with the command.
lines_of() {
  answer="$("$@")" || return
  printf '%s\n' "$answer" | tr -d '\r'
}

# The last line of that output: a tool may print a warning before the value.
value_of() {
  answer="$(lines_of "$@")" || return
  printf '%s\n' "$answer" | tail -n 1
}
