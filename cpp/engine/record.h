// The record of an op: what it takes, what it gives, what is allowed. Argument checks, output allocation, messages, the list
// `ops()` and every generic test come from it, so an op is declared in one place: beside its definition in cpp/ops.
#pragma once
#include <cstddef>
#include <cstdint>

namespace logitcore {

constexpr int kMaxInputs = 10, kMaxOptions = 20, kMaxOutputs = 12, kMaxRank = 8;
constexpr double kInfinity = __builtin_huge_val();

// `real` arrays share one type in a call: all Float32Array or all Float64Array.
enum class Kind : uint8_t {
  real,
  target,   // Int32Array of class indices: 0..c-1 or the option ignoreIndex
  sign,     // Int32Array of +1 and -1
  mark,     // Int32Array, any value: rows equal to ignoreIndex are dropped
  index,    // Int32Array output
  mask,     // 0 drops an entry, all else keeps it; Uint8Array or Int32Array in TypeScript, int32_t here
  numbers,  // a short list of finite numbers, double here whatever the type of the call
  real64,   // Float64Array whatever the type of the call: a state that float32 would wear out
};

// What the values mean, for sample generators and documentation.
enum class Domain : uint8_t { any, probability, logProbability, positive, gradient };

// dims: comma-separated sizes. A letter is a size that all arrays of the call agree on, '*' any leading dimensions
// (also none), "m,*" any trailing ones, "n+1" a size plus a constant, "b*t" as many values as two sizes give, in one dimension or in
// both ("**t" with all leading ones). Of outputs also "m?perChannel": 1 unless that option is set; and a size that no input gives is
// that of the option of its name, else what the check puts into call.dims (lib tells call() the same), else 1. Elements count as rows x
// columns: '*' or n rows of c columns.
struct Input {
  const char* name = nullptr;
  const char* dims = nullptr;
  Kind kind = Kind::real;
  Domain domain = Domain::any;
  bool optional = false;
  bool fromOptions = false;
};

enum class OptionKind : uint8_t { number, integer, boolean, choice };

struct Option {
  const char* name = nullptr;
  OptionKind kind = OptionKind::number;
  bool required = false;  // has no default
  bool lowOpen = false, highOpen = false;
  double fallback = 0;  // NaN: absent unless given
  double low = -kInfinity, high = kInfinity;
  const char* choices = nullptr;  // comma-separated; the value is the index
};

constexpr Option optionOf(const char* name, OptionKind kind, double fallback) {
  Option o;
  o.name = name;
  o.kind = kind;
  o.fallback = fallback;
  return o;
}
constexpr Option number(const char* name, double fallback) { return optionOf(name, OptionKind::number, fallback); }
constexpr Option optionalNumber(const char* name) { return optionOf(name, OptionKind::number, __builtin_nan("")); }
constexpr Option integer(const char* name, double fallback) { return optionOf(name, OptionKind::integer, fallback); }
constexpr Option boolean(const char* name, bool fallback = false) {
  Option o = optionOf(name, OptionKind::boolean, fallback ? 1.0 : 0.0);
  o.low = 0;
  o.high = 1;
  return o;
}
constexpr Option choice(const char* name, const char* choices, double fallback = 0) {
  Option o = optionOf(name, OptionKind::choice, fallback);
  o.low = 0;
  o.choices = choices;
  return o;
}
// Without a default: the caller has to say it.
constexpr Option required(Option o) {
  o.fallback = o.kind == OptionKind::choice ? 0 : __builtin_nan("");
  o.required = true;
  return o;
}
constexpr Option above(Option o, double low) {
  o.low = low;
  o.lowOpen = true;
  return o;
}
constexpr Option below(Option o, double high) {
  o.high = high;
  o.highOpen = true;
  return o;
}
constexpr Option atLeast(Option o, double low) {
  o.low = low;
  return o;
}
constexpr Option between(Option o, double low, double high) {
  o.low = low;
  o.high = high;
  return o;
}

// Options that many ops share, so that they mean the same everywhere.
constexpr Option kTemperature = above(number("temperature", 1), 0);
constexpr Option kIgnoreIndex = between(integer("ignoreIndex", -100), -2147483648.0, 2147483647.0);
constexpr Option kReduction = choice("reduction", "mean,sum,none");
constexpr Option kGrad = boolean("grad");
enum Reduction { kReduceMean = 0, kReduceSum = 1, kReduceNone = 2 };

enum class OutputKind : uint8_t {
  array,    // a new typed array, or the one in `out`
  scalar,   // a number
  reduced,  // an array of `dims` with reduction (or reduce) 'none', else a number
};

struct Output {
  const char* name = nullptr;
  const char* dims = nullptr;
  OutputKind kind = OutputKind::array;
  Kind type = Kind::real;
  const char* when = nullptr;       // the option that asks for it (present and not 0); null: always
  const char* gradOf = nullptr;     // the input it is the gradient of
  const char* inPlaceOf = nullptr;  // the input whose very array may be given as `out`
};

constexpr Output array(const char* name, const char* dims, Kind type = Kind::real) { return {name, dims, OutputKind::array, type}; }
constexpr Output scalar(const char* name) { return {name, "", OutputKind::scalar}; }
constexpr Output reduced(const char* name, const char* dims) { return {name, dims, OutputKind::reduced}; }
constexpr Output when(Output o, const char* option) {
  o.when = option;
  return o;
}
constexpr Output inPlace(Output o, const char* input) {
  o.inPlaceOf = input;
  return o;
}
// The usual gradient output: asked for by `grad`, shaped like its input, allowed in place of it.
constexpr Output gradient(const char* name, const char* dims, const char* of, const char* option = "grad") {
  return {name, dims, OutputKind::array, Kind::real, option, of, of};
}

struct Call;

template <class T> constexpr int countNamed(const T* list, int most) {
  int i = 0;
  while (i < most && list[i].name) ++i;
  return i;
}

// As a definition writes it. The empty places at the end of the lists are for the compiler only.
struct Record {
  const char* name;
  const char* sheet;  // the paper or standard it belongs to, a key of the documentation
  Input inputs[kMaxInputs];
  Option options[kMaxOptions];
  Output outputs[kMaxOutputs];
  bool nonEmpty = false;             // zero elements are an error rather than an empty result
  const char* backwardOf = nullptr;  // this op is the vector-Jacobian product of that op
  // A check that dims and ranges cannot say. Returns false after writing a message to call.error.
  bool (*check)(Call&) = nullptr;

