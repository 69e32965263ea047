"""How many architectures per second a space draws and digests: `python benchmarks/space_sampling.py [SPACE ...]`.

The bar is 2,000 per second on `hybrid`, one thread.
"""

import sys
from random import Random
from time import perf_counter, process_time

from search_spaces.spaces import get_space

DRAWS = 10_000


def main(names: list[str]) -> None:
    """Print one line per space: first draws (nothing kept yet) and steady state, by the clock and by CPU time."""
    print(f"{'space':<10} {'decisions':>9} {'size':>10} {'first 1,000 /s':>15} {'then /s':>9} {'then /CPU-s':>12}")
    for name in names:
        space, rng = get_space(name), Random(0)
        size = space.size()
        rates = []
        for draws in (1_000, DRAWS):
            clock, cpu = perf_counter(), process_time()
            for _ in range(draws):
                space.digest(space.sample(rng))
            rates.append((draws / (perf_counter() - clock), draws / (process_time() - cpu)))
        figures = f"{rates[0][0]:>15,.0f} {rates[1][0]:>9,.0f} {rates[1][1]:>12,.0f}"
        print(f"{name:<10} {len(space.decisions):>9} {'?' if size is None else f'{size:.3g}':>10} {figures}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["hybrid", "mobile", "cell201"])
