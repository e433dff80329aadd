// What kernels are compared with: the same definitions over plain loops in double, on the host. Nothing of cuda/engine takes part.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "../../cpp/engine/members.h"
#include "../../cpp/engine/pair_facts.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace reference {

inline const double* inputOf(const Call& call, int i) { return static_cast<const double*>(call.inputs[i]); }

// Values a row leave as CPU calls leave them: summed, or one by one.
inline void leave(Call& call, int output, int reduction, const std::vector<double>& values) {
  const Output& o = call.record->outputs[output];
  if (o.kind == OutputKind::scalar || (o.kind == OutputKind::reduced && reduction != kReduceNone)) {
    double sum = 0;
    for (double v : values) sum += v;
    call.scalars[output] = sum;
    return;
  }
  double* out = static_cast<double*>(call.outputs[output]);
  for (size_t i = 0; out && i < values.size(); ++i) out[i] = values[i];
}

struct Capped {
  double cap;
  double operator()(double x) const { return cap > 0 ? cap * std::tanh(x / cap) : x; }
};
template <class D> Capped cappedOf(const Call& call) {
  constexpr int at = findOption(D::record, "logitSoftcap");
  const double cap = at < 0 ? 0.0 : call.options[at < 0 ? 0 : at];
  return {cap == cap ? cap : 0.0};
}

inline RowSum sumOf(const double* x, size_t c, double inverse, const Capped& capped) {
  RowSum r{-INFINITY, 0, 0};
  for (size_t j = 0; j < c; ++j)
    if (capped(x[j]) > r.max) {
      r.max = capped(x[j]);
      r.argMax = j;
    }
  const double origin = r.max == -INFINITY ? 0 : r.max;
  for (size_t j = 0; j < c; ++j)
    if (j != r.argMax) r.others += std::exp((capped(x[j]) - origin) * inverse);
  if (r.max == INFINITY) r.others = NAN;
  return r;
}

template <class D> void lossRows(Call& call) {
  constexpr const Record& record = D::record;
  constexpr int logitsAt = findInput(record, "logits") >= 0 ? findInput(record, "logits") : firstColumns(record);
  constexpr int weightAt = findInput(record, "weight"), temperatureAt = findOption(record, "temperature");
  constexpr int gradientAt = findGradient(record), lossAt = findRowOutput(record, 0), extraAt = findRowOutput(record, 1);
  constexpr bool targeted = findKind(record, Kind::target, Kind::target) >= 0, without = (D::needs & kWithoutTarget) != 0;
  const D d(call);
  const size_t n = call.rows, c = call.columns;
  const double* weight = weightAt < 0 ? nullptr : inputOf(call, weightAt < 0 ? 0 : weightAt);
  const int32_t* marks = rowMarks<D>(call);
  double* grad = gradientAt < 0 ? nullptr : static_cast<double*>(call.outputs[gradientAt < 0 ? 0 : gradientAt]);
  const Capped capped = cappedOf<D>(call);
  RowShape shape{static_cast<double>(c), temperatureAt < 0 ? 1.0 : 1.0 / call.options[temperatureAt < 0 ? 0 : temperatureAt],
                 static_cast<double>(c)};
  bool smooth = false;
  if constexpr (HasSmoothing<D>::value) smooth = d.smooths();
  if (weight && smooth) {
    shape.weightSum = 0;
    for (size_t j = 0; j < c; ++j) shape.weightSum += weight[j];
  }
  std::vector<double> losses(n), extras(n);
  for (size_t i = 0; i < n; ++i) {
    const double* x = inputOf(call, logitsAt) + i * c;
    double* g = grad ? grad + i * c : nullptr;
    if (marks && marks[i] == ignoreIndexOf<D>(call)) {
      for (size_t j = 0; g && j < c; ++j) g[j] = 0;
      continue;
    }
    const size_t y = targeted ? static_cast<size_t>(marks[i]) : 0;
    const RowSum s = sumOf(x, c, shape.inverseTemperature, capped);
    Facts<double> f{};
    f.max = s.max;
    f.others = s.others;
    f.target = capped(x[y]);
    f.targetIsMax = s.argMax == y;
    double count = 0;
    for (size_t j = 0; j < c; ++j) {
      const double w = weight ? weight[j] : 1.0;
      if (smooth && w != 0) f.smoothShift += w * (capped(x[j]) - s.max) * shape.inverseTemperature;
      if (without && j == y) continue;
      count += 1;
      f.mean += x[j];
    }
    f.mean = count > 0 ? f.mean / count : 0;
    for (size_t j = 0; j < c; ++j)
      if (!(without && j == y)) f.m2 += (x[j] - f.mean) * (x[j] - f.mean);
    if constexpr (HasParameters<D>::value) d.rowParameters(i, static_cast<int32_t>(y), f.parameter);
    Coefficients<double> k{};
    evaluate(d, f, shape, g != nullptr, !smooth ? 0.0 : weight ? weight[y] : 1.0, losses[i], extras[i], k);
    const double centre = (D::needs & kCentred) ? f.mean : 0;
    for (size_t j = 0; g && j < c; ++j) {
      const double v = capped(x[j]), slope = capped.cap > 0 ? 1 - v / capped.cap * (v / capped.cap) : 1.0;
      const double e = (D::needs & kExponentials) ? std::exp((v - s.max) * shape.inverseTemperature) * k.e : 0.0;
      const double own =
          e + ((D::needs & kMoments) ? (x[j] - centre) * k.x + k.constant : 0.0) + (smooth ? k.w * (weight ? weight[j] : 1.0) : 0.0);
      g[j] = (targeted && j == y ? k.atTarget : own) * slope;
    }
  }
  if (lossAt >= 0) leave(call, lossAt < 0 ? 0 : lossAt, reductionOf<D>(call), losses);
  if (extraAt >= 0) leave(call, extraAt < 0 ? 0 : extraAt, reductionOf<D>(call), extras);
}

