/** Keyboard, touch and gamepad as one set of buttons, and the action that they mean. */

export const BUTTONS = ["UP", "DOWN", "LEFT", "RIGHT", "FIRE"];
const OPPOSITE = { UP: "DOWN", DOWN: "UP", LEFT: "RIGHT", RIGHT: "LEFT" };
const STICK = 0.4;

export class Controls {
  /** @param onPress called with a button that went down */
  constructor(onPress = () => {}) {
    this.onPress = onPress;
    this.held = new Map(BUTTONS.map((button) => [button, new Set()]));
    this.tapped = new Set();
    this.order = [];
  }

  /** Sets which action names and keys there are, see dream.json. */
  describe({ actions, keys }) {
    this.actions = actions.map(({ buttons }) => new Set(buttons));
    this.keys = new Map();
    for (const [button, codes] of Object.entries(keys)) for (const code of codes) this.keys.set(code, button);
  }

  /** Presses or releases a button for one source: a key, a finger, a gamepad. */
  set(button, source, down) {
    const sources = this.held.get(button);
    if (down === sources.has(source)) return;
    if (down) {
      sources.add(source);
      this.tapped.add(button);
      this.order = [...this.order.filter((other) => other !== button), button];
      this.onPress(button);
    } else {
      sources.delete(source);
    }
  }

  release(source) {
    for (const sources of this.held.values()) sources.delete(source);
  }

  releaseAll() {
    for (const sources of this.held.values()) sources.clear();
    this.tapped.clear();
  }

  isDown(button) {
    return this.held.get(button).size > 0;
  }

  /** The action of what is held, or was tapped since the last step; counts taps as seen. */
  take() {
    this.readGamepads();
    const down = new Set(BUTTONS.filter((button) => this.isDown(button) || this.tapped.has(button)));
    this.tapped.clear();
    return this.actionOf(down);
  }

  /** The action that does most of what is down and nothing else; of two opposites the later one. */
  actionOf(down) {
    const wanted = new Set(down);
    for (const button of [...this.order].reverse()) if (wanted.has(button)) wanted.delete(OPPOSITE[button]);
    let best = 0;
    let most = -1;
    this.actions.forEach((parts, action) => {
      if (parts.size > most && [...parts].every((part) => wanted.has(part))) {
        best = action;
        most = parts.size;
      }
    });
    return best;
  }

  listenToKeys(target) {
    target.addEventListener("keydown", (event) => {
      const button = this.keys?.get(event.code);
      if (!button || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target, event.code)) return;
      event.preventDefault();
      if (!event.repeat) this.set(button, event.code, true);
    });
    target.addEventListener("keyup", (event) => {
      const button = this.keys?.get(event.code);
      if (button) this.set(button, event.code, false);
    });
    target.addEventListener("blur", () => this.releaseAll());
  }

  /** A pad: a finger on it presses the directions that it points to, diagonals too. */
  listenToPad(pad) {
    const point = (event) => {
      const box = pad.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width - 0.5;
      const y = (event.clientY - box.top) / box.height - 0.5;
      const far = Math.hypot(x, y) > 0.12;
      // A direction counts where it has at least two fifths of the other one.
      const sure = (one, other) => far && one > 0 && one > 0.4 * Math.abs(other);
      const down = { RIGHT: sure(x, y), LEFT: sure(-x, y), DOWN: sure(y, x), UP: sure(-y, x) };
      for (const [button, is] of Object.entries(down)) this.set(button, `touch${event.pointerId}`, is);
    };
    this.#pointer(pad, point);
  }

  /** A button for fingers. */
  listenToButton(element, button) {
    this.#pointer(element, (event) => this.set(button, `touch${event.pointerId}`, true));
  }

  #pointer(element, onMove) {
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      onMove(event);
    });
    element.addEventListener("pointermove", (event) => {
      if (element.hasPointerCapture(event.pointerId)) onMove(event);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(name, (event) => this.release(`touch${event.pointerId}`));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Gamepads tell nothing by themselves: they are asked before each step. */
  readGamepads() {
    for (const gamepad of navigator.getGamepads?.() ?? []) {
      if (!gamepad) continue;
      const source = `gamepad${gamepad.index}`;
      const pressed = (...numbers) => numbers.some((number) => gamepad.buttons[number]?.pressed);
      const [x = 0, y = 0] = gamepad.axes;
      this.set("UP", source, pressed(12) || y < -STICK);
      this.set("DOWN", source, pressed(13) || y > STICK);
      this.set("LEFT", source, pressed(14) || x < -STICK);
      this.set("RIGHT", source, pressed(15) || x > STICK);
      this.set("FIRE", source, pressed(0, 1, 2, 3));
    }
  }
}

function isTyping(element, code) {
  if (element?.matches?.("input[type=range]")) return code.startsWith("Arrow");
  return Boolean(element?.matches?.("input, textarea, select, [contenteditable]")) || (code === "Space" && Boolean(element?.matches?.("button, summary, a")));
}
