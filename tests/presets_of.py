"""Which presets there are for a suite or an arch: one may be for another benchmark."""

from collections.abc import Iterable

from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.suites.presets import load_presets
from rotnet_lib.suites.resolve_row import own_arch
from rotnet_lib.suites.suite import load_suite


def suites_with_presets(suites: Iterable[str]) -> list[tuple[str, str]]:
    """(suite, preset): every pair but those of a preset that is for another benchmark."""
    return [(name, preset) for name in suites for preset in _for(_benchmarks(name))]


def archs_with_presets(*archs: str) -> list[tuple[str, str]]:
    """(arch, preset): likewise."""
    return [(arch, preset) for arch in archs for preset in _for({benchmark_of(arch)})]


def _for(benchmarks: set[str]) -> list[str]:
    return [name for name, preset in load_presets().items() if not preset.only or benchmarks == {preset.only}]


def _benchmarks(name: str) -> set[str]:
    suite = load_suite(name)
    return {benchmark_of(own_arch(suite, key)) for key in suite.runs}
