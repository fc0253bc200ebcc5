"""The thresholds of the page pipeline: what counts as a line, a column, a table.

All of them were chosen by hand. The fields are grouped by the data that chose them:

- *photographs*: `$GLYPHLINE_DATA/photos`, by `python benchmarks/pages.py`. These images are also the ones that
  docs/results.md reports, so its numbers for them are optimistic.
- *composed pages*: columns, tables and forms drawn from fonts, by `python benchmarks/pages.py`, and the pages drawn by
  tests/reading/detection/test_reading_order.py.

Units: "px" are pixels of the image that the detector works on; "heights" are multiples of the height of a text line;
"usual letter heights" are multiples of the median height of the connected components of a page, weighted by ink;
"share" is a fraction (0..1). What is text and which line is reliable is fitted instead, see
`glyphline.reading.recognition.reliability`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageThresholds:
    """Every threshold of the page pipeline. `THRESHOLDS` holds the values in use."""

    # ------------------------------------------------------------------ detection by ink, chosen on photographs
    ink_min_contrast: float = 0.12  # share of the paper's brightness; ink is darker by at least this much
    ink_relative_contrast: float = 0.4  # share of the strongest contrast of the page that ink has at least
    ink_min_area: int = 8  # px; smaller connected components are specks
    ink_min_side: int = 5  # px; the longer side of a component
    ink_max_page_height: float = 1 / 3  # share of the page's height; higher components are no letters
    ink_max_page_width: float = 1 / 1.5  # share of the page's width; wider components are no letters
    ink_max_fill: float = 0.9  # share of its bounding box that a component fills at most; more is a solid block
    ink_fill_allowance: int = 20  # px of area added to that limit, for dots and dashes
    dash_max_height: float = 0.3  # usual letter heights; lower components that are also wide are rules
    dash_min_width: float = 1.2  # usual letter heights
    ink_max_letter_height: float = 6.0  # usual letter heights; higher components are no letters
    row_core_density: float = 0.45  # share of the 90th percentile of blurred ink that the core of a row reaches
    row_max_distance: float = 1.0  # usual letter heights; components farther from a row belong to none
    row_min_width: float = 0.8  # usual letter heights
    row_min_height: float = 0.5  # usual letter heights

    # ----------------------------------------------------------------------- curved text, chosen on photographs
    curve_min_height: float = 8.0  # px of the probability map; the curvature of smaller regions is not measurable
    curve_max_fill: float = 0.75  # share of its minimum-area rectangle that a curved region fills at most
    curve_min_sagitta: float = 0.3  # heights by which the middle stands out from the ends
    curve_min_length: float = 2.5  # heights
    curve_max_thickness: float = 0.75  # share of the rectangle's height that the text is high along the arc
    curve_min_opening: float = 0.35  # radians of the circle without text; a closed ring has no first letter

    # -------------------------------------------------------------------- line crops, chosen on photographs
    max_line_aspect: float = 300.0  # heights; longer regions are rules or edges, not text
    line_margin: float = 0.06  # heights added above and below a line before it is rectified
    max_line_height: int = 128  # px; higher lines are shrunk: the recognizers use 40 and 48 px

    # ------------------------------------------------------------------ orientation, chosen on photographs
    vertical_aspect: float = 1.5  # times as high as wide; such a region holds vertical text

    # ------------------------------------------------------------------ rejection, chosen on photographs
    min_confidence: float = 0.7  # calibrated share of correct characters; lines below it are rejected

    # ----------------------------------------------------- second detection, chosen on photographs of words
    small_side: int = 300  # px; images with a shorter side below it get a margin before detection
    sufficient_share: float = 0.95  # share of visually confident characters above which the first result is kept
    min_improvement: float = 1.05  # times as many visually confident characters make the second result better

    # ---------------------------------------------------------------------- letter-spaced text, chosen by hand
    letter_spaced_words: int = 6  # words of one letter that a letter-spaced text has at least
    letter_spaced_fraction: float = 0.8  # share of its words that are one letter in a letter-spaced text at least

    # ---------------------------------------------------------------- reading order, chosen on composed pages
    contained_share: float = 0.7  # share of its area inside a larger region that makes a region redundant
    same_line_overlap: float = 0.5  # share of the lower region's height that two regions of one line share
    word_gap: float = 1.6  # heights; regions farther apart are not joined into one line
    max_height_ratio: float = 1.9  # of the heights of two regions of one line, or of one paragraph
    column_gap: float = 0.9  # heights; columns are farther apart than this
    column_min_lines: int = 3  # lines
    column_alignment: float = 0.4  # heights by which the left edges of a column's lines differ at most
    column_min_width: float = 4.0  # heights; mean width of a column's lines
    cell_max_width: float = 12.0  # heights; mean width of the narrower column of a table
    cell_max_width_to_gap: float = 3.0  # gaps; the same width as a multiple of the gap beside it
    level_cells: float = 0.8  # share of a table's cells that have a cell beside them on the same level
    box_margin: float = 0.17  # heights of the box that a detector's box extends beyond the ink on each side
    cell_blank: float = 0.6  # heights; wider blanks inside a region separate fragments, which may be cells
    table_max_gap: float = 4.0  # heights; rows of one table are not farther apart
    paragraph_gap: float = 0.9  # heights that the gap before a paragraph exceeds the usual gap of its block by
    paragraph_indent: float = 1.2  # heights by which the first line of a paragraph is indented


THRESHOLDS = PageThresholds()
