// The rest of the row engine: tiny rows, and the call as a whole (threads, reductions, outputs).
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class D, class T> void RowLoss<D, T>::tinyRows(size_t begin, size_t end) {
  using H = Halves<T>;
  alignas(64) T x[kTinyColumns * L], e[kTinyColumns * L];
  alignas(64) T slope[kTinyColumns * L];
  // Lanes without a row keep what an earlier group left there: nothing of theirs is written.
  alignas(64) T target[L] = {}, y[L] = {}, keep[L], wy[L] = {};
  double parameter[kMaxParameters][L] = {};
  const W zero = broadcast<W>(0), one = broadcast<W>(1);
  const T scale = static_cast<T>(shape.inverseTemperature);
  const size_t counted = withoutTarget && c > 1 ? c - 1 : c;
  for (size_t base = begin; base < end; base += L) {
    const size_t count = end - base < L ? end - base : L;
    transposeIn(logits + base * c, c, count, x);
    if (capping())
      for (size_t j = 0; j < c; ++j) {
        const W t = tanh(load<W>(x + j * L) / broadcast<W>(softcap));
        store(x + j * L, t * broadcast<W>(softcap));
        store(slope + j * L, fnma(t, t, one));
      }
    for (size_t r = 0; r < L; ++r) keep[r] = 0;
    for (size_t r = 0; r < count; ++r) {
      if (!kept(base + r)) continue;
      const size_t t = targeted ? static_cast<size_t>(marks[base + r]) : 0;
      keep[r] = 1;
      y[r] = static_cast<T>(t);
      target[r] = x[t * L + r];
      if (smoothing()) wy[r] = classWeight ? classWeight[t] : T(1);
      if constexpr (HasParameters<D>::value) {
        double p[kMaxParameters] = {};
        d.rowParameters(base + r, static_cast<int32_t>(t), p);
        for (int q = 0; q < kMaxParameters; ++q) parameter[q][r] = p[q];
      }
    }
    TinySum<T> s{};
    W shifted = zero;
    if (exponentials) {
      s = tinySum(x, c, shape.inverseTemperature, e);
      if (smoothing())
        for (size_t j = 0; j < c; ++j) {
          const W w = classWeight ? broadcast<W>(classWeight[j]) : one;
          shifted = shifted + select(w == zero, zero, w * ((load<W>(x + j * L) - s.max) * broadcast<W>(scale)));
        }
    }
    W mean = zero, deviation = zero, squares = zero;
    if (moments) {
      const W left = load<W>(y);
      auto term = [&](W v, size_t j) LGC_LAMBDA { return withoutTarget ? select(left == broadcast<W>(static_cast<T>(j)), zero, v) : v; };
      // Equal entries have a mean that is exactly theirs: the origin is one of those that count.
      const W origin = withoutTarget && c > 1 ? select(left == zero, load<W>(x + L), load<W>(x)) : load<W>(x);
      for (size_t j = 0; j < c; ++j) mean = mean + term(load<W>(x + j * L) - origin, j);
      mean = origin + mean / broadcast<W>(static_cast<T>(counted));
      for (size_t j = 0; j < c; ++j) {
        const W v = term(load<W>(x + j * L) - mean, j);
        deviation = deviation + v;
        squares = fma(v, v, squares);
      }
    }
    const W targets = load<W>(y), kept16 = load<W>(keep);
    f64x8 ke[2], kx[2], kc[2], kw[2], kt[2], exactMean[2];
    for (int h = 0; h < H::count; ++h) {
      Facts<f64x8> f;
      f.max = H::get(s.max, h);
      f.others = H::get(s.others, h);
      f.target = H::get(load<W>(target), h);
      f.targetIsMax = H::get(s.argMax, h) == H::get(targets, h);
      f.smoothShift = H::get(shifted, h);
      const f64x8 drift = H::get(deviation, h) / broadcast<f64x8>(static_cast<double>(counted));
      f.mean = H::get(mean, h) + drift;
      const f64x8 m2 = fnma(H::get(deviation, h), drift, H::get(squares, h));
      f.m2 = select(m2 < broadcast<f64x8>(0), broadcast<f64x8>(0), m2);
      for (int q = 0; q < kMaxParameters; ++q) f.parameter[q] = load<f64x8>(parameter[q] + h * 8);
      f64x8 loss = broadcast<f64x8>(0), extra = loss;
      Coefficients<f64x8> k;
      k.e = k.x = k.constant = k.w = k.atTarget = loss;
      evaluate(d, f, shape, grad != nullptr, H::get(load<W>(wy), h), loss, extra, k);
      const auto in = H::get(kept16, h) != broadcast<f64x8>(0);
      const size_t first = static_cast<size_t>(h) * 8;
      if (first < count) {
        const size_t rows = count - first < 8 ? count - first : 8;
        storeFirst(losses + base + first, select(in, loss, broadcast<f64x8>(0)), rows);
        if (extras) storeFirst(extras + base + first, select(in, extra, broadcast<f64x8>(0)), rows);
      }
      exactMean[h] = centred ? f.mean : broadcast<f64x8>(0);
      ke[h] = k.e;
      kx[h] = k.x;
      kc[h] = k.constant;
      kw[h] = k.w;
      kt[h] = k.atTarget;
    }
    if (!grad) continue;
    const W me = H::join(ke), mw = H::join(kw), mt = H::join(kt), mx = H::join(kx), centre = H::join(exactMean);
    f64x8 rest[2];
    for (int h = 0; h < H::count; ++h) rest[h] = fma(kx[h], H::get(centre, h) - exactMean[h], kc[h]);
    const W constant = H::join(rest);
    W index = zero;
    for (size_t j = 0; j < c; ++j, index = index + one) {
      W g = zero;
      if (exponentials) g = load<W>(e + j * L) * me;
      if (smoothing()) g = fma(mw, classWeight ? broadcast<W>(classWeight[j]) : one, g);
      if (moments) g = g + fma(centred ? load<W>(x + j * L) - centre : load<W>(x + j * L), mx, constant);
      if (targeted) g = select(targets == index, mt, g);
      if (capping()) g = g * load<W>(slope + j * L);
      store(e + j * L, select(kept16 == zero, zero, g));
    }
    transposeOut(e, c, count, grad + base * c);
  }
}

