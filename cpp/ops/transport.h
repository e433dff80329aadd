// Optimal transport on a line, and Gromov-Wasserstein on lines. All in double.
#pragma once
#include "softmax.h"
#include "weights.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// What a distance of a costs: a^p for a >= 0.
LGC_FN double costOf(double a, double p) { return p == 1 ? a : p == 2 ? a * a : pow(a, p); }
// Its derivative; 0 at a = 0.
LGC_FN double costSlope(double a, double p) { return a == 0 ? 0.0 : p == 1 ? 1.0 : p == 2 ? 2 * a : p * pow(a, p - 1); }

// value^(1/p), and the factor that it puts on the gradient.
LGC_FN double rootOf(double value, double p) { return p == 1 ? value : p == 2 ? sqrt(value) : value == 0 ? 0.0 : pow(value, 1 / p); }
LGC_FN double rootSlope(double value, double p) { return p == 1 ? 1.0 : value == 0 ? 0.0 : rootOf(value, p) / (p * value); }

// scale times the derivative, by a, of what mass w costs that goes from a to b; that by b is its negative.
LGC_FN double pieceSlope(double a, double b, double w, double p, double scale) {
  const double d = a - b, g = scale * w * costSlope(abs(d), p);
  return d < 0 ? -g : g;
}

// Gromov-Wasserstein on a line, for points matched in ascending order (identity) or one of them descending (anti).
struct LineMatch {
  double identity, anti;
  LGC_FN bool reversed() const { return anti < identity; }
  LGC_FN double least() const { return reversed() ? anti : identity; }
};

// With d = x - y and s = x + y of centred points, (x_i - x_j)^2 - (y_i - y_j)^2 = (d_i - d_j)(s_i - s_j): the mean of its squares
// needs no sum of fourth powers that cancels.
struct LineSums {
  static constexpr int count = 10;
  // d^2, s^2, (ds)^2, ds; s x, d x, ds x; the same of y.
  double at[count] = {};
  LGC_FN static void terms(double a, double b, double* t) {
    const double d = a - b, s = a + b, ds = d * s;
    t[0] = d * d;
    t[1] = s * s;
    t[2] = ds * ds;
    t[3] = ds;
    t[4] = s * a;
    t[5] = d * a;
    t[6] = ds * a;
    t[7] = s * b;
    t[8] = d * b;
    t[9] = ds * b;
  }
  LGC_FN void add(double a, double b) {
    double t[count];
    terms(a, b, t);
    for (int k = 0; k < count; ++k) at[k] += t[k];
  }
  LGC_FN double value(double n) const { return (2 * n * at[2] + 2 * at[0] * at[1] + 4 * at[3] * at[3]) / (n * n); }
};
// scale times the derivatives of the value by a point of the first line and the one of the second that it is matched to.
struct LineSlopes {
  LineSums t;
  double n, factor;
  LGC_FN LineSlopes(const LineSums& sums, double count, double scale) : t(sums), n(count), factor(scale * 8 / (count * count)) {}
  LGC_FN double first(double a, double b) const {
    const double d = a - b, s = a + b;
    return factor * (n * d * s * a + d * t.at[4] + s * t.at[5] + a * t.at[3] - t.at[6]);
  }
  LGC_FN double second(double a, double b) const {
    const double d = a - b, s = a + b;
    return -factor * (n * d * s * b + d * t.at[7] + s * t.at[8] + b * t.at[3] - t.at[9]);
  }
};

inline bool checkPointWeights(Call& call) { return checkWeights(call, "weightsX") && checkWeights(call, "weightsY"); }

struct Wasserstein1d {
  static constexpr Record record{
      "wasserstein1d",
      "infigfusion-gw",
      {{"x", "n"}, {"y", "m"}, optionInput("weightsX", "n", Domain::positive), optionInput("weightsY", "m", Domain::positive)},
      {atLeast(number("p", 1), 1), boolean("root"), kGrad},
      {scalar("value"), gradient("gradX", "n", "x"), gradient("gradY", "m", "y")},
      true,
      nullptr,
      &checkPointWeights};
};

struct Gw1d {
  static constexpr Record record{"gw1d",
                                 "infigfusion-gw",
                                 {{"x", "n"}, {"y", "n"}},
                                 {kGrad},
                                 {scalar("value"), scalar("valueIdentity"), scalar("valueAnti"), scalar("orientation"),
                                  gradient("gradX", "n", "x"), gradient("gradY", "n", "y")},
                                 true};
};

inline bool checkDirections(Call& call) {
  const size_t d = call.dims[static_cast<int>('d')], e = call.dims[static_cast<int>('e')], q = call.dims[static_cast<int>('q')];
  const size_t wanted = d > e ? d : e;
  if (q == wanted) return true;
  __builtin_snprintf(call.error, sizeof call.error, "directions has %zu columns, expected %zu, the wider of X and Y", q, wanted);
  return false;
}

struct SlicedGW {
  static constexpr Record record{
      "slicedGW",
      "infigfusion-gw",
      {{"X", "n,d"}, {"Y", "n,e"}, {"directions", "p,q"}},
      {kGrad},
      {scalar("value"), array("perDirection", "p"), gradient("gradX", "n,d", "X"), gradient("gradY", "n,e", "Y")},
      true,
      nullptr,
      &checkDirections};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
