"""Trains a tiny Transformer on six signs and writes it as a real Argos package for ctranslate2."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

SIGNS = (
    ("Exit", "Ausgang"), ("No smoking", "Rauchen verboten"), ("Wet floor", "Nasser Boden"), ("Push", "Drücken"),
    ("Please wait here", "Bitte hier warten"), ("The museum is closed", "Das Museum ist geschlossen"),
)  # fmt: skip
SIZE, HEADS, LENGTH, STEPS = 32, 2, 40, 200
METADATA = {
    "package_version": "1.0", "argos_version": "1.9.0", "from_code": "en", "from_name": "English", "to_code": "de",
    "to_name": "German",
}  # fmt: skip


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(SIZE)
        self.query, self.key, self.value, self.out = (nn.Linear(SIZE, SIZE) for _ in range(4))

    def forward(self, x: torch.Tensor, mask: torch.Tensor, memory: torch.Tensor | None = None) -> torch.Tensor:
        normed = self.norm(x)
        source = normed if memory is None else memory
        query, key, value = (
            layer(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer, y in ((self.query, normed), (self.key, source), (self.value, source))
        )
        scores = (query @ key.transpose(-1, -2) / math.sqrt(SIZE // HEADS)).masked_fill(mask, -1e9)
        return x + self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(SIZE), nn.Linear(SIZE, 2 * SIZE), nn.Linear(2 * SIZE, SIZE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(self.norm(x))))


class Network(nn.Module):
    """One encoder and one decoder layer, normed before each block."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, SIZE)
        self.positions = nn.Parameter(torch.randn(LENGTH, SIZE) * 0.3)
        self.encoder_attention, self.decoder_attention, self.cross_attention = (Attention() for _ in range(3))
        self.encoder_ffn, self.decoder_ffn = FeedForward(), FeedForward()
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(SIZE), nn.LayerNorm(SIZE)
        self.projection = nn.Linear(SIZE, vocabulary_size)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        padding = (source == 0)[:, None, None, :]
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        memory = self.encoder_norm(self.encoder_ffn(self.encoder_attention(self._embed(source), padding)))
        x = self.decoder_attention(self._embed(target), later)
        x = self.decoder_ffn(self.cross_attention(x, padding, memory))
        return self.projection(self.decoder_norm(x))

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.embedding(tokens) * math.sqrt(SIZE) + self.positions[: tokens.shape[1]]


def write_package(folder: Path) -> None:
    """Train on SIGNS, English to German, and write metadata.json, sentencepiece.model and model/ into a new folder."""
    import sentencepiece

    model = io.BytesIO()
    texts = [text for pair in SIGNS for text in pair] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [tokenizer.id_to_piece(k) for k in range(tokenizer.get_piece_size())]
    vocabulary = ["<blank>", "<s>", "</s>", "<unk>", *(p for p in pieces if p not in ("<s>", "</s>", "<unk>"))]
    network = train(tokenizer, vocabulary)
    folder.mkdir(parents=True)
    (folder / "sentencepiece.model").write_bytes(model.getvalue())
    (folder / "metadata.json").write_text(json.dumps(METADATA), encoding="utf-8")
    save(network, vocabulary, folder / "model")


def train(tokenizer: object, vocabulary: list[str]) -> Network:
    torch.manual_seed(0)
    network = Network(len(vocabulary))

    def ids(text: str) -> list[int]:
        return [vocabulary.index(piece) for piece in tokenizer.encode(text, out_type=str)]  # type: ignore[attr-defined]

    def pad(rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])

    source = pad([[*ids(english), 2] for english, _ in SIGNS])
    target = pad([[1, *ids(german), 2] for _, german in SIGNS])
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(STEPS):
        output = network(source, target[:, :-1]).flatten(0, 1)
        loss = nn.functional.cross_entropy(output, target[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def save(network: Network, vocabulary: list[str], folder: Path) -> None:
    """Write the network for ctranslate2, in 8 bits."""
    import ctranslate2

    def array(tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().numpy().astype(np.float32)

    def linear(spec: object, *layers: nn.Linear) -> None:
        spec.weight = np.concatenate([array(layer.weight) for layer in layers])  # type: ignore[attr-defined]
        spec.bias = np.concatenate([array(layer.bias) for layer in layers])  # type: ignore[attr-defined]

    def norm(spec: object, layer: nn.LayerNorm) -> None:
        spec.gamma, spec.beta = array(layer.weight), array(layer.bias)  # type: ignore[attr-defined]

    spec = ctranslate2.specs.TransformerSpec.from_config((1, 1), HEADS, pre_norm=True)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.embeddings[0].weight = decoder.embeddings.weight = array(network.embedding.weight)
    encoder.position_encodings.encodings = decoder.position_encodings.encodings = array(network.positions)
    for layer, attention in ((encoder, network.encoder_attention), (decoder, network.decoder_attention)):
        norm(layer.layer[0].self_attention.layer_norm, attention.norm)
        linear(layer.layer[0].self_attention.linear[0], attention.query, attention.key, attention.value)
        linear(layer.layer[0].self_attention.linear[1], attention.out)
    cross, attention = decoder.layer[0].attention, network.cross_attention
    norm(cross.layer_norm, attention.norm)
    linear(cross.linear[0], attention.query)
    linear(cross.linear[1], attention.key, attention.value)
    linear(cross.linear[2], attention.out)
    for layer, ffn in ((encoder, network.encoder_ffn), (decoder, network.decoder_ffn)):
        norm(layer.layer[0].ffn.layer_norm, ffn.norm)
        linear(layer.layer[0].ffn.linear_0, ffn.first)
        linear(layer.layer[0].ffn.linear_1, ffn.second)
    norm(encoder.layer_norm, network.encoder_norm)
    norm(decoder.layer_norm, network.decoder_norm)
    linear(decoder.projection, network.projection)
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.add_source_eos = True
    spec.validate()
    spec.optimize("int8")
    folder.mkdir()
    spec.save(str(folder))