template <int S, class D, class R> void sweepFrom(const D& d, typename D::Row& row, const R& lane, size_t c) {
  if constexpr (S < D::sweeps) {
    double total[kMaxSums] = {};
    for (size_t j = 0; j < c; ++j) {
      double term[kMaxSums] = {};
      d.template terms<S>(row, lane(j), term);
      for (int k = 0; k < D::sums[S]; ++k) total[k] += term[k];
    }
    d.template fold<S>(row, total);
    sweepFrom<S + 1>(d, row, lane, c);
  }
}

template <class D> void sweepRows(Call& call) {
  constexpr const Record& record = D::record;
  constexpr int temperatureAt = HasPlainSoftmax<D>::value ? -1 : findOption(record, "temperature");
  constexpr bool targeted = findKind(record, Kind::target, Kind::target) >= 0;
  constexpr int pivotInput = targeted ? -1 : PivotOf<D>::input, columnSums = ColumnSumsOf<D>::count;
  const D d(call);
  const size_t n = call.rows, c = call.columns;
  const double inverse = temperatureAt < 0 ? 1.0 : 1.0 / call.options[temperatureAt < 0 ? 0 : temperatureAt];
  const Capped capped = cappedOf<D>(call);
  const int32_t* marks = rowMarks<D>(call);
  std::vector<const double*> rows, columns;
  for (int i = 0; i < record.inputCount(); ++i) {
    if (record.inputs[i].kind != Kind::real) continue;
    if (hasColumns(record.inputs[i].dims)) rows.push_back(inputOf(call, i));
    if (isColumn(record.inputs[i].dims)) columns.push_back(inputOf(call, i));
  }
  std::vector<double*> written;
  std::vector<int> perRow, summed;
  for (int i = 0; i < record.outputCount(); ++i) {
    const Output& o = record.outputs[i];
    if (o.kind == OutputKind::scalar) continue;
    if (hasColumns(o.dims) && o.kind == OutputKind::array)
      written.push_back(static_cast<double*>(call.outputs[i]));
    else if (columnSums > 0 && isColumn(o.dims))
      summed.push_back(i);
    else
      perRow.push_back(i);
  }
  std::vector<std::vector<double>> values(perRow.size(), std::vector<double>(n)), totals(summed.size(), std::vector<double>(c));
  for (size_t i = 0; i < n; ++i) {
    if (marks && marks[i] == ignoreIndexOf<D>(call)) {
      for (double* out : written)
        for (size_t j = 0; out && j < c; ++j) out[i * c + j] = 0;
      continue;
    }
    RowStart start{};
    start.index = i;
    start.columns = c;
    start.inverseTemperature = inverse;
    size_t pivot = targeted ? static_cast<size_t>(marks[i]) : 0;
    start.target = static_cast<int32_t>(pivot);
    if (pivotInput >= 0) {
      const double* x = rows[static_cast<size_t>(pivotInput < 0 ? 0 : pivotInput)] + i * c;
      for (size_t j = 1; j < c; ++j)
        if (x[j] > x[pivot]) pivot = j;
    }
    if (targeted || pivotInput >= 0)
      for (size_t k = 0; k < rows.size(); ++k) start.targetValue[k] = rows[k][i * c + pivot];
    double top[2] = {};
    for (int k = 0; k < D::softmaxInputs; ++k) {
      start.softmax[k] = sumOf(rows[static_cast<size_t>(k)] + i * c, c, inverse, capped);
      top[k] = start.softmax[k].max;
      if (top[k] == -INFINITY) start.softmax[k].others = NAN;
    }
    const auto lane = [&](size_t j) {
      Lane<double> l{};
      l.isPivot = j == pivot;
      for (size_t k = 0; k < rows.size(); ++k) l.x[k] = rows[k][i * c + j];
      for (int k = 0; k < D::softmaxInputs; ++k) {
        l.x[k] = capped(l.x[k]);
        l.shifted[k] = (l.x[k] - top[k]) * inverse;
        l.e[k] = std::exp(l.shifted[k]);
      }
      for (size_t k = 0; k < kMaxColumnInputs; ++k) l.column[k] = k < columns.size() && columns[k] ? columns[k][j] : 1.0;
      return l;
    };
    typename D::Row row{};
    d.begin(row, start);
    sweepFrom<0>(d, row, lane, c);
    double out[kMaxOutputs] = {};
    d.rowOutputs(row, out);
    for (size_t k = 0; k < perRow.size(); ++k) values[k][i] = out[k];
    for (size_t j = 0; j < c; ++j) {
      double w[kMaxOutputs] = {};
      d.write(row, lane(j), w);
      if constexpr (HasTargetFix<D>::value)
        if (j == pivot) w[0] = d.atTarget(row);
      for (size_t k = 0; k < written.size(); ++k)
        if (written[k]) written[k][i * c + j] = w[k];
      if constexpr (columnSums > 0) {
        double term[columnSums];
        d.columnTerms(row, lane(j), term);
        for (size_t k = 0; k < summed.size(); ++k) totals[k][j] += term[k];
      }
    }
  }
  for (size_t k = 0; k < perRow.size(); ++k) leave(call, perRow[k], reductionOf<D>(call), values[k]);
  for (size_t k = 0; k < summed.size(); ++k)
    for (size_t j = 0; call.outputs[summed[k]] && j < c; ++j) static_cast<double*>(call.outputs[summed[k]])[j] = totals[k][j];
}

