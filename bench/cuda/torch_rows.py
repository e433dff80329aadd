"""Times PyTorch, torch.compile, Liger-Kernel and QuACK on the shapes that cuda_bench has timed.

    torch_rows.py CASES SAMPLES OUT    CASES is cuda_bench's JSON, SAMPLES its folder of samples, OUT the JSON to write
    torch_rows.py CASES SAMPLES --check [--device cpu]    compares results with the samples, and times nothing

A contestant is timed on an op only if its results agree with the samples. Inputs do not come from the L2 cache: calls
go round over as many sets of inputs as cuda_bench took, and outputs stay alive as long. Times are those of CUDA events
around several calls in a row; contestants and a copy of as many bytes take turns in every round. The losses that are
written here from several ops (klDiv, standardizedKlDiv, zLoss) compute in float32, as training code has it: in bfloat16
the roundings between the ops add up.
"""

import argparse
import json
import math
import os
import statistics
import sys

import torch
import torch.nn.functional as F

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
TOLERANCE = {"f32": 1e-4, "bf16": 2e-2, "f16": 5e-3}
SAMPLE_US = 5000


def kl_div(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="batchmean", log_target=True)


def standardized(x):
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-7)


def z_loss(logits, targets):
    logits = logits.float()
    mean = logits.mean(1)
    own = logits.gather(1, targets[:, None])[:, 0]
    return F.softplus((mean - own) / (logits.std(1, unbiased=False) + 1e-12)).mean()


# Of a sequence, and the largest logits that are kept of each, as cuda_bench has them.
POSITIONS, NODES = 256, 64


def gld_features(logits):
    nodes = torch.topk(logits.float().view(-1, POSITIONS, logits.shape[1]), NODES, dim=2).values
    features = (nodes * nodes.sum(2, keepdim=True)).mean(1) / NODES
    return torch.sort(features, dim=1, descending=True).values


def gld(student, teacher):
    return (gld_features(student) - gld_features(teacher)).abs().sum(1).mean()


LOSSES = {
    "crossEntropy": F.cross_entropy,
    "klDiv": lambda s, t: kl_div(s.float(), t.float()),
    "standardizedKlDiv": lambda s, t: 4 * kl_div(standardized(s.float()) / 2, standardized(t.float()) / 2),
    "zLoss": z_loss,
    "gldLoss": gld,
}
SECOND = {
    "crossEntropy": "targets",
    "zLoss": "targets",
    "klDiv": "teacher",
    "standardizedKlDiv": "teacher",
    "gldLoss": "teacher",
}


def with_gradient(loss, name):
    def run(first, second):
        value = loss(first, second)
        return {"loss": value.detach(), name: torch.autograd.grad(value, first)[0]}

    return run


def contestants(op, k, compiling):
    """Functions of the inputs, by name; each gives the outputs as cuda_bench names them."""
    name, _, grad = op.partition("+")
    compiled = (lambda f: torch.compile(f, dynamic=False)) if compiling else None
    found = {}
    if name in LOSSES:
        gradient = "gradLogits" if SECOND[name] == "targets" else "gradStudent"

        def of(loss):
            return with_gradient(loss, gradient) if grad else lambda a, b: {"loss": loss(a, b)}

        found["torch"] = of(LOSSES[name])
        if compiled:
            found["torch.compile"] = of(compiled(LOSSES[name]))
        if name == "crossEntropy" and compiling:
            try:
                from liger_kernel.transformers.functional import liger_cross_entropy

                found["liger"] = of(liger_cross_entropy)
            except ImportError:
                pass
            try:
                from quack.cross_entropy import cross_entropy

                found["quack"] = of(cross_entropy)
            except ImportError:
                pass
    elif name == "logSoftmax":
        plain = lambda x: F.log_softmax(x, 1)  # noqa: E731
        found["torch"] = lambda x: {"out": plain(x)}
        if compiled:
            fast = compiled(plain)
            found["torch.compile"] = lambda x: {"out": fast(x)}
    elif name == "topK":
        found["torch"] = lambda x: dict(zip(("values", "indices"), torch.topk(x, k, dim=1)))
        if compiling:
            try:
                from quack.topk import topk

                found["quack"] = lambda x: dict(zip(("values", "indices"), topk(x, k)))
            except ImportError:
                pass
    return found


def prepared(tensors, op):
    """Leaves of a graph of their own: Liger-Kernel writes the gradient over its input."""
    first, *others = [tensor.clone() for tensor in tensors]
    return [first.requires_grad_("+" in op), *others]


def load(folder, file, shape, device):
    integers = file.endswith(".i32")
    with open(os.path.join(folder, file), "rb") as f:
        values = torch.frombuffer(bytearray(f.read()), dtype=torch.int32 if integers else torch.float32)
    return (values.long() if integers else values).reshape(shape).to(device)


