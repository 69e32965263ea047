"""Layer injection."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, Inserted, blocks_at, edit, put
from search_spaces.edits.reaching import network_of
from search_spaces.edits.tied_layers import check_untied
from search_spaces.errors import SpaceError


@edit("inject", source="Transformer Layer Injection: A Novel Approach for Efficient Upscaling of Large Language Models")
@dataclass(frozen=True)
class InjectLayers(Edit):
    """After every `every` blocks of each stage, a copy of the last of them, which passes everything on as it is."""

    every: int

    def applied(self, architecture: Any) -> Any:
        models = self._models(architecture)
        for path, order in models.items():
            blocks = blocks_at(architecture, path)
            architecture = put(architecture, f"{path}.blocks", tuple(blocks[model] for model, _ in order))
        return architecture

    def inserted(self, architecture: Any) -> Inserted:
        return {
            path: {place: model for place, (model, new) in enumerate(order) if new}
            for path, order in self._models(architecture).items()
        }

    def _models(self, architecture: Any) -> dict[str, list[tuple[int, bool]]]:
        """For each stage that gets blocks: the old block at each new place, and whether it is a copy of it."""
        if self.every < 1:
            raise SpaceError(f"must be 1 or more, not {self.every}", "inject.every")
        check_untied(architecture)
        found = {}
        path = "network." if network_of(architecture) is not architecture else ""
        for number, stage in enumerate(getattr(network_of(architecture), "stages", ())):
            order: list[tuple[int, bool]] = []
            for index in range(len(stage.blocks)):
                order.append((index, False))
                if (index + 1) % self.every == 0:
                    order.append((index, True))
            if len(order) > len(stage.blocks):
                found[f"{path}stages.{number}"] = order
        if not found:
            raise SpaceError(f"no stage has {self.every} blocks or more; inject more often", "architecture")
        return found
