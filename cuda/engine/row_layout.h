// How the rows of a call are dealt out: threads a row grow with its length, from 1 to the blocks of a cluster.
#pragma once
#include "launch.h"
#include "rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct RowLaunch {
  RowLayout layout;
  Launch launch;
};

constexpr size_t kBlockThreads = 128;  // of several short rows
// Of a row in a block, and of a pair of rows, so that three blocks or two fit a multiprocessor with 228 KiB and 65 536 registers: one is
// read while another is swept.
constexpr size_t kRowBytes = 70 * 1024, kPairBytes = 104 * 1024;
constexpr size_t kControlBytes = sizeof(TeamRoom) + 1024;  // at most, besides the rows

// Columns are counted in 32 bits, with room for what a row's chunks have beyond its ends.
constexpr size_t kMostColumnsOfRow = kNoColumn - 64;

inline unsigned powerOf2(size_t x) {
  unsigned p = 1;
  while (p < x) p *= 2;
  return p;
}

// `control`: bytes of the block's memory that a kernel needs for a row besides its inputs; they come first.
inline RowLaunch layoutOf(DeviceCall& call, size_t rows, size_t c, const RowInputs& inputs, size_t control) {
  RowLaunch r{};
  RowLayout& l = r.layout;
  l.rows = rows;
  l.columns = c;
  l.storage = call.storage;
  l.cluster = 1;
  if (c > kMostColumnsOfRow && !call.error[0])
    __builtin_snprintf(call.error, sizeof call.error, "rows of %zu columns, expected at most %zu on a device", c, kMostColumnsOfRow);
  const size_t chunks = (c + kEight - 1) / kEight;
  if (chunks <= 256) {
    // Eight to sixteen entries a thread, up to a warp.
    const unsigned wanted = powerOf2((chunks + 1) / 2);
    l.team = wanted < kWarpLanes ? wanted : kWarpLanes;
  } else {
    l.team = chunks <= 1024 ? 128 : kRowThreads;
  }
  l.rowsPerBlock = l.team < kBlockThreads ? static_cast<unsigned>(kBlockThreads / l.team) : 1;
  const size_t width = bytesOf(l.storage), count = static_cast<size_t>(inputs.count ? inputs.count : 1);
  const auto room = [&](size_t entries) { return (entries + 2 * kEight) * width / 128 * 128 + 128; };
  const size_t most = call.device->sharedBytes > kControlBytes + control * l.rowsPerBlock
                          ? call.device->sharedBytes - kControlBytes - control * l.rowsPerBlock
                          : 0;
  size_t entries = c * l.rowsPerBlock;
  if (l.rowsPerBlock == 1 && call.device->clusters) {
    while (l.cluster < kMostBlocks && count * room(entries) > (count > 1 ? kPairBytes : kRowBytes)) {
      l.cluster *= 2;
      entries = (chunks + l.cluster) / l.cluster * kEight + kEight;
    }
  }
  l.resident = inputs.count > 0 && count * room(entries) <= most;
  // Read again from memory in every sweep: the blocks of a cluster share the work all the same.
  l.roomPerInput = l.resident ? static_cast<unsigned>(room(entries)) : 0;
  const size_t rowControl = (control * l.rowsPerBlock + 127) / 128 * 128, teamControl = (sizeof(TeamRoom) + 127) / 128 * 128;
  r.launch.blocks = (l.rows + l.rowsPerBlock - 1) / l.rowsPerBlock * l.cluster;
  r.launch.threads = l.team * l.rowsPerBlock;
  r.launch.cluster = l.cluster;
  r.launch.shared = teamControl + rowControl + count * l.roomPerInput;
  return r;
}
inline RowLaunch layoutOf(DeviceCall& call, const RowInputs& inputs, size_t control) {
  return layoutOf(call, call.rows, call.columns, inputs, control);
}

// The parts of the block's memory, in this order.
template <class Control> struct BlockRoom {
  TeamRoom* team;
  Control* mine;  // of this thread's row
  char* rows;
  LGC_DEVICE explicit BlockRoom(const RowLayout& l) {
    char* p = sharedMemory();
    team = reinterpret_cast<TeamRoom*>(p);
    p += (sizeof(TeamRoom) + 127) / 128 * 128;
    mine = reinterpret_cast<Control*>(p) + threadIdx.x / l.team;
    rows = p + (sizeof(Control) * l.rowsPerBlock + 127) / 128 * 128;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
