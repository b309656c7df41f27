"""Which names finished runs had before `rotnet migrate` renamed them: plans, and parameters of other runs, may say those."""

from collections.abc import Iterable

from rotnet_lib.runs.schema import RunResult


def names_now(results: Iterable[RunResult]) -> dict[str, str]:
    """The names that finished runs had before -> the names that they have now.

    Where two runs had a name, it is that of the one that was renamed more often. A run may be there under a name of before:
    made again, or not removed yet.
    """
    ordered = sorted(results, key=lambda result: len(result.renamed_from))
    return {old: result.run for result in ordered for old in result.renamed_from if old != result.run}
