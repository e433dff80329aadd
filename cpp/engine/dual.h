// Dual numbers: a value and its K partial derivatives, so that a definition gives its own gradient. W is a number or a vector
// of lanes. Each derivative is written in the form that stays exact where the value does (expm1, log1p, sigmoid).
#pragma once
#include "../simd/simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class W, int K> struct Dual {
  W value;
  W partial[K];

  LGC_FN static Dual constant(W v) {
    Dual r;
    r.value = v;
    for (int i = 0; i < K; ++i) r.partial[i] = broadcast<W>(0);
    return r;
  }
  LGC_FN static Dual variable(W v, int index) {
    Dual r = constant(v);
    r.partial[index] = broadcast<W>(1);
    return r;
  }
};

// Definitions name their number type T; these make one from a value or take the value back.
template <class T> struct NumberOf {
  using Value = T;
};
template <class W, int K> struct NumberOf<Dual<W, K>> {
  using Value = W;
};
template <class T> using ValueOf = typename NumberOf<T>::Value;

template <class T> struct Lift {
  LGC_FN static T from(T v) { return v; }
};
template <class W, int K> struct Lift<Dual<W, K>> {
  LGC_FN static Dual<W, K> from(W v) { return Dual<W, K>::constant(v); }
};
template <class T> LGC_FN T lift(ValueOf<T> v) { return Lift<T>::from(v); }
template <class W> LGC_FN W valueOf(const W& x) { return x; }
template <class W, int K> LGC_FN W valueOf(const Dual<W, K>& x) { return x.value; }

// f(x) with derivative d at x: for a definition that knows its slope in a better form than the chain rule gives.
template <class W> LGC_FN W chain(const W&, W f, W) { return f; }
template <class W, int K> LGC_FN Dual<W, K> chain(const Dual<W, K>& x, W f, W d) {
  Dual<W, K> r;
  r.value = f;
  for (int i = 0; i < K; ++i) r.partial[i] = d * x.partial[i];
  return r;
}

template <class W, int K> LGC_FN Dual<W, K> operator+(const Dual<W, K>& a, const Dual<W, K>& b) {
  Dual<W, K> r;
  r.value = a.value + b.value;
  for (int i = 0; i < K; ++i) r.partial[i] = a.partial[i] + b.partial[i];
  return r;
}
template <class W, int K> LGC_FN Dual<W, K> operator-(const Dual<W, K>& a, const Dual<W, K>& b) {
  Dual<W, K> r;
  r.value = a.value - b.value;
  for (int i = 0; i < K; ++i) r.partial[i] = a.partial[i] - b.partial[i];
  return r;
}
template <class W, int K> LGC_FN Dual<W, K> operator-(const Dual<W, K>& a) {
  Dual<W, K> r;
  r.value = -a.value;
  for (int i = 0; i < K; ++i) r.partial[i] = -a.partial[i];
  return r;
}
template <class W, int K> LGC_FN Dual<W, K> operator*(const Dual<W, K>& a, const Dual<W, K>& b) {
  Dual<W, K> r;
  r.value = a.value * b.value;
  for (int i = 0; i < K; ++i) r.partial[i] = fma(a.partial[i], b.value, a.value * b.partial[i]);
  return r;
}
template <class W, int K> LGC_FN Dual<W, K> operator/(const Dual<W, K>& a, const Dual<W, K>& b) {
  Dual<W, K> r;
  r.value = a.value / b.value;
  for (int i = 0; i < K; ++i) r.partial[i] = fnma(r.value, b.partial[i], a.partial[i]) / b.value;
  return r;
}

#define LGC_DUAL_MIXED(op)                                                                                                   \
  template <class W, int K> LGC_FN Dual<W, K> operator op(const Dual<W, K>& a, W b) { return a op Dual<W, K>::constant(b); } \
  template <class W, int K> LGC_FN Dual<W, K> operator op(W a, const Dual<W, K>& b) { return Dual<W, K>::constant(a) op b; }
LGC_DUAL_MIXED(+)
LGC_DUAL_MIXED(-)
#undef LGC_DUAL_MIXED
template <class W, int K> LGC_FN Dual<W, K> operator*(const Dual<W, K>& a, W b) { return chain(a, a.value * b, b); }
template <class W, int K> LGC_FN Dual<W, K> operator*(W a, const Dual<W, K>& b) { return b * a; }
template <class W, int K> LGC_FN Dual<W, K> operator/(const Dual<W, K>& a, W b) {
  Dual<W, K> r;
  r.value = a.value / b;
  for (int i = 0; i < K; ++i) r.partial[i] = a.partial[i] / b;
  return r;
}
template <class W, int K> LGC_FN Dual<W, K> operator/(W a, const Dual<W, K>& b) { return Dual<W, K>::constant(a) / b; }

template <class W, int K> LGC_FN Dual<W, K> exp(const Dual<W, K>& x) {
  W e = exp(x.value);
  return chain(x, e, e);
}
template <class W, int K> LGC_FN Dual<W, K> expm1(const Dual<W, K>& x) { return chain(x, expm1(x.value), exp(x.value)); }
template <class W, int K> LGC_FN Dual<W, K> log(const Dual<W, K>& x) { return chain(x, log(x.value), broadcast<W>(1) / x.value); }
template <class W, int K> LGC_FN Dual<W, K> log1p(const Dual<W, K>& x) {
  return chain(x, log1p(x.value), broadcast<W>(1) / (broadcast<W>(1) + x.value));
}
template <class W, int K> LGC_FN Dual<W, K> sqrt(const Dual<W, K>& x) {
  W s = sqrt(x.value);
  return chain(x, s, broadcast<W>(0.5) / s);
}
template <class W, int K> LGC_FN Dual<W, K> tanh(const Dual<W, K>& x) {
  W t = tanh(x.value);
  return chain(x, t, fnma(t, t, broadcast<W>(1)));
}
template <class W, int K> LGC_FN Dual<W, K> sigmoid(const Dual<W, K>& x) {
  W s = sigmoid(x.value);
  return chain(x, s, s * sigmoid(-x.value));
}
template <class W, int K> LGC_FN Dual<W, K> softplus(const Dual<W, K>& x) { return chain(x, softplus(x.value), sigmoid(x.value)); }
template <class W, int K> LGC_FN Dual<W, K> pow(const Dual<W, K>& x, W p) {
  return chain(x, pow(x.value, p), p * pow(x.value, p - broadcast<W>(1)));
}
template <class W, int K> LGC_FN Dual<W, K> square(const Dual<W, K>& x) { return chain(x, x.value * x.value, x.value + x.value); }
template <class W> LGC_FN W square(const W& x) { return x * x; }

// The branch not taken is dropped with its derivative, so a definition may guard 0/0 by a select.
template <class M, class W, int K> LGC_FN Dual<W, K> select(const M& m, const Dual<W, K>& a, const Dual<W, K>& b) {
  Dual<W, K> r;
  r.value = select(m, a.value, b.value);
  for (int i = 0; i < K; ++i) r.partial[i] = select(m, a.partial[i], b.partial[i]);
  return r;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
