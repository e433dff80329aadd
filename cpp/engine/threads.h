// The thread pool and aligned memory behind Runtime. Compiled once, for the lowest level.
#pragma once
#include "record.h"

namespace logitcore {

const Runtime& runtime();
int threadCount();
void setThreadCount(int n);
int defaultThreadCount();
constexpr int kMaxThreads = 1024;
// Starts a detached thread; false if there is none to be had.
bool startThread(void* (*enter)(void*), void* argument);

}  // namespace logitcore
