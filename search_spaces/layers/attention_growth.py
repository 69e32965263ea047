"""How multi-head self-attention with fused queries, keys and values grows; timm's classes of it share the layout."""

from collections.abc import Callable
from typing import Any

import torch

from search_spaces.errors import SpaceError

QKV = {"attention.qkv.weight": 3, "attention.qkv.bias": 3}
"""Queries, keys and values of a module with such an `attention`; heads divide the same rows, however many there are."""


def grow_attention(growth: Any, old: Any, new: Any, path: str) -> None:
    """Each head grows by itself; the scale of its products, which its size decides, is made up for in the queries."""
    if old.num_heads != new.num_heads:
        raise SpaceError(f"{old.num_heads} heads can't become {new.num_heads}")
    heads = (old.num_heads, -1)
    before, after = (module.proj.weight.shape[1] // module.num_heads for module in (old, new))
    factor = (after / before) ** 0.5

    # Keys share out what queries and keys bring together: weight and bias of one copy by the same share.
    both = torch.cat([old.qkv.weight, old.qkv.bias[:, None]], 1).unflatten(0, (3, *heads))
    queries = growth.rows(both[0], after, 1) * factor
    keys, values = growth.columns(both[1], after, 1), growth.rows(both[2], after, 1)
    wide = torch.stack([queries, keys, values]).flatten(0, 2)
    new.qkv.weight.copy_(growth.columns(wide[:, :-1], new.qkv.weight.shape[1]))
    new.qkv.bias.copy_(wide[:, -1])
    inner = growth.columns(old.proj.weight.unflatten(1, heads), after, 2).flatten(1)
    new.proj.weight.copy_(growth.rows(inner, new.proj.weight.shape[0]))
    new.proj.bias.copy_(growth.rows(old.proj.bias, new.proj.bias.shape[0]))
    if hasattr(old, "relative_position_bias_table"):
        new.relative_position_bias_table.copy_(old.relative_position_bias_table)


def zero_attention(module: Any, zero: Callable[[Any], bool]) -> bool:
    """Zero the projection behind the attention that a module holds."""
    return zero(module.attention.proj)
