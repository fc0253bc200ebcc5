"""Rebuilds a network from the ONNX file that `glyphline export` wrote, so that a bundled model can be trained further.

A network of lcnet and svtr keeps its parameters in the file, by name, and is read back as it is. For one of conv and
bilstm, the export folds batch normalization into the convolutions, and the 8-bit quantization rounds the weights. Both
are undone as far as possible: the rounded weights are read back, and the normalization gets the statistics of composed
lines, so that the restored network gives the outputs of the file up to rounding, in evaluation and nearly so in
training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glyphline.composing.line_sets import LineSet, available_lines
from glyphline.errors import DataError
from glyphline.imaging.normalization import pad_batch
from glyphline.reading.lines import LIMITS
from glyphline.reading.onnx_models import rapidocr_model_path
from glyphline.reading.recognition.recognizers import PP_OCR, OnnxRecognizer, open_recognizer
from glyphline.recipe import LinesRecipe, NetworkRecipe, Recipe, recipe_from
from glyphline.training.encoders import SVTR, BidirectionalLSTM, ConvEncoder, LCNetEncoder, SVTRLayer
from glyphline.training.network import Network

STATISTICS_LINES = 256  # training lines that give the batch statistics

#: the network of PP-OCRv6's small recognizer
PP_OCR_NETWORK = NetworkRecipe("lcnet", (96, 192, 384), 8, 120, "svtr", layers=2)

Weights = npt.NDArray[np.float32]


def restore_network(path: Path) -> Network:
    """The network of an ONNX file, in evaluation mode on the CPU.

    path: a file of `glyphline export` of the encoder lcnet and the context svtr, also with its weights alone in 8 bits;
    or of conv and bilstm, with or without --int8. For the latter STATISTICS_LINES lines of the recipe in the file are
    composed, of what `available_lines` finds of its glyphs and sentences: other lines change the outputs in training
    mode slightly, and not in evaluation.
    Raises DataError for a file without a recipe or with another encoder or context, and what composing raises.
    """
    import onnx

    info = OnnxRecognizer(path).info
    if info.recipe is None:
        raise DataError(f"{path} holds no recipe: it cannot be trained further")
    recipe = recipe_from(info.recipe, str(path))
    network = Network(recipe).eval()
    keeps_names = isinstance(network.encoder, LCNetEncoder) and isinstance(network.context, SVTR)
    is_folded = isinstance(network.encoder, ConvEncoder) and isinstance(network.context, BidirectionalLSTM)
    if not keeps_names and not is_folded:
        raise DataError(
            f"{path} has the encoder {recipe.network.encoder} and the context {recipe.network.context}: only conv with "
            "bilstm and lcnet with svtr can be restored, train from a run folder instead"
        )
    graph = onnx.load(str(path)).graph
    initializers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:  # weights of `compress_weights` stand behind a Cast, in 8 bits behind Mul and Reshape too
        if node.op_type == "Cast" and node.input[0] in initializers:
            initializers[node.output[0]] = initializers[node.input[0]].astype(np.float32)
        elif node.op_type == "Identity" and node.input[0] in initializers:  # equal constants stand once
            initializers[node.output[0]] = initializers[node.input[0]]
        elif node.op_type == "Mul" and all(name in initializers for name in node.input):
            initializers[node.output[0]] = initializers[node.input[0]] * initializers[node.input[1]]
        elif node.op_type == "Reshape" and all(name in initializers for name in node.input):
            initializers[node.output[0]] = initializers[node.input[0]].reshape(initializers[node.input[1]])
    if keeps_names:
        _restore_by_name(network, graph, initializers, path)
        return network
    assert isinstance(network.encoder, ConvEncoder) and isinstance(network.context, BidirectionalLSTM)
    producers = {output: node for node in graph.node for output in node.output}

    def read(name: str) -> Weights:
        """An input of a node as float32: an initializer, or one behind a DequantizeLinear."""
        if name in initializers:
            return np.array(initializers[name], np.float32)
        node = producers[name]
        values, scale, zero_point = (initializers[part] for part in node.input)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if k == axis % values.ndim else 1 for k in range(values.ndim)] if scale.ndim else []
        centred = values.astype(np.float32) - zero_point.astype(np.float32).reshape(shape)
        return np.asarray(centred * scale.reshape(shape), np.float32)

    lines = LineSet(available_lines(recipe.lines)[0], "train", recipe.training.seed)
    images, _ = lines.canonical_batch(range(STATISTICS_LINES))
    batch = torch.from_numpy(pad_batch(images, LIMITS.width_multiple)[0]).float().div(255).unsqueeze(1)
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    with torch.no_grad():
        folded = [(read(node.input[1]), read(node.input[2])) for node in convolutions]
        _restore_convolutions(network.encoder, folded, batch)
        recurrent = [node for node in graph.node if node.op_type in ("LSTM", "DynamicQuantizeLSTM")]
        for node, lstm in zip(recurrent, network.context.lstms, strict=True):
            _restore_lstm(lstm, node, initializers)
        product = next(node for node in graph.node if node.op_type == "MatMul")
        network.head.weight.copy_(torch.from_numpy(read(product.input[1]).T.copy()))
        sums = (node for node in graph.node if node.op_type == "Add" and any("head" in name for name in node.input))
        bias = next(name for node in sums for name in node.input if read_is_vector(name, initializers, producers))
        network.head.bias.copy_(torch.from_numpy(read(bias)))
    return network


def _restore_by_name(network: Network, graph: Any, initializers: dict[str, npt.NDArray[Any]], path: Path) -> None:
    """Set every parameter from the constant of the same name. Raises DataError where one is missing.

    The weight of a linear layer has lost its name: it is the constant of the product that has the name of the layer.
    """
    values = dict(initializers)
    products = {node.name: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            parts = name.split(".")  # the exporter names a layer of a sequence after the sequence, too
            scopes = [f"{parts[k - 1]}.{part}" if part.isdigit() else part for k, part in enumerate(parts)]
            constant = products.get("/" + "/".join([*scopes, "MatMul"]))
            if constant in initializers:
                values[f"{name}.weight"] = initializers[constant].T
    with torch.no_grad():
        for name, target in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if name not in values or values[name].shape != tuple(target.shape):
                raise DataError(f"{path} lacks the weights {name}: only files of glyphline export can be restored")
            target.copy_(torch.from_numpy(np.array(values[name], np.float32)))


def restore_pp_ocr() -> Network:
    """PP-OCR's recognizer from the wheel of rapidocr as a network for grey lines, in evaluation mode on the CPU.

    Its encoder is lcnet, its context svtr, and its alphabet all of PP-OCR's 18,709 characters. A grey line gives the
    outputs that the file gives for the same line in three equal channels, up to rounding. Raises MissingPackage where
    rapidocr is not installed, DataError where its version holds another network.
    """
    import onnx

    path = rapidocr_model_path("rec")
    info = open_recognizer(PP_OCR).info
    lines = LinesRecipe(alphabet=info.alphabet, height=info.height, normalization="grey")
    network = Network(Recipe(PP_OCR, lines=lines, network=PP_OCR_NETWORK)).eval()
    graph = onnx.load(str(path)).graph
    initializers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # Each parameter in the order in which the graph uses it, which is the order of the modules below. The first input
    # of a node with an initializer is often the feature map; constants of a single value belong to activations.
    parameters: list[Weights] = []
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Add", "Mul", "BatchNormalization"):
            values = [np.array(initializers[name], np.float32) for name in node.input if name in initializers]
            parameters += [value.T if node.op_type == "MatMul" else value for value in values if value.size > 1]
    targets = [tensor for module in _pp_ocr_modules(network) for tensor in _parameters_of(module)]
    if len(parameters) != len(targets):
        raise DataError(f"{path} holds another network than PP-OCRv6's small recognizer: pip install rapidocr==3.10.0")
    parameters[0] = parameters[0].sum(1, keepdims=True)  # three equal channels
    with torch.no_grad():
        for target, parameter in zip(targets, parameters, strict=True):
            target.copy_(torch.from_numpy(parameter.reshape(target.shape).copy()))
    return network


def _pp_ocr_modules(network: Network) -> Iterator[nn.Module]:
    """The layers with parameters of encoder, context and head in the order in which PP-OCR's graph runs them."""
    encoder, context = network.encoder, network.context
    assert isinstance(encoder, LCNetEncoder) and isinstance(context, SVTR)
    yield from (encoder.stem_conv, encoder.branch_conv1, encoder.branch_conv2, encoder.merge_conv, encoder.widen_conv)
    yield from (module for module in encoder.blocks.modules() if isinstance(module, nn.Conv2d))
    yield from (context.shortcut, context.shortcut_norm, context.reduction, context.reduction_norm)
    yield from (context.time_conv, context.time_norm)
    for layer in context.layers:
        assert isinstance(layer, SVTRLayer)
        yield from (layer.attention_norm, layer.qkv, layer.attention_projection)
        yield from (layer.feed_forward_norm, layer.expansion, layer.projection)
    yield from (context.norm, network.head)


