# SPDX-License-Identifier: MIT
# bash completion for btfcheck; made by scripts/manuals
_btfcheck() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "check matrix rules explain scan encode validate gate baseline probe --help --version" -- "$cur")); return
  fi
  case "$prev" in
    --fail-on) words="error warning note never" ;;
    --color) words="auto always never" ;;
    --stage) words="config toolchain dwarf btf encode" ;;
    --as) words="user vmlinux module" ;;
  esac
  if [ -z "$words" ] && [[ $cur == -* ]]; then
    case "${COMP_WORDS[1]}" in
      check) words="--help --want --want-file --kernel --tree --no-shell --rules --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      matrix) words="--help --kernel --tree --axis --pahole --rustc --llvm --bindgen --shell --write --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      rules) words="--help --rules --stage --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      explain) words="--help --log --rust-types --btf --base --pahole --pahole-version --debug-root --first --want --want-file --kernel --tree --no-shell --rules --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      scan) words="--help --pahole-version --kernel --config --examples --walk-all --debug-root --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      encode) words="--help --pahole --kernel --config --tree --base --external --btf --debug-root --timeout --memory --keep --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      validate) words="--help --kernel --as --base --installed --root --first --oracle --big-endian --diff --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      gate) words="--help --config --kernel --installed --root --encode --pahole --tree --cache --rehash --executor --debug-root --show-policy --timeout --memory --keep --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      baseline) words="--help --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
      probe) words="--help --fact --timeout --output --fail-on --policy --baseline --allow-unknown --no-probe --jobs --color --quiet --verbose" ;;
    esac
  fi
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _btfcheck btfcheck
