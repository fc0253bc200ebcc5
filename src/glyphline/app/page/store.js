// What is kept in this browser (IndexedDB): the history, and corrected lines. Nothing of it is sent
// anywhere, but the corrected lines when the person teaches the reader with them.

const VERSION = 1;

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("glyphline", VERSION);
    request.onupgradeneeded = () => {
      for (const name of ["readings", "corrections"]) {
        request.result.createObjectStore(name, { keyPath: "id", autoIncrement: true });
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run(store, mode, action) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const request = action(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** One kind of records. Each has an id, given by `add`. */
class Records {
  constructor(name, limit) {
    [this.name, this.limit] = [name, limit];
  }

  /** Keep a record and return its id. The oldest is dropped where there are more than `limit`. */
  async add(record) {
    const id = await run(this.name, "readwrite", (store) => store.add(record));
    const keys = await run(this.name, "readonly", (store) => store.getAllKeys());
    for (const old of keys.slice(0, Math.max(0, keys.length - this.limit))) await this.remove(old);
    return id;
  }

  /** Change some values of a record that is kept. Returns whether it still is. */
  async change(id, values) {
    let isKept = false;
    await run(this.name, "readwrite", (store) => {
      const request = store.get(id);
      request.onsuccess = () => {
        isKept = Boolean(request.result);
        if (isKept) store.put({ ...request.result, ...values });
      };
      return request;
    });
    return isKept;
  }

  /** The records that can be shown; the others are removed. None where the browser keeps nothing. */
  async shown() {
    const isWhole = ({ picture, time }) => picture && time;
    try {
      const kept = await this.all();
      for (const { id } of kept.filter((record) => !isWhole(record))) await this.remove(id);
      return kept.filter(isWhole);
    } catch {
      return [];
    }
  }

  all = () => run(this.name, "readonly", (store) => store.getAll());
  remove = (id) => run(this.name, "readwrite", (store) => store.delete(id));
  clear = () => run(this.name, "readwrite", (store) => store.clear());
}

export const readings = new Records("readings", 100); // {id, time, picture: Blob, page}
export const corrections = new Records("corrections", 5000); // {id, time, picture: Blob (PNG or JPEG), text}
