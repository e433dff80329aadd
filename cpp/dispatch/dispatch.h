// Chooses the instruction level once, by what the processor has and what the operating system saves, and gives the table of ops.
#pragma once
#include "../engine/record.h"

namespace logitcore {

enum class Level { portable, neon, avx2, avx512 };
// Every processor of the kind can run it. AArch64 has NEON by definition, so the portable kernels are not in its addon.
#if defined(__aarch64__)
constexpr Level kLowestLevel = Level::neon;
#else
constexpr Level kLowestLevel = Level::portable;
#endif

// macOS gives a thread the AVX-512 registers at its first use of one and shows them to none before (XCR0), so that its processors are
// taken for AVX2 ones; few Macs have them.
#if defined(__x86_64__) && !defined(__APPLE__)
#define LOGITCORE_HAS_AVX512 1
#else
#define LOGITCORE_HAS_AVX512 0
#endif

const char* levelName(Level);
Level machineLevel();  // the best this machine can run
// The level in use: machineLevel() capped by LOGITCORE_ISA. Null with a message if the variable names no level.
const Level* activeLevel(const char** error);

struct Op {
  const char* family;
  const StoredRecord* record;
  Kernels kernels;
};
struct OpTable {
  const Op* ops;
  int count;
};
// Built once for the active level.
OpTable opTable();

}  // namespace logitcore