// Softmaxes and moments as they are written in the papers; the gradient goes through the scaled logits.
template <class D> void pairRows(Call& call) {
  constexpr const Record& record = D::record;
  constexpr bool targeted = findKind(record, Kind::target, Kind::target) >= 0;
  constexpr int gradientAt = findGradient(record);
  const D d(call);
  const PairScaling& scaling = d.scaling;
  const size_t n = call.rows, c = call.columns;
  const int32_t* marks = rowMarks<D>(call);
  const double t = scaling.temperature;
  double* grad = static_cast<double*>(call.outputs[gradientAt]);
  std::vector<std::vector<double>> values(kMaxOutputs, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) {
    if (marks && marks[i] == ignoreIndexOf<D>(call)) {
      for (size_t j = 0; grad && j < c; ++j) grad[i * c + j] = 0;
      continue;
    }
    const size_t hole = targeted ? static_cast<size_t>(marks[i]) : c;
    std::vector<double> w[2], e[2];
    double sd[2], unit[2], mean[2];
    PairFacts<double> f{};
    f.temperature = t;
    for (int k = 0; k < 2; ++k) {
      const double* z = inputOf(call, inputIndex(record, k ? "teacher" : "student")) + i * c;
      mean[k] = sd[k] = 0;
      for (size_t j = 0; j < c; ++j) mean[k] += z[j] / static_cast<double>(c);
      for (size_t j = 0; j < c; ++j) sd[k] += (z[j] - mean[k]) * (z[j] - mean[k]);
      const double freedom = static_cast<double>(c) - scaling.ddof;
      sd[k] = freedom > 0 ? std::sqrt(sd[k] / freedom) : 0.0;
      unit[k] = (scaling.standardize ? sd[k] + scaling.eps : 1.0) * t;
      // Deviations of a row without any are 0 in every unit.
      if (unit[k] == 0) unit[k] = INFINITY;
      size_t at = hole == 0 ? 1 : 0;
      for (size_t j = 0; j < c; ++j)
        if (j != hole && z[j] > z[at]) at = j;
      double others = 0;
      for (size_t j = 0; j < c; ++j) {
        w[k].push_back((z[j] - z[at]) / unit[k]);
        e[k].push_back(j == hole ? 0.0 : std::exp(w[k][j]));
        if (j != at) others += e[k][j];
      }
      f.others[k] = others;
      f.logSum[k] = std::log1p(others);
      f.most[k] = 1 / (1 + others);
      f.target[k] = targeted ? w[k][hole] : 0.0;
    }
    for (size_t j = 0; j < c; ++j) {
      f.own += f.most[0] * e[0][j] * w[0][j];
      f.crossed += f.most[1] * e[1][j] * w[0][j];
      f.gap += f.most[1] * e[1][j] * (w[1][j] - w[0][j]);
    }
    const double meanTeacher = f.gap + f.crossed;
    for (size_t j = 0; j < c; ++j) f.covariance += f.most[1] * e[1][j] * (w[1][j] - meanTeacher) * (w[1][j] - w[0][j] - f.gap);
    double out[kMaxOutputs] = {};
    const PairSlopes<double> slopes = d.fold(f, out);
    int k = 0;
    for (int o = 0; o < record.outputCount(); ++o)
      if (o != gradientAt) values[static_cast<size_t>(o)][i] = out[k++];
    if (!grad) continue;
    // By the scaled logits first, then through mean and deviation of the row.
    std::vector<double> g(c);
    double sum = 0, along = 0;
    const double* z = inputOf(call, inputIndex(record, "student")) + i * c;
    for (size_t j = 0; j < c; ++j) {
      g[j] = j == hole ? slopes.atTarget : slopes.student * f.most[0] * e[0][j] + slopes.teacher * f.most[1] * e[1][j];
      sum += g[j];
      along += g[j] * (z[j] - mean[0]);
    }
    for (size_t j = 0; j < c; ++j) {
      double x = g[j] / unit[0];
      if (scaling.standardize && sd[0] == 0) {
        if (!scaling.flatGradient) x = 0;
      } else if (scaling.standardize) {
        x -= sum / static_cast<double>(c) / unit[0];
        x -= along * (z[j] - mean[0]) * t / (unit[0] * unit[0] * sd[0] * (static_cast<double>(c) - scaling.ddof));
      }
      grad[i * c + j] = x;
    }
  }
  for (int o = 0; o < record.outputCount(); ++o)
    if (o != gradientAt) leave(call, o, reductionOf<D>(call), values[static_cast<size_t>(o)]);
}

