// Units and numbers as people read them. Nothing here computes: sums are the server's.

const none = "–";

export function count(n: number | null | undefined): string {
  if (n === null || n === undefined) return none;
  const abs = Math.abs(n);
  if (abs < 10_000) return Number.isInteger(n) ? n.toLocaleString("en-US") : significant(n, 3);
  const [unit, suffix] = abs < 1e6 ? [1e3, "k"] : abs < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${significant(n / unit, 3)} ${suffix}`;
}

export function exact(n: number | null | undefined): string {
  return n === null || n === undefined ? none : n.toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function significant(n: number, digits: number): string {
  return n.toLocaleString("en-US", { maximumSignificantDigits: digits });
}

export function rate(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return none;
  return `${significant(perSecond, 3)}/s`;
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return none;
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${significant(ms, 2)} ms`;
  if (ms < 1000) return `${significant(ms, 3)} ms`;
  if (ms < 120_000) return `${significant(ms / 1000, 3)} s`;
  return seconds(ms / 1000);
}

/** A span of time, in its two largest units. */
export function seconds(s: number | null | undefined): string {
  if (s === null || s === undefined) return none;
  const whole = Math.round(s);
  if (whole < 120) return `${whole} s`;
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
  ];
  const from = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(from, from + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

/** A ratio as a percentage that never rounds a fault away: 99.996 % is not 100 %. */
export function percent(ratio: number | null | undefined, digits = 2): string {
  if (ratio === null || ratio === undefined) return none;
  const scaled = ratio * 100;
  let text = scaled.toLocaleString("en-US", { maximumFractionDigits: digits });
  if (text === "100" && ratio < 1) text = `>${(100 - 10 ** -digits).toFixed(digits)}`;
  if (text === "0" && ratio > 0) text = `<${(10 ** -digits).toFixed(digits)}`;
  return `${text} %`;
}

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return none;
  if (n < 1000) return `${n} B`;
  const [unit, suffix] = n < 1e6 ? [1e3, "kB"] : n < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${significant(n / unit, 3)} ${suffix}`;
}

/** An amount as the API gives it: exact to the billionth, null where it is not known. */
export function usd(amount: number | null | undefined, currency = "USD"): string {
  if (amount === null || amount === undefined) return none;
  const sign = amount < 0 ? "−" : "";
  const abs = Math.abs(amount);
  const unit = currency === "USD" ? "$" : `${currency} `;
  if (abs === 0) return `${unit}0`;
  if (abs >= 1) {
    return sign + unit + abs.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }
  if (abs < 0.0001) return `${sign}<${unit}0.0001`;
  return sign + unit + abs.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
}

/** The same amount with every digit it has. */
export function exactUsd(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "not known";
  return `$${amount.toFixed(9).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

export function titleCase(text: string): string {
  const words = text.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
