"""What tasks on parts of images have in common."""

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.parts.parts_task import PartsTask, below, remedies
from tests.pretext.made import made_task, random_data

NAMES = sorted(name for name in TASKS if issubclass(TASKS[name], PartsTask))


def test_there_are_such_tasks() -> None:
    assert {"jigsaw", "context", "counting", "egomotion", "slow-features"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_of_one_image_is_refused_with_what_works(name: str) -> None:
    with pytest.raises(RotnetError, match=r"train_size: .* at least 2 images in each split, and made has 1 here\. Raise it"):
        made_task(name, random_data(32, 1))
    made_task(name, random_data(32, 2))


def test_a_remedy_is_the_first_value_that_works() -> None:
    found = remedies(
        ("a gap of {:g} or less", below(0.3), lambda gap: gap <= 0.1),
        ("stride {}", range(3, 0, -1), lambda stride: stride < 3),
        ("grid {}", (), lambda grid: True),
        ("image_size {}", range(10, 20), lambda size: size > 100),
    )
    assert found == "a gap of 0.1 or less, stride 2"
