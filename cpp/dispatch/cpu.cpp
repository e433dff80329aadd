#include <cstdlib>
#include <cstring>

#include "dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace logitcore {
namespace {

#if defined(__x86_64__)
// The operating system must save the wide registers too: XCR0 bits 1, 2 (xmm, ymm) and 5..7 (opmask, zmm).
unsigned long long xcr0() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
}

Level detect() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Level::portable;
  const bool osxsave = c & (1u << 27), avx = c & (1u << 28), fma = c & (1u << 12);
  if (!osxsave || !avx || !fma) return Level::portable;
  const unsigned long long saved = xcr0();
  if ((saved & 0x6) != 0x6) return Level::portable;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Level::portable;
  if (!(b & (1u << 5))) return Level::portable;                               // AVX2
  const unsigned needed = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // AVX-512 F, DQ, BW, VL
  if (LOGITCORE_HAS_AVX512 && (b & needed) == needed && (saved & 0xe6) == 0xe6) return Level::avx512;
  return Level::avx2;
}
#elif defined(__aarch64__)
Level detect() { return Level::neon; }
#else
Level detect() { return Level::portable; }
#endif

struct Choice {
  Level level;
  const char* error;
};

Choice choose() {
  const Level best = detect();
  const char* text = std::getenv("LOGITCORE_ISA");
  if (!text || !*text) return {best, nullptr};
  const Level levels[] = {Level::portable, Level::neon, Level::avx2, Level::avx512};
  for (Level level : levels) {
    if (std::strcmp(text, levelName(level)) != 0) continue;
#if defined(__x86_64__)
    if (level == Level::neon) break;
#elif defined(__aarch64__)
    if (level != Level::neon) break;
#else
    if (level != Level::portable) break;
#endif
    return {level < best ? level : best, nullptr};
  }
#if defined(__x86_64__)
  return {best, "LOGITCORE_ISA must be one of avx512, avx2, portable on this processor"};
#elif defined(__aarch64__)
  return {best, "LOGITCORE_ISA must be one of neon on this processor"};
#else
  return {best, "LOGITCORE_ISA must be one of portable on this processor"};
#endif
}

const Choice& chosen() {
  static const Choice c = choose();
  return c;
}

}  // namespace

const char* levelName(Level level) {
  switch (level) {
    case Level::avx512: return "avx512";
    case Level::avx2: return "avx2";
    case Level::neon: return "neon";
    default: return "portable";
  }
}

Level machineLevel() {
  static const Level level = detect();
  return level;
}

const Level* activeLevel(const char** error) {
  if (error) *error = chosen().error;
  return chosen().error ? nullptr : &chosen().level;
}

}  // namespace logitcore
