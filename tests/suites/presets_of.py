"""Suites, each with the presets that can make it."""

from collections.abc import Iterable

from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.suites.presets import load_presets
from rotnet_lib.suites.resolve_row import own_arch
from rotnet_lib.suites.suite import load_suite


def with_presets(suites: Iterable[str]) -> list[tuple[str, str]]:
    """(suite, preset): every pair but those of a preset that is for another benchmark."""
    found = []
    for name in suites:
        suite = load_suite(name)
        benchmarks = {benchmark_of(own_arch(suite, key)) for key in suite.runs}
        found += [(name, preset) for preset, said in load_presets().items() if not said.only or benchmarks == {said.only}]
    return found
