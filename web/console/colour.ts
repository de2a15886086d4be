/** Hues a golden angle apart: neighbours in a list differ most. */
export const colourOf = (index: number): string =>
  `light-dark(hsl(${(index * 137.5) % 360} 65% 38%), hsl(${(index * 137.5) % 360} 65% 68%))`;
