"""With what data, machines and versions the runs of a suite were made, and how long they took."""

from rotnet_lib.data.skipped import together
from rotnet_lib.runs.schema import RunResult


def facts(results: list[RunResult]) -> dict[str, str]:
    """What is measured -> of all runs, in words: data, machine, versions, memory, time, when they were finished."""
    if not results:
        return {"runs": "none finished"}
    data = {
        f"{r.data.title}: {r.data.train_images:,} training and {r.data.test_images:,} "
        + ("held-out training images" if r.data.validation else "test images")
        + (f" of {r.data.image_size} pixels" if r.data.image_size else "")
        + (f", {len(r.data.damaged):,} unreadable files left out" if r.data.damaged else "")
        + (f", not read {', '.join(together(r.data.skipped))}" if r.data.skipped else "")
        + f", fingerprint {r.data.fingerprint}"
        for r in results
    }
    environments = [r.environment for r in results]
    machines = {
        f"{e.device}, CPU threads per run: {e.threads or 'unknown'}"
        + (f" in each of {e.processes} processes" if e.processes > 1 else "")
        for e in environments
    }
    versions = {
        f"rotnet-lib {e.rotnet_lib} at {e.commit or 'no commit'}, Python {e.python}"
        + "".join(f", {name} {version}" for name, version in e.packages.items())
        for e in environments
    }
    trained = sum(r.training.seconds for r in results if r.training)
    stamps = [r.finished_at for r in results]
    return {
        "data": "; ".join(sorted(data)),
        "machine": "; ".join(sorted(machines)),
        "versions": "; ".join(sorted(versions)),
        "memory": f"at most {max(r.peak_memory_mib for r in results):,} MiB per run",
        "time": f"{trained:,.0f} s of training steps in all runs together; with loading and evaluation "
        f"{sum(r.seconds for r in results):,.0f} s, not counting the loading of interrupted attempts",
        "finished": min(stamps) if min(stamps) == max(stamps) else f"{min(stamps)} to {max(stamps)}",
    }
