"""Which layers of a network feed which others, and nothing else: found from what modules do, not from their names.

A plain `nn.Sequential` runs its children one after another. Every other module is traced alone into a torch.fx graph,
its children taken whole, and the graph says which child's output goes where. What is known of several levels is put
together: a module has an *entry*, the child that alone takes its only input, and an *exit*, the child whose output
it returns. A module that can't be traced (data-dependent control flow) is opaque: only what is inside of its children
is known.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import fx, nn

INPUT = object()
"""Stands in a call where a tensor is passed."""
OWN = frozenset(vars(nn.Module())) | {"forward"}
"""What every module keeps about itself."""


@dataclass(frozen=True)
class Call:
    """How a module is called: its arguments, `INPUT` for tensors, plain values as they are."""

    args: tuple[Any, ...] = (INPUT,)
    kwargs: tuple[tuple[str, Any], ...] = ()


ONE_TENSOR = Call()


@dataclass
class View:
    """What one module does with its children. A call of None is one with more than tensors and plain values."""

    calls: list[tuple[nn.Module, Call | None]] = field(default_factory=list)
    edges: list[tuple[nn.Module, nn.Module]] = field(default_factory=list)
    """Children of which the second takes the first one's output and nothing else, and nothing else takes it."""
    entry: nn.Module | None = None
    exit: nn.Module | None = None
    touched: set[nn.Module] = field(default_factory=set)
    """The modules whose parameters and buffers it uses."""


@dataclass(frozen=True)
class Link:
    """`left` feeds `right` alone, provided that `crossed` are called once, and `seen` always in the same way."""

    left: nn.Module
    right: nn.Module
    crossed: frozenset[nn.Module]
    seen: frozenset[nn.Module]


def neighbours(
    network: nn.Module, norms: set[nn.Module], layers: set[nn.Module], may: Callable[[nn.Module, nn.Module], bool]
) -> dict[nn.Module, nn.Module]:
    """For modules among `norms` and `layers` the one that alone takes their output, and takes nothing else.

    `network` must be in eval mode, takes one tensor, and must be used by nobody else meanwhile. Only pairs with a
    norm in them for which `may` holds are looked for. A module that stands in several places, is called several
    times, has hooks, or whose tensors others use, too, is in no pair.
    """
    if not norms:
        return {}
    walk = _Walk(network, norms, layers, may)
    with walk.recorder:
        walk.visit(network, ONE_TENSOR)
    return walk.found()


class _Walk:
    """Collects links from the network's top to its leaves."""

    def __init__(
        self,
        network: nn.Module,
        norms: set[nn.Module],
        layers: set[nn.Module],
        may: Callable[[nn.Module, nn.Module], bool],
    ) -> None:
        self._norms, self._ends, self._may = norms, norms | layers, may
        self._parent: dict[nn.Module, nn.Module] = {}
        self._shared: set[nn.Module] = set()
        modules = list(network.modules())
        for parent in modules:
            for child in parent._modules.values():
                if child is None:
                    continue
                if child in self._parent:
                    self._shared.add(child)
                self._parent[child] = parent
        self._within: dict[nn.Module, list[nn.Module]] = {}
        self._ambiguous: set[nn.Module] = set()
        self._called: Counter[nn.Module] = Counter()
        self._calls: dict[nn.Module, Call | None] = {}
        self._views: dict[nn.Module, View | None] = {}
        self._links: list[Link] = []
        self._reached: list[tuple[nn.Module, list[nn.Module]]] = []
        self.recorder = _Recorder(modules)

    def _inside(self, module: nn.Module) -> list[nn.Module]:
        """The norms and layers inside a module, itself included."""
        if module not in self._within:
            found = [module] if module in self._ends else []
            if not found:
                for child in module._modules.values():
                    found += self._inside(child) if child is not None else []
            self._within[module] = found
        return self._within[module]

    def visit(self, module: nn.Module, call: Call | None) -> None:
        """Take up the links inside a module that holds norms, and inside all that it calls."""
        if module in self._calls:
            if self._calls[module] != call:
                self._ambiguous.add(module)
            return
        self._calls[module] = call
        if module in self._ends or self._norms.isdisjoint(self._inside(module)):
            return
        view = self._view(module)
        if view is None:
            for child in _callables(module):
                self._called[child] += 1
                self.visit(child, _only_call(child, self.recorder.forward_of(child)))
            return
        for child, how in view.calls:
            self.visit(child, how)
        for left, right in view.edges:
            self._join(module, left, right)

    def _view(self, module: nn.Module) -> View | None:
        if module not in self._views:
            call = self._calls[module]
            view = None if call is None else self.recorder.view(module, call)
            self._views[module] = view
            if view is not None:
                self._note(module, view)
        return self._views[module]

    def _note(self, module: nn.Module, view: View) -> None:
        """Remember who is called how often, from how far above, and whose tensors are used by another."""
        self._shared |= view.touched - {module}
        for child, _ in view.calls:
            self._called[child] += 1
            owner = self._parent.get(child)
            if owner is module:
                continue
            owners = []
            while owner is not None and owner is not module:
                owners.append(owner)
                owner = self._parent.get(owner)
            if owner is None:
                self._shared.add(child)
            self._reached.append((child, owners))

    def _join(self, home: nn.Module, left: nn.Module, right: nn.Module) -> None:
        """Take up the link from the exit of `left` to the entry of `right`, where there is one that is looked for."""
        crossed, seen = {left, right}, {home}
        # First through sequences, which costs nothing, then through what has to be traced.
        for traced in (False, True):
            for last in (True, False):
                if not any(self._may(a, b) for a in self._inside(left) for b in self._inside(right)):
                    return
                found = self._end(left if last else right, last, traced, crossed, seen)
                if found is None:
                    return
                left, right = (found, right) if last else (left, found)
        self._links.append(Link(left, right, frozenset(crossed), frozenset(seen)))

    def _end(
        self, module: nn.Module, last: bool, traced: bool, crossed: set[nn.Module], seen: set[nn.Module]
    ) -> nn.Module | None:
        """The norm or layer that a module ends (`last`) or begins with; without `traced`, as far as sequences tell."""
        while module not in self._ends and (traced or self.recorder.is_sequence(module)):
            view = self._view(module)
            inner = None if view is None else view.exit if last else view.entry
            if view is None or inner is None:
                return None
            seen.add(module)
            crossed.add(inner)
            for child, call in view.calls:
                self._calls.setdefault(child, call)
            module = inner
        return module

    def found(self) -> dict[nn.Module, nn.Module]:
        """The links that hold, now that all calls are known."""
        shared = self._shared | self.recorder.hooked | {module for module, count in self._called.items() if count > 1}
        shared |= {module for module in self._ends if self.recorder.has_own_forward(module)}
        # A layer that is called past its owner is called twice if the owner is called, too.
        shared |= {module for module, owners in self._reached if any(self._called[owner] for owner in owners)}
        return {
            link.left: link.right
            for link in self._links
            if not shared & link.crossed and not self._ambiguous & link.seen
        }


