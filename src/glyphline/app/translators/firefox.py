"""Firefox's translation models (MPL-2.0) by the package fxtranslate: a download of about 37 MB a pair, then offline.

The models are read from the package's cache, never fetched while translating: `fxtranslate.Translator.load` would ask
Mozilla's server first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from glyphline.app.translators.contract import Pair, Progress, Translation
from glyphline.errors import DataError, GlyphlineError, MissingPackage, UserError

LANGUAGES = ("da", "de", "es", "fr", "it", "nl", "pl", "pt", "sv")  # with models from and to English
MEGABYTES = 37.0  # of one model, about
POLLING_SECONDS = 0.2  # between two looks at how far a download is


@cache
def _worker() -> ThreadPoolExecutor:
    """The thread of all models: a model may be used only by the thread that loaded it."""
    return ThreadPoolExecutor(1, "fxtranslate")


def _require_package() -> Any:
    if find_spec("fxtranslate") is None:
        raise MissingPackage("fxtranslate", "app", "translating with Firefox's models")
    import fxtranslate

    return fxtranslate


@cache
def _load_model(source: str, target: str) -> Any:
    """Load a model of the cache. Raises DataError if its files are not a model. Call it in the thread of `_worker`."""
    fxtranslate = _require_package()
    names = {Path(path).name: Path(path) for _, _, path in fxtranslate.Cache().pair_files(f"{source}-{target}")}

    def read(*prefixes: str) -> bytes | None:
        found = [path for name, path in sorted(names.items()) if name.startswith(prefixes)]
        return found[0].read_bytes() if found else None

    model, shared = read("model"), read("vocab")
    source_vocabulary, target_vocabulary = read("srcvocab", "src") or shared, read("trgvocab", "trg") or shared
    try:
        if model is None or source_vocabulary is None or target_vocabulary is None:
            raise ValueError("a file is missing")
        return fxtranslate.Translator(model, source_vocabulary, target_vocabulary, read("lex"))
    except ValueError as error:
        advice = f"glyphline translate remove {source} {target}, then install it again"
        raise DataError(f"Firefox's model {source}-{target} is damaged ({error}): {advice}") from None


class Firefox:
    """Translates with the models that Firefox has, one for each pair with English."""

    name: ClassVar[str] = "firefox"
    is_gist: ClassVar[bool] = False
    pivots: ClassVar[bool] = True

    def pairs(self) -> list[Pair]:
        if find_spec("fxtranslate") is None:
            return []
        cached = {entry["name"]: entry["bytes"] / 1e6 for entry in _require_package().Cache().list_cached()}
        known = [*(f"{code}-en" for code in LANGUAGES), *(f"en-{code}" for code in LANGUAGES)]
        names = sorted({*known, *cached})
        codes = [name.partition("-")[::2] for name in names]
        return [
            Pair(source, target, self.name, name in cached, cached.get(name, MEGABYTES))
            for name, (source, target) in zip(names, codes, strict=True)
        ]

    def translate(self, sentences: Sequence[str], source: str, target: str) -> list[Translation | None]:
        def translate_all() -> list[Translation | None]:
            model = _load_model(source, target)
            return [Translation(model.translate(sentence)) for sentence in sentences]

        return _worker().submit(translate_all).result()

    def install(self, source: str, target: str, on_progress: Progress | None) -> None:
        fxtranslate = _require_package()
        if "en" not in (source, target) or source == target:
            raise UserError(f"Firefox's models translate from and to English, not from {source} to {target}")
        try:
            total = _download_size(fxtranslate.discovery.fetch_records_body(), source, target)
            with ThreadPoolExecutor(1) as executor:
                download = executor.submit(fxtranslate.discovery.add_models, source, target)
                while on_progress and not download.done():
                    done = sum(size for _, size, _ in fxtranslate.Cache().pair_files(f"{source}-{target}"))
                    on_progress(min(done, total), total)
                    time.sleep(POLLING_SECONDS)
                download.result()
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise GlyphlineError(f"Firefox's model {source}-{target} could not be downloaded: {reason}") from None
        if on_progress:
            on_progress(total, total)

    def remove(self, source: str, target: str) -> bool:
        _worker().submit(_load_model.cache_clear).result()
        return find_spec("fxtranslate") is not None and _require_package().Cache().remove_pair(f"{source}-{target}")


def _download_size(records: str, source: str, target: str) -> int:
    """Bytes of the newest files of a pair in the records of Mozilla's server. Raises UserError for a pair it lacks."""
    sizes: dict[str, tuple[str, int]] = {}
    language: Callable[[dict[str, Any]], tuple[Any, Any]] = lambda r: (  # noqa: E731
        r.get("sourceLanguage") or r.get("fromLang"),
        r.get("targetLanguage") or r.get("toLang"),
    )
    for record in json.loads(records).get("data", []):
        if language(record) == (source, target):
            version, size = str(record.get("version", "")), int(record.get("attachment", {}).get("size", 0))
            kind = str(record.get("fileType"))
            sizes[kind] = max(sizes.get(kind, ("", 0)), (version, size))
    if not sizes:
        raise UserError(f"Firefox has no model from {source} to {target}")
    return max(1, sum(size for _, size in sizes.values()))
