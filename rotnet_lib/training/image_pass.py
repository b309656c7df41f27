"""All training images in their order, for tasks that look at them between epochs."""

from collections.abc import Callable
from contextlib import closing

import torch
from torch import nn

from rotnet_lib.data.loader import TEST_BATCH, Batch, ordered_batches
from rotnet_lib.data.split import Request, Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.training import collectives
from rotnet_lib.training.devices import autocast


class ImagePass:
    """A way to read all training images, not augmented.

    Args:
        split: the training images, on the device.
        module: what the task trains.
    """

    def __init__(self, split: Split | StreamedSplit, module: nn.Module) -> None:
        self._split = split
        self._module = module

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._split)

    @torch.no_grad()
    def gather(
        self, rows: Callable[[Batch], torch.Tensor], only: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A row for every training image, each process computing its share; the same result in each. Collective.

        The module is in evaluation mode meanwhile.

        Args:
            rows: batch of n images -> (n, D) float. What is drawn from the batch's `rng` is the same at each call.
            only: (n,) int64, places of images, each once: those alone are read; None: all.

        Returns:
            (N, D) float32, zeros where an image could not be read or was not asked for; (N,) bool, which were read. Both on the
            images' device.

        Raises RotnetError as reading the images does.
        """
        found: torch.Tensor | None = None
        present = torch.zeros(len(self), dtype=torch.float32, device=self._split.device)
        mode = self._module.training
        self._module.eval()
        try:
            with closing(ordered_batches(self._split, TEST_BATCH, collectives.rank_and_world_size(), only)) as batches:
                for batch in batches:
                    with autocast(batch.images.device):
                        made = rows(batch).float()
                    if found is None:
                        found = made.new_zeros(len(self), made.shape[1])
                    found[batch.index] = made
                    present[batch.index] = 1.0
        finally:
            self._module.train(mode)
        columns = max(collectives.all_gather(0 if found is None else found.shape[1]))  # a process may have had no batch
        found = present.new_zeros(len(self), columns) if found is None else found
        collectives.add_up(found, present)
        return found, present > 0

    def spread(self, count: int) -> torch.Tensor:
        """So many images, evenly spread over the set, or all where there are fewer: (n, 3, S, S) uint8, on their device.

        They are the same in every process; those that cannot be read are left out. Raises RotnetError as reading them does.
        """
        places = torch.linspace(0, len(self) - 1, min(count, len(self))).round().long()
        with closing(self._split.cut([Request(places.to(self._split.index_device))])) as cuts:
            return next(cuts).images.permute(0, 3, 1, 2)
