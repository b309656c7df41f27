"""A random backbone rescaled by data (Krähenbühl et al. 2015, "Data-dependent Initializations of Convolutional Neural
Networks")."""

import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone

_Norm = nn.modules.batchnorm._BatchNorm  # those of several processes too


@torch.no_grad()
def rescale_by_data(backbone: Backbone, images: torch.Tensor) -> None:
    """Give each layer's responses zero mean and unit variance, channel by channel, on the given images.

    The paper's within-layer part (its algorithm 1): layer by layer from the image up, each given the rescaled layers below.
    In a backbone with batch norm that is done by each batch norm's running statistics, which become those of its input on
    these images; weights, gamma and beta (1 and 0 in a random backbone) stay. An untrained batch norm's statistics are 0 and
    1, so that without this a random backbone's batch norm does nothing in evaluation mode.

    The paper's second part (algorithm 2) multiplies the weights of whole layers by positive numbers until all layers have the
    same ratio of gradient to weight, for the sake of training them: `gradient_rescaling.rescale_gradients`, for a folded
    backbone. It is not done here, where layers stay frozen: ReLU and pooling pass a positive factor on, so it would multiply
    a layer's features by one number, which the batch norm at the entrance of a linear probe takes out again.

    Args:
        backbone: on any device, changed in place; its mode is left as it is.
        images: (N, 3, S, S), uint8 or float in [0, 255], on the same device, N at least 2; they go through the backbone all at
            once, which takes about 3 MB an image for an AlexNet at 224 pixels.

    Raises RotnetError for fewer than 2 images, whose variance would say nothing, and as `Backbone.features`.
    """
    if len(images) < 2:
        raise RotnetError(f"rescaling by data needs at least 2 images, not {len(images)}.")
    norms = [module for module in backbone.modules() if isinstance(module, _Norm)]
    # In evaluation mode, one batch norm after another: each takes its statistics right before it uses them. A pass in training
    # mode would normalise by the biased variance but keep the unbiased one, which differ where there is one value an image.
    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    mode = backbone.training
    backbone.eval()
    try:
        backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(mode)


def _take_statistics(norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
    """Set a batch norm's running statistics to those of its input, (N, C) or (N, C, H, W)."""
    assert isinstance(norm, _Norm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    (x,) = inputs
    variance, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
