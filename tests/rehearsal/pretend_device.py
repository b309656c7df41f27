"""A pretend accelerator, for going the GPU's way without a GPU.

Tensors on the device `pretend:0` are computed on the CPU, but say that they are elsewhere: most operations that mix them
with CPU tensors raise as they would on a GPU. Places where the host would wait for the device, and copies between the two,
are counted by the line of the caller.

    import pretend_device                       # first, and in a process of its own: it changes torch for good
    with pretend_device.running() as counts:    # counts: Counter of (kind, "file:line function")
        device = pretend_device.DEVICE          # which `torch.accelerator` gives too

What it does not tell: speed, memory, pinned memory, NCCL, bf16 (autocast is accepted and computes in fp32). Waits it does
not see: indexing by a CPU tensor or a list, bincount, linear algebra. Mixes it lets pass: CPU values put into a device tensor
by index, a CPU generator. It raises where a GPU would not: `.tolist()` (use `.cpu().tolist()`), `pin_memory()`,
`torch.accelerator.synchronize()`, `.to(device)` under inference_mode, Adam(capturable=True). After an in-place change of
shape (`unsqueeze_`, `t_`, `resize_`) a tensor keeps the old one. Code under it must look `torch.Generator` up when it calls
it.

It stands on torch's Python backend for the spare device (`torch.utils.backend_registration`, torch 2.10 and newer).
"""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
_setup_privateuseone_for_python_backend(NAME)
torch.pretend.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]  # type: ignore[attr-defined]
DEVICE = torch.device(NAME, 0)

_aten = torch.ops.aten
_MAY_MIX = {  # what a GPU, too, lets take a CPU tensor beside its own
    _aten._to_copy.default,
    _aten.copy_.default,
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
    _aten._local_scalar_dense.default,
}
_WAITS = {  # the host needs a value, or a size that depends on one
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique_dim",
    "_unique2",
    "unique_consecutive",
    "equal",
    "repeat_interleave",
}
counts: collections.Counter[tuple[str, str]] = collections.Counter()


class Pretend(torch.Tensor):
    """A tensor on the pretend device; `elem` is what is computed with."""

    elem: torch.Tensor

    @staticmethod
    def __new__(cls, elem: torch.Tensor) -> Pretend:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            layout=elem.layout,
            device=DEVICE,
            requires_grad=False,
        )
        made.elem = elem
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Pretend({self.elem})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _run(func, args, kwargs or {})


def _here(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _caller() -> str:
    frame = sys._getframe(1)
    while frame and ("/torch/" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
        frame = frame.f_back  # type: ignore[assignment]
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" if frame else "?"


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    given = [*_tensors(args), *_tensors(kwargs.values())]
    ours = [t for t in given if isinstance(t, Pretend)]
    others = [t for t in given if not isinstance(t, Pretend)]
    if ours and others and func not in _MAY_MIX:
        mixed = [tuple(t.shape) for t in others if t.dim() > 0]
        if mixed:
            raise RuntimeError(f"{func} mixes tensors of {DEVICE} with tensors of the CPU: {mixed}")
    if func is _aten.index.Tensor and ours and not isinstance(args[0], Pretend):
        raise RuntimeError("a CPU tensor is indexed by a tensor of the device")
    name = func._schema.name.split("::")[1]
    device = kwargs.get("device")
    if ours:
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            t.dtype in (torch.bool, torch.uint8) for t in given[1:]
        )
        if name in _WAITS or by_mask:
            counts["waits", _caller()] += 1
        elif func is _aten._to_copy.default and device is not None and not _here(device):
            counts["to host", _caller()] += 1
        elif others and name in ("_to_copy", "copy_"):
            counts["to device", _caller()] += 1
        counts["operations", "all"] += 1
    elif func is _aten._to_copy.default and _here(device):
        counts["to device", _caller()] += 1
    plain = dict(kwargs)
    if _here(device):
        plain["device"] = torch.device("cpu")
    if plain.get("pin_memory"):
        plain["pin_memory"] = False
    out = func(*_mapped(_bare, args), **{name: _mapped(_bare, value) for name, value in plain.items()})
    if func is _aten._local_scalar_dense.default or out is None:
        return out
    to_us = _here(device) if device is not None else bool(ours)
    if func is _aten.copy_.default:
        to_us = isinstance(args[0], Pretend)
    if name.endswith("_") and not name.endswith("__") and args and isinstance(args[0], Pretend):
        return args[0]  # in place
    if kwargs.get("out") is not None:
        return kwargs["out"]
    return _mapped(_dressed, out) if to_us else out


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """The tensors among an operation's arguments, which nest in lists and tuples alone (torch's pytree takes twice as long)."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """What nests in lists and tuples, with each leaf changed."""
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(change, part) for part in value])
    return change(value)


def _dressed(value: Any) -> Any:
    return Pretend(value) if isinstance(value, torch.Tensor) and not isinstance(value, Pretend) else value


def _bare(value: Any) -> Any:
    return value.elem if isinstance(value, Pretend) else value


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


_Generator = torch.Generator


class _PretendGenerator(_Generator):
    """A CPU generator that says it is on the device it was asked for."""

    _asked: torch.device

    def __new__(cls, device: Any = "cpu") -> _PretendGenerator:
        made: _PretendGenerator = _Generator.__new__(cls, "cpu")  # type: ignore[call-arg]
        made._asked = torch.device(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE if self._asked.type == NAME else torch.device("cpu")


torch.Generator = _PretendGenerator  # type: ignore[misc]


@contextlib.contextmanager
def running() -> Iterator[collections.Counter[tuple[str, str]]]:
    """Everything made on `DEVICE` in here is pretend; yields the counts, which start at nothing."""
    counts.clear()
    with _Mode():
        yield counts


# torch.tensor, torch.as_tensor and .numpy() go round the mode, straight to the device's kernels.
_kernels = torch.library.Library("aten", "IMPL")


def _empty_strided(
    size: Any, stride: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None
) -> Any:
    return Pretend(torch.empty_strided(size, stride, dtype=dtype))


def _empty(
    size: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, memory_format: Any = None
) -> Any:
    return Pretend(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    kind = "to device" if isinstance(target, Pretend) else "to host"
    counts[kind, _caller()] += 1
    _bare(target).copy_(_bare(source))
    return target


_kernels.impl("empty_strided", _empty_strided, "PrivateUse1")
_kernels.impl("empty.memory_format", _empty, "PrivateUse1")
_kernels.impl("_copy_from", _copy_from, "PrivateUse1")

# Autocast passes through: operations keep their float32.
_autocast = torch.library.Library("_", "IMPL")
_autocast.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
