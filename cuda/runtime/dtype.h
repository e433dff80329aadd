// Types of the values of a tensor, in the order in which JavaScript numbers them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace logitcore {

enum class DType : uint8_t { f32, bf16, f16, i32, f64 };
constexpr int kDTypes = 5;

constexpr const char* nameOf(DType t) {
  constexpr const char* names[kDTypes] = {"f32", "bf16", "f16", "i32", "f64"};
  return names[static_cast<int>(t)];
}
constexpr size_t widthOf(DType t) { return t == DType::f64 ? 8 : t == DType::bf16 || t == DType::f16 ? 2 : 4; }

}  // namespace logitcore
