/** Calls a step at a steady pace, and says how well it is kept. */

const LATE_MILLISECONDS = 20;
/** A step that is so late moves the schedule: the page was hidden, or the pace is too much. */
const LOST_MILLISECONDS = 250;
const KEPT = 240;

export class Clock {
  /** @param step an async function; the next call waits for it */
  constructor(step) {
    this.step = step;
    this.running = false;
    this.rate = 15;
    this.count = 0;
    this.late = 0;
    this.began = [];
    this.busy = [];
  }

  /** Runs at `rate` steps/s; Infinity for as fast as the model goes. */
  start(rate = this.rate) {
    this.rate = rate;
    this.#reset();
    if (this.running) return;
    this.running = true;
    this.finished = this.#run();
  }

  /** Stops after the step that is under way. */
  async stop() {
    this.running = false;
    await this.finished;
  }

  /** Measured steps per second of the last steps; null before two of them. */
  get measured() {
    const recent = this.began.slice(-Math.max(8, Math.round(Math.min(this.rate, 60))));
    if (recent.length < 2) return null;
    return (1000 * (recent.length - 1)) / (recent.at(-1) - recent[0]);
  }

  #reset() {
    this.next = performance.now();
    this.began = [];
    this.busy = [];
  }

  async #run() {
    while (this.running) {
      const wait = this.next - performance.now();
      // Timers fire up to some milliseconds late, so that the last stretch is waited for in turns.
      if (wait > 0) {
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (!this.running) break;
      }
      const now = performance.now();
      const late = now - this.next;
      this.began.push(now);
      if (this.began.length > KEPT) this.began.shift();
      await this.step();
      const done = performance.now();
      this.busy.push(done - now);
      if (this.busy.length > KEPT) this.busy.shift();
      this.count++;
      if (Number.isFinite(this.rate)) {
        if (late > LATE_MILLISECONDS) this.late++;
        this.next += 1000 / this.rate;
        if (done - this.next > LOST_MILLISECONDS) this.next = done;
      } else {
        this.next = done;
        // Lets keys and drawing have their turn.
        await new Promise((resolve) => channel(resolve));
      }
    }
  }
}

/** Calls back after other waiting work, without the 4 ms that browsers add to short timers. */
const { port1, port2 } = new MessageChannel();
const callbacks = [];
port1.onmessage = () => callbacks.shift()?.();
function channel(callback) {
  callbacks.push(callback);
  port2.postMessage(0);
}
