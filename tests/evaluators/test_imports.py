"""The modules of the evaluators import each other in one direction, also where they do so inside functions."""

import grimp


def circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """The groups of modules that import each other in a circle, however long."""
    reached = {module: graph.find_downstream_modules(module) for module in graph.modules}
    found = [{module, *(other for other in after if module in reached[other])} for module, after in reached.items()]
    return [group for number, group in enumerate(found) if len(group) > 1 and group not in found[:number]]


def test_no_circles() -> None:
    graph = grimp.build_graph("evaluators")
    assert len(graph.modules) > 20 and circles(graph) == []


def test_circles_are_found() -> None:
    graph = grimp.build_graph("evaluators")
    graph.add_import(importer="evaluators.candidate_training", imported="evaluators.training")
    [circle] = circles(graph)
    assert {"evaluators.candidate_training", "evaluators.training"} <= circle
