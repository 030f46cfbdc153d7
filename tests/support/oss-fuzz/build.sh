#!/bin/bash -eu
# Builds the targets for fuzzing into $OUT, each with seeds and a dictionary, where OSS-Fuzz calls it: in its image for
# Python (base-builder-python), which brings atheris, PyInstaller and compile_python_fuzzer.
cd "$(dirname "$0")/../../.."

pip3 install --extra-index-url https://download.pytorch.org/whl/cpu .

seeds=$(mktemp -d)
for target in fuzz_container fuzz_plugin; do
    python3 -m "tests.support.$target" --seeds "$seeds/$target"
    python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" "$seeds/$target/"*
    printf '"%s"\n' HEAD RANG INDX TILE iccp exif xmpp cmnt phys durs loop thmb arry >"$OUT/$target.dict"
    printf '[libfuzzer]\nclose_fd_mask = 3\n' >"$OUT/$target.options"
    compile_python_fuzzer "tests/support/$target.py" --paths . --collect-data agvae
done
