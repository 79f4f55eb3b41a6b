#!/usr/bin/env bash
# Everything that CI checks except the tests: `npm run check`. Prints what failed, and exits 1 where something did.
# With names, only these checks: `npm run check -- types lint`.
set -uo pipefail
cd "$(dirname "$0")/.."

generated_code() { # what is committed is what the generator makes
  npx buf generate && git diff --exit-code --stat -- gen && [ -z "$(git status --porcelain -- gen)" ]
}
config_schema() { npm run --silent schema && git diff --exit-code --stat -- config.schema.json; }
api_reference() { npm run --silent api && git diff --exit-code --stat -- docs/api && [ -z "$(git status --porcelain -- docs/api)" ]; }
packages() {
  npm run --silent build || return 1
  npx attw --pack . --profile esm-only --ignore-rules cjs-resolves-to-esm no-resolution || return 1
  for folder in . packages/client plugins/*/; do npx publint --strict "$folder" || return 1; done
}
# The exposure of the service unit, in tenths. Only where systemd is installed.
systemd_unit() {
  command -v systemd-analyze >/dev/null || return 0
  systemd-analyze security --offline=true --no-pager --threshold=20 deploy/systemd/jackfield@.service
}

declare -A command=(
  [protobuf-lint]="npx buf lint"
  [protobuf-format]="npx buf format --diff --exit-code proto"
  [generated-code]=generated_code
  [configuration-schema]=config_schema
  [types]="npx tsc -p ."
  [lint]="npx oxlint --type-aware"
  [format]="npx oxfmt --check"
  [dead-code]="npx knip"
  [packages]=packages
  [api-reference]=api_reference
  [systemd-unit]=systemd_unit
)
order=(protobuf-lint protobuf-format generated-code configuration-schema types lint format dead-code packages api-reference systemd-unit)

failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
for name in "${@:-${order[@]}}"; do
  started=$SECONDS
  # shellcheck disable=SC2086
  if ${command[$name]} >"$logs/out" 2>&1; then
    printf 'ok      %s (%s s)\n' "$name" $((SECONDS - started))
  else
    failed=1; printf 'FAILED  %s\n' "$name"; tail -n 80 "$logs/out" | sed 's/^/        /'
  fi
done
exit $failed
