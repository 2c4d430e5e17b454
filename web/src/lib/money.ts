// Amounts are exact to the billionth of a dollar. Sums are taken of whole billionths, never of fractions.

const digits = 9;

export function nanos(amount: number): bigint {
  const [whole = "0", fraction = ""] = amount.toFixed(digits).split(".");
  const sign = whole.startsWith("-") ? -1n : 1n;
  return (
    sign * (BigInt(whole.replace("-", "")) * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, "0")))
  );
}

/** The amount as the API would write it. */
export function fromNanos(n: bigint): number {
  const sign = n < 0n ? "-" : "";
  const text = (n < 0n ? -n : n).toString().padStart(digits + 1, "0");
  return Number(`${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`);
}

/** The sum of the amounts that are known; null if none is. */
export function sum(amounts: (number | null)[]): number | null {
  const known = amounts.filter((a): a is number => a !== null);
  if (known.length === 0) return null;
  return fromNanos(known.reduce((total, a) => total + nanos(a), 0n));
}

/** What a month costs that goes on as it began: what it cost so far, by the share of it that has passed. */
export function projection(soFar: number, monthStart: Date, monthEnd: Date, now: Date): number | null {
  const passed = BigInt(Math.max(0, now.getTime() - monthStart.getTime()));
  const all = BigInt(monthEnd.getTime() - monthStart.getTime());
  if (passed < 3_600_000n) return null; // the first hour tells nothing
  return fromNanos((nanos(soFar) * all) / passed);
}
