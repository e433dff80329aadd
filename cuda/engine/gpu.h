// The vocabulary of the kernels: CUDA's, or what stands for it in a build for the CPU that tests run where there is no GPU.
#pragma once

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define LGC_DEVICE __device__ __forceinline__
#define LGC_KERNEL __global__ __launch_bounds__(512)
// Of rows: how many blocks of 256 threads a multiprocessor is to hold, which bounds the registers of a thread.
#define LGC_ROW_KERNEL(blocks) __global__ __launch_bounds__(256, blocks)
#define LGC_UNROLL _Pragma("unroll")
#define LGC_ROLLED _Pragma("unroll 1")
// Of a kernel's arguments: stays where the launch put it, also where its address is taken.
#define LGC_ARGUMENT const __grid_constant__
#else
#include "../emulate/kernels.h"
#include "../emulate/runtime.h"
#define LGC_DEVICE inline
#define LGC_KERNEL inline
#define LGC_ROW_KERNEL(blocks) inline
#define LGC_UNROLL
#define LGC_ROLLED
#define LGC_ARGUMENT const
#endif
