"""How fast a network is on a device, in its deployed form."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from evaluators.base import EVALUATORS, Evaluator
from hardware_profiles import fingerprint
from hardware_profiles.device_profile import profile
from hardware_profiles.measuring import Timer, measure
from hardware_profiles.session import effort_of


@EVALUATORS.register("latency")
class LatencyEvaluator(Evaluator):
    """Latency, throughput and peak memory on a device, timed in a process of its own while nothing is trained here."""

    name = "latency"
    doing = "measuring the latency of"
    argument = "device"
    network_alone = True

    def __init__(self, device: str = "host", effort: str = "search") -> None:
        """`device` is a ready profile's name, or the path of a TOML file; raises `WrongUse` for any other.

        `effort` is "search", in which nobody waits for a latency longer than 3 s in all, or "final", the longer one of
        a search's last networks.
        """
        if not isinstance(device, str | Path):
            raise WrongUse(f"the evaluator 'latency' takes the name of a device, not {device!r}")
        self.profile = profile(device)
        effort_of(effort, self.profile)
        self.effort = effort
        self.resource = f"device:{self.profile.name}"
        self._timer = Timer(self.profile)

    def metrics(self) -> tuple[str, ...]:
        return tuple(f"{name}@{self.profile.name}" for name in ("latency_ms", "throughput", "peak_memory_mb"))

    def device(self) -> tuple[str, str, dict[str, Any]]:
        return self.profile.name, fingerprint.digest(), {**asdict(self.profile), "host": fingerprint.host()}

    def prepare(self, context: Context) -> None:
        """Start the timing process, which finds out whether the device's cores and runtime are there."""
        self.profile.pinned_to()
        self._timer.start()

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        """The architecture's latency, measured longer for the finals; weights are random, as they don't matter."""
        from search_spaces.building import build
        from search_spaces.deployment import deployed

        model = deployed(build(proposal.architecture, context.inputs, context.outputs, seed=context.seed))
        effort = "final" if context.final else self.effort
        found = measure(model, context.inputs, self.profile, self._timer, context.timeout_s, effort)
        return Evaluation(proposal, Status.OK, metrics=found.metrics())
