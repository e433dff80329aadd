// One register of 32-bit keys and the few moves that sorting networks and partitions are made of. A sort of bare keys has one result
// however it is made, so that a register is as wide here as the level has it, not 16 lanes everywhere.
#pragma once
#include <cstddef>

#include "simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
constexpr int kKeyLanes = 16;
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
constexpr int kKeyLanes = 8;
#else
constexpr int kKeyLanes = 4;
#endif
typedef std::int32_t Keys __attribute__((vector_size(4 * kKeyLanes)));

LGC_FN Keys loadKeys(const void* p) {
  Keys v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
LGC_FN void storeKeys(void* p, Keys v) { __builtin_memcpy(p, &v, sizeof v); }
LGC_FN Keys spreadKey(std::int32_t key) { return Keys{} + key; }
LGC_FN Keys smaller(Keys a, Keys b) { return a < b ? a : b; }
LGC_FN Keys larger(Keys a, Keys b) { return a < b ? b : a; }

// Lanes of a from `first` on, lanes of b before.
LGC_FN Keys lanesFrom(std::int32_t first, Keys a, Keys b) {
  Keys index{};
  for (int i = 0; i < kKeyLanes; ++i) index[i] = i;
  return index >= first ? a : b;
}

// Lane i of a shuffle of two registers is lane Lanes::at(i) of the first, or that less kKeyLanes of the second.
template <class Lanes> LGC_FN Keys shuffleKeys(Keys a, Keys b) {
  using L = Lanes;
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
  return __builtin_shufflevector(a, b, L::at(0), L::at(1), L::at(2), L::at(3), L::at(4), L::at(5), L::at(6), L::at(7), L::at(8), L::at(9),
                                 L::at(10), L::at(11), L::at(12), L::at(13), L::at(14), L::at(15));
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
  return __builtin_shufflevector(a, b, L::at(0), L::at(1), L::at(2), L::at(3), L::at(4), L::at(5), L::at(6), L::at(7));
#else
  return __builtin_shufflevector(a, b, L::at(0), L::at(1), L::at(2), L::at(3));
#endif
}
template <int By> struct ExchangedLanes {
  static constexpr int at(int i) { return i ^ By; }
};
// Lane i gets lane i ^ By.
template <int By> LGC_FN Keys exchangeLanes(Keys v) { return shuffleKeys<ExchangedLanes<By>>(v, v); }

// Runs of `Run` lanes are dealt by turns to two registers: even ones or odd ones of both, the first register's before the second's.
// Within 16 bytes if it can be, which is one instruction on every level. Turned: the lanes of a run in reverse.
template <int Run> constexpr int kDealt = 2 * Run > 4 ? 2 * Run : 4;
template <int Run, bool Odd, bool Turned> struct DealtLanes {
  static constexpr int at(int i) {
    constexpr int block = kDealt<Run>, half = block / 2;
    const int in = i % block, run = in % half / Run, lane = Turned ? Run - 1 - in % Run : in % Run;
    return i - in + (2 * run + Odd) * Run + lane + (in < half ? 0 : kKeyLanes);
  }
};
// The way back.
template <int Run, bool Second> struct GatheredLanes {
  static constexpr int at(int i) {
    constexpr int block = kDealt<Run>, half = block / 2;
    const int in = i % block, run = in / Run;
    return i - in + Second * half + run / 2 * Run + in % Run + (run % 2 ? kKeyLanes : 0);
  }
};
// In both registers, lanes of even runs against those of the next runs: the smaller ones go to the even runs.
template <int Run, bool Turned> LGC_FN void orderRuns(Keys& a, Keys& b) {
  const Keys even = shuffleKeys<DealtLanes<Run, false, false>>(a, b), odd = shuffleKeys<DealtLanes<Run, true, Turned>>(a, b);
  const Keys low = smaller(even, odd), high = larger(even, odd);
  a = shuffleKeys<GatheredLanes<Run, false>>(low, high);
  b = shuffleKeys<GatheredLanes<Run, true>>(low, high);
}

#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx2 || LGC_LEVEL_ID == LGC_LEVEL_ID_neon
#define LGC_KEY_TABLE 1
// For every mask the lanes in it, then the others, as the shuffle of the level counts them: lanes, or bytes.
struct LaneOrders {
  static constexpr unsigned part = LGC_LEVEL_ID == LGC_LEVEL_ID_neon ? 4 : 1;
  std::uint8_t order[1 << kKeyLanes][kKeyLanes * part];
};
constexpr LaneOrders makeLaneOrders() {
  LaneOrders orders{};
  for (unsigned mask = 0; mask < 1u << kKeyLanes; ++mask) {
    unsigned at = 0;
    for (unsigned side = 0; side < 2; ++side)
      for (unsigned lane = 0; lane < kKeyLanes; ++lane)
        for (unsigned byte = 0; byte < LaneOrders::part && (mask >> lane & 1) != side; ++byte)
          orders.order[mask][at++] = static_cast<std::uint8_t>(lane * LaneOrders::part + byte);
  }
  return orders;
}
inline constexpr LaneOrders kLaneOrders = makeLaneOrders();
#endif

#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
LGC_FN unsigned keyMask(Keys m) { return _mm512_movepi32_mask(reinterpret_cast<__m512i>(m)); }
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
LGC_FN unsigned keyMask(Keys m) { return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(m))); }
LGC_FN Keys gatherLanes(Keys v, unsigned mask) {
  const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kLaneOrders.order[mask])));
  return reinterpret_cast<Keys>(_mm256_permutevar8x32_epi32(reinterpret_cast<__m256i>(v), order));
}
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_neon
LGC_FN unsigned keyMask(Keys m) {
  const Keys bits = m & Keys{1, 2, 4, 8};
  return vaddvq_u32(reinterpret_cast<uint32x4_t>(bits));
}
LGC_FN Keys gatherLanes(Keys v, unsigned mask) {
  return reinterpret_cast<Keys>(vqtbl1q_u8(reinterpret_cast<uint8x16_t>(v), vld1q_u8(kLaneOrders.order[mask])));
}
#else
LGC_FN unsigned keyMask(Keys m) {
  unsigned mask = 0;
  for (int i = 0; i < kKeyLanes; ++i) mask |= static_cast<unsigned>(m[i] & 1) << i;
  return mask;
}
#endif

