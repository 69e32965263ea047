"""What `quiet.training_step()` costs per batch when nobody measures: `python -m benchmarks.quiet_overhead`."""

import timeit

from hardware_profiles import quiet


def step() -> None:
    """One empty training step."""
    with quiet.training_step():
        pass


def main() -> None:
    """Print the best of five timings."""
    step()
    number = 50_000
    seconds = min(timeit.repeat(step, number=number, repeat=5)) / number
    print(f"training_step(): {seconds * 1e6:.1f} us a step")


if __name__ == "__main__":
    main()
