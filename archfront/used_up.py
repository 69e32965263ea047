"""A search that has nothing left to do, told from the study alone: neither torch nor data are loaded for it."""

from archfront.contracts import Status
from archfront.search import Budget, Progress
from archfront.settings import Settings, settings_from, settings_of
from archfront.study import FINISHED, Study
from archfront.study.study import RUNNING

FREE = ("name", "db", "budget", "workers", "threads", "timeout_s")
"""Settings that a study may go on with others of; with other ones than these, a search must say what is wrong."""


def used_up(study: Study, settings: Settings) -> Progress | None:
    """How a search of `study` ends whose evaluations are all there already; None where it may have something to do.

    Candidates that broke a constraint may not count (see `Budget`), so they are left out here; where none has a good
    result, the search itself must say why.
    """
    wanted = Budget(settings.budget.evaluations, settings.budget.minutes)
    if wanted.evaluations is None or not _same(study, settings):
        return None
    rows = [row for row in study.rows() if row.origin != FINISHED]
    ended = [row for row in rows if row.status != RUNNING]
    counted = [row for row in ended if row.status != Status.INFEASIBLE]
    good = any(row.status == Status.OK for row in counted)
    if not good or len(counted) < wanted.evaluations or len(ended) < len(rows):
        return None
    ending = "the budget of evaluations is used up"
    progress = Progress(wanted, done=len(counted), front=study.front(), ended=ending, objectives=study.objectives)
    progress.counts.update(row.status for row in ended)
    progress.reasons.update(f"{row.status}: {row.reason[:80]}" for row in ended if row.status != Status.OK)
    return progress


def _same(study: Study, settings: Settings) -> bool:
    """Whether the settings are those of the study, as far as they must be."""
    before, now = (
        {key: value for key, value in one.model_dump().items() if key not in FREE}
        for one in (settings_from(settings_of(study), study.name), settings)
    )
    before["objectives"], now["objectives"] = _alike(before["objectives"], now["objectives"])
    before["constraints"], now["constraints"] = _alike(before["constraints"], now["constraints"])
    return before == now


def _alike(stored: list[str], said: list[str]) -> tuple[list[str], list[str]]:
    """What was stored without the device that a study adds to what was said without one: it is compared by itself."""
    if len(stored) != len(said):
        return stored, said
    return [old if "@" in new else _plain(old) for old, new in zip(stored, said, strict=True)], said


def _plain(text: str) -> str:
    """`latency_ms@host<=3` as `latency_ms<=3`."""
    name, at, rest = text.partition("@")
    if not at:
        return text
    bound = next((place for place, letter in enumerate(rest) if letter in "<>:"), len(rest))
    return name + rest[bound:]


__all__ = ["used_up"]
