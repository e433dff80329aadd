#include "host_kernels.h"

#include <cstring>
#include <initializer_list>

#include "../../cpp/ops/families.h"

namespace logitcore {
namespace LOGITCORE_HOST_LEVEL {
#define LGC_DECLARE(name) extern const Family name##_family;
LOGITCORE_FAMILIES(LGC_DECLARE)
#undef LGC_DECLARE
}  // namespace LOGITCORE_HOST_LEVEL

const Kernels* hostKernels(const char* op) {
#define LGC_FAMILY(name) &LOGITCORE_HOST_LEVEL::name##_family,
  for (const Family* family : {LOGITCORE_FAMILIES(LGC_FAMILY)})
#undef LGC_FAMILY
    for (int i = 0; i < family->count; ++i)
      if (std::strcmp(family->records[i]->name, op) == 0) return &family->kernels[i];
  return nullptr;
}

}  // namespace logitcore
