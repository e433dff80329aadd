"""Times PyTorch's CPU ops for the benchmark: one JSON request a line on stdin, one JSON answer a line on stdout.

{"prepare": op, "rows": n, "columns": c, "files": {"logits": path, "teacher": path, "targets": path}, "k": k, "out": dir}
    loads the inputs (raw little-endian float32 and int32), runs once, writes the results to raw float32 files in
    `out` and answers {"results": {name: path}, "version": ..., "threads": ...}
{"run": trip, "threads": t}   runs once and answers {"ns": nanoseconds}; trip is "op" or "whole"
"""

import array
import json
import os
import sys
import time

import torch
import torch.nn.functional as F


def load(path, code):
    values = array.array(code)
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return torch.tensor(values, dtype=torch.float32 if code == "f" else torch.int64)


def z_loss(logits, targets):
    mean = logits.mean(1)
    deviation = logits.std(1, unbiased=False)
    own = logits.gather(1, targets[:, None])[:, 0]
    return F.softplus(-(own - mean) / (deviation + 1e-12)).mean()


def kl_div(logits, teacher):
    log_q = F.log_softmax(logits, 1)
    log_p = F.log_softmax(teacher, 1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def standardize(x):
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-7)


def standardized_kl_div(logits, teacher):
    return 4 * kl_div(standardize(logits) / 2, standardize(teacher) / 2)


class Case:
    def __init__(self, request):
        self.op = request["prepare"]
        self.k = request["k"]
        shape = (request["rows"], request["columns"])
        files = request["files"]
        self.logits = load(files["logits"], "f").reshape(shape)
        self.teacher = load(files["teacher"], "f").reshape(shape)
        self.targets = load(files["targets"], "i")
        self.out = torch.empty(shape)

    def gradient(self, loss):
        logits = self.logits.detach().requires_grad_()
        value = loss(logits)
        (grad,) = torch.autograd.grad(value, logits)
        return {"loss": value.detach().reshape(1), "grad": grad}

    @torch.no_grad()
    def forward(self, preallocated):
        op, logits = self.op, self.logits
        if op in ("softmax", "logSoftmax"):
            dim = logits.dim() - 1
            if preallocated:
                call = torch._softmax if op == "softmax" else torch._log_softmax
                call(logits, dim, False, out=self.out)
                return {"out": self.out}
            return {"out": (F.softmax if op == "softmax" else F.log_softmax)(logits, dim)}
        if op == "crossEntropy":
            return {"loss": F.cross_entropy(logits, self.targets).reshape(1)}
        if op == "topK":
            values, indices = logits.topk(self.k, dim=1)
            return {"values": values, "indices": indices}
        if op == "entropy":
            log_probs = F.log_softmax(logits, 1)
            return {"entropy": -(log_probs.exp() * log_probs).sum(1)}
        raise ValueError(f"no PyTorch version of {op}")

    def run(self, preallocated):
        if self.op == "crossEntropy+grad":
            return self.gradient(lambda x: F.cross_entropy(x, self.targets))
        if self.op == "klDiv+grad":
            return self.gradient(lambda x: kl_div(x, self.teacher))
        if self.op == "standardizedKlDiv+grad":
            return self.gradient(lambda x: standardized_kl_div(x, self.teacher))
        if self.op == "zLoss+grad":
            return self.gradient(lambda x: z_loss(x, self.targets))
        return self.forward(preallocated)


def main():
    case = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                case = Case(request)
                results = {}
                for name, tensor in case.run(True).items():
                    path = os.path.join(request["out"], f"torch-{name}.bin")
                    values = array.array("f", tensor.float().flatten().tolist())
                    with open(path, "wb") as file:
                        file.write(values.tobytes())
                    results[name] = path
                answer = {"results": results, "version": torch.__version__}
            else:
                if torch.get_num_threads() != request["threads"]:
                    torch.set_num_threads(request["threads"])
                    case.run(True)
                start = time.perf_counter_ns()
                case.run(request["run"] == "op")
                answer = {"ns": time.perf_counter_ns() - start}
        except Exception as error:  # the parent reports it and goes on without PyTorch
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
