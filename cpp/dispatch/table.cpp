#include "../ops/families.h"
#include "dispatch.h"

namespace logitcore {

#define LGC_DECLARE(name) extern const Family name##_family;
#if defined(__aarch64__)
namespace neon {
LOGITCORE_FAMILIES(LGC_DECLARE)
}
#else
namespace portable {
LOGITCORE_FAMILIES(LGC_DECLARE)
}
#endif
#if defined(__x86_64__)
namespace avx2 {
LOGITCORE_FAMILIES(LGC_DECLARE)
}
#endif
#if LOGITCORE_HAS_AVX512
namespace avx512 {
LOGITCORE_FAMILIES(LGC_DECLARE)
}
#endif
#undef LGC_DECLARE

namespace {

constexpr int kMaxOps = 1024;

struct Built {
  Op ops[kMaxOps];
  int count = 0;
};

const Family* familyAt(Level level, int index) {
#define LGC_ADDRESS(name) &LGC_NAMESPACE::name##_family,
#if defined(__x86_64__)
#define LGC_NAMESPACE avx2
  static const Family* const avx2Families[] = {LOGITCORE_FAMILIES(LGC_ADDRESS) nullptr};
#undef LGC_NAMESPACE
  if (level == Level::avx2) return avx2Families[index];
#endif
#if LOGITCORE_HAS_AVX512
#define LGC_NAMESPACE avx512
  static const Family* const avx512Families[] = {LOGITCORE_FAMILIES(LGC_ADDRESS) nullptr};
#undef LGC_NAMESPACE
  if (level == Level::avx512) return avx512Families[index];
#endif
#if defined(__aarch64__)
#define LGC_NAMESPACE neon
#else
#define LGC_NAMESPACE portable
#endif
  static const Family* const lowestFamilies[] = {LOGITCORE_FAMILIES(LGC_ADDRESS) nullptr};
#undef LGC_NAMESPACE
  (void)level;
  return lowestFamilies[index];
}

Built build() {
  Built b;
  const Level* level = activeLevel(nullptr);
  const Level use = level ? *level : machineLevel();
  for (int f = 0; const Family* family = familyAt(use, f); ++f) {
    // Records are the same on all levels; those of the lowest one are read, so that no other copy is linked in.
    const Family* base = familyAt(kLowestLevel, f);
    for (int i = 0; i < family->count && b.count < kMaxOps; ++i) b.ops[b.count++] = {family->name, base->records[i], family->kernels[i]};
  }
  return b;
}

}  // namespace

OpTable opTable() {
  static const Built* const built = new Built(build());
  return {built->ops, built->count};
}

}  // namespace logitcore
