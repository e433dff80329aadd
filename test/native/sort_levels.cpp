// The sort of values of cpp/engine/value_sort.h, compiled once per level; see sort_check.cpp.
#include "sort_levels.h"

#include "../../cpp/engine/value_sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

void runValues(const SortCase& c) { sortValues(c.x, c.n, c.descending, c.out, c.scratch); }
void runKeys(const SortCase& c, int splits, std::size_t room) {
  const FloatKeys keys{c.descending ? FloatKeys::sign : 0};
  std::int32_t* list = static_cast<std::int32_t*>(c.scratch);
  makeKeys(c.x, c.n, keys, list);
  sortKeys(list, list + c.n, c.n, keys, reinterpret_cast<std::int32_t*>(c.out), room, splits);
}

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

#define SORT_TEXT_RAW(x) #x
#define SORT_TEXT(x) SORT_TEXT_RAW(x)

extern "C" {
extern const SortLevel LGC_PASTE(sortLevel_, LOGITCORE_LEVEL);
}

const SortLevel LGC_PASTE(sortLevel_, LOGITCORE_LEVEL) = {SORT_TEXT(LOGITCORE_LEVEL), logitcore::LOGITCORE_LEVEL::kNetwork,
                                                          &logitcore::LOGITCORE_LEVEL::runValues, &logitcore::LOGITCORE_LEVEL::runKeys};
