"""Rotation Feature Decoupling: each loss against a loop over its formula, the split, gradients, whole runs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext.decoupling import Decoupling
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_network, load_tensors
from tests.pretext.parts.banks import remember_all
from tests.training import toys
from tests.training.weights import killed, same_weights

Pretrained = Callable[..., RunDirectory]
K = 4

IMAGES = {"fingerprint": "0"}
"""Which images the weights are of."""


def task(data: Dataset, arch: str = "nin3", width: float = 0.05, **options: Any) -> Decoupling:
    with seeded(0):
        backbone = make_backbone(arch, width=width, mean=data.mean, std=data.std)
        return Decoupling(backbone, data, Decoupling.Options(**{"dimension": 5, "negatives": None} | options))


def training_batch(data: Dataset, size: int = 6) -> Batch:
    return next(Loader(data.train, size, seed=0, augment="pad-crop").epoch(0))


def features(decoupling: Decoupling, batch: Batch) -> np.ndarray:
    """(N, K, C): the last layer's channels, averaged over the map, of one copy at a time."""
    found = []
    with torch.no_grad():
        for image in batch.images:
            turned = [torch.from_numpy(np.rot90(image.numpy(), k, axes=(1, 2)).copy())[None] for k in range(K)]
            found.append([decoupling.module.backbone(copy)[0].mean(dim=(1, 2)).numpy() for copy in turned])
    return np.array(found, np.float64)


def linear_of(decoupling: Decoupling) -> torch.nn.Linear:
    """F_c, behind the average over the map."""
    _, _, linear = decoupling.module.head.children()
    assert isinstance(linear, torch.nn.Linear)
    return linear


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - math.log(sum(math.exp(score) for score in scores))


def l_c(decoupling: Decoupling, batch: Batch, p: np.ndarray | None, gamma: float) -> float:
    """1/(NK) sum w_{i,y} CE(F_c(f1_{i,y}), y), w = 1 for the upright copy, else 1 - p^gamma."""
    linear = linear_of(decoupling)
    weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
    f = features(decoupling, batch)
    half = f.shape[2] // 2
    total = 0.0
    for n, i in enumerate(batch.index.tolist()):
        for y in range(K):
            w = 1.0 if y == 0 or p is None else 1 - p[i, y] ** gamma
            total -= w * log_softmax(weight @ f[n, y, :half] + bias)[y]
    return total / (len(batch) * K)


