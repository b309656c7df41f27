"""The rates of loading: of files like photographs, and with nothing left behind."""

import io
import itertools

import psutil
import pytest
from PIL import Image

from rotnet_lib.bench.loading import LoadingRates, loading_rates, photographs, report


@pytest.mark.parametrize("workers", [0, 1])
def test_rates_are_measured_on_files_of_its_own(workers: int) -> None:
    before = psutil.Process().children()
    found = loading_rates(0.05, workers, files=8, batch=4)
    assert found.workers == workers
    assert 20 < found.kilobytes < 45
    for rate in (found.decode, found.random_crop, found.resized_crop):
        assert 10 < rate < 1e6
    assert set(psutil.Process().children()) <= set(before)


def test_drawn_photographs_are_as_large_as_photographs() -> None:
    for pixels in itertools.islice(photographs(), 10):
        assert pixels.shape == (256, 256, 3)
        assert 30 < pixels.std() < 80
        Image.fromarray(pixels).save(buffer := io.BytesIO(), "JPEG", quality=90)
        assert 20_000 < len(buffer.getvalue()) < 45_000


def test_the_report_gives_the_loaders_share_of_decoding() -> None:
    first, *lines = report(LoadingRates(2000, 1900, 900, 3, 30)).splitlines()
    assert first.endswith("3 processes that read, JPEGs of 256 pixels and 30 kB")
    assert lines == [
        "decoding alone: 2,000 images/s",
        "loader, random crops of 224 pixels: 1,900 images/s, 95 % of that",
        "loader, random resized crops of 224 pixels: 900 images/s, 45 % of that",
    ]
