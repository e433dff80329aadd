// One virtual vector of 16 floats or 8 doubles for every instruction set.
//
// A kernel is written once against these functions and compiled once per level
// with -DLOGITCORE_LEVEL=avx512|avx2|neon|portable. Every function gives the same
// bits on every level and on plain float and double, so a result never depends on
// the machine (NaN payloads excepted). That only holds when the compiler may not
// fuse or reassociate: build with -ffp-contract=off and without -ffast-math, and
// with nvcc -fmad=false.
//
// Namespaced per level because the linker would otherwise merge equal inline
// functions of objects built for different instruction sets, and a baseline
// machine could end up in the AVX-512 copy.
#pragma once

#include <cstdint>

#if !defined(LOGITCORE_LEVEL)
#if defined(__CUDACC__)
#define LOGITCORE_LEVEL device
#else
#error "define LOGITCORE_LEVEL as avx512, avx2, neon or portable"
#endif
#endif

// The level arrives as a bare token, which the preprocessor can only compare after
// pasting it onto a known prefix.
#define LGC_LEVEL_ID_device 1
#define LGC_LEVEL_ID_portable 2
#define LGC_LEVEL_ID_neon 3
#define LGC_LEVEL_ID_avx2 4
#define LGC_LEVEL_ID_avx512 5
#define LGC_PASTE_RAW(a, b) a##b
#define LGC_PASTE(a, b) LGC_PASTE_RAW(a, b)
#define LGC_LEVEL_ID LGC_PASTE(LGC_LEVEL_ID_, LOGITCORE_LEVEL)

#if defined(__CUDACC__)
#define LGC_FN __host__ __device__ __forceinline__
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_portable
// Loops over lanes, inlined by force, would cost minutes of compilation a file.
#define LGC_FN inline
#else
#define LGC_FN __attribute__((always_inline)) inline
#endif

// Long functions that are called rather than inlined, and sweeps that many ops share: one copy a level instead of one in every op. On a
// GPU all are inlined.
#if defined(__CUDACC__)
#define LGC_MATH LGC_FN
#define LGC_SHARED LGC_FN
#else
#define LGC_MATH __attribute__((noinline)) inline
#define LGC_SHARED __attribute__((noinline)) inline
#endif

#if defined(__CUDACC__) || LGC_LEVEL_ID == LGC_LEVEL_ID_portable
#define LGC_LAMBDA
#else
#define LGC_LAMBDA __attribute__((always_inline))
#endif

#include "scalar.h"

#if LGC_LEVEL_ID != LGC_LEVEL_ID_device
#include "traits.h"
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
#include "avx512.h"
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
#include "avx2.h"
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_neon
#include "neon.h"
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_portable
#include "portable.h"
#else
#error "unknown LOGITCORE_LEVEL"
#endif
#include "derived.h"
#endif

#include "math.h"
#include "power.h"