def l_r(decoupling: Decoupling, batch: Batch) -> float:
    """1/(NK) sum d(f2_{i,y}, f-bar_i), d the mean squared difference."""
    f = features(decoupling, batch)
    f2 = f[:, :, f.shape[2] // 2 :]
    total = 0.0
    for copies in f2:
        mean = sum(copies) / K
        total += sum(float(((copy - mean) ** 2).mean()) for copy in copies)
    return total / (len(batch) * K)


def l_n(decoupling: Decoupling, batch: Batch) -> float:
    """-1/N sum_i log P(i | normalised projection of f-bar_i), over the bank as it is."""
    project, memory = decoupling.module.project, decoupling.module.bank.memory.double().numpy()
    weight, bias = project.weight.detach().double().numpy(), project.bias.detach().double().numpy()
    f = features(decoupling, batch)
    total = 0.0
    for n, i in enumerate(batch.index.tolist()):
        embedding = weight @ (sum(f[n, :, f.shape[2] // 2 :]) / K) + bias
        embedding /= math.sqrt(float(embedding @ embedding))
        total -= log_softmax(memory @ embedding / decoupling.options.temperature)[i]
    return total / len(batch)


# --- The losses ---


@pytest.mark.parametrize(("arch", "width"), [("nin3", 0.05), ("nin4", 0.1), ("alexnet", 0.03)])
def test_each_loss_is_the_formulas(arch: str, width: float, shapes_data: Dataset) -> None:
    decoupling = task(shapes_data, arch, width)
    remember_all(decoupling.module.bank)
    decoupling.module.eval()  # batch norm would tie the images together
    batch = training_batch(shapes_data)
    expected = {
        "loss_c": l_c(decoupling, batch, None, 2),
        "loss_r": l_r(decoupling, batch),
        "loss_n": l_n(decoupling, batch),
    }
    step = decoupling.step(batch)
    assert {name: value.item() for name, value in step.terms.items()} == pytest.approx(expected, rel=1e-4)
    assert step.loss.item() == pytest.approx(sum(expected.values()), rel=1e-4)
    assert step.inputs == len(batch) * K


@pytest.mark.parametrize("factors", [(1, 0, 0), (0.1, 1, 0), (0.1, 0, 1), (0.5, 20, 0.1)])
def test_the_loss_is_the_weighted_sum(factors: tuple[float, float, float], shapes_data: Dataset) -> None:
    lambda_c, lambda_r, lambda_n = factors
    decoupling = task(shapes_data, lambda_c=lambda_c, lambda_r=lambda_r, lambda_n=lambda_n)
    decoupling.module.eval()
    batch = training_batch(shapes_data)
    parts = [l_c(decoupling, batch, None, 2), l_r(decoupling, batch)]
    if lambda_n:
        remember_all(decoupling.module.bank)
        parts.append(l_n(decoupling, batch))
    expected = sum(factor * part for factor, part in zip(factors, parts, strict=False))
    assert decoupling.step(batch).loss.item() == pytest.approx(expected, rel=1e-4)


def table(data: Dataset) -> Plausibility:
    p = torch.from_numpy(np.random.default_rng(0).random((len(data.train), K), np.float32))
    return Plausibility(p, (0, 90, 180, 270), IMAGES)


@pytest.mark.parametrize("gamma", [2.0, 0.5])
def test_copies_that_pass_for_upright_weigh_less(gamma: float, shapes_data: Dataset) -> None:
    decoupling = task(shapes_data, gamma=gamma, lambda_n=0)
    decoupling.weigh_copies(table(shapes_data), "a run", IMAGES)
    decoupling.module.eval()
    batch = training_batch(shapes_data)
    expected = l_c(decoupling, batch, table(shapes_data).p.double().numpy(), gamma)
    assert decoupling.step(batch).terms["loss_c"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("epochs", "first"), [(245, 210), (7, 6), (3, 2), (1, 0)])
def test_they_do_in_the_last_seventh_of_the_epochs(epochs: int, first: int, shapes_data: Dataset) -> None:
    """As in the authors' code: in the last 35 of 245."""
    decoupling = task(shapes_data, lambda_n=0)
    weighs = []
    for epoch in range(epochs):
        decoupling.before_epoch(toys.epoch(epoch, epochs))
        weighs.append(decoupling.weighs)
    assert weighs == [epoch >= first for epoch in range(epochs)]


def test_by_nce_a_step_draws_the_negatives_asked_for(shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    decoupling, full = task(shapes_data, negatives=2000), task(shapes_data)
    asked = []
    for one in (decoupling, full):
        remember_all(one.module.bank)
        one.module.eval()
    nce_loss = decoupling.module.bank.nce_loss

    def note(f: torch.Tensor, index: torch.Tensor, negatives: torch.Tensor, temperature: float) -> torch.Tensor:
        asked.append(negatives)
        return nce_loss(f, index, negatives, temperature)

    monkeypatch.setattr(decoupling.module.bank, "nce_loss", note)
    gradients = []
    for one in (decoupling, full):
        (gradient,) = torch.autograd.grad(one.step(training_batch(shapes_data)).terms["loss_n"], one.module.project.weight)
        gradients.append(gradient.flatten())
    assert asked[0].shape == (6, 2000)
    assert asked[0].unique().tolist() == list(range(40))
    assert torch.nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.97


# --- The split ---


def reached(decoupling: Decoupling, name: str, data: Dataset) -> torch.Tensor:
    """(C,): by how much each of the last layer's channels moves a loss."""
    remember_all(decoupling.module.bank)
    decoupling.module.eval()
    maps: list[torch.Tensor] = []

    def note(module: torch.nn.Module, images: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        maps.append(output)

    decoupling.module.backbone.register_forward_hook(note)
    decoupling.step(training_batch(data)).terms[name].backward()
    assert maps[0].grad is not None
    return maps[0].grad.abs().sum(dim=(0, 2, 3))


def test_l_c_reads_the_first_half_and_the_others_the_second(shapes_data: Dataset) -> None:
    for name in ("loss_c", "loss_r", "loss_n"):
        moved = reached(task(shapes_data, width=0.25), name, shapes_data)
        half = len(moved) // 2
        first, second = moved[:half], moved[half:]
        read, left = (first, second) if name == "loss_c" else (second, first)
        assert read.any(), name
        assert not left.any(), name


@pytest.mark.parametrize(("arch", "halves"), [("nin4", (96, 96)), ("alexnet", (2048, 2048))])
def test_the_halves_are_those_of_the_protocol(arch: str, halves: tuple[int, int], shapes_data: Dataset) -> None:
    decoupling = task(shapes_data, arch, 1.0, dimension=128)
    assert (linear_of(decoupling).in_features, decoupling.module.project.in_features) == halves
    assert decoupling.module.project.out_features == 128


def test_bf16_maps_are_averaged_in_full_precision(shapes_data: Dataset) -> None:
    """As on a GPU. Rounded to 8 bits, equal means would seem to differ from copy to copy."""
    module = task(shapes_data, width=0.25).module.eval()
    images = training_batch(shapes_data).images
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        maps = module.backbone(images)
        _, f2 = module.both(images)
    assert (maps.dtype, f2.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(f2, maps[:, maps.shape[1] // 2 :].float().mean(dim=(2, 3)))


def test_no_gradient_flows_through_the_mean_of_l_r(shapes_data: Dataset) -> None:
    """d/d f2 of 1/(NKC) sum (f2 - c)^2 with c constant is 2 (f2 - c) / (NKC), not the same minus its mean (which is 0)."""
    decoupling = task(shapes_data, lambda_n=0, width=0.25)
    decoupling.module.eval()
    pooled: list[torch.Tensor] = []
    both = decoupling.module.both

    def note(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, f2 = both(images)
        f2 = f2.detach().requires_grad_()
        pooled.append(f2)
        return logits, f2

    decoupling.module.both = note  # type: ignore[method-assign]
    decoupling.step(training_batch(shapes_data)).terms["loss_r"].backward()
    f2 = pooled[0].detach().view(K, 6, -1)
    expected = 2 * (f2 - f2.mean(0)) / f2.numel()
    assert pooled[0].grad is not None
    torch.testing.assert_close(pooled[0].grad.view_as(f2), expected)


def test_gradients_are_those_of_finite_differences(shapes_data: Dataset) -> None:
    """Of the whole loss on a tiny net in double precision, in every kind of weight."""
    decoupling = task(shapes_data, lambda_c=1, lambda_r=3, lambda_n=0.5, width=0.02, dimension=3)
    module = decoupling.module.double()
    remember_all(module.bank)
    decoupling.weigh_copies(table(shapes_data), "a run", IMAGES)
    module.train()
    batch = training_batch(shapes_data, 3)
    memory = module.bank.memory.clone()
    mean = frozen_mean(decoupling, batch)

    def loss() -> torch.Tensor:
        module.bank.memory.copy_(memory)  # a step updates it
        step = decoupling.step(batch)
        return step.loss - 3 * step.terms["loss_r"] + 3 * irrelevance(decoupling, batch, mean)

    module.zero_grad()
    decoupling.step(batch).loss.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        place = int(parameter.grad.abs().flatten().argmax())
        found = parameter.grad.flatten()[place].item()
        with torch.no_grad():
            before, values = parameter.flatten()[place].item(), []
            for step in (1e-6, -1e-6):
                parameter.view(-1)[place] = before + step
                values.append(loss().item())
            parameter.view(-1)[place] = before
        assert found == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-3, abs=1e-7), name


def frozen_mean(decoupling: Decoupling, batch: Batch) -> torch.Tensor:
    """f-bar (N, C), which L_r takes as it is, whatever moves."""
    images = rotate_all(batch.images, decoupling.angles)
    with torch.no_grad():
        return decoupling.module.both(images)[1].view(K, len(batch), -1).mean(0)


def irrelevance(decoupling: Decoupling, batch: Batch, mean: torch.Tensor) -> torch.Tensor:
    images = rotate_all(batch.images, decoupling.angles)
    return (decoupling.module.both(images)[1].view(K, len(batch), -1) - mean).square().mean()


# --- Options ---


def test_without_l_n_there_is_neither_bank_nor_projection(shapes_data: Dataset) -> None:
    module = task(shapes_data, lambda_n=0).module
    assert {name.partition(".")[0] for name, _ in module.named_parameters()} == {"backbone", "head"}
    assert not [name for name, _ in module.named_buffers() if "bank" in name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambda_c": 0}, "lambda_c: .*greater than 0"),
        ({"lambda_n": -1}, "greater than or equal to 0"),
        ({"copies": "one"}, "needs an image's copies in one batch: all, not 'one'"),
        ({"lamda_n": 1}, "unknown task option 'lamda_n' of decoupling.*lambda_n"),
        ({"temperature": 0.001}, "task_options.temperature: .*0.01"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str, tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match=message):
        PretrainConfig.build(tiny | {"task": "decoupling", "task_options": options})


def test_one_channel_cannot_be_split(shapes_data: Dataset) -> None:
    with pytest.raises(RotnetError, match=r"width: conv3 has one channel at width 0\.005"):
        task(shapes_data, width=0.005)


def test_the_full_softmax_is_not_for_a_million_images(shapes_data: Dataset) -> None:
    with pytest.raises(RotnetError, match=r"200000 images at most, not 1281167.*4096"):
        task(shapes_data).make_bank(1_281_167)
    assert len(task(shapes_data, negatives=4096, dimension=2).make_bank(1_281_167)) == 1_281_167


# --- Runs ---


def test_testing_asks_for_the_rotation_alone(shapes_data: Dataset) -> None:
    decoupling = task(shapes_data)
    decoupling.module.eval()
    before = decoupling.module.bank.memory.clone()
    batch = next(ordered_batches(shapes_data.test, 8))
    step = decoupling.evaluate(batch)
    assert step.loss.item() == pytest.approx(l_c(decoupling, batch, None, 2), rel=1e-4)
    assert torch.equal(decoupling.module.bank.memory, before)


def test_its_network_can_be_loaded_as_any_rotnet(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained(task="decoupling")
    tensors, _ = load_tensors(run.path / MODEL)
    network = load_network(run.path / MODEL, 32)
    assert set(tensors) - set(network.state_dict()) == {"project.weight", "project.bias"}
    images = shapes_data.test.read(range(4))
    channels = network.backbone(images).mean(dim=(2, 3))
    half = tensors["head.2.weight"].shape[1]
    assert half == channels.shape[1] // 2
    expected = channels[:, :half] @ tensors["head.2.weight"].T + tensors["head.2.bias"]
    torch.testing.assert_close(network(images), expected)


def test_the_history_has_the_terms(pretrained: Pretrained) -> None:
    history = (pretrained(task="decoupling", epochs=2).path / "history.csv").read_text().splitlines()[0].split(",")
    assert [name for name in history if name.startswith("train_loss")] == [
        "train_loss",
        *("train_loss_c", "train_loss_r", "train_loss_n"),
    ]
    assert "test_loss_n" not in history


@pytest.mark.parametrize("options", [{}, {"bank": "random"}, {"negatives": None}])
def test_a_run_that_was_killed_ends_as_one_that_was_not(options: dict[str, Any], tiny: dict[str, Any]) -> None:
    """Bit for bit; killed in the second of three epochs. The bank decides the third."""
    parameters = tiny | {"task": "decoupling", "task_options": {"dimension": 4} | options, "arch": "nin3", "epochs": 3}
    whole = pretrain(PretrainConfig.build(parameters | {"runs": "whole"}))
    with killed(Decoupling, 4):
        pretrain(PretrainConfig.build(parameters | {"runs": "killed"}))
    resumed = pretrain(PretrainConfig.build(parameters | {"runs": "killed"}))
    assert same_weights(resumed.directory, whole.directory)
    assert resumed.history["train_loss_n"].tolist() == whole.history["train_loss_n"].tolist()
    banks = [load_tensors(made.directory.path / "resume.safetensors")[0] for made in (whole, resumed)]
    for name in ("module.bank.memory", "module.bank.seen"):
        assert banks[0][name].any()
        assert torch.equal(banks[0][name], banks[1][name])
