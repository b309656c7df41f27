"""What a run's own report says."""

from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.parameter_words import describe_differences, plain
from rotnet_lib.report.run_report import run_details, run_summary
from rotnet_lib.report.suite_facts import facts
from rotnet_lib.runs.schema import MetricValue, RunResult

ACCURACY = MetricValue(last=50.0)


def text(result: RunResult) -> str:
    page = run_summary(result).data + run_details(result).data
    return " ".join(BeautifulSoup(page, "html.parser").get_text().split())


def test_the_headline_is_the_last_epoch_and_the_best_is_named_as_such(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.25, best=84.5)
    html = BeautifulSoup(run_summary(result).data, "html.parser")
    headline = html.find(class_="headline")
    assert headline is not None
    assert " ".join(headline.get_text().split()) == "Top-1 accuracy on the test split 80.25 %"
    assert "84.50" not in headline.get_text()
    assert "last epoch of 3, seed 0" in text(result)
    assert "Best epoch on the test split: 84.50 % (epoch 2)." in text(result)
    assert "1,000 test images of made up" in text(result)


def test_several_layers_are_all_shown(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    result.metrics["conv3_top1"] = MetricValue(last=70.0, best=71.0, best_epoch=1)
    shown = text(result)
    for part in ("on the test split by layer: conv2 80.00", "conv3 70.00", "conv3 71.00 % (epoch 1)"):
        assert part in shown


def test_files_that_were_left_out_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "unreadable" not in text(result)
    result.data.damaged = ["train/a/1.jpg"]
    assert "1 unreadable file: train/a/1.jpg" in text(result)
    result.data.damaged = [f"train/a/{number}.jpg" for number in range(30)]
    assert "30 unreadable files: train/a/0.jpg" in text(result)


def test_files_that_were_not_read_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "not read" not in text(result)
    result.data.skipped = [".heic files: 3, such as train/cat/a.heic", "FIFOs: 1, such as train/b/c.png"]
    assert "not read.heic files: 3, such as train/cat/a.heic; FIFOs: 1, such as train/b/c.png" in text(result)


def test_a_kind_of_file_that_was_read_in_no_split_is_named_once(made_up: Any) -> None:
    suite = made_up()
    result = suite.finish("rotnet-conv", 80.0)
    result.data.skipped = [".txt files: 100, such as train/a.txt", ".txt files: 1000, such as val/a.txt"]
    assert "not read.txt files: 1,100, such as train/a.txt" in text(result)
    assert "not read .txt files: 1,100, such as train/a.txt, fingerprint" in facts([result])["data"]
    assert "1,000 test images" in facts([result])["data"]


def test_what_stands_between_backticks_is_code(made_up: Any) -> None:
    result = made_up().finish("rotnet", 80.0)
    html = BeautifulSoup(run_details(result).data, "html.parser")
    assert "`" not in html.get_text()
    assert "init=he" in [code.get_text() for code in html.find_all("code")]


def test_what_differs_from_the_protocol_stands_above_the_details(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    html = run_summary(result).data + run_details(result).data
    assert "Not the published protocol: dataset shapes (protocol: cifar10); " in text(result)
    assert "train_size 4000 (protocol: all)" in text(result)
    assert html.index("Not the published protocol") < html.index("<table")
    paper = made_up(preset="paper").finish("rotnet-conv", 90.0)
    assert "Not the published protocol" not in text(paper)


def test_where_the_figure_comes_from(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    data_and_time = (f"fingerprint {result.data.fingerprint}", "12,000 inputs", "Some processor, 1 thread, peak", "512 MiB")
    for part in (*data_and_time, "abcdef012345", "torch 2.15.0", result.run):
        assert part in text(result)


def test_several_processes_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "processes" not in text(result)
    result.environment.processes = 2
    assert "Some processor, 2 processes of 1 thread," in text(result)


def test_a_run_that_trains_nothing_names_no_epochs_and_no_training(made_up: Any) -> None:
    shown = text(made_up("inspect").finish("inspect", 70.0, trained=False))
    assert "Rotation accuracy 70.00 %" in shown
    assert "no network is trained here" in shown
    for word in ("last epoch", "inputs", "parameters trained"):
        assert word not in shown


def test_differences_in_words() -> None:
    differences: dict[str, list[Any]] = {"epochs": [100, 4], "train_size": [None, 400]}
    differences |= {"lr_decay": [[0.1, 0.1, 10.0], 0.2]}
    differences |= {"lr_milestones": [[0.3, 0.6], [0.5]], "augment": ["pad-crop", "none"], "image_size": [None, 64]}
    assert describe_differences(differences, "pretrain") == [
        "epochs 4 (protocol: 100)",
        "train_size 400 (protocol: all)",
        "lr_decay 0.2 (protocol: 0.1, 0.1, 10)",
        "lr_milestones 0.5 (protocol: 0.3, 0.6)",
        "augment none (protocol: pad-crop)",
        "image_size 64 (protocol: the data's own)",
    ]
    assert plain(5e-4) == "0.0005"
    assert plain([]) == "none"


@pytest.mark.parametrize(
    ("name", "stage", "word"),
    [
        ("pu_weights", "pretrain", "none"),
        ("fold", "pretrain", "none"),
        ("checkpoint", "probe", "end"),
        ("threads", "knn", "cores"),
    ],
)
def test_a_value_that_is_not_set_has_its_own_word(name: str, stage: str, word: str) -> None:
    assert plain(None, name, stage) == word


def test_figures_of_held_out_training_images_say_so(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.25, best=84.5)
    result.data.validation = True
    result.protocol_differences = {"validate": [None, 0.1]}
    assert "1,000 held-out training images of made up" in text(result)
    assert "Best epoch on held-out training images: 84.50 % (epoch 2)." in text(result)
    assert "validate 0.1 (protocol: none)" in text(result)
    assert "test split" not in text(result)


# --- Metrics of any kind ---

ERROR = MetricValue(last=0.0123, best=0.0119, best_epoch=2, unit="", better="lower")
PSNR = MetricValue(last=21.5, best=21.75, best_epoch=3, unit="dB", chance=8.0)
PURITY = MetricValue(last=34.25, tested=False)


def with_metrics(made_up: Any, **metrics: MetricValue) -> RunResult:
    result: RunResult = made_up().finish("rotnet", 80.0)
    return result.model_copy(update={"metrics": metrics})


def test_the_headline_of_other_metrics_has_their_units_and_the_direction(made_up: Any) -> None:
    shown = text(with_metrics(made_up, mse=ERROR, psnr=PSNR))
    assert "mse 0.0123 (lower is better) PSNR 21.50 dB (chance 8 dB) On 1,000 test images" in shown
    assert "Best epoch on the test split: mse 0.0119 (epoch 2), PSNR 21.75 dB (epoch 3)." in shown


def test_what_guessing_gives_is_said_where_it_is_known(made_up: Any) -> None:
    assert "chance" not in text(with_metrics(made_up, top1=ACCURACY))
    assert "80.00 % (chance 25 %)" in text(with_metrics(made_up, top1=MetricValue(last=80.0, chance=25.0)))


def test_a_metric_without_meaning_on_the_test_split_says_so(made_up: Any) -> None:
    shown = text(with_metrics(made_up, purity=PURITY))
    assert "purity 34.25 % On 4,000 training images (the test split tells nothing of purity) of made up" in shown
    assert "Best epoch" not in shown
    both = text(with_metrics(made_up, mse=ERROR, purity=PURITY))
    assert "On 1,000 test images (purity: on 4,000 training images, for the test split tells nothing of it)" in both
    assert "Best epoch on the test split: mse 0.0119 (epoch 2)." in both.replace(" .", ".")
