// The text of a page: which lines and words are sure, and what is copied, downloaded and said.

export const DOUBTFUL = 0.7; // words with a lower confidence are marked, and said as doubtful
const SURE = 0.9, FAIR = 0.8; // expected shares of right letters; lines below 0.7 are rejected by the reader

export const isDoubtful = (word) => word.confidence < DOUBTFUL;

/** The expected share of right letters of a line, 0..1: the mean confidence of its words, by their letters. */
export function confidence(line) {
  const letters = line.words.reduce((sum, word) => sum + word.text.length, 0);
  if (!letters) return line.confidence;
  return line.words.reduce((sum, word) => sum + word.confidence * word.text.length, 0) / letters;
}

/** "sure", "fair", "poor" or "rejected": how a line is drawn. A line with a doubtful word is never sure. */
export function level(line) {
  if (line.rejected) return "rejected";
  if (confidence(line) >= SURE && !line.words.some(isDoubtful)) return "sure";
  return confidence(line) >= FAIR ? "fair" : "poor";
}

/** The text of a page: a line a row, the cells of a row of a table with tabs between them. As `--format text`. */
export function pageText(page, translation = null) {
  const rows = [];
  let place = null;
  page.lines.forEach((line, number) => {
    const text = translation ? translation.lines[number].text : line.text;
    if (line.rejected || !text) return;
    const cell = line.cell;
    if (cell && place && place.table === cell.table && place.row === cell.row) {
      const gap = cell.column - place.column;
      rows[rows.length - 1] += (gap ? "\t".repeat(gap) : " ") + text;
    } else {
      rows.push((cell ? "\t".repeat(cell.column) : "") + text);
    }
    place = cell;
  });
  return rows.join("\n");
}

const PERHAPS = {
  en: "perhaps", fr: "peut-être", de: "vielleicht", es: "quizás", nl: "misschien", it: "forse", pl: "być może",
  pt: "talvez", da: "måske", sv: "kanske",
};

/** What is said of a line: [{text, word}], word: the number of the word on the page, null for "perhaps". */
export function spokenWords(line, language, translated = null) {
  const perhaps = { text: `${PERHAPS[language] ?? PERHAPS.en}:`, word: null };
  if (line.rejected) return [];
  if (translated !== null) {
    const words = translated.split(/\s+/).filter(Boolean).map((text, word) => ({ text, word }));
    return words.length && line.words.some(isDoubtful) ? [perhaps, ...words] : words;
  }
  return line.words.flatMap((word, number) => {
    const spoken = { text: word.text, word: number };
    return isDoubtful(word) ? [perhaps, spoken] : [spoken];
  });
}
