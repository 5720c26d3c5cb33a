#!/bin/sh
# The kernels' own tests on processors that this machine is not, under qemu-user:
#     check.sh SOURCE_DIR WORK_DIR
# 64-bit Arm with the dot product and without it, and x86-64 without AVX. Built here, statically, with whatever of libjansson's
# headers the system has (types only). Exit 77, with the reason, where a compiler or emulator is missing.
set -eu
source=$1 work=$2
flags="-std=gnu17 -O2 -D_GNU_SOURCE -fno-strict-aliasing -fno-math-errno -ffp-contract=off -ffunction-sections -fdata-sections"
flags="$flags -I$source/runtime -I$source/runtime/base -I$source/tests/support/emulated -isystem $work/headers"

# build NAME COMPILER FORMS: FORMS are the endings of the sources that are another processor's.
build()
{
    name=$1 compiler=$2 others=$3
    rm -rf "$work/$name"
    mkdir -p "$work/$name"
    for file in "$source"/runtime/kernels/*.c "$source"/runtime/base/*.c "$source"/tests/unit/runtime/test_linear.c \
        "$source"/tests/unit/runtime/test_ops.c "$source"/tests/unit/runtime/test_attention.c "$source"/tests/unit/runtime/test_kv.c \
        "$source"/tests/support/emulated/run_emulated.c; do
        base=$(basename "$file" .c) own=
        case " $others hash json " in *" ${base##*_} "*) continue ;; esac
        case $base in
        *_neon) own="-march=armv8.2-a+dotprod" ;;
        *_avx2) own="-mavx2 -mfma -mf16c -mbmi2" ;;
        *_vnni) own="-mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni" ;;
        esac
        echo "$compiler $flags $own -c $file -o $work/$name/$base.o"
    done | tr '\n' '\0' | xargs -0 -P2 -I{} sh -c '{}'
    "$compiler" -static -Wl,--gc-sections "$work/$name"/*.o -o "$work/$name/run" -lm -lpthread
}

mkdir -p "$work/headers"
cp /usr/include/jansson.h /usr/include/jansson_config.h "$work/headers/"
ran=0
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    build arm aarch64-linux-gnu-gcc "avx2 vnni"
    qemu-aarch64 -cpu max "$work/arm/run" neon
    qemu-aarch64 -cpu cortex-a53 "$work/arm/run" scalar
    ran=1
fi
if [ "$(uname -m)" = x86_64 ] && command -v qemu-x86_64 >/dev/null; then
    build x86 cc neon
    qemu-x86_64 -cpu Nehalem "$work/x86/run" scalar
    ran=1
fi
if [ $ran = 0 ]; then
    echo "skipped: needs Debian's qemu-user, and gcc-aarch64-linux-gnu for Arm"
    exit 77
fi
