"""The memory of every training image's embedding, and the two losses that tell images apart by it."""

import math

import torch
from scipy.special import hyp0f1
from torch import nn
from torch.nn.functional import cross_entropy, normalize, softplus


class MemoryBank(nn.Module):
    """An embedding for every training image: what its network made of it when it was last seen (Wu et al. 2018, section 3).

    It starts empty: an image enters it when it is first seen, and counts in the losses from then on. Or, as in the code of
    Wu et al. and of Feng, Xu, Tao, with random vectors; the first epoch's targets are then noise. A short run does not
    recover from that: its rotation accuracy stayed at chance.

    The buffers are no part of the state dictionary, and so not of a run's weights, which need none of it (655 MB for ImageNet);
    the state to go on from holds them (`ResumeState`).

    Attributes:
        memory: (N, D) float32, of unit length; zeros where an image has not been seen.
        seen: (N,) bool.
        random: whether it started with random vectors, which decides the normaliser of `nce_loss`.

    Args:
        images: N.
        dimension: D.
        random: start with random vectors (from torch's global generator) in place of all images.
    """

    memory: torch.Tensor
    seen: torch.Tensor

    def __init__(self, images: int, dimension: int, *, random: bool = False) -> None:
        super().__init__()
        memory = normalize(torch.randn(images, dimension), dim=1) if random else torch.zeros(images, dimension)
        self.random = random
        self.register_buffer("memory", memory, persistent=False)
        self.register_buffer("seen", torch.full((images,), random), persistent=False)

    def __len__(self) -> int:
        return len(self.memory)

    def softmax_loss(self, embeddings: torch.Tensor, index: torch.Tensor, temperature: float) -> torch.Tensor:
        """L_n = -1/B sum_i log P(i | f_i), P(i | f) = exp(v_i.f / temperature) / sum_j exp(v_j.f / temperature), v the bank.

        The sum is over the images seen. An image that has not been seen adds nothing.

        Args:
            embeddings: f (B, D), of unit length.
            index: (B,) int64 in [0, N), which images they are of.
            temperature: positive.
        """
        bank = self.memory.clone()  # the backward pass reads it, and an update writes into the original before that
        scores = (embeddings @ bank.T / temperature).masked_fill(~self.seen, -torch.inf)
        new = ~self.seen[index]
        scores = scores.masked_fill(new[:, None], 0.0)  # any finite number: these rows do not count
        losses = cross_entropy(scores, index, reduction="none")
        return losses.masked_fill(new, 0.0).mean()

    def nce_loss(
        self, embeddings: torch.Tensor, index: torch.Tensor, negatives: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """Noise-contrastive estimation of `softmax_loss`, from m images drawn for each (Wu et al. 2018, section 3.2).

        -1/B sum_i [ log h(v_i.f_i) + sum over the negatives j of log(1 - h(v_j.f_i)) ], h(s) = P / (P + m/N) the probability
        that an image comes from the data rather than from m uniform draws, P = exp(s / temperature) / Z. Z is a constant to the
        gradient. For f_i it is estimated by the negatives, N/m sum_j exp(v_j.f_i / temperature), so that the gradient is that
        of the full softmax, as far as m negatives tell. In a bank that started with random vectors it is a constant all the
        time, as in the code of Wu et al. and of Feng, Xu, Tao: what they measure on their first batch, N times the mean of
        exp(s / temperature) over random directions, is computed here. Features that all lie in one direction, as at the start,
        would make that loss hundreds of times as large where there are no random vectors to draw them apart. N falls out of h.

        Args:
            embeddings, index, temperature: see `softmax_loss`.
            negatives: (B, m) int64 in [0, N), drawn uniformly; those not seen add nothing, as images not seen.
        """
        drawn = torch.cat([index[:, None], negatives], 1)
        scores = torch.einsum("bmd,bd->bm", self.memory[drawn], embeddings) / temperature
        seen = self.seen[drawn]
        if self.random:
            log_odds = scores - (math.log(negatives.shape[1]) + uniform_log_mean(self.memory.shape[1], temperature))
        else:
            there = scores.detach()[:, 1:].masked_fill(~seen[:, 1:], -torch.inf)
            log_odds = scores - there.logsumexp(1, keepdim=True)  # infinite where no negative was seen: then h is 1
        # log_odds are those of P against m/N: what is taken off the scores is the log of Z m/N.
        # log h is -softplus(-log_odds), and log(1 - h) is -softplus(log_odds).
        signs = torch.ones_like(log_odds)
        signs[:, 0] = -1
        losses = softplus(signs * log_odds).masked_fill(~(seen & seen[:, :1]), 0.0)
        return losses.sum(1).mean()

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor, index: torch.Tensor, momentum: float) -> None:
        """v_i becomes the normalised momentum * v_i + (1 - momentum) * f_i.

        Args:
            embeddings: f (B, D), of unit length.
            index: (B,) int64 in [0, N). Of an image that occurs twice, the last place counts.
            momentum: in [0, 1).
        """
        # All of an image's places write the same, for a GPU writes in any order.
        places = torch.arange(len(index), device=index.device)
        last = torch.where(index[:, None] == index, places, -1).amax(1)
        kept = momentum * self.memory[index] + (1 - momentum) * embeddings[last]
        self.memory[index] = normalize(kept, dim=1)
        self.seen[index] = True


def uniform_log_mean(dimension: int, temperature: float) -> float:
    """log of the mean of exp(u.f / temperature) over unit vectors u of all directions alike, f one of them.

    That mean is 0F1(; D/2; 1 / (2 temperature)^2), the normaliser of the von Mises-Fisher distribution up to a factor.
    """
    return math.log(hyp0f1(dimension / 2, 1 / (4 * temperature**2)))