template <class D, class T> void RowLoss<D, T>::shortRows(size_t begin, size_t end) {
  const T scale = static_cast<T>(shape.inverseTemperature * Base<T>::perNat);
  const double one = 1;
  Waiting<T> before[kGroup];
  for (size_t base = begin; base < end; base += kGroup) {
    const size_t count = end - base < kGroup ? end - base : kGroup;
    RowGroup<T> group;
    Waiting<T> next[kGroup];
    alignas(64) double target[kGroup] = {}, isTop[kGroup] = {}, loss[kGroup], more[kGroup], slope[kGroup], atTarget[kGroup];
    double parameter[kMaxParameters][kGroup] = {};
    for (size_t r = 0; r < count; ++r) {
      const size_t i = base + r;
      T* out = grad ? grad + i * c : nullptr;
      if (!kept(i)) {
        if (out) __builtin_memset(static_cast<void*>(out), 0, c * sizeof(T));
        continue;
      }
      const T* x = logits + i * c;
      const size_t y = targeted ? static_cast<size_t>(marks[i]) : 0;
      target[r] = static_cast<double>(x[y]);
      if (!out) {
        group.template add<false>(r, Plain<T>{x}, c, scale, out, Nothing<T>{});
      } else if (before[r].scaling.out) {
        group.template add<true>(r, Plain<T>{x}, c, scale, out, before[r].scaling.block(0));
        before[r].finish(targeted);
      } else {
        group.template add<true>(r, Plain<T>{x}, c, scale, out, Nothing<T>{});
      }
      isTop[r] = group.argMax[r] == y;
      next[r].scaling.out = out;
      next[r].target = y;
      if constexpr (HasParameters<D>::value) {
        double p[kMaxParameters] = {};
        d.rowParameters(i, static_cast<int32_t>(y), p);
        for (int q = 0; q < kMaxParameters; ++q) parameter[q][r] = p[q];
      }
    }
    const f64x8 adjust = group.adjust(), zero = broadcast<f64x8>(0);
    Facts<f64x8> f;
    f.max = load<f64x8>(group.max);
    f.others = group.others(adjust);
    f.target = load<f64x8>(target);
    f.targetIsMax = load<f64x8>(isTop) != zero;
    f.smoothShift = f.mean = f.m2 = zero;
    for (int q = 0; q < kMaxParameters; ++q) f.parameter[q] = load<f64x8>(parameter[q]);
    f64x8 value = zero, extra = zero;
    Coefficients<f64x8> k;
    k.e = k.x = k.constant = k.w = k.atTarget = zero;
    evaluate(d, f, shape, grad != nullptr, zero, value, extra, k);
    store(loss, value);
    store(more, extra);
    store(slope, k.e * adjust);
    store(atTarget, k.atTarget);
    finishGroup(before);
    for (size_t r = 0; r < count; ++r) {
      // One block: what its exponentials are short of is in the slope.
      before[r] = {{next[r].scaling.out, slope[r], &one}, atTarget[r], next[r].target};
      const bool in = kept(base + r);
      losses[base + r] = in ? loss[r] : 0;
      if (extras) extras[base + r] = in ? more[r] : 0;
    }
  }
  finishGroup(before);
}

