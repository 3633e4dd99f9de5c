/**
 * Runs the graphs, so that the page stays free for keys and drawing.
 *
 * It keeps the state of one dream; a message is {id, call, ...arguments}, its answer {id, result}
 * or {id, error}. What stands in a tensor of the state is never written to, so that a saved state
 * is a reference.
 */

import { Problem, lineOf } from "./problem.js";
import { unpack } from "./folder.js";

const VENDOR = new URL("../vendor/", import.meta.url);
const RUNTIMES = {
  wasm: { module: "ort.wasm.min.mjs", glue: "ort-wasm-simd-threaded.mjs", binary: "ort-wasm-simd-threaded.wasm.gz" },
  webgpu: {
    module: "ort.webgpu.min.mjs",
    glue: "ort-wasm-simd-threaded.asyncify.mjs",
    binary: "ort-wasm-simd-threaded.asyncify.wasm.gz",
  },
};

let ort;
let dream;
let sessions = {};
let state;
const saved = new Map();

const calls = {
  /** Starts the runtime. */
  async start({ device, threads }) {
    const { module, glue, binary } = RUNTIMES[device];
    ort = await import(new URL(module, VENDOR));
    const answer = await fetch(new URL(binary, VENDOR));
    if (!answer.ok) throw new Problem(`vendor/${binary}: expected a file, got error ${answer.status} from the server; build the page again`);
    ort.env.wasm.wasmBinary = await unpack(new Uint8Array(await answer.arrayBuffer()));
    ort.env.wasm.wasmPaths = { mjs: new URL(glue, VENDOR).href };
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
  },

  /** Loads graphs {name: bytes} of a dream, and compiles them. */
  async load({ description, graphs, device }) {
    dream = description;
    for (const session of Object.values(sessions)) await session.release();
    sessions = {};
    for (const [name, bytes] of Object.entries(graphs)) await calls.add({ name, bytes, device });
    calls.reset();
  },

  async add({ name, bytes, device }) {
    try {
      sessions[name] = await ort.InferenceSession.create(bytes, {
        executionProviders: device === "webgpu" && name === "step" ? ["webgpu", "wasm"] : ["wasm"],
        graphOptimizationLevel: "all",
        logSeverityLevel: 3,
      });
    } catch (error) {
      throw new Problem(`${name}: onnxruntime cannot load this graph (${String(error.message ?? error).split("\n")[0].slice(0, 160)})`);
    }
  },

  /** Forgets all frames. */
  reset() {
    saved.clear();
    const zeros = (shape) => shape.reduce((a, b) => a * b, 1);
    const { past, cache, frames } = dream.state;
    state = {
      past: new ort.Tensor("int64", new BigInt64Array(zeros(past)), past),
      cache: new ort.Tensor("float32", new Float32Array(zeros(cache)), cache),
      frames: new ort.Tensor("int64", new BigInt64Array(1), frames),
    };
  },

  /** Reads a frame and the action taken at it; returns what follows, decoded if `pixels`. */
  async step({ tokens, action, noise, temperature, pixels = true }) {
    const began = performance.now();
    const inputs = {
      ...state,
      tokens: integers(tokens, [1, tokens.length]),
      action: integers([action], [1]),
      noise: new ort.Tensor("float32", noise, [1, noise.length]),
      temperature: new ort.Tensor("float32", [temperature], []),
    };
    // A graph has no inputs that its model does not need.
    const feeds = Object.fromEntries(sessions.step.inputNames.map((name) => [name, inputs[name]]));
    const out = await sessions.step.run(feeds);
    state = { past: out.next_past, cache: out.next_cache, frames: out.next_frames };
    const next = Uint32Array.from(out.next_tokens.data, Number);
    const result = {
      tokens: next,
      reward: out.reward.data[0],
      end: Boolean(out.end.data[0]),
      lifeLost: Boolean(out.life_lost.data[0]),
      entropy: Float32Array.from(out.entropy.data),
      frameEntropy: out.frame_entropy.data[0],
      milliseconds: performance.now() - began,
    };
    if (pixels) result.pixels = await calls.decode({ tokens: next });
    result.totalMilliseconds = performance.now() - began;
    return result;
  },

  /** Returns the pixels of a frame, RGBA. */
  async decode({ tokens }) {
    const { frames } = await sessions.decode.run({ tokens: integers(tokens, [1, tokens.length]) });
    const rgb = frames.data;
    const rgba = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
    for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
      rgba[to] = rgb[from];
      rgba[to + 1] = rgb[from + 1];
      rgba[to + 2] = rgb[from + 2];
    }
    return rgba;
  },

  /** Returns the tokens of a frame, RGBA. */
  async encode({ rgba }) {
    const [height, width] = dream.frame_shape;
    const rgb = new Uint8Array(height * width * 3);
    for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) rgb.set(rgba.subarray(from, from + 3), to);
    const { tokens } = await sessions.encode.run({ frames: new ort.Tensor("uint8", rgb, [1, height, width, 3]) });
    return Uint32Array.from(tokens.data, Number);
  },

  has({ name }) {
    return name in sessions;
  },

  save({ key }) {
    saved.set(key, state);
  },

  restore({ key }) {
    state = saved.get(key);
  },

  forget({ keys }) {
    for (const key of keys) saved.delete(key);
  },
};

function integers(values, shape) {
  return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

// One after another, in the order of the messages.
let queue = Promise.resolve();
self.onmessage = ({ data: { id, call, ...rest } }) => {
  queue = queue.then(async () => {
    try {
      const result = await calls[call](rest);
      self.postMessage({ id, result }, result?.pixels ? [result.pixels.buffer] : []);
    } catch (error) {
      self.postMessage({ id, error: lineOf(error) });
    }
  });
};
