// Checks cpp/engine/matrix.h against sums written out, and that levels, threads, transposes and neighbours leave no trace in the bits.
// Exits with 1 on a violation.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "../../cpp/engine/threads.h"
#include "matrix_runnable.h"
#include "random.h"

namespace {

using logitcore::Call;
using std::size_t;

int failures = 0;

template <class T> const MatrixFunctions<T>& of(const MatrixLevel* level);
template <> const MatrixFunctions<float>& of<float>(const MatrixLevel* level) { return level->f32; }
template <> const MatrixFunctions<double>& of<double>(const MatrixLevel* level) { return level->f64; }

template <class T> bool same(T a, T b) { return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); }
template <class T> bool same(const std::vector<T>& a, const std::vector<T>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!same(a[i], b[i])) return false;
  return a.size() == b.size();
}

// Rows of `columns` elements at `stride`, or transposed; what lies between is NaN and must not be read.
template <class T> struct Matrix {
  std::vector<T> data;
  size_t rowStep, columnStep;

  Matrix(size_t rows, size_t columns, bool turned, size_t gap, Random& random) {
    const size_t inner = turned ? rows : columns, outer = turned ? columns : rows, stride = inner + gap;
    data.assign(outer * stride + 1, std::numeric_limits<T>::quiet_NaN());
    rowStep = turned ? 1 : stride;
    columnStep = turned ? stride : 1;
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < columns; ++j) at(i, j) = static_cast<T>(random.uniform());
  }
  T& at(size_t i, size_t j) { return data[i * rowStep + j * columnStep]; }
  T at(size_t i, size_t j) const { return data[i * rowStep + j * columnStep]; }
};

struct Shape {
  size_t m, n, k;
  bool turnA, turnB;
  size_t gap;
  double alpha, beta;
};

void fail(const char* what, const char* level, const Shape& s, size_t bits) {
  std::printf("FAILED %s, %s, %zu bits: m %zu n %zu k %zu%s%s gap %zu alpha %g beta %g\n", what, level, bits, s.m, s.n, s.k,
              s.turnA ? " A^T" : "", s.turnB ? " B^T" : "", s.gap, s.alpha, s.beta);
  ++failures;
}

template <class T> MatrixCase<T> caseOf(const Shape& s, const Matrix<T>& a, const Matrix<T>& b, T* c) {
  return {s.m, s.n, s.k, s.alpha, s.beta, a.data.data(), a.rowStep, a.columnStep, b.data.data(), b.rowStep, b.columnStep, c, s.n + s.gap};
}

// The element as documented: sums over blocks of 256 in order, each entering by one formula.
template <class T> T documented(const Matrix<T>& a, const Matrix<T>& b, const Shape& s, size_t i, size_t j, T old) {
  const T alpha = static_cast<T>(s.alpha), beta = static_cast<T>(s.beta);
  T c = old;
  for (size_t k = 0; k == 0 || k < s.k; k += 256) {
    T sum = 0;
    for (size_t q = k; q < s.k && q < k + 256; ++q) sum = std::fma(a.at(i, q), b.at(q, j), sum);
    c = k == 0 ? (beta == 0 ? alpha * sum : std::fma(alpha, sum, beta * c)) : std::fma(alpha, sum, c);
  }
  return c;
}

