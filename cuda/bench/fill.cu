// Kernels of the benchmark itself.
#include <cmath>

#include "../../cpp/engine/definition.h"
#include "../engine/launch.h"
#include "case.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct FillArguments {
  void* to;
  Storage storage;
  size_t count;
  std::uint64_t seed;
};

// The finaliser of splitmix64: neighbouring places have nothing in common.
LGC_DEVICE std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

static LGC_KERNEL void fillRows(LGC_ARGUMENT FillArguments a) {
  const size_t threads = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count; i += threads) {
    const std::uint64_t bits = mixed(mixed(a.seed) + i);
    // In (0, 1] and [0, 1).
    const float u = (static_cast<float>(bits >> 40) + 1) * 0x1p-24f, angle = static_cast<float>(bits & 0xffffff) * 0x1p-24f;
    writeOne(a.to, a.storage, i, 2 * ::sqrtf(-2 * ::logf(u)) * ::cosf(6.2831853f * angle));
  }
}

static LGC_KERNEL void nothing(int) {}

}  // namespace LOGITCORE_LEVEL

namespace bench {

void fillNormal(DeviceCall& call, void* to, Storage storage, size_t count, uint64_t seed) {
  const size_t blocks = (count + 255) / 256;
  LOGITCORE_LEVEL::launch(call, {blocks < 8192 ? blocks : 8192, 256}, LOGITCORE_LEVEL::fillRows,
                          LOGITCORE_LEVEL::FillArguments{to, storage, count, seed});
}

void launchNothing(DeviceCall& call) { LOGITCORE_LEVEL::launch(call, {1, 32}, LOGITCORE_LEVEL::nothing, 0); }

}  // namespace bench
}  // namespace logitcore