template <class D> void elements(Call& call) {
  constexpr const Record& record = D::record;
  const D d(call);
  std::vector<const double*> rows, columns;
  std::vector<const int32_t*> integers;
  std::vector<double*> written;
  int lossAt = -1;
  size_t total = 0;
  for (int i = 0; i < record.inputCount(); ++i) {
    if (isColumn(record.inputs[i].dims)) {
      columns.push_back(inputOf(call, i));
      continue;
    }
    if (rows.empty()) total = call.inputLength[i];
    const bool real = record.inputs[i].kind == Kind::real;
    rows.push_back(real ? inputOf(call, i) : nullptr);
    integers.push_back(real ? nullptr : static_cast<const int32_t*>(call.inputs[i]));
  }
  for (int i = 0; i < record.outputCount(); ++i) {
    if (record.outputs[i].kind == OutputKind::reduced) lossAt = i;
    if (record.outputs[i].kind == OutputKind::array) written.push_back(static_cast<double*>(call.outputs[i]));
  }
  std::vector<double> losses(total);
  for (size_t i = 0; i < total; ++i) {
    double x[4] = {}, column[3] = {1, 1, 1}, out[kMaxOutputs] = {};
    for (size_t k = 0; k < rows.size(); ++k) x[k] = rows[k] ? rows[k][i] : integers[k] ? static_cast<double>(integers[k][i]) : 0.0;
    for (size_t k = 0; k < columns.size(); ++k)
      if (columns[k]) column[k] = columns[k][i % call.columns];
    d.lane(x, column, losses[i], out);
    for (size_t k = 0; k < written.size(); ++k)
      if (written[k]) written[k][i] = out[k];
  }
  if (lossAt >= 0) leave(call, lossAt, reductionOf<D>(call), losses);
}

