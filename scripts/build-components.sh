#!/bin/sh
# Builds the test components that need a language toolchain into target/components (or $1).
# The toolchain comes from the npm registry, pinned, into target/toolchains; nothing is installed elsewhere.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/target/components}
jco=1.35.0
tools=$root/target/toolchains/jco-$jco

for program in node npm; do
    command -v "$program" >/dev/null || {
        echo "build-components: $program is missing; install Node.js 22 or newer" >&2
        exit 1
    }
done

if [ ! -x "$tools/node_modules/.bin/jco" ]; then
    mkdir -p "$tools"
    printf '{"private":true}\n' >"$tools/package.json"
    # Install scripts stay off: nothing but the compiler itself is to run.
    (cd "$tools" && npm install --ignore-scripts --no-audit --no-fund --save-exact "@bytecodealliance/jco@$jco")
fi

mkdir -p "$out"
source=$root/testdata/components/text
if [ ! -e "$out/text.wasm" ] || [ "$source/text.js" -nt "$out/text.wasm" ] || [ "$source/text.wit" -nt "$out/text.wasm" ]; then
    # The QuickJS backend with WASI stubbed out: the component imports nothing.
    "$tools/node_modules/.bin/jco" componentize "$source/text.js" --wit "$source/text.wit" -n tools \
        --backend quickjs --backend-qjs-stub-wasi --backend-qjs-disable-async -o "$out/text.wasm.part"
    mv "$out/text.wasm.part" "$out/text.wasm"
fi
echo "build-components: $out/text.wasm"
