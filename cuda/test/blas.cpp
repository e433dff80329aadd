// A stand-in for cuBLASLt where there is no GPU: the functions that cuda/runtime/blas.cpp loads, with plain loops over memory that the
// "device" shares with the host. It is as strict as the real one about sizes and strides. Written against NVIDIA's description of the
// interface, so that a call in the wrong order or with turned arguments gives wrong numbers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {
enum { kSuccess = 0, kInvalid = 7, kUnsupported = 15 };
struct Description {
  int compute, scale, turn[2];
};
struct Layout {
  int type;
  std::uint64_t rows, columns;
  std::int64_t stride;
};
struct Preference {
  std::size_t workspace;
  std::uint32_t alignment[4];
};
struct Algorithm {
  std::uint64_t data[8];
};
struct Choice {
  Algorithm algorithm;
  std::size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
constexpr std::uint64_t kMark = 0x6c6f676974;
constexpr std::size_t kWorkspace = 4096;

template <class T> T at(const void* p, const Layout& l, int turn, std::uint64_t i, std::uint64_t j) {
  if (turn) {
    const std::uint64_t other = i;
    i = j;
    j = other;
  }
  return static_cast<const T*>(p)[i + j * static_cast<std::uint64_t>(l.stride)];
}
template <class T> void run(const Description& d, const void* alpha, const void* a, const Layout& la, const void* b, const Layout& lb,
                            const void* beta, void* c, const Layout& lc) {
  const std::uint64_t depth = d.turn[0] ? la.rows : la.columns;
  for (std::uint64_t j = 0; j < lc.columns; ++j)
    for (std::uint64_t i = 0; i < lc.rows; ++i) {
      double sum = 0;
      for (std::uint64_t k = 0; k < depth; ++k)
        sum += static_cast<double>(at<T>(a, la, d.turn[0], i, k)) * static_cast<double>(at<T>(b, lb, d.turn[1], k, j));
      T* to = static_cast<T*>(c) + i + j * static_cast<std::uint64_t>(lc.stride);
      const double scaled = static_cast<double>(*static_cast<const T*>(alpha)) * sum,
                   factor = static_cast<double>(*static_cast<const T*>(beta));
      *to = static_cast<T>(factor == 0 ? scaled : scaled + factor * static_cast<double>(*to));
    }
}
bool fits(const Description& d, const Layout& a, const Layout& b, const Layout& c) {
  const bool types = a.type == d.scale && b.type == d.scale && c.type == d.scale && d.compute == (d.scale ? 70 : 68);
  const Layout* const layouts[] = {&a, &b, &c};
  for (const Layout* l : layouts)
    if (l->stride < static_cast<std::int64_t>(l->rows) || !l->rows || !l->columns) return false;
  const std::uint64_t rows = d.turn[0] ? a.columns : a.rows, depth = d.turn[0] ? a.rows : a.columns;
  const std::uint64_t terms = d.turn[1] ? b.columns : b.rows, columns = d.turn[1] ? b.rows : b.columns;
  return types && rows == c.rows && columns == c.columns && depth == terms;
}
}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int cublasLtCreate(void** handle) {
  *handle = std::malloc(1);
  return std::getenv("FAKE_CUBLASLT_FAILS") ? 1 : kSuccess;
}
EXPORT std::size_t cublasLtGetVersion() { return 130101; }
EXPORT int cublasLtMatmulDescCreate(Description** d, int compute, int scale) {
  *d = new Description{compute, scale, {0, 0}};
  return kSuccess;
}
EXPORT int cublasLtMatmulDescSetAttribute(Description* d, int attribute, const void* value, std::size_t bytes) {
  if ((attribute != 3 && attribute != 4) || bytes != sizeof(int)) return kInvalid;
  d->turn[attribute - 3] = *static_cast<const int*>(value);
  return kSuccess;
}
EXPORT int cublasLtMatmulDescDestroy(Description* d) {
  delete d;
  return kSuccess;
}
EXPORT int cublasLtMatrixLayoutCreate(Layout** l, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t stride) {
  *l = new Layout{type, rows, columns, stride};
  return kSuccess;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* l) {
  delete l;
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceCreate(Preference** p) {
  *p = new Preference{0, {256, 256, 256, 256}};
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* p, int attribute, const void* value, std::size_t bytes) {
  if (attribute == 1 && bytes == sizeof(std::size_t))
    p->workspace = *static_cast<const std::size_t*>(value);
  else if (attribute >= 5 && attribute <= 8 && bytes == sizeof(std::uint32_t))
    p->alignment[attribute - 5] = *static_cast<const std::uint32_t*>(value);
  else
    return kInvalid;
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceDestroy(Preference* p) {
  delete p;
  return kSuccess;
}
EXPORT int cublasLtMatmulAlgoGetHeuristic(void*, Description* d, Layout* a, Layout* b, Layout* c, Layout*, Preference* p, int, Choice* out,
                                          int* found) {
  *found = 0;
  if (!fits(*d, *a, *b, *c)) return kUnsupported;
  *out = Choice{
      {{kMark, p->alignment[0], p->alignment[1], p->alignment[2]}}, p->workspace < kWorkspace ? p->workspace : kWorkspace, kSuccess, 1, {}};
  *found = 1;
  return kSuccess;
}
EXPORT int cublasLtMatmul(void*, Description* d, const void* alpha, const void* a, Layout* la, const void* b, Layout* lb, const void* beta,
                          const void* c, Layout* lc, void* out, Layout*, const Algorithm* algorithm, void* workspace, std::size_t bytes,
                          void*) {
  const void* const arrays[3] = {a, b, out};
  if (!fits(*d, *la, *lb, *lc) || c != out || algorithm->data[0] != kMark || bytes > kWorkspace || (bytes && !workspace)) return kInvalid;
  for (int i = 0; i < 3; ++i)
    if (reinterpret_cast<std::uintptr_t>(arrays[i]) % algorithm->data[i + 1]) return kInvalid;
  for (std::size_t i = 0; i < bytes; ++i) static_cast<char*>(workspace)[i] = 1;
  if (d->scale)
    run<double>(*d, alpha, a, *la, b, *lb, beta, out, *lc);
  else
    run<float>(*d, alpha, a, *la, b, *lb, beta, out, *lc);
  return kSuccess;
}
