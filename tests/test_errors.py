"""Messages: the culprit, the nearest match, what is allowed."""

import pytest

from rotnet_lib.errors import nearest, unknown


@pytest.mark.parametrize(
    ("word", "allowed", "match"),
    [
        ("con4", ["conv1", "conv2", "conv3", "conv4", "conv5"], "conv4"),
        ("epoch", ["seed", "epochs", "batch_size"], "epochs"),
        ("batchsize", ["seed", "epochs", "batch_size"], "batch_size"),
        ("weight_deacy", ["width", "weight_decay"], "weight_decay"),
        ("learning_rate", ["lr", "epochs", "lr_decay"], "lr"),
        ("Learning-Rate", ["lr", "epochs", "lr_decay"], "lr"),
        ("wd", ["width", "weight_decay"], "weight_decay"),
        ("model", ["lr", "arch"], "arch"),
        ("model", ["lr", "mode"], "mode"),
        ("zebra", ["seed", "epochs"], None),
        ("zebra", [], None),
    ],
)
def test_the_nearest_word_is_suggested_if_it_is_near(word: str, allowed: list[str], match: str | None) -> None:
    assert nearest(word, allowed) == (f"; did you mean '{match}'?" if match else ".")


def test_a_numbered_name_is_told_from_its_neighbours() -> None:
    allowed = [f"conv{number}" for number in range(1, 10)]
    for number in range(1, 10):
        assert nearest(f"cnv{number}", allowed) == f"; did you mean 'conv{number}'?"


def test_an_unknown_name_is_shown_with_all_there_are() -> None:
    error = unknown("layer of nin4", "conv6", ["conv1", "conv2"])
    assert str(error).startswith("unknown layer of nin4 'conv6'; did you mean 'conv")
    assert str(error).endswith("Allowed: conv1, conv2.")


def test_a_message_without_a_match_is_still_two_sentences() -> None:
    assert str(unknown("arch", "resnet", ["nin3"])) == "unknown arch 'resnet'. Allowed: nin3."


def test_nothing_allowed_is_said() -> None:
    assert str(unknown("task option", "x", [])).endswith("Allowed: none.")


def test_a_name_written_out_is_near_its_initials() -> None:
    assert "did you mean 'lr'?" in str(unknown("parameter", "learning_rate", ["lr", "epochs"]))
