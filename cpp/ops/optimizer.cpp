#include "optimizer.h"

#include "../engine/family.h"
#include "../engine/vector.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct AdamWStepOp : AdamWStep {
  // Squares of gradients of 1e-25 are no float32 numbers: the three root mean squares are summed in double.
  template <class T> static void run(Call& call) {
    using W = Vec<T>;
    using H = Halves<T>;
    constexpr size_t L = lanes<W>;
    const T *param = LGC_INPUT(T, call, param), *grad = LGC_INPUT(T, call, grad), *m = LGC_INPUT(T, call, m), *v = LGC_INPUT(T, call, v);
    T *newParam = LGC_OUTPUT(T, call, param), *newM = LGC_OUTPUT(T, call, m), *newV = LGC_OUTPUT(T, call, v);
    const AdamWStep d(call);
    const size_t n = call.rows, chunks = (n + kChunk - 1) / kChunk;
    Scratch<double> partial(call, 3 * chunks);
    if (!partial) return;
    parallel(call, chunks, 1, [&](size_t first, size_t last) {
      for (size_t chunk = first; chunk < last; ++chunk) {
        const size_t end = n - chunk * kChunk < kChunk ? n : (chunk + 1) * kChunk;
        f64x8 squares[3];
        for (f64x8& s : squares) s = broadcast<f64x8>(0);
        for (size_t i = chunk * kChunk; i < end; i += L) {
          const size_t count = end - i < L ? end - i : L;
          const W g = readLanes(grad + i, count);
          const AdamLane<W> next = d.lane(readLanes(param + i, count), g, readLanes(m + i, count), readLanes(v + i, count));
          writeLanes(newParam + i, next.param, count);
          writeLanes(newM + i, next.m, count);
          writeLanes(newV + i, next.v, count);
          for (int h = 0; h < H::count; ++h) {
            const f64x8 terms[] = {H::get(g, h), H::get(next.update, h), H::get(next.param, h)};
            for (int k = 0; k < 3; ++k) squares[k] = fma(terms[k], terms[k], squares[k]);
          }
        }
        for (size_t k = 0; k < 3; ++k) partial[k * chunks + chunk] = sum(squares[k]);
      }
    });
    const auto rms = [&](size_t k) { return sqrt(orderedSum(partial + k * chunks, chunks) / static_cast<double>(n)); };
    LGC_NUMBER(call, gradRms) = rms(0);
    LGC_NUMBER(call, updateRms) = rms(1);
    LGC_NUMBER(call, paramRms) = rms(2);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(optimizer, AdamWStepOp)
}  // namespace logitcore
