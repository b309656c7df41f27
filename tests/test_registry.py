"""The register: a decorator enters, a wrong name is helped."""

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.registry import Registry


@pytest.fixture
def archs() -> Registry[type]:
    registry = Registry[type]("arch")
    registry.register("nin4")(int)
    registry.register("alexnet")(str)
    return registry


def test_what_is_entered_is_found(archs: Registry[type]) -> None:
    assert archs["nin4"] is int
    assert list(archs) == ["nin4", "alexnet"]  # in the order entered
    assert "nin4" in archs
    assert "nin5" not in archs


def test_the_decorator_leaves_the_class_as_it_is(archs: Registry[type]) -> None:
    @archs.register("vgg")
    class Vgg: ...

    assert isinstance(Vgg(), Vgg)
    assert archs["vgg"] is Vgg


def test_a_name_cannot_be_taken_twice(archs: Registry[type]) -> None:
    with pytest.raises(ValueError, match="arch 'nin4' is registered twice"):
        archs.register("nin4")(float)
    assert archs["nin4"] is int


def test_a_wrong_name_is_helped(archs: Registry[type]) -> None:
    with pytest.raises(RotnetError, match=r"unknown arch 'alexnt'; did you mean 'alexnet'\? Allowed: nin4, alexnet\."):
        archs["alexnt"]


def test_registers_do_not_share_entries(archs: Registry[type]) -> None:
    assert list(Registry[type]("classifier")) == []


def test_what_is_removed_can_be_registered_again(archs: Registry[type]) -> None:
    name = next(iter(archs))
    archs.remove(name)
    assert name not in archs
    archs.register(name)(int)
    assert archs[name] is int