template <class T> void checkShape(const std::vector<const MatrixLevel*>& levels, const Shape& s, Random& random) {
  Matrix<T> a(s.m, s.k, s.turnA, s.gap, random), b(s.k, s.n, s.turnB, s.gap, random);
  const size_t stride = s.n + s.gap;
  std::vector<T> old(s.m * stride + 1);
  for (T& x : old) x = s.beta == 0 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(random.uniform());
  std::vector<T> want = old;
  for (size_t i = 0; i < s.m; ++i)
    for (size_t j = 0; j < s.n; ++j) {
      T& c = want[i * stride + j];
      // In double, with a bound on what the order of addition can do.
      double exact = s.beta == 0 ? 0 : s.beta * static_cast<double>(c), size = std::fabs(exact);
      for (size_t k = 0; k < s.k; ++k) {
        const double term = s.alpha * static_cast<double>(a.at(i, k)) * static_cast<double>(b.at(k, j));
        exact += term;
        size += std::fabs(term);
      }
      c = documented(a, b, s, i, j, c);
      const double bound = (static_cast<double>(s.k) + 4) * static_cast<double>(std::numeric_limits<T>::epsilon()) * size;
      if (!(std::fabs(static_cast<double>(c) - exact) <= bound))
        return fail("against sums in double", "documented order", s, sizeof(T) * 8);
    }
  for (const MatrixLevel* level : levels)
    for (int threads : {1, 3}) {
      logitcore::setThreadCount(threads);
      Call call;
      call.runtime = &logitcore::runtime();
      std::vector<T> c = old;
      of<T>(level).multiply(call, caseOf(s, a, b, c.data()));
      if (!same(c, want)) fail("multiply", level->name, s, sizeof(T) * 8);
      if (s.n == 1 && s.gap == 0) {
        std::vector<T> x(s.k + 1), y = old;
        for (size_t k = 0; k < s.k; ++k) x[k] = b.at(k, 0);
        MatrixCase<T> p = caseOf(s, a, b, y.data());
        p.b = x.data();
        of<T>(level).vector(call, p);
        if (!same(y, want)) fail("matrixVector", level->name, s, sizeof(T) * 8);
      }
      if (s.alpha == 1 && s.beta == 0) {
        std::vector<T> tiles = old;
        if (!of<T>(level).tiles(call, caseOf(s, a, b, tiles.data()))) fail("order of tiles", level->name, s, sizeof(T) * 8);
        if (!same(tiles, want)) fail("multiplyTiles", level->name, s, sizeof(T) * 8);
      }
    }
}

template <class T> void checkSymmetric(const std::vector<const MatrixLevel*>& levels, const Shape& s, Random& random) {
  Matrix<T> a(s.n, s.k, s.turnA, s.gap, random), b(s.k, s.n, s.turnB, s.gap, random);
  const size_t stride = s.n + s.gap;
  std::vector<T> old(s.n * stride + 1, std::numeric_limits<T>::quiet_NaN());
  if (s.beta != 0)
    for (size_t i = 0; i < s.n; ++i)
      for (size_t j = i; j < s.n; ++j) old[i * stride + j] = static_cast<T>(random.uniform());
  // a b, then its transpose on top of it.
  Shape later = s;
  later.beta = 1;
  std::vector<T> want = old;
  Matrix<T> turnedA(s.k, s.n, false, 0, random), turnedB(s.n, s.k, false, 0, random);
  for (size_t i = 0; i < s.n; ++i)
    for (size_t k = 0; k < s.k; ++k) turnedA.at(k, i) = a.at(i, k), turnedB.at(i, k) = b.at(k, i);
  for (size_t i = 0; i < s.n; ++i)
    for (size_t j = i; j < s.n; ++j) {
      T& c = want[i * stride + j];
      c = documented(a, b, s, i, j, c);
      c = documented(turnedB, turnedA, later, i, j, c);
      want[j * stride + i] = c;
    }
  for (const MatrixLevel* level : levels)
    for (int threads : {1, 3}) {
      logitcore::setThreadCount(threads);
      Call call;
      call.runtime = &logitcore::runtime();
      std::vector<T> c = old;
      of<T>(level).symmetric(call, caseOf(s, a, b, c.data()));
      if (!same(c, want)) fail("symmetricUpdate", level->name, s, sizeof(T) * 8);
    }
}

