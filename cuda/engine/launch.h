// Kernels are put on the stream of their call. The first that cannot be is remembered, and nothing more is put there for that call.
#pragma once
#include "storage.h"
#include "team.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Launch {
  size_t blocks;
  unsigned threads;
  size_t shared = 0;
  unsigned cluster = 1;
};

#if defined(__CUDACC__)
template <class... P, class... A> void launch(DeviceCall& call, const Launch& l, void (*kernel)(P...), const A&... arguments) {
  if (call.failure != cudaSuccess || call.outOfMemory || call.error[0] || l.blocks == 0) return;
  if (l.shared > 48 * 1024)
    call.failure = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(l.shared));
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(l.blocks));
  config.blockDim = dim3(l.threads);
  config.dynamicSmemBytes = l.shared;
  config.stream = call.stream;
  cudaLaunchAttribute attribute{};
  if (l.cluster > 1) {
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = l.cluster;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
  }
  if (call.failure == cudaSuccess) call.failure = cudaLaunchKernelEx(&config, kernel, P(arguments)...);
}
#else
template <class... P, class... A> void launch(DeviceCall& call, const Launch& l, void (*kernel)(P...), const A&... arguments) {
  if (call.failure != cudaSuccess || call.outOfMemory || call.error[0] || l.blocks == 0) return;
  ::emulate::Machine::of().launch(static_cast<unsigned>(l.blocks), l.threads, l.cluster, l.shared, [&] { kernel(P(arguments)...); });
}
#endif

// The definition of a call, built on the device: it may look at all rows.
template <class D> struct Prepared {
  D definition;
  double weightSum;  // of the classes
};

struct ClassWeights {
  const float* at;
  size_t count;
};
template <class D> LGC_KERNEL void prepare(LGC_ARGUMENT Call call, ClassWeights weights, Prepared<D>* out) {
  const D d(call);
  const double sum = weights.at ? sumRows(weights.count, [&](size_t j) { return static_cast<double>(weights.at[j]); }) : 0.0;
  if (threadIdx.x != 0) return;
  out->definition = d;
  out->weightSum = weights.at ? sum : static_cast<double>(call.columns);
}
constexpr unsigned kPrepareThreads = 512;

template <class D> const Prepared<D>* prepared(DeviceCall& call, ClassWeights weights = {nullptr, 0}) {
  Prepared<D>* out = call.scratch<Prepared<D>>(1);
  if (out) launch(call, {1, kPrepareThreads, sizeof(TeamRoom)}, prepare<D>, static_cast<const Call&>(call), weights, out);
  return out;
}

// What a kernel leaves for the host, of the first that finds it.
struct Faults {
  unsigned long long* at;
  unsigned long long code;
  LGC_DEVICE void raise() const { atomicCAS(at, 0ull, code); }
};
inline Faults faultsOf(const DeviceCall& call, int input) {
  return {call.fault, static_cast<unsigned long long>(call.op + 1) << 32 | static_cast<unsigned long long>(input) << 24 | 1ull};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
