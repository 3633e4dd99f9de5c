/** One dream: its frames so far, how it goes on, and how it is rewound. */

import { noiseOf } from "./noise.js";

/** States of so many steps are kept; between them a rewind reads known frames again. */
const MOST_STATES = 24;
const FIRST_SPACING = 8;

/**
 * @typedef {object} Step
 * @property {Uint32Array} tokens of the frame after it
 * @property {number} action that led there
 * @property {number} temperature
 * @property {number} reward
 * @property {boolean} end
 * @property {boolean} lifeLost
 * @property {Float32Array} entropy nats of each token
 * @property {number} frameEntropy
 */

export class Dream {
  /**
   * @param engine a started Engine
   * @param start {name, tokens: frames, actions, lives}
   * @param seed of everything drawn at random
   */
  constructor(engine, start, seed) {
    this.engine = engine;
    this.start = start;
    this.seed = seed;
    /** @type {Step[]} */
    this.steps = [];
    this.at = 0;
    this.states = [];
    this.spacing = FIRST_SPACING;
    this.branches = [];
  }

  /** Reads the known frames but the last. */
  async begin() {
    const { tokens, actions } = this.start;
    await this.engine.call("reset");
    const noise = new Float32Array(this.engine.description.noise.size);
    for (let t = 0; t + 1 < tokens.length; t++) {
      await this.engine.step(Uint32Array.from(tokens[t]), actions[t], noise, 0, false);
    }
    await this.#save(0);
    return this.engine.decode(this.tokens);
  }

  /** The frame that is shown. */
  get tokens() {
    return this.at ? this.steps[this.at - 1].tokens : Uint32Array.from(this.start.tokens.at(-1));
  }

  get last() {
    return this.steps[this.at - 1];
  }

  get over() {
    return Boolean(this.last?.end);
  }

  get score() {
    let sum = 0;
    for (let t = 0; t < this.at; t++) sum += this.steps[t].reward;
    return sum;
  }

  get lives() {
    if (!this.engine.description.predicts_lives || this.start.lives == null) return null;
    let lost = 0;
    for (let t = 0; t < this.at; t++) lost += this.steps[t].lifeLost;
    return Math.max(0, this.start.lives - lost);
  }

  /** Takes an action at the frame that is shown; what came after it before becomes a branch. */
  async step(action, temperature) {
    if (this.at < this.steps.length) this.#branch();
    const noise = noiseOf(this.seed, this.at, this.engine.description.noise.size);
    const result = await this.engine.step(this.tokens, action, noise, temperature);
    const { tokens, reward, end, lifeLost, entropy, frameEntropy } = result;
    this.steps.push({ tokens, action, temperature, reward, end, lifeLost, entropy, frameEntropy });
    this.at = this.steps.length;
    if (this.at % this.spacing === 0) await this.#save(this.at);
    return result;
  }

  /** Goes to the frame after `at` steps; returns its pixels. */
  async seek(at) {
    this.at = Math.max(0, Math.min(at, this.steps.length));
    return this.engine.decode(this.tokens);
  }

  /** Brings the model's state to the frame that is shown, by reading frames again. */
  async catchUp() {
    const from = this.states.filter((t) => t <= this.at).at(-1);
    await this.engine.call("restore", { key: from });
    const noise = new Float32Array(this.engine.description.noise.size);
    for (let t = from; t < this.at; t++) {
      const tokens = t ? this.steps[t - 1].tokens : Uint32Array.from(this.start.tokens.at(-1));
      await this.engine.step(tokens, this.steps[t].action, noise, 0, false);
    }
  }

  /** Goes to the end of a branch; what is now there becomes one. */
  async takeBranch(number) {
    const branch = this.branches[number];
    this.branches = this.branches.filter((other) => other !== branch);
    if (this.steps.length > branch.at) this.#keepRest(branch.at);
    await this.#cut(branch.at);
    this.steps.push(...branch.steps);
    return this.seek(this.steps.length);
  }

  #branch() {
    this.#keepRest(this.at);
    return this.#cut(this.at);
  }

  /** Keeps what comes after a step as a branch; a new list, so that who shows it sees the change. */
  #keepRest(at) {
    this.branches = [...this.branches, { at, steps: this.steps.slice(at) }];
  }

  /** Forgets what comes after a step. */
  async #cut(at) {
    this.steps.length = at;
    const stale = this.states.filter((t) => t > at);
    this.states = this.states.filter((t) => t <= at);
    await this.engine.call("forget", { keys: stale });
  }

  async #save(at) {
    this.states.push(at);
    await this.engine.call("save", { key: at });
    if (this.states.length > MOST_STATES) {
      // Half as many, twice as far apart: memory stays flat however long the dream is.
      this.spacing *= 2;
      const dropped = this.states.filter((t) => t % this.spacing);
      this.states = this.states.filter((t) => t % this.spacing === 0);
      await this.engine.call("forget", { keys: dropped });
    }
  }
}
