// float32 and its halves, on the host, with the bits that the device's conversions give: to the nearest, ties to even; NaN is 0x7fff.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dtype.h"

namespace logitcore {

inline uint32_t bitsOf(float x) {
  uint32_t u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}
inline float floatOf(uint32_t u) {
  float x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}

inline uint16_t toBf16(float x) {
  const uint32_t u = bitsOf(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
inline float fromBf16(uint16_t h) { return floatOf(static_cast<uint32_t>(h) << 16); }

inline uint16_t toF16(float x) {
  const uint32_t u = bitsOf(x), sign = u >> 16 & 0x8000u, size = u & 0x7fffffffu;
  if (size > 0x7f800000u) return 0x7fff;
  // From 65520 on, the nearest half is infinity.
  if (size >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  // Below 2^-14 halves are 2^-24 apart, as the floats around 0.5 are: adding 0.5 rounds to them.
  if (size < 0x38800000u) return static_cast<uint16_t>(sign | (bitsOf(floatOf(size) + 0.5f) - 0x3f000000u));
  return static_cast<uint16_t>(sign | ((size - 0x38000000u + 0xfffu + (size >> 13 & 1)) >> 13));
}
inline float fromF16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, size = h & 0x7fffu;
  if (size >= 0x7c00u) return floatOf(sign | 0x7f800000u | (size & 0x3ffu) << 13);
  // A subnormal is its last ten bits, times 2^-24.
  if (size < 0x400u) return floatOf(sign | bitsOf(static_cast<float>(size) * 0x1p-24f));
  return floatOf(sign | ((size << 13) + 0x38000000u));
}

// `dtype` is bf16 or f16.
inline void toHalves(DType dtype, const float* from, uint16_t* to, size_t count) {
  if (dtype == DType::bf16)
    for (size_t i = 0; i < count; ++i) to[i] = toBf16(from[i]);
  else
    for (size_t i = 0; i < count; ++i) to[i] = toF16(from[i]);
}
inline void fromHalves(DType dtype, const uint16_t* from, float* to, size_t count) {
  if (dtype == DType::bf16)
    for (size_t i = 0; i < count; ++i) to[i] = fromBf16(from[i]);
  else
    for (size_t i = 0; i < count; ++i) to[i] = fromF16(from[i]);
}

}  // namespace logitcore