// A NaN or an infinity reaches its row or column, and nothing else.
template <class T> void checkSpecial(const std::vector<const MatrixLevel*>& levels, Random& random) {
  const Shape s{37, 29, 300, false, true, 2, 1, 0};
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  for (const MatrixLevel* level : levels) {
    Matrix<T> a(s.m, s.k, s.turnA, s.gap, random), b(s.k, s.n, s.turnB, s.gap, random);
    for (size_t i = 0; i < s.m; ++i) a.at(i, 1) = T(1), a.at(i, 290) = T(1);
    for (size_t j = 0; j < s.n; ++j) b.at(7, j) = T(1);
    a.at(5, 7) = nan;
    a.at(36, 7) = infinity;
    b.at(1, 28) = nan;
    b.at(290, 3) = -infinity;
    std::vector<T> c(s.m * (s.n + s.gap));
    Call call;
    call.runtime = &logitcore::runtime();
    of<T>(level).multiply(call, caseOf(s, a, b, c.data()));
    for (size_t i = 0; i < s.m; ++i)
      for (size_t j = 0; j < s.n; ++j) {
        const T x = c[i * (s.n + s.gap) + j];
        const bool isNan = i == 5 || j == 28 || (i == 36 && j == 3);
        if (isNan ? x == x : i == 36 ? x != infinity : j == 3 ? x != -infinity : !std::isfinite(x))
          return fail("NaN and infinity", level->name, s, sizeof(T) * 8);
      }
  }
}

void checkMemory(const std::vector<const MatrixLevel*>& levels) {
  Random random{5};
  const Shape s{40, 50, 300, false, false, 0, 1, 0};
  Matrix<float> a(s.m, s.k, false, 0, random), b(s.k, s.n, false, 0, random);
  std::vector<float> c(s.m * s.n);
  for (const MatrixLevel* level : levels) {
    logitcore::Runtime poor = logitcore::runtime();
    poor.allocate = [](size_t) -> void* { return nullptr; };
    Call call;
    call.runtime = &poor;
    level->f32.multiply(call, caseOf(s, a, b, c.data()));
    if (!call.outOfMemory) fail("no memory", level->name, s, 32);
  }
}

template <class T> void checkAll(const std::vector<const MatrixLevel*>& levels) {
  Random random{0x9e3779b97f4a7c15ull};
  const double alphas[] = {1, -0.5, 3}, betas[] = {0, 1, 0.25};
  const size_t ks[] = {0, 1, 2, 7, 8, 9, 255, 256, 257, 600};
  const size_t edges[] = {0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 24, 31, 32, 33, 47, 65};
  // Every pair of edges, the rest by chance, so that each k, transpose and factor meets many.
  for (size_t m : edges)
    for (size_t n : edges) {
      const Shape s{m,
                    n,
                    ks[random.below(10)],
                    random.below(2) == 1,
                    random.below(2) == 1,
                    random.below(3),
                    alphas[random.below(3)],
                    betas[random.below(3)]};
      checkShape<T>(levels, s, random);
      if (m == n || n % 4 == 3) checkSymmetric<T>(levels, s, random);
    }
  // Beyond the blocks of rows, of columns and of tiles that are handed over.
  for (bool turnA : {false, true})
    for (bool turnB : {false, true}) {
      checkShape<T>(levels, {203, 270, 30, turnA, turnB, 1, -0.5, 0.25}, random);
      checkShape<T>(levels, {3, 1100, 259, turnA, turnB, 1, 1, 0}, random);
      checkShape<T>(levels, {300, 2100, 3, turnA, turnB, 0, 1, 0}, random);
      checkShape<T>(levels, {1100, 3, 259, turnA, turnB, 1, 3, 1}, random);
      checkShape<T>(levels, {700, 1, 513, turnA, turnB, 0, 2, 0}, random);
      checkShape<T>(levels, {1, 700, 513, turnA, turnB, 0, 2, 0.5}, random);
      checkShape<T>(levels, {5000, 1, 40, turnA, turnB, 0, 2, 1}, random);
      checkSymmetric<T>(levels, {0, 300, 40, turnA, turnB, 1, 0.5, 0.25}, random);
      checkSymmetric<T>(levels, {0, 130, 260, turnA, turnB, 0, 1, 0}, random);
    }
  checkSpecial<T>(levels, random);
}

}  // namespace

int main() {
  const std::vector<const MatrixLevel*> levels = runnableMatrixLevels();
  std::printf("levels:");
  for (const MatrixLevel* level : levels) std::printf(" %s", level->name);
  std::printf("\n");
  checkAll<float>(levels);
  checkAll<double>(levels);
  checkMemory(levels);
  std::printf(failures ? "FAILED: %d\n" : "ok\n", failures);
  return failures != 0;
}