// Per-row values become the loss output: an array, or their sum (already divided).
template <class T> inline void reduceRows(Call& call, int output, int reduction, const double* values) {
  const Output& o = call.record->outputs[output];
  const bool perRow = o.kind == OutputKind::array || (o.kind == OutputKind::reduced && reduction == kReduceNone);
  if (!perRow) {
    call.scalars[output] = orderedSum(values, call.rows);
    return;
  }
  T* out = static_cast<T*>(call.outputs[output]);
  if (out)
    for (size_t i = 0; i < call.rows; ++i) out[i] = static_cast<T>(values[i]);
}

template <class D, class T> void runRowLoss(Call& call) {
  constexpr const Record& record = D::record;
  using Engine = RowLoss<D, T>;
  constexpr int logitsAt = findInput(record, "logits") >= 0 ? findInput(record, "logits") : 0;
  constexpr int weightAt = findInput(record, "weight"), temperatureAt = findOption(record, "temperature");
  if (call.rows == 0) return;
  const D d(call);
  const size_t n = call.rows, c = call.columns;
  double fixed[128];
  Scratch<double> more(call, n > 64 ? 2 * n : 0);
  if (!more) return;
  double* values = n > 64 ? static_cast<double*>(more) : fixed;
  Engine engine{d, call, static_cast<const T*>(call.inputs[logitsAt])};
  if (weightAt >= 0) engine.classWeight = static_cast<const T*>(call.inputs[weightAt < 0 ? 0 : weightAt]);
  if (Engine::gradientAt >= 0) engine.grad = static_cast<T*>(call.outputs[Engine::gradientAt < 0 ? 0 : Engine::gradientAt]);
  engine.marks = rowMarks<D>(call);
  engine.ignore = ignoreIndexOf<D>(call);
  engine.c = c;
  engine.shape.classes = static_cast<double>(c);
  engine.shape.inverseTemperature = temperatureAt < 0 ? 1.0 : 1.0 / call.options[temperatureAt < 0 ? 0 : temperatureAt];
  if constexpr (HasSmoothing<D>::value) {
    engine.smooth = d.smooths();
    engine.shape.weightSum = static_cast<double>(c);
    if (engine.smooth && engine.classWeight) {
      double total = 0;
      for (size_t j = 0; j < c; ++j) total += static_cast<double>(engine.classWeight[j]);
      engine.shape.weightSum = total;
    }
  }
  if (Engine::softcapAt >= 0) {
    const double cap = call.options[Engine::softcapAt < 0 ? 0 : Engine::softcapAt];
    engine.softcap = cap == cap ? static_cast<T>(cap) : T(0);
  }
  engine.losses = values;
  engine.extras = Engine::extraAt >= 0 ? values + n : nullptr;
  const bool tiny = c <= kTinyColumns;
  const size_t items = tiny ? (n + Engine::L - 1) / Engine::L : n;
  parallel(call, items, rowGrain(tiny ? c * Engine::L : c), [&](size_t begin, size_t end) { engine.rows(begin, end); });
  const int reduction = reductionOf<D>(call);
  if (Engine::lossAt >= 0) reduceRows<T>(call, Engine::lossAt < 0 ? 0 : Engine::lossAt, reduction, values);
  if (Engine::extraAt >= 0) reduceRows<T>(call, Engine::extraAt < 0 ? 0 : Engine::extraAt, reduction, values + n);
}

template <class D> constexpr Kernels rowLossKernels() { return {&runRowLoss<D, float>, &runRowLoss<D, double>}; }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
