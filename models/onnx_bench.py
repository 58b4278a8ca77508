"""Runs a version's network in ONNX Runtime, for `weatherglass bench inference` to stand beside.

    python3 onnx_bench.py WEIGHTS

WEIGHTS is the safetensors file that the bench writes: the parameters, and a golden input with the
outputs that Burn gave. The first line of the answer is {"onnxruntime": version, "difference": the
largest one from these outputs}, or {"skipped": why}. Then every line "BATCH REPEATS" that comes in
is answered by {"seconds": [one per call]}. One thread, the CPU provider.
"""

import json
import struct
import sys
import time


def answer(**fields):
    print(json.dumps(fields), flush=True)


try:
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    answer(skipped=str(error))
    sys.exit(0)


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        numbers = file.read()
    tensors = {}
    for name, place in header.items():
        begin, end = place["data_offsets"]
        tensors[name] = np.frombuffer(numbers[begin:end], "<f4").reshape(place["shape"])
    return tensors


class Graph:
    """Nodes as they are called, each named by its output."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def reshape(self, x, shape):
        return self.op("Reshape", x, self.constant(np.array(shape, np.int64)))

    def linear(self, x, weights, name, rank=2):
        """x W + b; what has two dimensions takes the one operation that does both."""
        weight = self.constant(weights[name + ".weight"])
        bias = self.constant(weights[name + ".bias"])
        if rank == 2:
            return self.op("Gemm", x, weight, bias)
        return self.op("Add", self.op("MatMul", x, weight), bias)

    def relu(self, x):
        return self.op("Relu", x)


# Single numbers per lead: two components of the wind and the chance of rain.
SINGLES = 3


def member(graph, weights, prefix, batch, spread):
    """One network, as `Network::forward` in src/network.rs has it."""
    own = {name[len(prefix):]: value for name, value in weights.items() if name.startswith(prefix)}
    _, hours, distributions, days = own["recall"].shape
    width = own["mix.weight"].shape[0]
    rows, learnt = batch * hours, own["widths.weight"].shape[1] // distributions
    levels = weights["spread"].shape[1]

    first_of = [graph.constant(np.array([n], np.int64)) for n in (0, distributions * days, 2)]
    recalled = graph.op("Slice", "leads", *first_of)
    recalled = graph.reshape(recalled, [batch, hours, distributions, days])
    recalled = graph.op("Mul", recalled, graph.constant(own["recall"]))
    recalled = graph.op("ReduceSum", recalled, graph.constant(np.array([3], np.int64)), keepdims=0)
    recalled = graph.reshape(recalled, [rows, distributions])

    first = graph.relu(graph.linear("window", own, "window"))
    second = graph.linear(graph.relu(graph.linear(first, own, "widen")), own, "narrow")
    second = graph.relu(graph.op("Add", first, second))
    near = graph.linear(second, own, "near")
    latent = graph.linear(second, own, "latent")
    latent = graph.op("Add", graph.reshape(latent, [batch, 1, width]), graph.constant(own["place"]))

    leads = graph.reshape("leads", [rows, own["lead.weight"].shape[0]])
    leads = graph.reshape(graph.linear(leads, own, "lead"), [batch, hours, width])
    hidden = graph.reshape(graph.relu(graph.op("Add", leads, latent)), [rows, width])
    for name in ("mix", "turn"):
        hidden = graph.op("Add", hidden, graph.relu(graph.linear(hidden, own, name)))

    direct = graph.linear("window", own, "direct")
    rest = np.zeros((batch, own["direct.bias"].shape[0] - own["near.bias"].shape[0]), np.float32)
    near = graph.op("Concat", near, graph.constant(rest), axis=1)
    direct = graph.reshape(graph.op("Add", direct, near), [rows, distributions + SINGLES])
    bounds = [graph.constant(np.array([n], np.int64)) for n in (0, distributions, distributions + SINGLES, 1)]
    recalled = graph.op("Add", recalled, graph.op("Slice", direct, bounds[0], bounds[1], bounds[3]))
    median = graph.op("Add", graph.linear(hidden, own, "median"), recalled)
    widths = graph.reshape(graph.linear(hidden, own, "widths"), [rows * distributions, learnt])
    widths = graph.op("Add", widths, graph.constant(np.array(1, np.float32)))
    offsets = graph.op("MatMul", graph.op("Mul", widths, widths), spread)
    offsets = graph.reshape(offsets, [rows, distributions, levels])
    quantiles = graph.op("Add", offsets, graph.reshape(median, [rows, distributions, 1]))
    direct = graph.op("Slice", direct, bounds[1], bounds[2], bounds[3])
    return quantiles, graph.op("Add", graph.linear(hidden, own, "singles"), direct)


def session(weights, batch):
    """The graph for one size of batch: with all shapes known the runtime has its best chance."""
    graph = Graph()
    spread = graph.constant(weights["spread"])
    count = len({name.split(".")[1] for name in weights if name.startswith("members.")})
    outputs = [member(graph, weights, f"members.{n}.", batch, spread) for n in range(count)]
    quantiles, singles = outputs[0]
    for more_quantiles, more_singles in outputs[1:]:
        quantiles, singles = graph.op("Add", quantiles, more_quantiles), graph.op("Add", singles, more_singles)
    if count > 1:
        share = graph.constant(np.array(1 / count, np.float32))
        quantiles, singles = graph.op("Mul", quantiles, share), graph.op("Mul", singles, share)
    graph.nodes.append(helper.make_node("Identity", [quantiles], ["quantiles"]))
    graph.nodes.append(helper.make_node("Identity", [singles], ["singles"]))

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    window, leads = weights["golden.window"].shape, weights["golden.leads"].shape
    inputs = [value("window", [batch, *window[1:]]), value("leads", [batch, *leads[1:]])]
    results = [value("quantiles", None), value("singles", None)]
    proto = helper.make_graph(graph.nodes, "network", inputs, results, graph.constants)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def batch_of(weights, batch):
    def rows(name):
        golden = weights[name]
        return np.ascontiguousarray(np.resize(golden, (batch, *golden.shape[1:])))

    return {"window": rows("golden.window"), "leads": rows("golden.leads")}


def main():
    weights = read(sys.argv[1])
    golden = len(weights["golden.window"])
    quantiles, singles = session(weights, golden).run(None, batch_of(weights, golden))
    differences = [
        np.abs(quantiles - weights["golden.quantiles"]).max(),
        np.abs(singles - weights["golden.singles"]).max(),
    ]
    answer(onnxruntime=ort.__version__, difference=float(max(differences)))
    ready = {}
    for line in sys.stdin:
        batch, repeats = map(int, line.split())
        if batch not in ready:
            ready[batch] = (session(weights, batch), batch_of(weights, batch))
        network, inputs = ready[batch]
        seconds = []
        for _ in range(repeats):
            begun = time.perf_counter()
            network.run(None, inputs)
            seconds.append(time.perf_counter() - begun)
        answer(seconds=seconds)


main()
