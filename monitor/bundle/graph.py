"""Checks what an ONNX file consists of, before anything of it is run.

Only operators that small networks of dense and recurrent layers are made of are taken. None of them loops or
branches, reads a file, or makes integers of data. So the shapes of all values follow from the file and the
number of windows, and a model that could be tried with the largest number of windows takes no more time or
memory with any other input.
"""

import math
from functools import cache
from typing import Any

from monitor.core.errors import BundleError
from monitor.core.printable import printable
from monitor.core.protobuf_types import build_message_type

__all__ = ["check_graph"]

# What `training.network.onnx_graph` writes, and what other exporters write for such networks.
_OPERATORS = {
    *("Abs", "Add", "Clip", "Concat", "Div", "Elu", "Exp", "Flatten", "GRU", "Gather", "Gemm", "HardSigmoid"),
    *("Identity", "LSTM", "LeakyRelu", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "RNN", "ReduceMax"),
    *("ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Selu", "Sigmoid", "Slice", "Softmax"),
    *("Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze"),
}
_DOMAINS = {b"", b"ai.onnx"}
# The networks of training have up to 100 nodes and 10,000 weights.
_MAX_NODES = 2_000
_MAX_WEIGHTS = 16_000_000

# Fields of the ONNX specification that are looked at. `Other` is what a model of ours never has.
_SCHEMA = {
    "ModelProto": "graph 7 GraphProto, opset_import 8 *OperatorSetIdProto, training_info 20 *Other,"
    " functions 25 *Other",
    "OperatorSetIdProto": "domain 1 bytes",
    "GraphProto": "node 1 *NodeProto, initializer 5 *TensorProto, sparse_initializer 15 *Other",
    "NodeProto": "op_type 4 bytes, attribute 5 *AttributeProto, domain 7 bytes",
    "AttributeProto": "t 5 Other, g 6 Other, tensors 10 *Other, graphs 11 *Other, tp 14 Other,"
    " type_protos 15 *Other, ref_attr_name 21 bytes, sparse_tensor 22 Other, sparse_tensors 23 *Other",
    "TensorProto": "dims 1 *int64, external_data 13 *Other, data_location 14 int32",
    "Other": "",
}


def check_graph(content: bytes) -> None:
    """Check that an ONNX file is a network that can be tried.

    Raises
    ------
    BundleError : it is no ONNX file, or has something that such a network doesn't need.
    """
    try:
        model = _model_type().FromString(content)
    except Exception as error:  # protobuf's exceptions depend on its implementation
        raise BundleError("model.onnx: can't be loaded: it is no ONNX file") from error
    if model.functions or model.training_info:
        raise BundleError("model.onnx: has functions or training_info, expected a graph only")
    for name in [opset.domain for opset in model.opset_import] + [node.domain for node in model.graph.node]:
        if name not in _DOMAINS:
            raise BundleError(f"model.onnx: uses operators of {_show(name)!r}, expected those of ONNX only")
    if len(model.graph.node) > _MAX_NODES:
        raise BundleError(f"model.onnx: has {len(model.graph.node):,} nodes, expected at most {_MAX_NODES:,}")
    for node in model.graph.node:
        _check_node(node)
    _check_weights(model.graph)


def _check_node(node: Any) -> None:
    operator = _show(node.op_type)
    if operator not in _OPERATORS:
        raise BundleError(
            f"model.onnx: has the operator {operator}, which a network of dense and recurrent layers doesn't "
            f"need; expected {', '.join(sorted(_OPERATORS))}"
        )
    for attribute in node.attribute:
        if attribute.ListFields():  # all fields of the table are such
            raise BundleError(
                f"model.onnx: {operator} has a graph, tensor or type as attribute; expected numbers and texts"
            )


def _check_weights(graph: Any) -> None:
    if graph.sparse_initializer:
        raise BundleError("model.onnx: has sparse weights, expected all of them")
    count = 0
    for tensor in graph.initializer:
        if tensor.external_data or tensor.data_location:
            raise BundleError("model.onnx: has weights in another file, expected all of them in this one")
        if min(tensor.dims, default=0) < 0:
            raise BundleError(f"model.onnx: has weights of shape {list(tensor.dims)}")
        count += math.prod(tensor.dims)
    if count > _MAX_WEIGHTS:
        raise BundleError(f"model.onnx: has {count:,} weights, expected at most {_MAX_WEIGHTS:,}")


def _show(name: bytes) -> str:
    return printable(name[:40].decode(errors="replace"))


@cache
def _model_type() -> Any:
    return build_message_type("onnx_subset", _SCHEMA, "ModelProto")