// Equal values by index; -0 equals +0. NaN before all others, or after them.
inline std::vector<int32_t> orderOf(const double* x, size_t c, bool descending, bool nanFirst) {
  std::vector<int32_t> order(c);
  for (size_t j = 0; j < c; ++j) order[j] = static_cast<int32_t>(j);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const double u = x[a], v = x[b];
    if (u != u || v != v) return nanFirst ? u != u && v == v : u == u && v != v;
    return descending ? u > v : u < v;
  });
  return order;
}
inline void leaveOrder(Call& call, const char* values, const char* indices, size_t taken, bool descending, bool nanFirst) {
  double* to = nullptr;
  int32_t* places = nullptr;
  for (int i = 0; i < call.record->outputCount(); ++i) {
    if (values && sameName(call.record->outputs[i].name, values)) to = static_cast<double*>(call.outputs[i]);
    if (sameName(call.record->outputs[i].name, indices)) places = static_cast<int32_t*>(call.outputs[i]);
  }
  for (size_t i = 0; i < call.rows; ++i) {
    const double* x = inputOf(call, 0) + i * call.columns;
    const std::vector<int32_t> order = orderOf(x, call.columns, descending, nanFirst);
    for (size_t r = 0; r < taken; ++r) {
      if (to) to[i * taken + r] = x[order[r]];
      if (places) places[i * taken + r] = order[r];
    }
  }
}
inline void topK(Call& call) { leaveOrder(call, "values", "indices", static_cast<size_t>(call.options[0]), true, true); }
inline void argsort(Call& call) { leaveOrder(call, nullptr, "indices", call.columns, call.options[0] != 0, false); }
inline void sort(Call& call) { leaveOrder(call, "values", "indices", call.columns, call.options[0] != 0, false); }

inline void matmul(Call& call) {
  const auto size = [&](char letter) { return call.dims[static_cast<int>(letter)]; };
  const bool turnA = call.options[0] != 0, turnB = call.options[1] != 0;
  const double *a = inputOf(call, 0), *b = inputOf(call, 1);
  double* out = static_cast<double*>(call.outputs[0]);
  const size_t depth = turnA ? size('i') : size('j');
  for (size_t i = 0; i < size('m'); ++i)
    for (size_t j = 0; j < size('n'); ++j) {
      double sum = 0;
      for (size_t k = 0; k < depth; ++k)
        sum += a[turnA ? k * size('j') + i : i * size('j') + k] * b[turnB ? j * size('q') + k : k * size('q') + j];
      double& to = out[i * size('n') + j];
      to = call.options[2] * sum + (call.options[3] == 0 ? 0.0 : call.options[3] * to);
    }
}

}  // namespace reference
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
