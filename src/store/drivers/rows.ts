import type { GalleryRow, Member } from "../backend.ts";
import type { RevisionInfo } from "../store.ts";

/** A row of a SQL driver: its columns in the order in which both drivers ask for them. */
type Row = readonly unknown[];

export function toGallery(row: Row): GalleryRow {
  return {
    id: Number(row[0]),
    name: String(row[1]),
    refresh: JSON.parse(String(row[2])),
    head: Number(row[3]),
    seqs: Number(row[4]),
    sets: Number(row[5]),
  };
}

export function toRevision(row: Row): RevisionInfo {
  return {
    number: Number(row[0]),
    hash: String(row[1]),
    parent: row[2] === null ? null : Number(row[2]),
    time: Number(row[3]),
    who: String(row[4]),
    reason: String(row[5]),
    classes: Number(row[6]),
    samples: Number(row[7]),
  };
}

export function toSample(row: Row) {
  return {
    seq: Number(row[0]),
    contentHash: String(row[1]),
    origin: String(row[2]),
    time: Number(row[3]),
    who: String(row[4]),
  };
}

export function toMember(row: Row): Member {
  return { seq: Number(row[0]), label: String(row[1]), contentHash: String(row[2]) };
}
