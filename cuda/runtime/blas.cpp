#include "blas.h"

#include <dlfcn.h>

#include <cstdlib>
#include <list>
#include <mutex>

namespace logitcore {
namespace {

// What is used of cublasLt.h, whose names stand beside ours. Handles and descriptions are the library's own; numbers and the record of a
// found algorithm are those of its versions 11 to 13.
using Handle = void*;
using Description = void*;  // cublasLtMatmulDesc_t
using Layout = void*;       // cublasLtMatrixLayout_t
using Preference = void*;   // cublasLtMatmulPreference_t
struct Algorithm {          // cublasLtMatmulAlgo_t
  std::uint64_t data[8];
};
struct Choice {  // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Choice) == 96, "as the library lays it out");
constexpr int kSuccess = 0, kFloat = 0 /* CUDA_R_32F */, kDouble = 1 /* CUDA_R_64F */;
constexpr int kInFloat = 68 /* CUBLAS_COMPUTE_32F: no TF32 */, kInDouble = 70 /* CUBLAS_COMPUTE_64F */;
constexpr int kTurnFirst = 3, kTurnSecond = 4;          // CUBLASLT_MATMUL_DESC_TRANSA and _TRANSB
constexpr int kMostWorkspace = 1, kFirstAlignment = 5;  // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, and _MIN_ALIGNMENT_A_BYTES to _D_

struct Functions {
  int (*create)(Handle*);
  size_t (*version)();
  int (*createDescription)(Description*, int compute, int scale);
  int (*setDescription)(Description, int attribute, const void*, size_t);
  int (*destroyDescription)(Description);
  int (*createLayout)(Layout*, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t stride);
  int (*destroyLayout)(Layout);
  int (*createPreference)(Preference*);
  int (*setPreference)(Preference, int attribute, const void*, size_t);
  int (*destroyPreference)(Preference);
  int (*choose)(Handle, Description, Layout, Layout, Layout, Layout, Preference, int wanted, Choice*, int* found);
  int (*multiply)(Handle, Description, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta, const void* c,
                  Layout, void* d, Layout, const Algorithm*, void* workspace, size_t bytes, cudaStream_t);
};

template <class F> bool load(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}
bool loadAll(void* l, Functions& f) {
  return load(l, "cublasLtCreate", f.create) && load(l, "cublasLtGetVersion", f.version) &&
         load(l, "cublasLtMatmulDescCreate", f.createDescription) && load(l, "cublasLtMatmulDescSetAttribute", f.setDescription) &&
         load(l, "cublasLtMatmulDescDestroy", f.destroyDescription) && load(l, "cublasLtMatrixLayoutCreate", f.createLayout) &&
         load(l, "cublasLtMatrixLayoutDestroy", f.destroyLayout) && load(l, "cublasLtMatmulPreferenceCreate", f.createPreference) &&
         load(l, "cublasLtMatmulPreferenceSetAttribute", f.setPreference) &&
         load(l, "cublasLtMatmulPreferenceDestroy", f.destroyPreference) && load(l, "cublasLtMatmulAlgoGetHeuristic", f.choose) &&
         load(l, "cublasLtMatmul", f.multiply);
}

void* openLibrary() {
  if (const char* file = std::getenv("LOGITCORE_CUBLASLT")) return *file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : nullptr;
#if defined(__CUDACC__)
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
#endif
  return nullptr;
}

// How one kind of product is done. The library calculates with columns: it is given C' = op(B)' op(A)', and takes rows for columns.
struct Way {
  Product of;  // with the alignments of its arrays in place of them
  Description description = nullptr;
  Layout first = nullptr, second = nullptr, result = nullptr;
  Choice choice{};
  bool works = false;
};
const void* alignmentOf(const void* p) {
  const auto at = reinterpret_cast<std::uintptr_t>(p), lowest = at & (~at + 1);
  return reinterpret_cast<const void*>(lowest > 256 || lowest == 0 ? std::uintptr_t{256} : lowest);
}
Product kindOf(Product p) {
  p.a = alignmentOf(p.a);
  p.b = alignmentOf(p.b);
  p.c = const_cast<void*>(alignmentOf(p.c));
  p.alpha = 1;
  p.beta = p.beta == 0 ? 0 : 1;
  return p;
}
bool same(const Product& x, const Product& y) {
  return x.a == y.a && x.b == y.b && x.c == y.c && x.rows == y.rows && x.columns == y.columns && x.depth == y.depth &&
         x.aStride == y.aStride && x.bStride == y.bStride && x.turnA == y.turnA && x.turnB == y.turnB && x.wide == y.wide &&
         x.beta == y.beta;
}

constexpr size_t kWays = 64, kWorkspace = size_t{32} << 20;

class Library {
 public:
  Library() {
    void* library = openLibrary();
    works_ = library && loadAll(library, f_) && f_.version() >= 110000;
  }
  size_t version() const { return works_ ? f_.version() : 0; }