// Of the first `count` lanes, writes those below the pivot from `low` on, in their order, the others so that they end at `high`, in any
// order, and returns how many are below. A register may be written from either end, nonsense included; the ends are that or more than two
// apart.
LGC_FN std::size_t splitFirstKeys(Keys v, unsigned count, Keys pivot, std::int32_t* low, std::int32_t* high) {
  const unsigned first = (1u << count) - 1u, below = keyMask(v < pivot) & first;
#if defined(LGC_KEY_TABLE)
  storeKeys(high - kKeyLanes, gatherLanes(v, (below | ~first) % (1u << kKeyLanes)));
  storeKeys(low, gatherLanes(v, below));
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
  const __m512i keys = reinterpret_cast<__m512i>(v);
  const unsigned above = first & ~below, highs = static_cast<unsigned>(__builtin_popcount(above));
  _mm512_storeu_si512(low, _mm512_maskz_compress_epi32(static_cast<__mmask16>(below), keys));
  _mm512_mask_storeu_epi32(high - highs, static_cast<__mmask16>((1u << highs) - 1u),
                           _mm512_maskz_compress_epi32(static_cast<__mmask16>(above), keys));
#else
  for (unsigned i = 0; i < count; ++i) {
    *low = *--high = v[i];
    low += below >> i & 1;
    high += below >> i & 1;
  }
#endif
  return static_cast<std::size_t>(__builtin_popcount(below));
}
// All lanes.
LGC_FN std::size_t splitKeys(Keys v, Keys pivot, std::int32_t* low, std::int32_t* high) {
#if defined(LGC_KEY_TABLE)
  const unsigned below = keyMask(v < pivot);
  const Keys split = gatherLanes(v, below);
  storeKeys(low, split);
  storeKeys(high - kKeyLanes, split);
  return static_cast<std::size_t>(__builtin_popcount(below));
#else
  return splitFirstKeys(v, kKeyLanes, pivot, low, high);
#endif
}
#undef LGC_KEY_TABLE

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
