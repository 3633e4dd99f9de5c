/** A folder with a dream in it: on the server, or dropped on the page. */

import { Problem } from "./problem.js";

export const DESCRIPTION = "dream.json";
const FORMAT = "worldtokens.dream";
const VERSION = 1;
const GZIP = [0x1f, 0x8b];

/** Files below a URL. */
export class ServedFolder {
  constructor(url) {
    this.url = url.endsWith("/") ? url : `${url}/`;
    this.name = this.url;
  }

  /** Returns a file's bytes; `onBytes` is told how many more arrived. */
  async read(name, onBytes = () => {}) {
    let answer;
    try {
      answer = await fetch(this.url + name);
    } catch {
      throw new Problem(`${name}: the server did not answer; is it still running?`);
    }
    if (!answer.ok) {
      throw new Problem(`${name}: expected a file, got error ${answer.status} from the server; export the model again`);
    }
    return gather(answer.body, onBytes);
  }
}

/** Files that were dropped on the page, by name. */
export class DroppedFolder {
  constructor(name, files) {
    this.name = name;
    this.files = files;
  }

  async read(name, onBytes = () => {}) {
    const file = this.files.get(name);
    if (!file) throw new Problem(`${this.name}: ${name} is not in this folder; export the model again`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    onBytes(bytes.length);
    return bytes;
  }
}

/** Reads and checks dream.json. */
export async function readDescription(folder) {
  const bytes = await folder.read(DESCRIPTION);
  let tree;
  try {
    tree = JSON.parse(new TextDecoder().decode(await unpack(bytes)));
  } catch {
    throw new Problem(`${DESCRIPTION}: expected JSON, got something else; export the model again`);
  }
  if (tree?.format !== FORMAT) {
    throw new Problem(`${DESCRIPTION}: expected format ${FORMAT}, got ${tree?.format}; this folder holds no dream`);
  }
  if (tree.version !== VERSION) {
    throw new Problem(
      `${DESCRIPTION}: expected version ${VERSION}, got ${tree.version}; this page and the model are of different releases, export the model again`,
    );
  }
  if (tree.batch !== 1) {
    throw new Problem(`${DESCRIPTION}: expected batch 1, got ${tree.batch}; export the model with batch=1`);
  }
  return tree;
}

/** Returns a graph's bytes, unpacked and compared with the digest in dream.json. */
export async function readGraph(folder, graph, onBytes) {
  const bytes = await unpack(await folder.read(graph.file, onBytes));
  // Browsers offer digests to pages from https and from this machine only.
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== graph.sha256) {
      throw new Problem(`${graph.file}: expected the file that ${DESCRIPTION} describes, got another one; export the model again`);
    }
  }
  return bytes;
}

/** Unpacks gzip; other bytes are returned as they are, since some servers unpack by themselves. */
export async function unpack(bytes) {
  if (bytes[0] !== GZIP[0] || bytes[1] !== GZIP[1]) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return gather(stream, () => {});
}

async function gather(stream, onBytes) {
  const parts = [];
  let length = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    onBytes(value.length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
