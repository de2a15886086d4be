/** One object store inside a transaction, by promises. Keys are lists; a part of a key names all rows below it. */
export interface Rows {
  get<T>(key: IDBValidKey): Promise<T | undefined>;
  /** The first row of an index at this key. */
  first<T>(key: IDBValidKey[], index: string): Promise<T | null>;
  /** All rows of an index at this key. */
  all<T>(key: IDBValidKey[], index: string): Promise<T[]>;
  /** All rows whose key begins so, in the order of their keys. */
  within<T>(begin: IDBValidKey[]): Promise<T[]>;
  count(begin: IDBValidKey[]): Promise<number>;
  put(row: unknown): Promise<IDBValidKey>;
  remove(key: IDBValidKey): Promise<void>;
  removeWithin(begin: IDBValidKey[]): Promise<void>;
}

export function rowsOf(store: IDBObjectStore): Rows {
  // A list sorts behind every number and text, so `[gallery, []]` ends what begins with `[gallery]`.
  const below = (begin: IDBValidKey[]): IDBKeyRange | undefined =>
    begin.length === 0 ? undefined : IDBKeyRange.bound(begin, [...begin, []]);
  return {
    get: <T>(key: IDBValidKey) => done<T | undefined>(store.get(key)),
    first: async <T>(key: IDBValidKey[], index: string) =>
      (await done<T | undefined>(store.index(index).get(key))) ?? null,
    all: <T>(key: IDBValidKey[], index: string) => done<T[]>(store.index(index).getAll(key)),
    within: <T>(begin: IDBValidKey[]) => done<T[]>(store.getAll(below(begin))),
    count: (begin) => done<number>(store.count(below(begin))),
    put: (row) => done<IDBValidKey>(store.put(row)),
    remove: async (key) => void (await done(store.delete(key))),
    removeWithin: async (begin) => void (await done(store.delete(below(begin)!))),
  };
}

function done<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error);
  });
}
