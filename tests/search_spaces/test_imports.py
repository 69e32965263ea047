"""Naming a part imports its file, and not the others: with hundreds of designs that decides how a command feels."""

import json
import subprocess
import sys
from pathlib import Path

DESIGNS = """
import json, sys
ROOTS = ("search_spaces.blocks.", "search_spaces.topologies.", "evaluators.recipes.")
names = [m for m in sys.modules if m.startswith(ROOTS)]
RECIPES = ("evaluators.recipes.partial", "evaluators.recipes.training")
print(json.dumps([m for m in names if m.count(".") == 3 and "._" not in m or m in RECIPES]))
"""


def designs_after(code: str, folder: Path) -> set[str]:
    """The designs' modules that are imported after `code` has run in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code + DESIGNS], cwd=folder, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_part_that_is_asked_for_is_all_that_is_imported(tmp_path: Path) -> None:
    code = "from archfront.commands import run; assert run(['blocks', 'depthwise_conv']) == 0\n"
    assert designs_after(code, tmp_path) == {"search_spaces.blocks.token_mixer.depthwise_conv"}


def test_a_class_that_is_imported_by_name_is_all_that_is_imported(tmp_path: Path) -> None:
    code = "from search_spaces.blocks import GLU; GLU(activation=None)\n"
    assert designs_after(code, tmp_path) == {"search_spaces.blocks.channel_mixer.glu"}


SPACE = """
from search_spaces import one_of
from search_spaces.blocks import Block
from search_spaces.topologies import Network, Stage

block = Block(one_of("depthwise_conv", "pool"), one_of("glu", None), norm="group", norm_placement="post")
five = Network("patchify", (Stage(8, (block,)),))
"""


def test_a_search_imports_the_parts_that_its_space_names(tmp_path: Path) -> None:
    """The five that it names, and what is left to defaults; training and supernets ask for no others."""
    (tmp_path / "own.py").write_text(SPACE)
    words = (
        "search --space own.py:five --data digits --objective accuracy --objective params --evaluations 2 "
        "--set evaluator.epochs=1 --controller random"
    )
    code = f"from archfront.commands import run; assert run({words.split()}) == 0\n"
    named = {
        *("token_mixer.depthwise_conv", "token_mixer.pool", "channel_mixer.glu", "norm.group", "norm_placement.post"),
        *("stem.patchify", "block.block"),
    }
    defaults = {"activation.silu", "residual.add", "head.average_pool", "norm.batch", "norm.layer", "downsample.conv"}
    topologies = {"network.network", "stage.stage", "wiring.chain"}
    expected = {f"search_spaces.blocks.{name}" for name in named | defaults}
    expected |= {f"search_spaces.topologies.{name}" for name in topologies}
    found = {name for name in designs_after(code, tmp_path) if not name.startswith("evaluators.")}
    assert found == expected


def test_an_architecture_is_read_without_any_import_by_the_caller(tmp_path: Path) -> None:
    """Of any family, also one that is declared outside of search_spaces."""
    texts = [
        {"part": "token_mixer/window_attention", "heads": 2},
        {"part": "recipe/partial", "lr": 0.01},
        {"part": "wiring/chain"},
    ]
    code = f"from search_spaces.canonical import from_json, to_json\ntexts = {texts}\n"
    code += "assert [to_json(from_json(text)) for text in texts] == texts\n"
    assert designs_after(code, tmp_path) == {
        "search_spaces.blocks.token_mixer.window_attention",
        "search_spaces.topologies.wiring.chain",
        "evaluators.recipes.partial",
        "evaluators.recipes.training",
    }
