"""Activations: `build()` gives an elementwise module."""

from torch import nn

from search_spaces.parts import Part, part


@part("activation", "gelu", source="Gaussian Error Linear Units (GELUs)")
class GELU(Part):
    """x Φ(x), with the exact normal distribution function."""

    def build(self) -> nn.Module:
        return nn.GELU()


@part("activation", "relu", source="Rectified Linear Units Improve Restricted Boltzmann Machines")
class ReLU(Part):
    """max(x, 0)."""

    def build(self) -> nn.Module:
        return nn.ReLU()


@part(
    "activation",
    "silu",
    source="Sigmoid-Weighted Linear Units for Neural Network Function Approximation in Reinforcement Learning",
)
class SiLU(Part):
    """x sigmoid(x), also known as swish."""

    def build(self) -> nn.Module:
        return nn.SiLU()


@part("activation", "hard_swish", source="Searching for MobileNetV3")
class HardSwish(Part):
    """x min(max(x + 3, 0), 6) / 6: swish without an exponential, cheap on phones and when quantized."""

    def build(self) -> nn.Module:
        return nn.Hardswish()
