/** The dream so far as bars of doubt, with a handle to rewind. */

const LEAST_STEPS = 60;
const FULL_DOUBT = 12;

export class Timeline {
  /** @param onSeek called with the number of steps to go back or forth to */
  constructor(canvas, onSeek) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.dream = null;
    const seek = (event) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
      onSeek(Math.min(this.dream.steps.length, Math.round(share * this.#span())));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.dream) return;
      canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.dream && canvas.hasPointerCapture(event.pointerId)) seek(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const by = { PageUp: -15, PageDown: 15, Home: -Infinity, End: Infinity }[event.key];
      if (!this.dream || by === undefined) return;
      event.preventDefault();
      onSeek(this.dream.at + by);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(dream) {
    this.dream = dream;
    this.draw();
  }

  draw() {
    const { canvas, context, dream } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!dream) return;
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [past, future, mark, bad] = ["--bar", "--bar-ahead", "--accent", "--bad"].map(colour);
    const span = this.#span();
    const each = width / span;
    const bars = Math.min(dream.steps.length, Math.floor(width / 2));
    for (let bar = 0; bar < bars; bar++) {
      const [from, to] = [bar, bar + 1].map((edge) => Math.floor((edge * dream.steps.length) / bars));
      let most = 0;
      let event = null;
      for (const step of dream.steps.slice(from, Math.max(to, from + 1))) {
        most = Math.max(most, step.frameEntropy);
        if (step.reward) event = mark;
        if (step.lifeLost || step.end) event = bad;
      }
      const tall = 3 + (height - 10) * Math.sqrt(Math.min(1, most / FULL_DOUBT));
      context.fillStyle = from < dream.at ? past : future;
      const x = from * each;
      context.fillRect(x, height - tall, Math.max(1, (to - from) * each - (each > 3 ? 1 : 0)), tall);
      if (event) {
        context.fillStyle = event;
        context.beginPath();
        context.arc(x + each / 2, 4, 3, 0, 2 * Math.PI);
        context.fill();
      }
    }
    const x = Math.min(width - 1.5, Math.max(1.5, dream.at * each));
    context.fillStyle = mark;
    context.fillRect(x - 1, 0, 2, height);
    canvas.setAttribute("aria-valuemax", dream.steps.length);
    canvas.setAttribute("aria-valuenow", dream.at);
  }

  /** Steps that the width stands for. */
  #span() {
    return Math.max(LEAST_STEPS, this.dream.steps.length);
  }
}
