#!/bin/sh
# The campaign of malformed matrices under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of its own.
#     tests/sanitize.sh [FOLDER] [pytest arguments]
# FOLDER (default build/sanitize) receives a copy of the sources; PYTHON and SPARSECORE_CAMPAIGN are obeyed.
set -e
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/build/sanitize}
[ $# -gt 0 ] && shift
python=${PYTHON:-python}
mkdir -p "$folder"
cp -Rp "$root/setup.py" "$root/pyproject.toml" "$root/README.md" "$root/LICENSE" "$root/csrc" "$root/sparsecore" "$root/tests" "$folder"/
rm -f "$folder"/sparsecore/_core*.so      # of another build
cd "$folder"
SPARSECORE_SANITIZE=address,undefined "$python" setup.py -q build_ext --inplace
# A stock Python: the sanitizers come first, and its own allocator steps aside.  Leaks are counted by test_memory.py.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    PYTHONPATH="$folder" OMP_NUM_THREADS=2 SPARSECORE_CAMPAIGN="${SPARSECORE_CAMPAIGN:-2000}" \
    "$python" -m pytest -q -s -p no:cacheprovider tests/test_malformed.py "$@"
