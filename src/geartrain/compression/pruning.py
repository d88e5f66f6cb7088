"""Structured pruning: whole channels and units leave a net, and what remains is a smaller net.

Zeros inside a dense matrix make nothing faster; a narrower matrix does. What a channel is
worth is told by the scale that its normalising layer learned (Liu et al. 2017, "Learning
efficient convolutional networks through network slimming"), or, without one, by the size
of its weights (Li et al. 2017, "Pruning filters for efficient ConvNets"). The smaller net
then has to be taught on.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

from geartrain.errors import ModelNotExportable

#: A layer never has fewer channels than this.
FEWEST = 2


def narrowed(net: Any, share: float) -> Any:
    """A copy of *net* without the least *share* of each inner layer's channels.

    Args:
        net: A `torch.nn.Sequential` of convolutions or linear layers with anything between
            them that works channel by channel (normalising, activation, pooling, flatten).
        share: Between 0 and 1. The last weighted layer keeps its outputs.

    Raises:
        ModelNotExportable: The net is no plain chain of layers.
    """
    from torch import nn

    if not isinstance(net, nn.Sequential):
        raise ModelNotExportable(
            "only a chain of layers can be narrowed",
            found=type(net).__qualname__,
            hint="write the net as torch.nn.Sequential, or leave pruning out",
        )
    layers = [deepcopy(layer) for layer in net]
    weighted = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.Linear)]
    for place, following in pairwise(weighted):
        between = range(place + 1, following)
        norm = next((i for i in between if isinstance(layers[i], nn.BatchNorm1d | nn.BatchNorm2d)), None)
        worth = (
            layers[place].weight.detach().flatten(1).abs().sum(dim=1)
            if norm is None
            else layers[norm].weight.detach().abs()
        )
        count = max(FEWEST, round(len(worth) * (1 - share)))
        kept = worth.topk(min(count, len(worth))).indices.sort().values
        layers[place] = _fewer_outputs(layers[place], kept)
        if norm is not None:
            layers[norm] = _fewer_normed(layers[norm], kept)
        layers[following] = _fewer_inputs(layers[following], kept, len(worth))
    return nn.Sequential(*layers).train(net.training)


def _fewer_outputs(layer: Any, kept: Any) -> Any:
    from torch import nn

    if isinstance(layer, nn.Conv2d):
        if layer.groups != 1:
            raise ModelNotExportable("a grouped convolution cannot be narrowed", found=repr(layer))
        small = _convolution(layer, layer.in_channels, len(kept))
    else:
        small = nn.Linear(layer.in_features, len(kept), bias=layer.bias is not None)
    small.weight.data = layer.weight.data[kept].clone()
    if layer.bias is not None:
        small.bias.data = layer.bias.data[kept].clone()
    return small


def _fewer_inputs(layer: Any, kept: Any, before: int) -> Any:
    from torch import nn

    if isinstance(layer, nn.Conv2d):
        small = _convolution(layer, len(kept), layer.out_channels)
        small.weight.data = layer.weight.data[:, kept].clone()
    else:
        # After flattening, a channel is a run of inputs: one for each place of the picture.
        each = layer.in_features // before
        weight = layer.weight.data.reshape(layer.out_features, before, each)[:, kept]
        small = nn.Linear(len(kept) * each, layer.out_features, bias=layer.bias is not None)
        small.weight.data = weight.reshape(layer.out_features, -1).clone()
    if layer.bias is not None:
        small.bias.data = layer.bias.data.clone()
    return small


def _convolution(layer: Any, inputs: int, outputs: int) -> Any:
    from torch import nn

    return nn.Conv2d(
        inputs,
        outputs,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
    )


def _fewer_normed(layer: Any, kept: Any) -> Any:
    small = type(layer)(len(kept), eps=layer.eps, momentum=layer.momentum)
    small.weight.data = layer.weight.data[kept].clone()
    small.bias.data = layer.bias.data[kept].clone()
    small.running_mean = layer.running_mean[kept].clone()
    small.running_var = layer.running_var[kept].clone()
    return small
