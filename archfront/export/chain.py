"""ONNX graphs one behind the other, as one graph."""

from typing import TYPE_CHECKING, Any

from archfront.export.errors import ExportRefused

if TYPE_CHECKING:
    from onnx import ModelProto


def chained(parts: "dict[str, ModelProto]", properties: dict[str, str]) -> "ModelProto":
    """The graphs of `parts`, each taking what the one before it gives, as one from `inputs` to `outputs`.

    Each has one input and one output. Their names, by which values are told apart, become prefixes. Weights outside of
    a graph stay where they are. Raises `ExportRefused` where two graphs are of different versions of ONNX's operators.
    """
    from onnx import compose, helper

    versions: dict[str, int] = {}
    whole: Any = None
    given = ""
    for name, model in parts.items():
        for domain in model.opset_import:
            if versions.setdefault(domain.domain, domain.version) != domain.version:
                raise ExportRefused(
                    f"pipeline: the network's file is of opset {domain.version}, what prepares its inputs of "
                    f"{versions[domain.domain]}; export it as --format onnx"
                )
        if not model.graph.node or model.graph.input[0].name == model.graph.output[0].name:
            continue  # It gives what it takes.
        graph = compose.add_prefix(model, f"{name}/").graph
        ends = graph.input[0].name, graph.output[0].name
        whole = graph if whole is None else compose.merge_graphs(whole, graph, [(given, ends[0])])
        given = ends[1]
    _rename(whole, whole.input[0].name, "inputs")
    _rename(whole, given, "outputs")
    _one_batch(whole)
    made = helper.make_model(
        whole,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in versions.items()],
        functions=[function for model in parts.values() for function in model.functions],
        ir_version=max(model.ir_version for model in parts.values()),
        producer_name="archfront",
    )
    helper.set_model_props(made, properties)
    return made


def _rename(graph: Any, name: str, new: str) -> None:
    """Another name for a value, which is used in no graph inside of this one."""
    for values in (graph.input, graph.output, graph.value_info):
        for value in values:
            value.name = new if value.name == name else value.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if used == name else used for used in names]


def _one_batch(graph: Any) -> None:
    """One name for the first side of all inputs and outputs, whatever the parts called it."""
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_param = "batch"
