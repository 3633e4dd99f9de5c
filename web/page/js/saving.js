/** What a player takes home: a GIF, and the list of actions that gives the same dream again. */

import { encodeGif, delaysOf } from "./gif.js";
import { ACTIONS_FORMAT } from "./drops.js";
import { Problem } from "./problem.js";

const SCALE = 4;
/** A minute at the game's pace; longer dreams keep their last minute. */
const MOST_FRAMES = 900;

/** Returns a GIF of the steps so far, as bytes. */
export async function gifOf(dream, rate) {
  const { frame_shape: shape } = dream.engine.description;
  const first = Math.max(0, dream.at - MOST_FRAMES + 1);
  const frames = [];
  for (let t = first; t <= dream.at; t++) {
    const tokens = t ? dream.steps[t - 1].tokens : Uint32Array.from(dream.start.tokens.at(-1));
    frames.push(await dream.engine.decode(tokens));
  }
  return encodeGif(frames, shape[1], shape[0], delaysOf(frames.length, rate), SCALE);
}

/** Returns the start, the seed and the actions so far. */
export function actionsOf(dream) {
  const { description } = dream.engine;
  const steps = dream.steps.slice(0, dream.at);
  return {
    format: ACTIONS_FORMAT,
    version: 1,
    game: description.game,
    fingerprints: description.fingerprints,
    precision: dream.engine.precision,
    start: dream.start,
    seed: dream.seed,
    actions: steps.map(({ action }) => description.actions[action].name),
    temperatures: steps.map(({ temperature }) => temperature),
    rewards: steps.map(({ reward }) => reward),
    tokens: steps.map(({ tokens }) => [...tokens]),
  };
}

/** Checks a list of actions against the model that is loaded; returns numbers of actions. */
export function numbersOf(tree, description, name) {
  if (tree.fingerprints?.world_model !== description.fingerprints.world_model) {
    throw new Problem(`${name}: expected actions of the model that is loaded, got those of ${tree.game} ${String(tree.fingerprints?.world_model).slice(0, 8)}; open that model first`);
  }
  const numbers = new Map(description.actions.map((action, number) => [action.name, number]));
  return tree.actions.map((action) => {
    if (!numbers.has(action)) throw new Problem(`${name}: action ${action} does not exist in ${description.game}`);
    return numbers.get(action);
  });
}

/** Lets the browser save a file. */
export function download(content, name, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
