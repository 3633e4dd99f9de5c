/** The settings beside the screen. */

const $ = (id) => document.getElementById(id);
const PACES = [[0.25, "¼×"], [0.5, "½×"], [1, "1×"], [2, "2×"], [Infinity, "max"]];
const PRECISIONS = { int8: "8 bits", float32: "32 bits" };
const DEVICES = { wasm: "processor (WASM)", webgpu: "graphics card (WebGPU)" };

export class Panel {
  /** @param on {start, temperature, pace, precision, device, model}: called with what was chosen */
  constructor(on) {
    this.on = on;
    this.pace = 1;
    $("temperature").addEventListener("input", () => this.#showTemperature());
    this.#showTemperature();
    $("pace").replaceChildren(
      ...PACES.map(([pace, name]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = name;
        button.setAttribute("role", "radio");
        button.dataset.pace = pace;
        button.addEventListener("click", () => this.#choosePace(pace));
        return button;
      }),
    );
    this.#choosePace(1);
    for (const name of ["precision", "device", "model"]) {
      $(name).addEventListener("change", () => {
        on[name]($(name).value);
        $(name).blur();
      });
    }
    $("more").addEventListener("click", (event) => {
      event.stopPropagation();
      this.toggle();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!$("panel").contains(event.target) && event.target !== $("more")) this.toggle(false);
    });
  }

  get temperature() {
    return Number($("temperature").value);
  }

  toggle(open = !document.body.classList.contains("panel-open")) {
    document.body.classList.toggle("panel-open", open);
    $("more").setAttribute("aria-expanded", open);
  }

  /** Lists the models of this site. */
  models(list, chosen) {
    $("model").replaceChildren(...list.map(({ name }, number) => new Option(name, number, false, number === chosen)));
    $("model").closest(".row").hidden = list.length < 2;
  }

  /** Shows what a model offers, and what runs now. */
  describe(engine) {
    const { description, device, precision, threads } = engine;
    const { graphs, actions, grid, vocab_size, fingerprints } = description;
    const option = (graph, name) => `${PRECISIONS[name] ?? name}, ${((graph.wire ?? graph.bytes) / 1e6).toFixed(1)} MB`;
    $("precision").replaceChildren(
      ...Object.entries(graphs.step).map(([name, graph]) => new Option(option(graph, name), name, false, name === precision)),
    );
    const devices = Object.keys(DEVICES).filter((name) => name === "wasm" || navigator.gpu);
    $("device").replaceChildren(...devices.map((name) => new Option(DEVICES[name], name, false, name === device)));
    $("action-count").textContent = actions.length;
    const runs = device === "wasm" ? `${threads} thread${threads > 1 ? "s" : ""}` : "graphics card";
    const agreement = graphs.step[precision].agreement;
    const same = agreement == null ? "" : `, ${(100 * agreement).toFixed(1)} % of its tokens as in PyTorch`;
    $("facts").textContent = `${description.prediction}, ${grid[0] * grid[1]} tokens of ${vocab_size}, ${runs}${same}. ${fingerprints.world_model.slice(0, 8)}`;
  }

  /** Shows pictures of the starts; `decode` returns the pixels of tokens. */
  async starts(starts, shape, decode) {
    const [height, width] = shape;
    const buttons = starts.map((start, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = start.name;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const name = document.createElement("span");
      name.textContent = start.name.replace(/^(room|start) /, "");
      button.append(canvas, name);
      button.addEventListener("click", () => {
        button.blur();
        this.toggle(false);
        this.on.start(number);
      });
      return button;
    });
    $("starts").replaceChildren(...buttons);
    this.markStart(this.marked);
    $("starts-title").textContent = starts[0]?.name.startsWith("room") ? "Start in room" : "Start";
    for (const [number, start] of starts.entries()) {
      const pixels = await decode(start.tokens.at(-1));
      buttons[number].firstChild.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
    }
  }

  markStart(number) {
    this.marked = number;
    [...$("starts").children].forEach((button, other) => button.setAttribute("aria-pressed", other === number));
  }

  branches(dream, onTake) {
    $("branches").replaceChildren(
      ...dream.branches.map(({ at, steps }, number) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `from step ${at}: ${steps.length} steps`;
        button.title = "Go back to this branch";
        button.addEventListener("click", () => onTake(number));
        return button;
      }),
    );
  }

  #choosePace(pace) {
    this.pace = pace;
    for (const button of $("pace").children) {
      button.setAttribute("aria-checked", Number(button.dataset.pace) === pace);
      button.blur();
    }
    this.on.pace?.(pace);
  }

  #showTemperature() {
    $("temperature-value").textContent = this.temperature ? this.temperature.toFixed(1) : "likeliest";
  }
}
