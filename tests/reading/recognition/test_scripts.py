"""Scripts: a line in another writing gets the name of its script; Latin letters and scribbles get none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphline import models
from glyphline.errors import DataError
from glyphline.imaging.documents import GreyImage
from glyphline.reading.lines import open_line_reader
from glyphline.reading.recognition.reliability import UNKNOWN_WRITING, unknown_writing
from glyphline.reading.recognition.scripts import READ_BY_PP_OCR, ScriptClassifier, bundled_classifier, script_of

FONTS = Path("/usr/share/fonts")  # of Debian's fonts-noto-core and fonts-noto-cjk
#: script -> its font, and a line of it
LINES = {
    "Arabic": ("NotoSansArabic", "كل صباح نشرب القهوة"),
    "Armenian": ("NotoSansArmenian", "առավոտյան սուրճ խմում"),
    "Bengali": ("NotoSansBengali", "আমরা সকালে চা খাই"),
    "Chinese or Japanese": ("NotoSansCJK", "我們每天早上喝茶"),
    "Cyrillic": ("NotoSans", "каждое утро мы пьём чай"),
    "Devanagari": ("NotoSansDevanagari", "हम सुबह चाय पीते हैं"),
    "Ethiopic": ("NotoSansEthiopic", "ጠዋት ቡና እንጠጣለን"),
    "Georgian": ("NotoSansGeorgian", "დილით ჩაის ვსვამთ"),
    "Greek": ("NotoSans", "κάθε πρωί πίνουμε καφέ"),
    "Gujarati": ("NotoSansGujarati", "અમે સવારે ચા પીએ છીએ"),
    "Hebrew": ("NotoSansHebrew", "בבוקר אנחנו שותים קפה"),
    "Japanese": ("NotoSansCJK", "毎朝コーヒーをのみます"),
    "Khmer": ("NotoSansKhmer", "យើងផឹកតែពេលព្រឹក"),
    "Korean": ("NotoSansCJK", "우리는 아침에 차를 마셔요"),
    "Syriac": ("NotoSansSyriac", "ܒܨܦܪܐ ܫܬܝܢܢ ܡܝܐ"),
    "Tamil": ("NotoSansTamil", "காலையில் தேநீர் குடிப்போம்"),
    "Thai": ("NotoSansThai", "สวัสดีครับ ยินดีต้อนรับ"),
}


def draw(text: str, family: str) -> GreyImage:
    """A text, dark on bright, (H, W). Skips the test where the font is not installed."""
    paths = [path for path in FONTS.rglob(f"{family}-Regular.tt?")]
    if not paths:
        pytest.skip(f"{family} is not installed: apt-get install fonts-noto-core fonts-noto-cjk")
    font = ImageFont.truetype(str(paths[0]), 36)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 24, int(bottom - top) + 24), 240)
    ImageDraw.Draw(image).text((12 - left, 12 - top), text, fill=30, font=font)
    return np.asarray(image)


def scribble() -> GreyImage:
    page = np.full((60, 300), 245, np.uint8)
    x = np.arange(10, 290, 3)
    y = 30 + 18 * np.sin(x * x / 700)
    cv2.polylines(page, [np.stack([x, y], 1).astype(np.int32)], False, 40, 2, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("script", LINES)
def test_script_of_a_line_is_named(script: str) -> None:
    family, text = LINES[script]
    image = draw(text, family)
    assert script_of(image) == script
    assert script_of(np.repeat((255 - image)[..., None], 3, axis=2)) == script  # light on dark, in colour


def test_latin_and_what_is_no_writing_are_not_named() -> None:
    text = np.full((60, 420), 240, np.uint8)
    cv2.putText(text, "bread and milk", (12, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 20, 3, cv2.LINE_AA)
    rule = np.full((40, 3000), 240, np.uint8)
    rule[20, 10:-10] = 0  # too wide at the height of its ink
    noise = np.random.default_rng(0).integers(0, 255, (40, 200)).astype(np.uint8)
    for image in (text, scribble(), rule, noise, np.full((1, 1), 255, np.uint8), np.full((40, 300), 255, np.uint8)):
        assert script_of(image) is None


def test_probabilities_are_of_the_scripts_and_do_not_depend_on_the_size() -> None:
    classifier = bundled_classifier()
    assert classifier is not None and set(LINES) <= set(classifier.scripts) and 0.3 < classifier.min_probability < 1
    assert set(READ_BY_PP_OCR) <= set(classifier.scripts)
    image = draw(LINES["Greek"][1], LINES["Greek"][0])
    probabilities = classifier.probabilities(image)
    assert len(probabilities) == len(classifier.scripts) and sum(probabilities) == pytest.approx(1, abs=1e-4)
    larger = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert classifier(larger) == classifier(image)
    assert classifier(np.tile(image, (1, 12))) == "Greek"  # a very long line


def test_other_models_are_refused() -> None:
    with pytest.raises(DataError, match="no model of scripts"):
        ScriptClassifier(Path(models.__file__).parent / "tiles.onnx")


def test_obstacle_of_a_line_names_its_script() -> None:
    family, text = LINES["Georgian"]
    (line,) = open_line_reader("photo").read_lines([draw(text, family)])
    assert line.legibility < 0.5 and line.obstacle == unknown_writing("Georgian")
    assert line.obstacle == f"{UNKNOWN_WRITING} (Georgian)"
