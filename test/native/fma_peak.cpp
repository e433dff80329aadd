// Prints, as JSON, the fused multiply-adds a second that one thread reaches on registers, for each level of this machine.
#include <cstdio>

#include "matrix_time.h"

int main() {
  const char* separator = "";
  std::printf("{");
  for (const MatrixLevel* level : runnableMatrixLevels()) {
    const long steps = level == &matrixLevel_portable ? 1 << 14 : 1 << 20;
    std::vector<double> single, twice;
    for (int round = 0; round < 15; ++round) {
      single.push_back(peakRate(level->f32, steps));
      twice.push_back(peakRate(level->f64, steps));
    }
    std::printf("%s\"%s\": {\"float32\": %.4g, \"float64\": %.4g}", separator, level->name, median(single), median(twice));
    separator = ", ";
  }
  std::printf("}\n");
}
