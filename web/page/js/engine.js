/** The graphs of a dream in a worker, as functions that return promises. */

import { Problem } from "./problem.js";
import { readDescription, readGraph } from "./folder.js";

/** The smallest module that uses SIMD, to ask whether the browser knows it. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const MOST_THREADS = 4;

export class Engine {
  /** Reads the description; nothing large is loaded before `start`. */
  static async open(folder) {
    checkBrowser();
    return new Engine(folder, await readDescription(folder));
  }

  constructor(folder, description) {
    this.folder = folder;
    this.description = description;
    this.waiting = new Map();
    this.count = 0;
    this.worker = null;
  }

  /**
   * Loads graphs and runtime.
   * @param device wasm | webgpu
   * @param precision float32 | int8
   * @param onProgress called with the share that is loaded
   */
  async start(device, precision, onProgress = () => {}) {
    const steps = this.description.graphs.step;
    this.device = device;
    this.precision = precision in steps ? precision : "float32";
    this.threads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, Math.max(1, navigator.hardwareConcurrency - 1)) : 1;
    this.stop();
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#answer(data);
    this.worker.onerror = (event) => {
      event.preventDefault?.();
      this.#failAll(new Problem("js/worker.js: the browser cannot run this file; is one of the page's files missing?"));
    };
    const wanted = { step: steps[this.precision], decode: this.description.graphs.decode.float32 };
    const sum = Object.values(wanted).reduce((bytes, graph) => bytes + (graph.wire ?? graph.bytes), 0);
    let loaded = 0;
    const reads = Object.entries(wanted).map(async ([name, graph]) => [
      name,
      await readGraph(this.folder, graph, (bytes) => {
        loaded += bytes;
        onProgress(Math.min(1, loaded / sum));
      }),
    ]);
    const starting = this.call("start", { device, threads: this.threads });
    // Both may fail; the first failure is told.
    const [graphs] = await Promise.all([Promise.all(reads), starting]);
    await this.call("load", { description: this.description, graphs: Object.fromEntries(graphs), device });
  }

  /** Asks the worker; see worker.js. */
  call(call, rest = {}) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, call, ...rest });
    });
  }

  step(tokens, action, noise, temperature, pixels = true) {
    return this.call("step", { tokens, action, noise, temperature, pixels });
  }

  decode(tokens) {
    return this.call("decode", { tokens });
  }

  /** Returns the tokens of a picture; its graph is loaded when the first is dropped. */
  async encode(rgba) {
    if (!(await this.call("has", { name: "encode" }))) {
      const bytes = await readGraph(this.folder, this.description.graphs.encode.float32);
      await this.call("add", { name: "encode", bytes, device: "wasm" });
    }
    return this.call("encode", { rgba });
  }

  stop() {
    this.worker?.terminate();
    this.#failAll(new Problem("another model was loaded meanwhile"));
  }

  #answer({ id, result, error }) {
    const promise = this.waiting.get(id);
    this.waiting.delete(id);
    if (error !== undefined) promise?.reject(new Problem(error));
    else promise?.resolve(result);
  }

  #failAll(problem) {
    for (const { reject } of this.waiting.values()) reject(problem);
    this.waiting.clear();
  }
}

/** Throws where the browser cannot run the graphs at all. */
export function checkBrowser() {
  if (typeof WebAssembly !== "object") {
    throw new Problem("this browser has no WebAssembly, which the model needs; try a current Firefox, Chrome, Edge or Safari");
  }
  if (!WebAssembly.validate(Uint8Array.from(SIMD))) {
    throw new Problem("this browser has no WebAssembly SIMD, which the model needs; try a current Firefox, Chrome, Edge or Safari");
  }
  if (typeof DecompressionStream !== "function") {
    throw new Problem("this browser cannot unpack gzip, which the model's files need; try a current Firefox, Chrome, Edge or Safari");
  }
}
