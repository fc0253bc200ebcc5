"""FAMILIES: encoders turn line images into feature sequences; contexts let each time step see its neighbours.

Contract of an encoder: `forward((N, 1, H, W)) -> (N, T, features)`, `stride` in px a time step, `steps(width) -> T`.
Contract of a context: `forward((N, T, features_in)) -> (N, T, features)`, with `features` as an attribute.
To add one: a class here and a row in ENCODERS or CONTEXTS at the bottom.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glyphline.recipe import NetworkRecipe


class Encoder(nn.Module, ABC):
    """Turns line images (N, 1, H, W) float32 in 0..1, ink bright, into features (N, T, features)."""

    stride: int  # px of width a time step
    features: int  # size of the feature vector of a time step

    @abstractmethod
    def steps(self, width: int) -> int:
        """The number of time steps T of a line `width` px wide."""

    @abstractmethod
    def forward(self, lines: Tensor) -> Tensor: ...


class FastDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws four 16-bit random numbers at a time: far faster on a CPU.

    probability: chance, 0 to below 1, that a value is set to zero while training; it is rounded to a multiple of
    1/65536. The other values are divided by 1 - probability. The random bits come from torch's global generator.
    Outside training values pass unchanged.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return values
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
        words.random_(-(2**63), None)  # all 64 bits
        bits = words.view(torch.int16)[: values.numel()].view(values.shape)
        mask = bits >= round(self.probability * 65536) - 32768
        return values * mask.to(values.dtype).mul_(1 / (1 - self.probability))


class PatchEncoder(Encoder):
    """The encoder of the W&B report: patches 20 px wide, one every 14 px, and a small network on each.

    The layers are Conv 3x3, Conv 3x3, MaxPool 2, Flatten, Dropout; a ReLU follows each convolution.
    `recipe.channels` are the channels of the two convolutions. Lines must be at least 20 px wide. The convolutions run
    once over the whole line, and the patches are windows of the pooled columns. The stride is even, so the pooling
    grids of all patches agree and the numbers are those of separate patches, in two thirds of the work.
    """

    window, stride = 20, 14  # px

    def __init__(self, recipe: NetworkRecipe, height: int) -> None:
        super().__init__()
        channels1, channels2 = recipe.channels
        self.conv1, self.conv2 = nn.Conv2d(1, channels1, 3), nn.Conv2d(channels1, channels2, 3)
        for layer in (self.conv1, self.conv2):  # Keras's initial weights
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.dropout = FastDropout(recipe.dropout)
        self.pooled_rows, self.pooled_columns = (height - 4) // 2, (self.window - 4) // 2  # 12 x 8 of a 28 x 20 patch
        self.features = channels2 * self.pooled_rows * self.pooled_columns

    def steps(self, width: int) -> int:
        return max(0, (width - self.window) // self.stride + 1)

    def forward(self, lines: Tensor) -> Tensor:
        # ReLU after the maximum gives the same numbers and touches a quarter of the values.
        maps = F.relu(F.max_pool2d(self.conv2(F.relu(self.conv1(lines))), 2))  # (N, 64, 12, W')
        if torch.onnx.is_in_onnx_export():  # ONNX has no unfold over a free width: strided slices give the same windows
            count = (maps.shape[3] - self.pooled_columns) // (self.stride // 2) + 1
            columns = [maps[..., j :: self.stride // 2][..., :count] for j in range(self.pooled_columns)]
            return torch.stack(columns, 4).permute(0, 3, 2, 4, 1).flatten(2)  # (N, T, 12 * 8 * 64)
        # The convolutions keep channels last. Windows in that layout need no reordering in the backward pass.
        windows = maps.permute(0, 2, 3, 1).unfold(2, self.pooled_columns, self.stride // 2)  # (N, 12, T, 64, 8)
        return self.dropout(windows.permute(0, 2, 1, 4, 3).flatten(2))  # (N, T, 12 * 8 * 64)


def _conv_norm_relu(
    channels_in: int, channels_out: int, kernel_size: int, stride: int | tuple[int, int]
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalization and a shortcut around them (He et al. 2015).

    maps: (N, channels, H, W); the output has the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv_norm_relu(channels, channels, 3, 1),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.body(maps))


class ConvEncoder(Encoder):
    """A residual convolutional network, one stage for each of `recipe.channels`.

    A stage is a strided convolution and, except in the first stage, a residual block. Each stage halves the height. The
    first stages also halve the width, until a time step is `recipe.stride` px wide.
    A last convolution spans the remaining height and gives `recipe.features` features. Lines may have any width.
    """

    def __init__(self, recipe: NetworkRecipe, height: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in, rows = 1, height
        for stage, channels in enumerate(recipe.channels):
            width_stride = 2 if 2 ** (stage + 1) <= recipe.stride else 1
            layers.append(_conv_norm_relu(channels_in, channels, 5 if stage == 0 else 3, (2, width_stride)))
            if stage:
                layers.append(ResidualBlock(channels))
            channels_in, rows = channels, -(-rows // 2)
        self.stages = nn.Sequential(*layers)
        self.stride = recipe.stride
        self.full_height_conv = nn.Conv2d(channels_in, recipe.features, (rows, 3), 1, (0, 1), bias=False)
        self.norm = nn.BatchNorm2d(recipe.features)
        self.features = recipe.features

    def steps(self, width: int) -> int:
        return -(-width // self.stride)

    def forward(self, lines: Tensor) -> Tensor:
        maps = F.relu(self.norm(self.full_height_conv(self.stages(lines))))  # (N, features, 1, T)
        return maps.squeeze(2).transpose(1, 2)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number 0..1 that is computed from the means of all channels (Hu et al. 2018).

    maps: (N, channels, H, W); the output has the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Conv2d(channels, channels // 4, 1)
        self.expansion = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * F.hardsigmoid(self.expansion(F.relu(self.reduction(maps.mean((2, 3), keepdim=True)))))


class LCNetBlock(nn.Module):
    """A depthwise convolution over each channel, then a feed-forward block over the channels.

    The feed-forward block has a shortcut, except in a block that halves the height (`halve`).
    maps: (N, channels_in, H, W); the output is (N, channels_out, H or H / 2, W).
    """

    def __init__(self, channels_in: int, channels_out: int, squeeze: bool, halve: bool = False) -> None:
        super().__init__()
        self.halve = halve
        self.depthwise_conv = nn.Conv2d(channels_in, channels_in, 3, (2 if halve else 1, 1), 1, groups=channels_in)
        self.squeeze_excitation = SqueezeExcitation(channels_in) if squeeze else nn.Identity()
        self.expansion = nn.Conv2d(channels_in, 2 * channels_in, 1)
        self.projection = nn.Conv2d(2 * channels_in, channels_out, 1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.squeeze_excitation(self.depthwise_conv(maps))
        mixed: Tensor = self.projection(F.gelu(self.expansion(maps)))
        return mixed if self.halve else maps + mixed


class LCNetEncoder(Encoder):
    """The backbone of PP-OCRv6's small recognizer, of the family PP-LCNet (Cui et al. 2021), batch norms folded.

    It has three stages with `recipe.channels`. A time step is 8 px wide and has the features of the last stage. Lines
    are 48 px high and have grey values as they were photographed: the normalization "grey", 128 the middle.
    """

    stride = 8  # px
    #: which blocks of a stage have squeeze and excitation
    SQUEEZED = ((True, False, False), (True, False, True, False, True, False), (True, False))

    def __init__(self, recipe: NetworkRecipe, height: int) -> None:
        super().__init__()
        first, half = recipe.channels[0], recipe.channels[0] // 2
        self.stem_conv = nn.Conv2d(1, half, 3, 2, 1)
        self.branch_conv1, self.branch_conv2 = nn.Conv2d(half, half // 2, 2), nn.Conv2d(half // 2, half, 2)
        self.merge_conv, self.widen_conv = nn.Conv2d(2 * half, half, 3, 2, 1), nn.Conv2d(half, first, 1)
        blocks: list[nn.Module] = []
        for stage, (channels, squeezed) in enumerate(zip(recipe.channels, self.SQUEEZED, strict=True)):
            if stage:
                blocks.append(LCNetBlock(recipe.channels[stage - 1], channels, False, halve=True))
            blocks += [LCNetBlock(channels, channels, squeeze) for squeeze in squeezed]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AvgPool2d((height // 16, 2), ceil_mode=True)  # the remaining rows, and two columns
        self.features = recipe.channels[-1]

    def steps(self, width: int) -> int:
        return -(-width // self.stride)

    def forward(self, lines: Tensor) -> Tensor:
        maps = F.relu(self.stem_conv((lines * 255 - 127.5) / 127.5))
        below_right = (0, 1, 0, 1)  # the windows of 2 x 2 px keep the size by a border below and to the right
        branch = F.relu(self.branch_conv1(F.pad(maps, below_right)))
        branch = F.relu(self.branch_conv2(F.pad(branch, below_right)))
        pooled = F.max_pool2d(F.pad(maps, below_right), 2, 1)  # 0 does not change a maximum of values of 0 or more
        maps = F.relu(self.merge_conv(torch.cat([pooled, branch], 1)))
        maps = self.blocks(F.relu(self.widen_conv(maps)))
        return self.pool(maps).squeeze(2).transpose(1, 2)


class NoContext(nn.Module):
    """Returns the features unchanged: each time step is classified without its neighbours."""

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features

    def forward(self, steps: Tensor) -> Tensor:
        return steps


def _recur(gates: Tensor, recurrent_weights: Tensor, backwards: bool = False) -> Tensor:
    """The recurrence of an LSTM step by step, in float32.

    gates: (N, T, 4 D), products of all time steps with the input weights, biases added. recurrent_weights: (4 D, D).
    backwards: from the last time step to the first. Returns (N, T, D).
    """
    recurrent = recurrent_weights.t()
    hidden = cell = gates.new_zeros(len(gates), recurrent_weights.shape[1], dtype=torch.float32)
    sequence = gates.float().unbind(1)
    outputs = []
    with torch.autocast(gates.device.type, enabled=False):
        for step_gates in reversed(sequence) if backwards else sequence:
            i, f, g, o = torch.addmm(step_gates, hidden, recurrent).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
    return torch.stack(outputs[::-1] if backwards else outputs, 1)


class UnidirectionalLSTM(nn.Module):
    """One LSTM (Hochreiter and Schmidhuber 1997) from left to right with `recipe.features` units, as Keras builds it.

    Keras's LSTM has one bias: torch's second bias is held at zero and is not trained. While training, the product with
    the input weights runs for all time steps at once, in the precision of autocast. Only the recurrence runs step by
    step, in float32.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = recipe.features
        self.lstm = nn.LSTM(features, recipe.features, batch_first=True)
        second_bias: Any = self.lstm.bias_hh_l0
        nn.init.zeros_(second_bias.requires_grad_(False))
        input_weights, recurrent_weights, bias = self._weights()
        bound = (6 / (features + recipe.features)) ** 0.5  # Keras: Glorot uniform, orthogonal, forget bias 1
        nn.init.uniform_(input_weights, -bound, bound)
        nn.init.orthogonal_(recurrent_weights)
        nn.init.zeros_(bias)
        with torch.no_grad():
            bias[recipe.features : 2 * recipe.features] = 1

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input weights (4 D, features), recurrent weights (4 D, D), bias (4 D,)."""
        lstm: Any = self.lstm
        return lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0

    def forward(self, steps: Tensor) -> Tensor:
        if not self.training:
            output: Tensor = self.lstm(steps.float())[0]
            return output
        input_weights, recurrent_weights, bias = self._weights()
        return _recur(F.linear(steps, input_weights, bias), recurrent_weights)


class BidirectionalLSTM(nn.Module):
    """`recipe.layers` bidirectional LSTMs (Schuster and Paliwal 1997), `recipe.features // 2` units a direction.

    `recipe.features` must be even. Dropout acts between the layers. Under autocast the LSTMs run in bfloat16, which
    oneDNN computes 2.5 times as fast as its float32 recurrence. While training, an LSTM whose input is wider than its
    gates, as that of the patch encoder, is computed as in UnidirectionalLSTM: in a third of oneDNN's time.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = recipe.features
        self.lstms = nn.ModuleList(
            nn.LSTM(recipe.features if layer else features, recipe.features // 2, batch_first=True, bidirectional=True)
            for layer in range(recipe.layers)
        )
        self.dropout = FastDropout(recipe.dropout)

    def forward(self, steps: Tensor) -> Tensor:
        for layer, lstm in enumerate(self.lstms):
            steps = self.dropout(steps) if layer else steps
            is_wide = steps.shape[2] > 4 * self.features
            steps = self._run_wide(lstm, steps) if self.training and is_wide else lstm(steps)[0]
        return steps

    def _run_wide(self, lstm: Any, steps: Tensor) -> Tensor:
        """What a bidirectional nn.LSTM returns for (N, T, features); its input weights take all time steps at once."""
        directions = []
        for suffix in ("", "_reverse"):
            input_weights, recurrent_weights, bias1, bias2 = (
                getattr(lstm, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            gates = F.linear(steps, input_weights, bias1 + bias2)
            directions.append(_recur(gates, recurrent_weights, backwards=suffix == "_reverse"))
        return torch.cat(directions, 2)


class _TimeConvolution(nn.Conv2d):
    """A depthwise convolution over time: (N, T, features) -> (N, T, features)."""

    def __init__(self, features: int, kernel_size: int, bias: bool = True) -> None:
        padding = (0, kernel_size // 2)
        super().__init__(features, features, (1, kernel_size), padding=padding, groups=features, bias=bias)

    def forward(self, steps: Tensor) -> Tensor:
        # (N, T, D) -> (N, D, 1, T) is a view in channels_last, the layout that the convolution computes fastest in
        return super().forward(steps.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


class MixerLayer(nn.Module):
    """A depthwise convolution over time, then a feed-forward block, with a shortcut around both.

    This is a ConvNeXt block (Liu et al. 2022) in one dimension. It starts as the identity.
    """

    def __init__(self, features: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.depthwise_conv = _TimeConvolution(features, kernel_size)
        self.norm = nn.LayerNorm(features)
        self.expansion, self.projection = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.dropout = FastDropout(dropout)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, steps: Tensor) -> Tensor:
        mixed = self.depthwise_conv(steps)
        return steps + self.dropout(self.projection(F.relu(self.expansion(self.norm(mixed)))))


class Mixer(nn.Module):
    """`recipe.layers` mixer layers with kernels `recipe.kernel_size` time steps wide.

    It has no recurrence, so all time steps are computed at once.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(
            *(MixerLayer(features, recipe.kernel_size, recipe.dropout) for _ in range(recipe.layers))
        )

    def forward(self, steps: Tensor) -> Tensor:
        return self.layers(steps)


def _attend(qkv: Tensor, heads: int) -> Tensor:
    """Self-attention (Vaswani et al. 2017) of the time steps: (N, T, 3 D), queries, keys and values -> (N, T, D)."""
    n, t, width = qkv.shape
    head_size = width // (3 * heads)
    query, key, value = qkv.view(n, t, 3, heads, head_size).permute(2, 0, 3, 1, 4).reshape(3, n * heads, t, head_size)
    # In bfloat16 on a CPU these products take a third of the time of torch's fused attention.
    weights = torch.bmm(query * head_size**-0.5, key.transpose(1, 2)).float().softmax(2)  # (N heads, T, T)
    attended = torch.bmm(weights.to(value.dtype), value).view(n, heads, t, head_size)
    return attended.transpose(1, 2).reshape(n, t, heads * head_size)


class AttentionLayer(nn.Module):
    """A depthwise convolution over time, self-attention and a feed-forward block, each with a shortcut around it.

    This is a simplified Conformer layer (Gulati et al. 2020) with 4 attention heads, or with 2 or 1 where 4 does not
    divide the features. The convolution tells neighbouring time steps apart, so the layer needs no position encoding
    and accepts lines of any length. Before training, attention and the feed-forward block add zero.
    """

    def __init__(self, features: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.heads = math.gcd(features, 4)
        self.depthwise_conv = _TimeConvolution(features, kernel_size)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.attention_projection = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.expansion, self.projection = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.dropout = FastDropout(dropout)
        for layer in (self.attention_projection, self.projection):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, steps: Tensor) -> Tensor:
        steps = steps + self.depthwise_conv(steps)
        attended = _attend(self.qkv(self.attention_norm(steps)), self.heads)
        steps = steps + self.dropout(self.attention_projection(attended))
        return steps + self.dropout(self.projection(F.relu(self.expansion(self.feed_forward_norm(steps)))))


class Attention(nn.Module):
    """`recipe.layers` attention layers with convolutions `recipe.kernel_size` time steps wide."""

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(
            *(AttentionLayer(features, recipe.kernel_size, recipe.dropout) for _ in range(recipe.layers))
        )

    def forward(self, steps: Tensor) -> Tensor:
        return self.layers(steps)


class SVTRLayer(nn.Module):
    """Self-attention of 8 heads and a feed-forward block, each with a shortcut (a global mixing block of SVTR)."""

    HEADS = 8

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.attention_projection = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.expansion, self.projection = nn.Linear(features, 2 * features), nn.Linear(2 * features, features)
        self.dropout = FastDropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        attended = _attend(self.qkv(self.attention_norm(steps)), self.HEADS)
        steps = steps + self.dropout(self.attention_projection(attended))
        return steps + self.dropout(self.projection(F.silu(self.expansion(self.feed_forward_norm(steps)))))


class SVTR(nn.Module):
    """The neck of PP-OCR's recognizers: a convolution over time and `recipe.layers` layers of SVTR (Du et al. 2022).

    Both have `recipe.features` features, a multiple of 8. The context is added to a projection of the encoder's
    features.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = size = recipe.features
        self.shortcut, self.shortcut_norm = nn.Linear(features, size, bias=False), nn.BatchNorm1d(size)
        self.reduction, self.reduction_norm = nn.Linear(features, size, bias=False), nn.BatchNorm1d(size)
        self.time_conv, self.time_norm = _TimeConvolution(size, 7, bias=False), nn.BatchNorm1d(size)
        self.layers = nn.Sequential(*(SVTRLayer(size, recipe.dropout) for _ in range(recipe.layers)))
        self.norm = nn.LayerNorm(size, eps=1e-6)

    def forward(self, steps: Tensor) -> Tensor:
        def activate(norm: nn.BatchNorm1d, values: Tensor) -> Tensor:
            return F.silu(norm(values.transpose(1, 2)).transpose(1, 2))

        reduced = activate(self.reduction_norm, self.reduction(steps))
        reduced = reduced + activate(self.time_norm, self.time_conv(reduced))
        return activate(self.shortcut_norm, self.shortcut(steps)) + self.norm(self.layers(reduced))


#: name in a recipe (network.encoder) -> encoder, made from the recipe and the line height in px
ENCODERS: dict[str, Callable[[NetworkRecipe, int], Encoder]] = {
    "patches": PatchEncoder,
    "conv": ConvEncoder,
    "lcnet": LCNetEncoder,
}
#: name in a recipe (network.context) -> context, made from the features of a time step and the recipe
CONTEXTS: dict[str, Callable[[int, NetworkRecipe], nn.Module]] = {
    "none": NoContext,
    "lstm": UnidirectionalLSTM,
    "bilstm": BidirectionalLSTM,
    "mixer": Mixer,
    "attention": Attention,
    "svtr": SVTR,
}