def _parameters_of(module: nn.Module) -> Iterator[torch.Tensor]:
    """The parameters of a layer that PP-OCR's graph has, in its order."""
    if isinstance(module, nn.BatchNorm1d):
        yield from (module.weight, module.bias, module.running_mean, module.running_var)  # type: ignore[misc]
    else:
        yield from module.parameters()


def read_is_vector(name: str, initializers: dict[str, Any], producers: dict[str, Any]) -> bool:
    """Whether an input of a node is a constant vector: an initializer, or one behind a DequantizeLinear."""
    if name not in initializers and name in producers and producers[name].op_type == "DequantizeLinear":
        name = producers[name].input[0]
    return name in initializers and initializers[name].ndim == 1


def _normalized_convolutions(encoder: ConvEncoder) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution of the encoder with the normalization behind it, in the order in which they run."""
    modules = [m for m in encoder.stages.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    yield from zip(modules[::2], modules[1::2], strict=True)
    yield encoder.full_height_conv, encoder.norm


def _restore_convolutions(encoder: ConvEncoder, folded: list[tuple[Weights, Weights]], batch: torch.Tensor) -> None:
    """Set convolutions and normalizations from folded weights and biases.

    The normalization of a layer gets the mean and the variance of its input on the batch, and the scale and shift that
    undo them. One pass sets all layers: each when its input, which the layers before it give, is there.
    """
    hooks = []
    for (convolution, norm), (weight, bias) in zip(_normalized_convolutions(encoder), folded, strict=True):
        convolution.weight.copy_(torch.from_numpy(weight))

        def set_from_input(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor], *, bias: Weights = bias) -> None:
            variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(torch.from_numpy(bias) + mean)

        hooks.append(norm.register_forward_pre_hook(set_from_input))
    encoder(batch)
    for hook in hooks:
        hook.remove()


def _restore_lstm(lstm: Any, node: Any, initializers: dict[str, npt.NDArray[Any]]) -> None:
    """Set a bidirectional LSTM from an ONNX node.

    ONNX orders the gates input, output, forget, cell; torch i, f, c, o.
    """
    quantized = node.op_type == "DynamicQuantizeLSTM"

    def read(position: int, scale: int, zero_point: int) -> Weights:
        values = np.asarray(initializers[node.input[position]], np.float32)
        if not quantized:
            return values
        parts = (np.asarray(initializers[node.input[k]], np.float32) for k in (scale, zero_point))
        scales, zero_points = (part.reshape(len(part), *[1] * (values.ndim - 1)) for part in parts)
        return np.asarray((values - zero_points) * scales, np.float32).transpose(0, 2, 1)

    input_weights, recurrent_weights = read(1, 8, 9), read(2, 10, 11)  # (2, 4 D, F), (2, 4 D, D)
    biases = np.asarray(initializers[node.input[3]], np.float32)  # (2, 8 D)

    def torch_order(rows: Weights) -> torch.Tensor:
        input_gate, output_gate, forget_gate, cell = np.split(rows, 4)
        return torch.from_numpy(np.concatenate([input_gate, forget_gate, cell, output_gate]))

    for direction, suffix in enumerate(("", "_reverse")):
        getattr(lstm, f"weight_ih_l0{suffix}").copy_(torch_order(input_weights[direction]))
        getattr(lstm, f"weight_hh_l0{suffix}").copy_(torch_order(recurrent_weights[direction]))
        for name, bias in zip(("bias_ih_l0", "bias_hh_l0"), np.split(biases[direction], 2), strict=True):
            getattr(lstm, name + suffix).copy_(torch_order(bias))
