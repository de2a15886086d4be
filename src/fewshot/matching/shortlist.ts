/**
 * Keeps what may be among the `k` least of many values that are each known to within a slack: everything that is not
 * surely beyond `k` others. Without slack that is the `k` least and what ties with the last.
 */
export class Shortlist {
  /** A value that is surely above this is not wanted. */
  limit = Number.POSITIVE_INFINITY;
  readonly #k: number;
  /** The `k` least upper bounds, a binary heap with the largest first. */
  readonly #upper: Float64Array;
  #size = 0;
  #indices: number[] = [];
  #values: number[] = [];
  #lower: number[] = [];
  #kept = 0;

  /** `k` is at least 1. */
  constructor(k: number) {
    this.#k = k;
    this.#upper = new Float64Array(k);
  }

  /** Offer only what is not above `limit` even at its least, `value − slack`. */
  add(index: number, value: number, slack: number): void {
    this.#indices.push(index);
    this.#values.push(value);
    this.#lower.push(value - slack);
    this.#push(value + slack);
    if (this.#size === this.#k) this.limit = this.#upper[0]!;
    // Dropping is a pass over the list, so it waits until the list has doubled since the last time.
    if (this.#indices.length >= 2 * this.#kept + 8 * this.#k + 256) this.#drop();
  }

  /** What is left, in the order in which it came. */
  entries(): readonly { readonly index: number; readonly value: number }[] {
    this.#drop();
    return this.#indices.map((index, i) => ({ index, value: this.#values[i]! }));
  }

  #drop(): void {
    const keep = this.#lower.map((low) => low <= this.limit);
    this.#indices = this.#indices.filter((_, i) => keep[i]);
    this.#values = this.#values.filter((_, i) => keep[i]);
    this.#lower = this.#lower.filter((_, i) => keep[i]);
    this.#kept = this.#indices.length;
  }

  #push(bound: number): void {
    const heap = this.#upper;
    if (this.#size < this.#k) {
      let at = this.#size++;
      for (let up = (at - 1) >> 1; at > 0 && heap[up]! < bound; at = up, up = (at - 1) >> 1)
        heap[at] = heap[up]!;
      heap[at] = bound;
    } else if (bound < heap[0]!) {
      let at = 0;
      for (let down = 1; down < this.#k; down = 2 * at + 1) {
        if (down + 1 < this.#k && heap[down + 1]! > heap[down]!) down++;
        if (heap[down]! <= bound) break;
        heap[at] = heap[down]!;
        at = down;
      }
      heap[at] = bound;
    }
  }
}
