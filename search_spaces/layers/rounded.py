"""Numbers of channels that are multiples of something."""

from timm.layers import make_divisible


def rounded(channels: float, divisor: int) -> int:
    """Channels as a multiple of the divisor, near, but not less than nine tenths of them; rounded for a divisor of 1.

    timm rounds so, after "MobileNetV2: Inverted Residuals and Linear Bottlenecks".
    """
    return max(1, round(channels)) if divisor == 1 else make_divisible(channels, divisor)
