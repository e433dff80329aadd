// The vector types of every level by name, before any level says what they are made of.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct f32x16;
struct f64x8;
struct m32x16;
struct m64x8;

template <> struct Traits<f32x16> {
  using Scalar = float;
  using Mask = m32x16;
  using Bits = std::uint32_t;
  static constexpr int lanes = 16;
};

template <> struct Traits<f64x8> {
  using Scalar = double;
  using Mask = m64x8;
  using Bits = std::uint64_t;
  static constexpr int lanes = 8;
};

template <> struct VecOf<float> {
  using type = f32x16;
};

template <> struct VecOf<double> {
  using type = f64x8;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
