"""A set in VOC's layout, written by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteVoc = Callable[..., Path]

ANNOTATION = """\
<annotation>
	<filename>{id_}.jpg</filename>
	<size>
		<width>{width}</width>
		<height>{height}</height>
		<depth>3</depth>
	</size>
{objects}</annotation>
"""

OBJECT = """\
	<object>
		<name>{name}</name>
		<pose>Left</pose>
		<truncated>0</truncated>
		<difficult>{difficult}</difficult>
		<bndbox>
			<xmin>{box[0]}</xmin>
			<ymin>{box[1]}</ymin>
			<xmax>{box[2]}</xmax>
			<ymax>{box[3]}</ymax>
		</bndbox>
	</object>
"""


@pytest.fixture
def write_voc() -> WriteVoc:
    """Writes `count` images of 40 x 30 pixels, each with a car and a difficult dog, half of them in trainval, half in test."""

    def write(root: Path, count: int = 4, names: Sequence[str] = ("car", "dog")) -> Path:
        for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
            (root / name).mkdir(parents=True)
        ids = [f"{number:06}" for number in range(1, count + 1)]
        objects = "".join(
            OBJECT.format(name=name, difficult=place, box=(3 + place, 5, 20, 30)) for place, name in enumerate(names)
        )
        for number, id_ in enumerate(ids):
            pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "JPEGImages" / f"{id_}.jpg")
            text = ANNOTATION.format(id_=id_, width=40, height=30, objects=objects)
            (root / "Annotations" / f"{id_}.xml").write_text(text)
            mask = Image.new("P", (40, 30))
            mask.putpalette(range(256))
            mask.paste(7, (2, 4, 20, 30))
            mask.paste(255, (2, 4, 3, 30))
            mask.save(root / "SegmentationClass" / f"{id_}.png")
        for kind in ("Main", "Segmentation"):
            for split, part in (("trainval", ids[: count // 2]), ("test", ids[count // 2 :])):
                (root / "ImageSets" / kind / f"{split}.txt").write_text("\n".join(part) + "\n")
        return root

    return write
