/** JSON has no infinity, and the limit of pictures that are all equal is next to nothing. */
const most = 1e6;

/** A distance as a multiple of a class's limit: above 1 it is beyond; `null` where nothing is known of the limit. */
export const excessOf = ({
  distance,
  threshold,
}: {
  readonly distance: number;
  readonly threshold: number | null;
}): number | null => (threshold === null ? null : Math.min(most, distance / threshold));
