"""What a network saw and answered, on the page of its run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.evaluation.seen import SEEN, Confusion, Mistaken, Named, Pair, Picture, Seen, Shown, read_seen
from rotnet_lib.report.confusion_plots import confusion_figure, mistakes_figure
from rotnet_lib.report.layer_plots import layer_bars
from rotnet_lib.report.network_table import network_table
from rotnet_lib.report.seen_plots import seen_figures, seen_section
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.probe import ProbeConfig, probe

PIXELS = np.full((8, 8, 3), 90, np.uint8)


def confusion(count: int, *, matrix: bool = True) -> Confusion:
    """Of ten inputs each, of which one is taken for the next answer."""
    counts = 9 * np.eye(count, dtype=int) + np.roll(np.eye(count, dtype=int), 1, axis=1)
    names = [f"class {n}" for n in range(count)]
    pairs = [Pair(true=names[n], said=names[(n + 1) % count], count=1, of=10) for n in range(min(count, 20))]
    return Confusion(metric="top1", names=names, counts=counts.tolist() if matrix else None, pairs=pairs, mistakes=[])


def test_the_page_of_a_pretrain_run_shows_images_examples_and_confusion(pretrained: Callable[..., RunDirectory]) -> None:
    page = seen_section(pretrained()).data
    assert page.count("<figure") == 4  # rotations are answers about copies: no single image is mistaken
    assert "images of the training split, augmented" in page
    assert "% sure)" in page
    assert len(page) < 1e6


@pytest.mark.slow
def test_the_largest_pictures_that_are_kept_leave_a_page_below_3_megabytes() -> None:
    rng = np.random.default_rng(0)

    def photograph() -> Picture:
        """Blurred, with a sensor's noise: as hard to compress as a photograph."""
        blurred = np.asarray(Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize((224, 224)))
        return Picture.of((blurred + rng.normal(0, 6, blurred.shape)).clip(0, 255).astype(np.uint8))

    def example() -> Shown:
        return Shown(pictures=[photograph() for _ in range(4)], columns=4, caption="said 0", right=True, probability=[0.9] * 4)

    mistake = Mistaken(picture=photograph(), place=1, true="a", said="b", probability=0.9)
    seen = Seen(
        training=[Named(picture=photograph(), name="x") for _ in range(6)],
        made=[example() for _ in range(6)],
        examples=[example() for _ in range(6)],
        confusion=confusion(100).model_copy(update={"mistakes": [mistake] * 12}),
    )
    assert sum(len(figure.html) for figure in seen_figures(seen, "the test split")) < 2.7e6  # the rest of a page is vectors


def test_a_run_from_before_says_what_it_lacks_and_how_to_get_it(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet", 80.0)
    run = suite.run("rotnet").directory
    page = seen_section(run).data
    assert "<figure" not in page
    assert f"rotnet run inspect -p backbone {run.name}" in page
    assert f"delete the folder {run.name} and make the run again" in page


@pytest.mark.parametrize(("count", "numbers"), [(10, True), (30, False)])
def test_a_confusion_of_many_answers_has_no_numbers(count: int, numbers: bool) -> None:
    figure = confusion_figure(confusion(count), "the test split")
    assert figure is not None
    assert bool(figure.figure.axes[0].texts) is numbers
    assert "class 1 taken for class 2 1 of 10" in figure.description


def test_a_confusion_in_percent_of_the_true_answer() -> None:
    figure = confusion_figure(confusion(3), "the test split")
    assert figure is not None
    assert [text.get_text() for text in figure.figure.axes[0].texts][:3] == ["90.0", "10.0", "0.0"]


def test_of_very_many_answers_the_most_mistaken_pairs_are_bars() -> None:
    figure = confusion_figure(confusion(200, matrix=False), "the test split")
    assert figure is not None
    assert figure.figure.axes[0].get_yticklabels()[0].get_text() == "class 0 taken for class 1"


def test_mistakes_name_both_classes_and_the_probability() -> None:
    found = Mistaken(picture=Picture.of(PIXELS), place=3, true="mug", said="lamp", probability=0.975)
    figure = mistakes_figure([found], "the test split")
    assert figure is not None
    assert figure.figure.axes[0].get_title() == "true: mug\nsaid: lamp\n97.5 % sure"
    assert mistakes_figure([], "the test split") is None


def test_a_probe_is_drawn_beside_the_same_probe_of_random_features(pretrained: Callable[..., RunDirectory]) -> None:
    backbone, small = pretrained().name, {"layer": "conv1,conv2", "epochs": 1, "device": "cpu"}
    own = probe(ProbeConfig.build(small | {"backbone": backbone}))
    own.save()
    assert "No run like it on random features" in layer_bars(own.result).caption
    asked = {
        name: own.result.parameters[name] for name in ("arch", "width", "dataset", "train_size", "test_size", "image_size")
    }
    for more in ({}, {"lr": 0.3}):  # the second is another probe
        probe(
            ProbeConfig.build(small | asked | {"batch_size": own.result.parameters["batch_size"], "backbone": "random"} | more)
        ).save()
    figure = layer_bars(own.result)
    assert "No run like it on random features" not in figure.caption
    [legend] = figure.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["RotNet NIN-3", "random NIN-3", "chance: 10.00 %"]
    assert "chance" in figure.description.lower()
    seen = read_seen(own.directory)
    assert seen is not None
    assert len(seen_figures(seen, "the test split")) == 3  # images, confusion, mistakes


def test_the_network_as_a_table(pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    page = network_table(run.result()).data
    assert "NIN-3" in page
    for row in ("<td>conv1</td>", "<td>conv3</td>", " x 8 x 8</td>"):
        assert row in page


def test_what_is_not_usual_of_the_first_convolution_is_said(pretrained: Callable[..., RunDirectory]) -> None:
    asked = {"task": "colorization", "arch": "alexnet", "image_size": 64, "task_options": {"head": "conv", "stride": 2}}
    page = network_table(pretrained(**asked).result()).data
    assert "reads lab-l" in page
    assert "stride 2, as in pretraining" in page
    assert "3 x 29 x 29" in page
    assert "reads" not in network_table(pretrained().result()).data


def test_charts_stand_by_themselves(pretrained: Callable[..., RunDirectory]) -> None:
    seen = read_seen(pretrained(task="colorization", task_options={"head": "conv"}))
    assert seen is not None
    captions = [figure.caption for figure in seen_figures(seen, "the test split")]
    assert captions[2].startswith("What the network saw of images of the test split")
    assert captions[3] == "What the task knows of its training images, or made on the way."
    assert captions[4] == "What is answered for what on the test split."
    assert captions[5].startswith("Which answer is given for which on the test split")
    assert seen.confusion is not None
    assert seen.confusion.metric == "colour_top1"  # of the answers that have names


def test_layers_above_those_that_are_read_are_not_used(made_up: Any) -> None:
    page = network_table(made_up().finish("rotnet-conv", 61.25)).data
    rows = {row.split("</td>")[0].rpartition(">")[2]: row for row in page.split("<tr>")}
    assert "61.25 %" in rows["conv2"]
    assert "not used" in rows["conv3"]
    assert "not used" not in rows["conv1"]


def test_what_was_seen_is_checked_as_every_file_of_a_run(pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    (run.path / SEEN).write_text("{}")
    with pytest.raises(Exception, match="damaged: it is not what the run wrote"):
        seen_section(run)
