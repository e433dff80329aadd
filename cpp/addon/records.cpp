#include "records.h"

#include <cmath>

#include "plan.h"

namespace logitcore {
namespace {

const char* kindName(Kind kind) {
  switch (kind) {
    case Kind::real: return "real";
    case Kind::target: return "target";
    case Kind::sign: return "sign";
    case Kind::mark: return "mark";
    case Kind::mask: return "mask";
    case Kind::numbers: return "numbers";
    case Kind::real64: return "real64";
    default: return "index";
  }
}

const char* domainName(Domain domain) {
  switch (domain) {
    case Domain::probability: return "probability";
    case Domain::logProbability: return "logProbability";
    case Domain::positive: return "positive";
    case Domain::gradient: return "gradient";
    default: return "any";
  }
}

Napi::Object describeInput(Napi::Env env, const Input& in) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", in.name);
  o.Set("dims", in.dims);
  o.Set("kind", kindName(in.kind));
  o.Set("domain", domainName(in.domain));
  o.Set("optional", in.optional);
  o.Set("fromOptions", in.fromOptions);
  return o;
}

Napi::Object describeOption(Napi::Env env, const Option& in, const std::vector<std::string>& choices) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", in.name);
  const char* kinds[] = {"number", "integer", "boolean", "choice"};
  o.Set("kind", kinds[static_cast<int>(in.kind)]);
  if (in.required) o.Set("required", true);
  if (in.kind == OptionKind::choice) {
    Napi::Array list = Napi::Array::New(env, choices.size());
    for (size_t i = 0; i < choices.size(); ++i) list.Set(static_cast<uint32_t>(i), choices[i]);
    o.Set("choices", list);
    if (!in.required) o.Set("default", choices[static_cast<size_t>(in.fallback)]);
    return o;
  }
  if (in.kind == OptionKind::boolean)
    o.Set("default", Napi::Boolean::New(env, in.fallback != 0));
  else if (!std::isnan(in.fallback))
    o.Set("default", in.fallback);
  if (in.kind == OptionKind::boolean) return o;
  if (std::isfinite(in.low)) o.Set(in.lowOpen ? "above" : "minimum", in.low);
  if (std::isfinite(in.high)) o.Set(in.highOpen ? "below" : "maximum", in.high);
  return o;
}

Napi::Object describeOutput(Napi::Env env, const Output& in) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", in.name);
  const char* kinds[] = {"array", "scalar", "reduced"};
  o.Set("kind", kinds[static_cast<int>(in.kind)]);
  o.Set("dims", in.dims);
  o.Set("type", in.type == Kind::real ? "real" : in.type == Kind::real64 ? "real64" : "int32");
  if (in.when) o.Set("when", in.when);
  if (in.gradOf) o.Set("gradOf", in.gradOf);
  if (in.inPlaceOf) o.Set("inPlaceOf", in.inPlaceOf);
  return o;
}

}  // namespace

Napi::Array describeRecords(Napi::Env env) {
  Napi::Array list = Napi::Array::New(env);
  for (const Plan& p : plans()) {
    const StoredRecord& r = *p.record;
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", r.name);
    o.Set("family", p.family);
    o.Set("sheet", r.sheet);
    Napi::Array inputs = Napi::Array::New(env), options = Napi::Array::New(env), outputs = Napi::Array::New(env);
    for (int i = 0; i < p.inputs; ++i) inputs.Set(static_cast<uint32_t>(i), describeInput(env, r.inputs[i]));
    for (int i = 0; i < p.options; ++i)
      options.Set(static_cast<uint32_t>(i), describeOption(env, r.options[i], p.choices[static_cast<size_t>(i)]));
    for (int i = 0; i < p.outputs; ++i) outputs.Set(static_cast<uint32_t>(i), describeOutput(env, r.outputs[i]));
    o.Set("inputs", inputs);
    o.Set("options", options);
    o.Set("outputs", outputs);
    o.Set("nonEmpty", r.nonEmpty);
    if (r.backwardOf) o.Set("backwardOf", r.backwardOf);
    list.Set(list.Length(), o);
  }
  return list;
}

}  // namespace logitcore
