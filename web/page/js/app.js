/** The page: makes its parts and lets them know of each other. */

import { Clock } from "./clock.js";
import { BUTTONS, Controls } from "./controls.js";
import { Dream } from "./dream.js";
import { filesOfDrop, sortDropped } from "./drops.js";
import { Engine } from "./engine.js";
import { ServedFolder } from "./folder.js";
import { Hud } from "./hud.js";
import { newSeed } from "./noise.js";
import { Panel } from "./panel.js";
import { lineOf } from "./problem.js";
import { actionsOf, download, gifOf, numbersOf } from "./saving.js";
import { Screen, pixelsOf } from "./screen.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const DREAMS = "dreams/index.json";
const THEMES = ["auto", "light", "dark"];

class App {
  constructor() {
    this.hud = new Hud();
    this.screen = new Screen($("picture"), $("heat"), $("glow"));
    this.timeline = new Timeline($("timeline"), (at) => this.seek(at));
    this.clock = new Clock(() => this.step());
    this.controls = new Controls(() => this.#pressed());
    this.device = "wasm";
    this.precision = new URLSearchParams(location.search).get("weights") ?? "int8";
    this.panel = new Panel({
      start: (number) => this.begin(number, true),
      pace: () => this.clock?.running && this.clock.start(this.rate),
      precision: (precision) => this.#reload({ precision }),
      device: (device) => this.#reload({ device }),
      model: (number) => this.#guard(() => this.open(new ServedFolder(this.models[number].folder), Number(number))),
    });
    this.#listen();
  }

  /** Opens the first model that the server offers. */
  async run() {
    await this.#guard(async () => {
      const index = await new ServedFolder(".").read(DREAMS);
      this.models = JSON.parse(new TextDecoder().decode(index));
      await this.open(new ServedFolder(this.models[0].folder), 0);
    });
  }

  get rate() {
    return (this.engine?.description.steps_per_second ?? 15) * this.panel.pace;
  }

  /** Loads a folder's model and shows its first start. */
  async open(folder, number = -1) {
    await this.clock.stop();
    // A folder that holds no dream leaves the one that is played alone.
    const engine = await Engine.open(folder);
    const { description } = engine;
    this.engine?.stop();
    this.hud.clearProblem();
    this.hud.state = "loading";
    this.hud.cover("Loading the model");
    $("game").textContent = spell(description.game);
    document.title = `${spell(description.game)}: play the dream`;
    this.screen.describe(description);
    this.controls.describe(description);
    try {
      await engine.start(this.device, this.precision, (share) => this.hud.loaded(share));
    } catch (error) {
      engine.stop();
      this.hud.fail(lineOf(error));
      return;
    }
    this.engine = engine;
    this.panel.models(this.models ?? [], number);
    this.panel.describe(engine);
    await this.begin(0);
    await this.panel.starts(description.starts, description.frame_shape, (tokens) => engine.decode(tokens));
  }

  /** Begins a dream in one of the model's starts, or in one that was made of a picture. */
  async begin(start, plays = false) {
    await this.clock.stop();
    this.startNumber = typeof start === "number" ? start : -1;
    this.start = typeof start === "number" ? this.engine.description.starts[start] : start;
    this.dream = new Dream(this.engine, this.start, newSeed());
    this.timeline.show(this.dream);
    this.panel.markStart(this.startNumber);
    const pixels = await this.dream.begin();
    this.needsState = false;
    this.hud.lives = undefined;
    this.#show(pixels);
    this.hud.cover("Play", "press an arrow key, or tap here");
    this.hud.state = "ready";
    if (plays) await this.play();
  }

  async play() {
    if (!this.dream || this.clock.running || ["loading", "failed"].includes(this.hud.state)) return;
    if (this.dream.over) return this.begin(this.startNumber < 0 ? this.start : this.startNumber, true);
    if (this.needsState) await this.dream.catchUp();
    this.needsState = false;
    this.hud.state = "playing";
    this.clock.start(this.rate);
  }

  async pause() {
    if (!this.clock.running) return;
    await this.clock.stop();
    this.hud.state = "paused";
    this.hud.cover("Paused", `step ${this.dream.at}`);
    $("rate").textContent = "–";
    $("rate-box").dataset.kept = "";
  }

  /** One step under the buttons that are down, or under a given action. */
  async step(action = this.controls.take()) {
    const { dream } = this;
    try {
      const result = await dream.step(action, this.panel.temperature);
      this.milliseconds = result.totalMilliseconds;
      this.#show(result.pixels, action);
      if (result.reward) this.hud.flash(`${result.reward > 0 ? "+" : ""}${result.reward}`);
      else if (result.lifeLost) this.hud.flash("life lost");
      if (result.end) {
        this.clock.running = false;
        this.hud.state = "over";
        this.hud.cover("The game ended", "press Enter or tap to play again");
      }
    } catch (error) {
      this.clock.running = false;
      this.hud.fail(lineOf(error));
    }
  }

  /** One step while paused. */
  async single() {
    if (!this.dream || this.dream.over) return;
    await this.pause();
    if (this.needsState) await this.dream.catchUp();
    this.needsState = false;
    // Keys are held for the next single step, and do not start the dream.
    if (this.hud.state !== "failed") this.hud.state = "stepping";
    await this.step();
  }

  /** Shows an earlier or later frame; playing on from there makes a branch. */
  async seek(at) {
    if (!this.dream) return;
    // A dragged handle asks for more frames than there is time for: the last one counts.
    this.wanted = at;
    if (this.seeking) return;
    this.seeking = true;
    await this.clock.stop();
    this.hud.state = "looking";
    this.needsState = true;
    while (this.wanted !== null) {
      const next = this.wanted;
      this.wanted = null;
      this.#show(await this.dream.seek(next));
    }
    this.seeking = false;
  }

  async takeBranch(number) {
    await this.clock.stop();
    this.hud.state = "looking";
    this.needsState = true;
    this.#show(await this.dream.takeBranch(number));
  }

  /** Plays a saved list of actions again. */
  async replay(tree, name) {
    const actions = numbersOf(tree, this.engine.description, name);
    await this.begin(tree.start);
    this.dream.seed = tree.seed;
    this.hud.state = "looking";
    for (const [t, action] of actions.entries()) {
      const result = await this.dream.step(action, tree.temperatures[t]);
      this.#show(result.pixels, action);
    }
  }

  /** Begins in a picture: its tokens are the only known frame. */
  async startFrom(blob, name) {
    const [height, width] = this.engine.description.frame_shape;
    let rgba;
    try {
      rgba = await pixelsOf(blob, width, height);
    } catch {
      throw new Error(`${name} is not a picture that this browser can read`);
    }
    const tokens = await this.engine.encode(rgba);
    await this.begin({ name, tokens: [[...tokens]], actions: [], lives: null });
  }

  async take({ name, files }) {
    const dropped = await sortDropped(name, files);
    if (dropped.kind === "folder") await this.open(dropped.folder);
    if (dropped.kind === "picture") await this.startFrom(dropped.blob, dropped.name);
    if (dropped.kind === "actions") await this.replay(dropped.tree, dropped.name);
  }

  #show(pixels, action) {
    this.screen.draw(pixels, this.dream.last?.entropy);
    this.hud.showDream(this.dream);
    this.hud.showRate(this.clock);
    this.timeline.draw();
    if (this.shownBranches !== this.dream.branches) {
      this.shownBranches = this.dream.branches;
      this.panel.branches(this.dream, (number) => this.#guard(() => this.takeBranch(number)));
    }
    if (action !== undefined) $("action").textContent = this.engine.description.actions[action].name;
    for (const element of document.querySelectorAll("[data-button]")) {
      element.classList.toggle("down", this.controls.isDown(element.dataset.button));
    }
  }

  #pressed() {
    if (["ready", "paused", "looking"].includes(this.hud.state)) this.#guard(() => this.play());
  }

  async #reload(change) {
    Object.assign(this, change);
    const folder = this.engine.folder;
    await this.#guard(() => this.open(folder, Number($("model").value || -1)));
  }

  /** Runs something that may go wrong, and tells what did. */
  async #guard(action) {
    try {
      await action();
    } catch (error) {
      if (this.engine) this.hud.warn(lineOf(error));
      else this.hud.fail(lineOf(error));
    }
  }

  #listen() {
    this.controls.listenToKeys(window);
    this.controls.listenToPad($("pad"));
    this.controls.listenToButton($("fire"), BUTTONS[4]);
    const on = (id, action) => $(id).addEventListener("click", () => this.#guard(action));
    const toggle = () => (this.clock.running ? this.pause() : this.play());
    const again = () => this.begin(this.startNumber < 0 ? this.start : this.startNumber);
    const second = () => this.seek(this.dream.at - Math.round(this.engine.description.steps_per_second));
    const heat = () => {
      this.screen.heatIsOn = !this.screen.heatIsOn;
      $("heat-switch").setAttribute("aria-pressed", this.screen.heatIsOn);
      $("heat").hidden = !this.screen.heatIsOn;
      this.screen.drawHeat();
    };
    on("cover", () => this.play());
    on("play", toggle);
    on("restart", again);
    on("back", second);
    on("single", () => this.single());
    on("heat-switch", heat);
    on("save-gif", async () => {
      await this.pause();
      download(await gifOf(this.dream, this.engine.description.steps_per_second), `${this.#fileName()}.gif`, "image/gif");
    });
    on("save-actions", () => download(JSON.stringify(actionsOf(this.dream)), `${this.#fileName()}.json`, "application/json"));
    for (const [button, input] of [["open", "file"], ["open-folder", "folder"]]) {
      on(button, () => $(input).click());
      $(input).addEventListener("change", () => {
        const files = new Map([...$(input).files].map((file) => [file.name, file]));
        const name = $(input).files[0]?.webkitRelativePath.split("/")[0] || $(input).files[0]?.name;
        $(input).value = "";
        if (files.size) this.#guard(() => this.take({ name, files }));
      });
    }
    const keys = { Enter: toggle, Period: () => this.single(), Backspace: second, KeyR: again, KeyH: heat };
    window.addEventListener("keydown", (event) => {
      const isFree = !event.target.matches("input, select, button, summary") && !event.ctrlKey && !event.metaKey;
      if (!(event.code in keys) || !isFree || !this.dream) return;
      event.preventDefault();
      this.#guard(keys[event.code]);
    });
    // A click leaves the keys to the game.
    document.addEventListener("click", (event) => event.target.closest?.("button")?.blur());
    document.addEventListener("visibilitychange", () => document.hidden && this.pause());
    window.addEventListener("blur", () => document.hasFocus() || this.controls.releaseAll());
    this.#listenToDrops();
    this.#listenToTheme();
  }

  #listenToDrops() {
    const mark = (is) => document.body.classList.toggle("dropping", is);
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      mark(true);
    });
    window.addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      mark(false);
      this.#guard(async () => this.take(await filesOfDrop(event.dataTransfer)));
    });
  }

  #listenToTheme() {
    const root = document.documentElement;
    const show = () => ($("theme").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[root.dataset.theme]);
    $("theme").addEventListener("click", () => {
      root.dataset.theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      localStorage.setItem("theme", root.dataset.theme);
      show();
      this.timeline.draw();
    });
    show();
  }

  #fileName() {
    return `${this.engine.description.game}-${this.start.name.replaceAll(/\W+/g, "-")}-${this.dream.at}-steps`;
  }
}

/** MontezumaRevenge as Montezuma Revenge. */
function spell(game) {
  return game.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ");
}

export const app = new App();
// For whoever wants to look inside from the console; the tests do.
globalThis.worldtokens = app;
app.run();