  constexpr int inputCount() const { return countNamed(inputs, kMaxInputs); }
  constexpr int optionCount() const { return countNamed(options, kMaxOptions); }
  constexpr int outputCount() const { return countNamed(outputs, kMaxOutputs); }
};

template <class T> struct List {
  const T* items;
  int count;
  constexpr const T& operator[](int i) const { return items[i]; }
};

// As it stands in the compiled file, and is read when the addon runs.
struct StoredRecord {
  const char *name, *sheet;
  List<Input> inputs;
  List<Option> options;
  List<Output> outputs;
  bool nonEmpty;
  const char* backwardOf;
  bool (*check)(Call&);

  constexpr int inputCount() const { return inputs.count; }
  constexpr int optionCount() const { return options.count; }
  constexpr int outputCount() const { return outputs.count; }
};

template <class D> class Store {
  template <class T, int N> struct Items {
    T at[N ? N : 1];
  };
  template <int N, class T> static constexpr Items<T, N> first(const T* list) {
    Items<T, N> items{};
    for (int i = 0; i < N; ++i) items.at[i] = list[i];
    return items;
  }
  static constexpr int inputCount = D::record.inputCount(), optionCount = D::record.optionCount(), outputCount = D::record.outputCount();
  static constexpr auto inputs = first<inputCount>(D::record.inputs);
  static constexpr auto options = first<optionCount>(D::record.options);
  static constexpr auto outputs = first<outputCount>(D::record.outputs);

 public:
  static constexpr StoredRecord record{
      D::record.name,     D::record.sheet,      {inputs.at, inputCount}, {options.at, optionCount}, {outputs.at, outputCount},
      D::record.nonEmpty, D::record.backwardOf, D::record.check};
};

constexpr bool sameName(const char* a, const char* b) {
  while (*a && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}
// An unknown name does not compile: the loop runs past the end of a constant array.
template <class R> constexpr int inputIndex(const R& r, const char* name) {
  int i = 0;
  while (!sameName(r.inputs[i].name, name)) ++i;
  return i;
}
template <class R> constexpr int optionIndex(const R& r, const char* name) {
  int i = 0;
  while (!sameName(r.options[i].name, name)) ++i;
  return i;
}
template <class R> constexpr int outputIndex(const R& r, const char* name) {
  int i = 0;
  while (!sameName(r.outputs[i].name, name)) ++i;
  return i;
}

// Threads and memory as kernels see them; implemented once, outside the kernels.
struct Runtime {
  // Runs fn(context, begin, end) over [0, count) in pieces of at least `grain` items; returns when all are done.
  void (*parallel)(size_t count, size_t grain, void* context, void (*fn)(void*, size_t, size_t));
  void* (*allocate)(size_t bytes);  // 64-byte aligned, null when there is none
  void (*release)(void*);
};

// One checked call: pointers are null for what is absent, sizes agree, option values are in range.
struct Call {
  const StoredRecord* record = nullptr;
  const Runtime* runtime = nullptr;
  bool isDouble = false;
  const void* inputs[kMaxInputs] = {};
  size_t inputLength[kMaxInputs] = {};
  double options[kMaxOptions] = {};
  bool given[kMaxOptions] = {};
  void* outputs[kMaxOutputs] = {};
  double scalars[kMaxOutputs] = {};  // for scalar outputs and reduced ones
  size_t dims[128] = {};             // by letter; '*' is the product of the leading dimensions
  size_t rows = 0, columns = 0;      // of the first real input with a column dimension
  char error[256] = {};              // set by a check or a kernel that cannot go on
  bool outOfMemory = false;
};

using Kernel = void (*)(Call&);
struct Kernels {
  Kernel f32, f64;
};
struct Family {
  const char* name;
  const StoredRecord* const* records;
  const Kernels* kernels;
  int count;
};

}  // namespace logitcore

// Names checked at compile time, indices at no cost.
#define LGC_OPTION(call, name) ((call).options[::logitcore::Index<::logitcore::optionIndex(record, #name)>::value])
#define LGC_GIVEN(call, name) ((call).given[::logitcore::Index<::logitcore::optionIndex(record, #name)>::value])
#define LGC_INPUT(T, call, name) (static_cast<const T*>((call).inputs[::logitcore::Index<::logitcore::inputIndex(record, #name)>::value]))
#define LGC_OUTPUT(T, call, name) (static_cast<T*>((call).outputs[::logitcore::Index<::logitcore::outputIndex(record, #name)>::value]))
#define LGC_NUMBER(call, name) ((call).scalars[::logitcore::Index<::logitcore::outputIndex(record, #name)>::value])

namespace logitcore {
template <int I> struct Index {
  static constexpr int value = I;
};
}  // namespace logitcore
