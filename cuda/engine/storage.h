// Arrays on the device, eight numbers at a time: 32 bytes of float32, 16 of bfloat16 or float16. Allocations are aligned to 256 bytes and
// have whole multiples of them, so that eight numbers from a multiple of eight on can always be read.
#pragma once
#include <cstdint>

#include "call.h"
#if !defined(__CUDACC__)
#include "../runtime/convert.h"
#endif

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kEight = 8;

LGC_FN constexpr unsigned bytesOf(Storage s) { return s == Storage::f32 ? 4 : 2; }

#if defined(__CUDACC__)
LGC_DEVICE float widen(Storage s, unsigned short bits) {
  return s == Storage::bf16 ? __uint_as_float(static_cast<unsigned>(bits) << 16) : __half2float(__ushort_as_half(bits));
}
LGC_DEVICE unsigned short narrow(Storage s, float x) {
  return s == Storage::bf16 ? __bfloat16_as_ushort(__float2bfloat16_rn(x)) : __half_as_ushort(__float2half_rn(x));
}
// Two in one word, the first in its low half.
LGC_DEVICE unsigned narrowTwo(Storage s, float low, float high) {
  if (s == Storage::f16) {
    const __half2 two = __floats2half2_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&two);
  }
  const __nv_bfloat162 two = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&two);
}
#else
LGC_DEVICE float widen(Storage s, unsigned short bits) { return s == Storage::bf16 ? fromBf16(bits) : fromF16(bits); }
LGC_DEVICE unsigned short narrow(Storage s, float x) { return s == Storage::bf16 ? toBf16(x) : toF16(x); }
LGC_DEVICE unsigned narrowTwo(Storage s, float low, float high) {
  return static_cast<unsigned>(narrow(s, low)) | static_cast<unsigned>(narrow(s, high)) << 16;
}
#endif

struct alignas(16) Sixteen {
  unsigned word[4];
};

// An array, in the type it is stored in.
struct Elements {
  void* at = nullptr;
  Storage storage = Storage::f32;
};

// One number.
LGC_DEVICE float readOne(const void* p, Storage s, size_t i) {
  return s == Storage::f32 ? static_cast<const float*>(p)[i] : widen(s, static_cast<const unsigned short*>(p)[i]);
}
LGC_DEVICE void writeOne(void* p, Storage s, size_t i, float x) {
  if (s == Storage::f32)
    static_cast<float*>(p)[i] = x;
  else
    static_cast<unsigned short*>(p)[i] = narrow(s, x);
}

// Four from entry `near` on, which is a multiple of four, and four from `far`. Of halves the two are neighbours, and one read.
LGC_DEVICE void readEight(const void* p, Storage s, size_t near, size_t far, float* v) {
  if (s == Storage::f32) {
    const Sixteen a = reinterpret_cast<const Sixteen*>(p)[near / 4], b = reinterpret_cast<const Sixteen*>(p)[far / 4];
    for (int k = 0; k < 4; ++k) {
      v[k] = fromBits(static_cast<std::uint32_t>(a.word[k]));
      v[k + 4] = fromBits(static_cast<std::uint32_t>(b.word[k]));
    }
    return;
  }
  const Sixteen a = reinterpret_cast<const Sixteen*>(p)[near / 8];
  for (int k = 0; k < 4; ++k) {
    v[2 * k] = widen(s, static_cast<unsigned short>(a.word[k] & 0xffff));
    v[2 * k + 1] = widen(s, static_cast<unsigned short>(a.word[k] >> 16));
  }
}
LGC_DEVICE void writeEight(void* p, Storage s, size_t near, size_t far, const float* v) {
  Sixteen a, b;
  if (s == Storage::f32) {
    for (int k = 0; k < 4; ++k) {
      a.word[k] = toBits(v[k]);
      b.word[k] = toBits(v[k + 4]);
    }
    reinterpret_cast<Sixteen*>(p)[near / 4] = a;
    reinterpret_cast<Sixteen*>(p)[far / 4] = b;
    return;
  }
  for (int k = 0; k < 4; ++k) a.word[k] = narrowTwo(s, v[2 * k], v[2 * k + 1]);
  reinterpret_cast<Sixteen*>(p)[near / 8] = a;
}

// The same of numbers that are known to be stored as S, from an aligned address on.
template <Storage S> LGC_DEVICE void readEight(const char* p, unsigned near, unsigned far, float* v) {
  const Sixteen a = *reinterpret_cast<const Sixteen*>(p + near * bytesOf(S));
  if constexpr (S == Storage::f32) {
    const Sixteen b = *reinterpret_cast<const Sixteen*>(p + far * bytesOf(S));
    LGC_UNROLL
    for (int k = 0; k < 4; ++k) {
      v[k] = fromBits(static_cast<std::uint32_t>(a.word[k]));
      v[k + 4] = fromBits(static_cast<std::uint32_t>(b.word[k]));
    }
  } else {
    LGC_UNROLL
    for (int k = 0; k < 4; ++k) {
      v[2 * k] = widen(S, static_cast<unsigned short>(a.word[k] & 0xffff));
      v[2 * k + 1] = widen(S, static_cast<unsigned short>(a.word[k] >> 16));
    }
  }
}
template <Storage S> LGC_DEVICE void writeEight(char* p, unsigned near, unsigned far, const float* v) {
  Sixteen a, b;
  if constexpr (S == Storage::f32) {
    LGC_UNROLL
    for (int k = 0; k < 4; ++k) {
      a.word[k] = toBits(v[k]);
      b.word[k] = toBits(v[k + 4]);
    }
    *reinterpret_cast<Sixteen*>(p + static_cast<size_t>(far) * bytesOf(S)) = b;
  } else {
    LGC_UNROLL
    for (int k = 0; k < 4; ++k) a.word[k] = narrowTwo(S, v[2 * k], v[2 * k + 1]);
  }
  *reinterpret_cast<Sixteen*>(p + static_cast<size_t>(near) * bytesOf(S)) = a;
}

// Copies of 16 bytes from the device's memory to that of the block, which arrive while the thread goes on.
#if defined(__CUDACC__)
LGC_DEVICE void copyAhead(Sixteen* to, const Sixteen* from) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
LGC_DEVICE void awaitCopies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
#else
inline void copyAhead(Sixteen* to, const Sixteen* from) { *to = *from; }
inline void awaitCopies() {}
#endif

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
