// Fake quantisation with straight-through gradients, as functions of lanes, and how a tensor is cut into the groups that share a step.
// Sources: Xu et al. 2023 (arXiv 2308.07650), Esser et al. 2019 (arXiv 1902.08153, LSQ).
#pragma once
#include "../engine/row_wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Levels {
  double least, most;
};
// Of signed codes, or of codes from 0.
inline Levels levelsOf(double bits, bool allPositive) {
  const double count = scaleByPowerOfTwo(1.0, bits);
  return allPositive ? Levels{0, count - 1} : Levels{-count / 2, count / 2 - 1};
}

LGC_FN f64x8 clip(f64x8 v, const Levels& levels) { return clampKeepNan(v, levels.least, levels.most); }

struct Quantized {
  f64x8 code, value;  // code - zero point, and the unrounded value it stands for
  m64x8 inside;       // value is in range, ends included
};

// x = code step + offset. Divided, not multiplied by a reciprocal: next to a tie the last bit decides a whole step.
struct ElasticStep {
  double step, offset;
  Levels levels;
  LGC_FN Quantized of(f64x8 x) const {
    Quantized q;
    q.value = (x - offset) / step;
    q.inside = (q.value >= levels.least) & (q.value <= levels.most);
    q.code = roundEven(clip(q.value, levels));
    return q;
  }
  LGC_FN f64x8 output(f64x8 code) const { return code * step + offset; }
  LGC_FN f64x8 stored(f64x8 code) const { return code; }
};

// x = (code - zero point) step, codes from 0.
struct AffineStep {
  double step, zeroPoint;
  Levels levels;
  LGC_FN Quantized of(f64x8 x) const {
    Quantized q;
    q.value = x / step;
    const f64x8 code = roundEven(q.value) + zeroPoint;
    q.inside = (code >= levels.least) & (code <= levels.most);
    q.code = clip(code, levels) - zeroPoint;
    return q;
  }
  LGC_FN f64x8 output(f64x8 code) const { return code * step; }
  LGC_FN f64x8 stored(f64x8 code) const { return code + zeroPoint; }
};

// A NaN has no code: 0.
LGC_FN void storeCodes(int32_t* p, f64x8 code, size_t count) {
  double lane[8];
  store(lane, select(isNan(code), broadcast<f64x8>(0), code));
  for (size_t k = 0; k < count; ++k) p[k] = static_cast<int32_t>(lane[k]);
}

// x [m, ...] with one step for all or one a slice of its first dimension: groups of consecutive values, in pieces of a fixed length.
struct Groups {
  size_t groups, length, pieces;  // pieces a group
  explicit Groups(const Call& call, size_t tableRows) {
    const size_t total = call.dims['m'] * call.dims['*'];
    groups = tableRows;
    length = groups ? total / groups : 0;
    pieces = (length + kChunk - 1) / kChunk;
  }
  // body(group, begin, end, piece)
  template <class F> void run(Call& call, F&& body) const {
    parallel(call, groups * pieces, rowGrain(length < kChunk ? length : kChunk), [&](size_t first, size_t last) {
      for (size_t k = first; k < last; ++k) {
        const size_t group = k / pieces, start = k % pieces * kChunk, rest = length - start;
        body(group, group * length + start, group * length + start + (rest < kChunk ? rest : kChunk), k);
      }
    });
  }
};

// out and codes.
template <class T, class Step> void quantize(Call& call, const Groups& groups, const T* x, T* out, int32_t* codes, Step&& stepOf) {
  groups.run(call, [&](size_t group, size_t begin, size_t end, size_t) {
    const auto step = stepOf(group);
    for (size_t i = begin; i < end; i += kWide) {
      const size_t count = end - i < kWide ? end - i : kWide;
      const f64x8 code = step.of(readWide(x + i, count)).code;
      storeCodes(codes + i, step.stored(code), count);
      writeWide(out + i, step.output(code), count);
    }
  });
}

// gradX, and of each group sums[0] = sum gradOut (code - (inside ? value : 0)), sums[1] = sum of gradOut not inside. False if memory
// ran out.
template <class T, class Step>
bool quantizeBackward(Call& call, const Groups& groups, const T* x, const T* gradOut, T* gradX, double* sums, Step&& stepOf) {
  const size_t pieces = groups.groups * groups.pieces;
  Scratch<double> partial(call, 2 * pieces);
  if (!partial) return false;
  double* part = partial;
  groups.run(call, [&](size_t group, size_t begin, size_t end, size_t piece) {
    const auto step = stepOf(group);
    const f64x8 zero = broadcast<f64x8>(0);
    f64x8 scale = zero, offset = zero;
    for (size_t i = begin; i < end; i += kWide) {
      const size_t count = end - i < kWide ? end - i : kWide;
      const f64x8 g = readWide(gradOut + i, count);
      const Quantized q = step.of(readWide(x + i, count));
      const auto in = firstLanes<f64x8>(static_cast<int>(count));
      scale = scale + select(in, g * (q.code - select(q.inside, q.value, zero)), zero);
      offset = offset + select(q.inside | !in, zero, g);
      writeWide(gradX + i, select(q.inside, g, zero), count);
    }
    part[piece] = sum(scale);
    part[pieces + piece] = sum(offset);
  });
  for (size_t k = 0; k < groups.groups; ++k) {
    sums[2 * k] = orderedSum(part + k * groups.pieces, groups.pieces);
    sums[2 * k + 1] = orderedSum(part + pieces + k * groups.pieces, groups.pieces);
  }
  return true;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
