/**
 * Orders names as people do: `part2` before `part10`. By code unit otherwise, so that the order is the same on every
 * machine, whatever its language. Names that differ only in leading zeros fall back to plain comparison.
 */
export function naturalOrder(a: string, b: string): number {
  const left = a.normalize("NFC").match(/\d+|\D+/g) ?? [];
  const right = b.normalize("NFC").match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compareChunks(left[i]!, right[i]!);
    if (order !== 0) return order;
  }
  return left.length - right.length || compare(a, b);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareChunks(a: string, b: string): number {
  if (!/^\d/.test(a) || !/^\d/.test(b)) return compare(a, b);
  const x = a.replace(/^0+/, "");
  const y = b.replace(/^0+/, "");
  return x.length - y.length || compare(x, y);
}
