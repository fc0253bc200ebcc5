"""FAMILIES: encoders (line images -> features a time step) and contexts (each step sees its neighbours).

Contract of an encoder: `forward((N, 1, H, W)) -> (N, T, features)`, `stride` in px a step, `steps(width)`.
Contract of a context: `forward((N, T, features)) -> (N, T, features)`.
To add one: a module here and a row in ENCODERS or CONTEXTS at the bottom.
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
    """Line images (N, 1, H, W), ink bright in 0..1 -> features (N, T, D)."""

    stride: int  # px of width a time step
    features: int  # D

    @abstractmethod
    def steps(self, width: int) -> int:
        """How many time steps a line of `width` px gives."""

    @abstractmethod
    def forward(self, lines: Tensor) -> Tensor: ...


class QuickDropout(nn.Module):
    """Dropout whose random bits are drawn eight bytes at a time, 16 bits a value: far faster on a CPU.

    `share` is kept to 1/65536; the draw follows torch's global generator.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return values
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
        draws.random_(-(2**63), None)  # all 64 bits
        bits = draws.view(torch.int16)[: values.numel()].view(values.shape)
        kept = bits >= round(self.share * 65536) - 32768
        return values * kept.to(values.dtype).mul_(1 / (1 - self.share))


class Patches(Encoder):
    """The report's: windows 20 px wide every 14 px, in each Conv32 3x3 - Conv64 3x3 - MaxPool2 - Dropout - Flatten.

    Computed as one convolution over the whole line and windows of its pooled columns: the stride is even, so the
    pooling grids agree and the numbers are those of separate patches, in two thirds of the work.
    """

    window, stride = 20, 14  # px

    def __init__(self, recipe: NetworkRecipe, height: int) -> None:
        super().__init__()
        first, second = recipe.channels
        self.first, self.second = nn.Conv2d(1, first, 3), nn.Conv2d(first, second, 3)
        for layer in (self.first, self.second):  # as Keras begins
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.dropout = QuickDropout(recipe.dropout)
        self.rows, self.columns = (height - 4) // 2, (self.window - 4) // 2  # 12 x 8 of a 28 x 20 patch
        self.features = second * self.rows * self.columns

    def steps(self, width: int) -> int:
        return max(0, (width - self.window) // self.stride + 1)

    def forward(self, lines: Tensor) -> Tensor:
        # ReLU after the maximum is the same number on a quarter of the values.
        maps = F.relu(F.max_pool2d(self.second(F.relu(self.first(lines))), 2))  # (N, 64, 12, W')
        if torch.onnx.is_in_onnx_export():  # the same windows of slices, for ONNX has no unfold over free widths
            count = (maps.shape[3] - self.columns) // (self.stride // 2) + 1
            every = [maps[..., j :: self.stride // 2][..., :count] for j in range(self.columns)]
            return torch.stack(every, 4).permute(0, 3, 2, 4, 1).flatten(2)  # (N, T, 12 * 8 * 64)
        # Windows are cut with channels last, where the convolutions keep them: the way back then needs no reordering.
        windows = maps.permute(0, 2, 3, 1).unfold(2, self.columns, self.stride // 2)  # (N, 12, T, 64, 8)
        return self.dropout(windows.permute(0, 2, 1, 4, 3).flatten(2))  # (N, T, 12 * 8 * 64)


def _normed(
    channels_in: int, channels_out: int, kernel: int | tuple[int, int], stride: int | tuple[int, int]
) -> nn.Sequential:
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (size[0] // 2, size[1] // 2)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, padding, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _normed(channels, channels, 3, 1),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.body(maps))


class Convolutions(Encoder):
    """Stages of convolutions, each halving the height, and the width until a step is `recipe.stride` px.

    Any width; the last convolution collapses the height that is left.
    """

    def __init__(self, recipe: NetworkRecipe, height: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in, rows = 1, height
        for stage, channels in enumerate(recipe.channels):
            across = 2 if 2 ** (stage + 1) <= recipe.stride else 1
            layers.append(_normed(channels_in, channels, 5 if stage == 0 else 3, (2, across)))
            if stage:
                layers.append(Residual(channels))
            channels_in, rows = channels, -(-rows // 2)
        self.stages = nn.Sequential(*layers)
        self.stride = recipe.stride
        self.rows = rows
        self.join = nn.Conv2d(channels_in, recipe.features, (rows, 3), 1, (0, 1), bias=False)
        self.norm = nn.BatchNorm2d(recipe.features)
        self.features = recipe.features

    def steps(self, width: int) -> int:
        return -(-width // self.stride)

    def forward(self, lines: Tensor) -> Tensor:
        maps = F.relu(self.norm(self.join(self.stages(lines))))  # (N, D, 1, T)
        return maps.squeeze(2).transpose(1, 2)


class NoContext(nn.Module):
    """Each step stands for itself."""

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features

    def forward(self, steps: Tensor) -> Tensor:
        return steps


class OneWay(nn.Module):
    """One LSTM from left to right, `recipe.features` units, one bias as in Keras (the second is held at zero).

    While training, the wide input product runs at once in the precision of autocast and only the narrow
    recurrence step by step.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = recipe.features
        self.lstm = nn.LSTM(features, recipe.features, batch_first=True)
        second: Any = self.lstm.bias_hh_l0
        nn.init.zeros_(second.requires_grad_(False))
        into, onward, bias = self._weights()
        bound = (6 / (features + recipe.features)) ** 0.5  # Keras: Glorot uniform, orthogonal, forget bias 1
        nn.init.uniform_(into, -bound, bound)
        nn.init.orthogonal_(onward)
        nn.init.zeros_(bias)
        with torch.no_grad():
            bias[recipe.features : 2 * recipe.features] = 1

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input weights (4 D, features), recurrent weights (4 D, D), bias (4 D,)."""
        lstm: Any = self.lstm
        return lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0

    def forward(self, steps: Tensor) -> Tensor:
        if not self.training:
            out: Tensor = self.lstm(steps.float())[0]
            return out
        into, onward, bias = self._weights()
        gates = F.linear(steps, into, bias).float()  # (N, T, 4 D)
        recurrent = onward.t()
        hidden = cell = gates.new_zeros(len(steps), self.features)
        outputs = []
        with torch.autocast(steps.device.type, enabled=False):
            for now in gates.unbind(1):
                i, f, g, o = torch.addmm(now, hidden, recurrent).chunk(4, 1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                hidden = torch.sigmoid(o) * torch.tanh(cell)
                outputs.append(hidden)
        return torch.stack(outputs, 1)


class BothWays(nn.Module):
    """`recipe.layers` bidirectional LSTMs, half of `recipe.features` units each way.

    Under autocast they run in bfloat16, which oneDNN computes 2.5 times as fast as its float32 recurrence.
    """

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = recipe.features
        self.lstms = nn.ModuleList(
            nn.LSTM(recipe.features if layer else features, recipe.features // 2, batch_first=True, bidirectional=True)
            for layer in range(recipe.layers)
        )
        self.dropout = QuickDropout(recipe.dropout)

    def forward(self, steps: Tensor) -> Tensor:
        for layer, lstm in enumerate(self.lstms):
            steps = lstm(self.dropout(steps) if layer else steps)[0]
        return steps


class MixerLayer(nn.Module):
    """A depthwise convolution over time, then a pointwise widening, around a shortcut (ConvNeXt, Liu et al. 2022)."""

    def __init__(self, features: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.over_time = nn.Conv2d(features, features, (1, reach), padding=(0, reach // 2), groups=features)
        self.norm = nn.LayerNorm(features)
        self.widen, self.narrow = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.dropout = QuickDropout(dropout)
        nn.init.zeros_(self.narrow.weight)  # starts as the identity
        nn.init.zeros_(self.narrow.bias)

    def forward(self, steps: Tensor) -> Tensor:
        # (N, T, D) -> (N, D, 1, T) is a view in channels_last, the layout the convolution wants
        seen = self.over_time(steps.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return steps + self.dropout(self.narrow(F.relu(self.widen(self.norm(seen)))))


class Mixer(nn.Module):
    """`recipe.layers` mixer layers that look `recipe.kernel_size` steps wide: no recurrence, so fast on any machine."""

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(
            *(MixerLayer(features, recipe.kernel_size, recipe.dropout) for _ in range(recipe.layers))
        )

    def forward(self, steps: Tensor) -> Tensor:
        return self.layers(steps)


class AttentionLayer(nn.Module):
    """A depthwise convolution over time, self-attention, then a widening, each around a shortcut.

    A Conformer layer (Gulati et al. 2020) in its plainest form: the convolution tells places apart, so lines of any
    length need no positions.
    """

    def __init__(self, features: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.heads = math.gcd(features, 4)
        self.over_time = nn.Conv2d(features, features, (1, reach), padding=(0, reach // 2), groups=features)
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(2))
        self.ask, self.answer = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.widen, self.narrow = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.dropout = QuickDropout(dropout)
        for last in (self.answer, self.narrow):  # starts as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, steps: Tensor) -> Tensor:
        steps = steps + self.over_time(steps.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        n, t, d = steps.shape
        asked = self.ask(self.norms[0](steps)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = asked.reshape(3, n * self.heads, t, d // self.heads)
        # written out: in bfloat16 a third of the time of torch's fused attention on a CPU
        alike = torch.bmm(query * (d // self.heads) ** -0.5, key.transpose(1, 2)).float().softmax(2)  # (N heads, T, T)
        seen = torch.bmm(alike.to(value.dtype), value).view(n, self.heads, t, d // self.heads)
        steps = steps + self.dropout(self.answer(seen.transpose(1, 2).reshape(n, t, d)))
        return steps + self.dropout(self.narrow(F.relu(self.widen(self.norms[1](steps)))))


class Attention(nn.Module):
    """`recipe.layers` attention layers with convolutions `recipe.kernel_size` steps wide."""

    def __init__(self, features: int, recipe: NetworkRecipe) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(
            *(AttentionLayer(features, recipe.kernel_size, recipe.dropout) for _ in range(recipe.layers))
        )

    def forward(self, steps: Tensor) -> Tensor:
        return self.layers(steps)


ENCODERS: dict[str, Callable[[NetworkRecipe, int], Encoder]] = {"patches": Patches, "conv": Convolutions}
CONTEXTS: dict[str, Callable[[int, NetworkRecipe], nn.Module]] = {
    "none": NoContext,
    "lstm": OneWay,
    "bilstm": BothWays,
    "mixer": Mixer,
    "attention": Attention,
}
