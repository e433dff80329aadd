// The levels that are compiled for this processor, the portable one first, and which of them this machine can run.
#pragma once

#include <cstring>
#include <initializer_list>
#include <vector>

#include "../../cpp/dispatch/dispatch.h"

#if LOGITCORE_HAS_AVX512
#define LGC_COMPILED_LEVELS(each) each(portable) each(avx2) each(avx512)
#elif defined(__x86_64__)
#define LGC_COMPILED_LEVELS(each) each(portable) each(avx2)
#elif defined(__aarch64__)
#define LGC_COMPILED_LEVELS(each) each(portable) each(neon)
#else
#define LGC_COMPILED_LEVELS(each) each(portable)
#endif

inline bool machineRuns(const char* level) {
#if defined(__x86_64__)
  if (std::strcmp(level, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (std::strcmp(level, "avx512") == 0)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  (void)level;
  return true;
}

template <class Level> std::vector<const Level*> runnable(std::initializer_list<const Level*> compiled) {
  std::vector<const Level*> levels;
  for (const Level* level : compiled)
    if (machineRuns(level->name)) levels.push_back(level);
  return levels;
}