def disagreement(sample, folder, run, device):
    """What differs from the sample, or None."""
    rows, columns, dtype = sample["rows"], sample["columns"], sample["dtype"]
    inputs = [
        load(folder, file, (rows,) if name == "targets" else (rows, columns), device)
        for name, file in sample["inputs"].items()
    ]
    inputs = prepared([x.to(DTYPES[dtype]) if x.is_floating_point() else x for x in inputs], sample["op"])
    whole = inputs[0].detach().float().clone()
    got = run(*inputs)
    for name, file in sample["outputs"].items():
        value = got[name].detach().float()
        expected = load(folder, file, (sample["losses"] if name == "loss" else rows, -1), device).float()
        if name == "loss":
            expected = expected.mean()
        elif name.startswith("grad"):
            expected = expected / sample["losses"]
            if sample["op"].startswith("gldLoss"):
                # Of equal entries any may be the node.
                value, expected = value.sort(dim=1).values, expected.sort(dim=1).values
        elif name == "indices":
            # Of equal entries any may come first.
            value, expected = whole.gather(1, got[name].long()), whole.gather(1, expected.long())
        value = value.reshape(expected.shape)
        error = (value - expected).abs().max().item() / max(expected.abs().max().item(), 1e-30)
        if not error <= TOLERANCE[dtype]:
            return f"{name} is off by {error:.2g} of the largest value"
    return None


def quartiles(values):
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"q1": q1, "median": median, "q3": q3}


class Timer:
    def __init__(self):
        self.start, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def us(self, run, calls):
        torch.cuda.synchronize()
        self.start.record()
        for _ in range(calls):
            run()
        self.end.record()
        self.end.synchronize()
        return 1e3 * self.start.elapsed_time(self.end) / calls

    def calls(self, run):
        for _ in range(3):
            run()
        return max(1, min(1000, math.ceil(SAMPLE_US / min(self.us(run, 1), self.us(run, 1)))))


def round_robin(sets, run):
    """A call on the next set, whose outputs live until its turn comes again."""
    state = {"next": 0}
    alive = [None] * len(sets)

    def call():
        k = state["next"] % len(sets)
        alive[k] = None
        alive[k] = run(sets[k])
        state["next"] += 1

    return call


def measure(case, usable, k, rounds, timer, device):
    """Rows of the result for a case. Each contestant has inputs of its own."""
    op, columns, dtype = case["op"], case["columns"], DTYPES[case["dtype"]]
    name = op.partition("+")[0]

    def inputs():
        x = [2 * torch.randn(case["rows"], columns, device=device, dtype=dtype)]
        if SECOND.get(name) == "targets":
            x.append(torch.randint(columns, (case["rows"],), device=device))
        elif SECOND.get(name) == "teacher":
            x.append(2 * torch.randn(case["rows"], columns, device=device, dtype=dtype))
        return prepared(x, op)

    calls = {}
    for label, run in contestants(op, k, True).items():
        if label in usable:
            calls[label] = round_robin([inputs() for _ in range(case["sets"])], lambda x, run=run: run(*x))
    half = case["bytes"] // 2
    copies = [torch.empty(2, half, device=device, dtype=torch.uint8) for _ in range(case["sets"])]
    calls["copy"] = round_robin(copies, lambda pair: pair[1].copy_(pair[0]))
    counts = {label: timer.calls(call) for label, call in calls.items()}
    times = {label: [] for label in calls}
    labels = list(calls)
    for r in range(rounds):
        for i in range(len(labels)):
            label = labels[(i + r) % len(labels)]
            times[label].append(timer.us(calls[label], counts[label]))
    rows = []
    for label in labels:
        if label != "copy":
            shares = [copy / own for copy, own in zip(times["copy"], times[label])]
            shape = {key: case[key] for key in ("op", "dtype", "rows", "columns")}
            rows.append(
                {**shape, "name": label, "microseconds": quartiles(times[label]), "shareOfCopy": quartiles(shares)}
            )
    return rows


def version(module):
    try:
        from importlib.metadata import version as installed

        return installed(module)
    except Exception:
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("samples")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this Python's torch has no CUDA device")
    with open(options.cases) as file:
        found = json.load(file)
    usable, left = {}, []
    k = NODES
    for sample in found["samples"]:
        key = (sample["op"], sample["dtype"])
        usable[key] = []
        for name, run in contestants(sample["op"], k, options.device == "cuda").items():
            try:
                wrong = disagreement(sample, options.samples, run, options.device)
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}".splitlines()[0]
            if wrong is None:
                usable[key].append(name)
            else:
                left.append(f"{name}, {sample['op']} {sample['dtype']}: {wrong}")
            if options.check:
                print(f"{sample['op']} {sample['dtype']} {name}: {wrong or 'agrees'}")
    if options.check:
        sys.exit(1 if left else 0)
    timer, rows = Timer(), []
    for case in found["rows"]:
        torch._dynamo.reset()
        torch.cuda.empty_cache()
        wanted = usable.get((case["op"], case["dtype"]), [])
        try:
            rows += measure(case, wanted, k, found["rounds"], timer, options.device)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            left.append(f"{case['op']} {case['dtype']} {case['columns']} columns: {reason}")
    versions = {"torch": torch.__version__, "liger-kernel": version("liger-kernel"), "quack-kernels": version("quack-kernels")}
    result = {"device": torch.cuda.get_device_name(), "versions": versions, "rows": rows, "left": left}
    with open(options.out, "w") as file:
        json.dump(result, file)


main()