  bool multiply(DeviceCall& call, const Product& p) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // The device that is current is the one that the handle is for, as it is for the whole process.
    if (works_ && !handle_) works_ = f_.create(&handle_) == kSuccess;
    if (!works_) return false;
    const Way& way = wayOf(kindOf(p));
    if (!way.works) return false;
    void* workspace = nullptr;
    if (way.choice.workspace) workspace = call.scratch<char>(way.choice.workspace);
    // The call fails for want of memory, whoever multiplies.
    if (way.choice.workspace && !workspace) return true;
    const float alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
    const void *const a = p.wide ? static_cast<const void*>(&p.alpha) : &alpha, *const b =
                                                                                    p.wide ? static_cast<const void*>(&p.beta) : &beta;
    return f_.multiply(handle_, way.description, a, p.b, way.first, p.a, way.second, b, p.c, way.result, p.c, way.result,
                       &way.choice.algorithm, workspace, way.choice.workspace, call.stream) == kSuccess;
  }

 private:
  Functions f_{};
  Handle handle_ = nullptr;
  bool works_ = false;
  std::mutex mutex_;
  std::list<Way> ways_;  // the last used first

  const Way& wayOf(const Product& kind) {
    for (auto w = ways_.begin(); w != ways_.end(); ++w)
      if (same(w->of, kind)) {
        ways_.splice(ways_.begin(), ways_, w);
        return ways_.front();
      }
    if (ways_.size() == kWays) {
      forget(ways_.back());
      ways_.pop_back();
    }
    ways_.emplace_front();
    Way& way = ways_.front();
    way.of = kind;
    way.works = prepare(way);
    if (!way.works) forget(way);
    return way;
  }
  bool prepare(Way& w) {
    const Product& p = w.of;
    const int type = p.wide ? kDouble : kFloat, turnFirst = p.turnB, turnSecond = p.turnA;
    const auto layout = [&](Layout* out, size_t rows, size_t columns, size_t stride) {
      return f_.createLayout(out, type, columns, rows, static_cast<std::int64_t>(stride)) == kSuccess;
    };
    if (f_.createDescription(&w.description, p.wide ? kInDouble : kInFloat, type) != kSuccess ||
        f_.setDescription(w.description, kTurnFirst, &turnFirst, sizeof turnFirst) != kSuccess ||
        f_.setDescription(w.description, kTurnSecond, &turnSecond, sizeof turnSecond) != kSuccess ||
        !layout(&w.first, p.turnB ? p.columns : p.depth, p.turnB ? p.depth : p.columns, p.bStride) ||
        !layout(&w.second, p.turnA ? p.depth : p.rows, p.turnA ? p.rows : p.depth, p.aStride) ||
        !layout(&w.result, p.rows, p.columns, p.columns))
      return false;
    Preference preference = nullptr;
    if (f_.createPreference(&preference) != kSuccess) return false;
    bool told = f_.setPreference(preference, kMostWorkspace, &kWorkspace, sizeof kWorkspace) == kSuccess;
    const void* const arrays[4] = {p.b, p.a, p.c, p.c};
    for (int i = 0; i < 4; ++i) {
      const auto alignment = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(arrays[i]));
      told = told && f_.setPreference(preference, kFirstAlignment + i, &alignment, sizeof alignment) == kSuccess;
    }
    int found = 0;
    const bool chosen =
        told && f_.choose(handle_, w.description, w.first, w.second, w.result, w.result, preference, 1, &w.choice, &found) == kSuccess;
    f_.destroyPreference(preference);
    return chosen && found == 1 && w.choice.state == kSuccess;
  }
  void forget(Way& w) {
    if (w.description) f_.destroyDescription(w.description);
    for (Layout layout : {w.first, w.second, w.result})
      if (layout) f_.destroyLayout(layout);
    w.description = w.first = w.second = w.result = nullptr;
  }
};

// Never destroyed: calls may come from threads that outlive main.
Library& library() {
  static Library* const one = new Library;
  return *one;
}

// Below it the library takes longer to be asked than the product takes.
constexpr double kWorthIt = 1 << 20;

}  // namespace

bool multiplyByLibrary(DeviceCall& call, const Product& p) {
  // An alpha of 0 leaves A and B unread there, and with them their NaN.
  if (static_cast<double>(p.rows) * static_cast<double>(p.columns) * static_cast<double>(p.depth) < kWorthIt || p.alpha == 0) return false;
  if (call.failure != cudaSuccess || call.outOfMemory || call.error[0]) return true;
  return library().multiply(call, p);
}

size_t libraryVersion() { return library().version(); }

}  // namespace logitcore