def _callables(module: nn.Module) -> Iterator[nn.Module]:
    """The children that can be called; those of mere containers belong to what holds the container."""
    for child in module._modules.values():
        if child is not None:
            yield from _callables(child) if type(child).forward is nn.Module.forward else [child]


def _only_call(module: nn.Module, forward: Callable[..., Any]) -> Call | None:
    """How a module is called that takes one argument; of others, an opaque caller leaves it open."""
    parameters = list(inspect.signature(forward).parameters.values())
    one = len(parameters) == 1 and parameters[0].kind is parameters[0].POSITIONAL_OR_KEYWORD
    return ONE_TENSOR if one else None


class _Recorder(fx.proxy.GraphAppendingTracer):
    """Runs the forward of one module on proxies; within the context, its children record that they are called.

    Instead of patching `nn.Module` for all, as fx does, the network's own modules get a forward that records, and
    tensors that are proxies. Nothing of what is recorded is ever run.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__(fx.Graph())
        self._modules = modules
        self._forwards = {module: vars(module)["forward"] for module in modules if "forward" in vars(module)}
        self.hooked = {module for module in modules if module._forward_hooks or module._forward_pre_hooks}
        self._tensors: dict[nn.Module, tuple[Any, Any]] = {}
        self._nodes: list[fx.Node] = []
        self._called: dict[fx.Node, nn.Module] = {}
        self._touched: set[nn.Module] = set()

    def __enter__(self) -> None:
        for module in self._modules:
            attributes = vars(module)
            attributes["forward"] = partial(self._record, module)
            if isinstance(module, torch.jit.ScriptModule):
                continue
            self._tensors[module] = attributes["_parameters"], attributes["_buffers"]
            for name in ("_parameters", "_buffers"):
                if attributes[name]:
                    attributes[name] = _Tensors(attributes[name], partial(self._tensor, module))

    def __exit__(self, *_: object) -> None:
        for module in self._modules:
            attributes = vars(module)
            del attributes["forward"]
            if module in self._forwards:
                attributes["forward"] = self._forwards[module]
            if module in self._tensors:
                attributes["_parameters"], attributes["_buffers"] = self._tensors[module]

    def forward_of(self, module: nn.Module) -> Callable[..., Any]:
        """What the module's forward is outside of this context."""
        return self._forwards.get(module) or type(module).forward.__get__(module)

    def has_own_forward(self, module: nn.Module) -> bool:
        """Whether the module was given another forward than its class has."""
        return module in self._forwards

    def is_sequence(self, module: nn.Module) -> bool:
        """Whether calling the module calls its children one after another."""
        plain = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
        return plain and module not in self._forwards and module not in self.hooked

    def view(self, module: nn.Module, call: Call) -> View | None:
        """What `module` does when called like this; None where it can't be traced."""
        if module in self.hooked:
            return None
        if self.is_sequence(module):
            return self._sequence(module) if call == ONE_TENSOR else None
        self._nodes, self._touched = [], set()

        def given(value: Any) -> Any:
            return self.create_proxy("placeholder", "input", (), {}) if value is INPUT else value

        args = [given(value) for value in call.args]
        kwargs = {name: given(value) for name, value in call.kwargs}
        inputs, attributes = list(self._nodes), dict(vars(module))
        try:
            returned = self.forward_of(module)(*args, **kwargs)
            outputs = [proxy.node for proxy in _proxies(returned)]
        except Exception:
            # A forward may fail in any way on what isn't a tensor: control flow on values, lengths, conversions.
            return None
        finally:
            # It may have kept what it was given, which must not stay in the network.
            vars(module).clear()
            vars(module).update(attributes)
        view = self._read(inputs, outputs, alone=isinstance(returned, fx.Proxy))
        # A module that is also kept in a plain list could be called there, past what takes its place.
        view.calls += [(child, None) for name in attributes.keys() - OWN for child in _held(attributes[name])]
        return view

    def _read(self, inputs: list[fx.Node], outputs: list[fx.Node], alone: bool) -> View:
        """The children's calls and edges in the nodes that were recorded last."""
        view = View(touched=self._touched)
        source: dict[fx.Node, fx.Node] = {}
        users: dict[fx.Node, list[fx.Node | None]] = {}
        calls = []
        for node in self._nodes:
            child = self._called.get(node)
            before = [source[item] for item in node.all_input_nodes]
            if child is not None and len(before) == 1 and self._passes(child):
                source[node] = before[0]
                continue
            source[node] = node
            for item in before:
                users.setdefault(item, []).append(node)
            if child is not None:
                view.calls.append((child, _call(node)))
                calls.append((node, child, before))
        for node in outputs:
            users.setdefault(source[node], []).append(None)
        for node, child, before in calls:
            if len(before) == 1 and users[before[0]] == [node]:
                if before[0] in self._called:
                    view.edges.append((self._called[before[0]], child))
                elif inputs == before:
                    view.entry = child
            if alone and source[outputs[0]] is node and users[node] == [None]:
                view.exit = child
        return view

    def _sequence(self, module: nn.Module) -> View:
        children = [child for child in module._modules.values() if child is not None and not self._passes(child)]
        view = View([(child, ONE_TENSOR) for child in children], list(pairwise(children)))
        if children:
            view.entry, view.exit = children[0], children[-1]
        return view

    def _passes(self, module: nn.Module) -> bool:
        """Whether the module gives out what it takes."""
        if self.is_sequence(module):
            return all(child is not None and self._passes(child) for child in module._modules.values())
        return type(module) is nn.Identity and module not in self._forwards and module not in self.hooked

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self._nodes.append(node)
        return node

    def create_arg(self, a: Any) -> Any:
        # A tensor that was made on the way.
        return (
            self.create_node("placeholder", "tensor", (), {}) if isinstance(a, torch.Tensor) else super().create_arg(a)
        )

    def _record(self, module: nn.Module, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = self.create_proxy("call_module", "child", args, kwargs)
        self._called[proxy.node] = module
        return proxy

    def _tensor(self, owner: nn.Module) -> fx.Proxy:
        self._touched.add(owner)
        return self.create_proxy("placeholder", "tensor", (), {})


class _Tensors(dict[str, Any]):
    """A module's parameters or buffers as proxies; taking all of them at once is an error, as nothing does it."""

    def __init__(self, tensors: dict[str, Any], proxy: Callable[[], fx.Proxy]) -> None:
        super().__init__(tensors)
        self._proxy = proxy

    def __getitem__(self, name: str) -> Any:
        return None if super().__getitem__(name) is None else self._proxy()

    def items(self) -> Any:
        raise TypeError("a module's tensors can't be traced all at once")

    values = items


def _call(node: fx.Node) -> Call | None:
    args = tuple(INPUT if isinstance(value, fx.Node) else value for value in node.args)
    kwargs = tuple((name, INPUT if isinstance(value, fx.Node) else value) for name, value in node.kwargs.items())
    values = (*args, *(value for _, value in kwargs))
    known = all(value is INPUT or value is None or isinstance(value, bool | int | float | str) for value in values)
    return Call(args, kwargs) if known else None


def _proxies(value: Any) -> Iterator[fx.Proxy]:
    """All that a forward returned, however it is nested; raises `TypeError` where it can't be told."""
    if isinstance(value, fx.Proxy):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _proxies(item)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise TypeError(f"a forward returned a {type(value).__name__}")


def _held(value: Any) -> Iterator[nn.Module]:
    """The modules in an attribute, however it is nested."""
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _held(item)
