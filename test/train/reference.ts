/** Conv-4 and the prototypical loss once more in plain float64 loops, without any of the engine. */

export interface Images {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly data: Float64Array;
}

/** 3x3, stride 1, one pixel of zeros around; weights `[out, in, 3, 3]`. */
export function conv3x3({ n, c, h, w, data }: Images, weights: ArrayLike<number>, out: number): Images {
  const y = new Float64Array(n * out * h * w);
  for (let i = 0; i < n; i++)
    for (let o = 0; o < out; o++)
      for (let row = 0; row < h; row++)
        for (let col = 0; col < w; col++) {
          let sum = 0;
          for (let k = 0; k < c; k++)
            for (let dy = -1; dy <= 1; dy++)
              for (let dx = -1; dx <= 1; dx++) {
                const [r, q] = [row + dy, col + dx];
                if (r < 0 || r >= h || q < 0 || q >= w) continue;
                sum +=
                  data[((i * c + k) * h + r) * w + q]! * weights[((o * c + k) * 3 + dy + 1) * 3 + dx + 1]!;
              }
          y[((i * out + o) * h + row) * w + col] = sum;
        }
  return { n, c: out, h, w, data: y };
}

/** Normalised by the mean and the population variance of the batch, gain 1, bias 0, then ReLU. */
export function batchNormRelu({ n, c, h, w, data }: Images): Images {
  const y = new Float64Array(data.length);
  for (let k = 0; k < c; k++) {
    const own: number[] = [];
    for (let i = 0; i < n; i++) for (let p = 0; p < h * w; p++) own.push((i * c + k) * h * w + p);
    const mean = own.reduce((sum, at) => sum + data[at]!, 0) / own.length;
    const variance = own.reduce((sum, at) => sum + (data[at]! - mean) ** 2, 0) / own.length;
    for (const at of own) y[at] = Math.max(0, (data[at]! - mean) / Math.sqrt(variance + 1e-5));
  }
  return { n, c, h, w, data: y };
}

export function maxPool2x2({ n, c, h, w, data }: Images): Images {
  const [oh, ow] = [Math.floor(h / 2), Math.floor(w / 2)];
  const y = new Float64Array(n * c * oh * ow);
  for (let plane = 0; plane < n * c; plane++)
    for (let row = 0; row < oh; row++)
      for (let col = 0; col < ow; col++) {
        const at = (r: number, q: number) => data[(plane * h + 2 * row + r) * w + 2 * col + q]!;
        y[(plane * oh + row) * ow + col] = Math.max(at(0, 0), at(0, 1), at(1, 0), at(1, 1));
      }
  return { n, c, h: oh, w: ow, data: y };
}

/** Mean of −log softmax(−‖q − c‖²) of the right class; rows are support class by class, then queries class by class. */
export function protoNetLoss(
  { n, c, h, w, data }: Images,
  { way, shot, query }: { way: number; shot: number; query: number },
): { loss: number; accuracy: number } {
  const dim = c * h * w;
  if (n !== way * (shot + query)) throw new Error("rows");
  const row = (i: number) => data.subarray(i * dim, (i + 1) * dim);
  const prototypes = Array.from({ length: way }, (_, k) =>
    Array.from({ length: dim }, (_, d) => {
      let sum = 0;
      for (let s = 0; s < shot; s++) sum += row(k * shot + s)[d]!;
      return sum / shot;
    }),
  );
  let [loss, right] = [0, 0];
  for (let i = 0; i < way * query; i++) {
    const q = row(way * shot + i);
    const truth = Math.floor(i / query);
    const distances = prototypes.map((p) => p.reduce((sum, v, d) => sum + (q[d]! - v) ** 2, 0));
    const nearest = Math.min(...distances);
    const total = distances.reduce((sum, d) => sum + Math.exp(nearest - d), 0);
    loss += distances[truth]! - nearest + Math.log(total);
    if (distances[truth] === nearest) right++;
  }
  return { loss: loss / (way * query), accuracy: right / (way * query) };
}
