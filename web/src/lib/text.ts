// Characters that change how the text around them looks, or that nobody sees: controls, bidirectional marks, zero-width
// characters, line separators, tags.
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Text of strangers with its invisible characters written out, such as \u{202e}. */
export function printable(text: string): string {
  return text.replace(hidden, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The same for text of several lines, such as a log: line breaks and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(hidden, (c) => (c === "\n" || c === "\t" ? c : printable(c)));
}

/** Returns at most limit characters of a text; "…" marks a cut. */
export function shorten(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}
