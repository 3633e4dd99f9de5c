/** Score, lives, doubt and rate above the screen; the line in the middle of it. */

const $ = (id) => document.getElementById(id);

export class Hud {
  constructor() {
    this.page = $("page");
    this.shownAt = 0;
  }

  /** loading | ready | playing | paused | looking | stepping | over | failed */
  set state(state) {
    this.page.dataset.state = state;
    $("play").setAttribute("aria-label", state === "playing" ? "Pause" : "Play");
  }

  get state() {
    return this.page.dataset.state;
  }

  cover(title, text = "") {
    $("cover-title").textContent = title;
    $("cover-text").textContent = text;
  }

  loaded(share) {
    this.page.style.setProperty("--loaded", share);
    $("cover-text").textContent = `${Math.round(100 * share)} %`;
  }

  fail(line) {
    this.state = "failed";
    $("problem").textContent = line;
    $("problem").hidden = false;
  }

  clearProblem() {
    $("problem").hidden = true;
  }

  /** Tells something that went wrong while the dream goes on. */
  warn(line) {
    $("problem").textContent = line;
    $("problem").hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.state !== "failed" && this.clearProblem(), 6000);
  }

  showDream(dream) {
    $("score").textContent = Math.round(dream.score).toLocaleString("en");
    $("steps").textContent = dream.at;
    $("doubt").textContent = (dream.last?.frameEntropy ?? 0).toFixed(1);
    const lives = dream.lives;
    $("lives-box").hidden = lives === null;
    if (lives !== null && this.lives !== lives) {
      $("lives").replaceChildren(
        ...Array.from({ length: dream.start.lives }, (_, i) => {
          const life = document.createElement("i");
          life.className = i < lives ? "" : "lost";
          return life;
        }),
      );
      $("lives").setAttribute("aria-label", `${lives} of ${dream.start.lives}`);
      this.lives = lives;
    }
  }

  flash(text) {
    const flash = $("flash");
    flash.textContent = text;
    flash.classList.remove("on");
    void flash.offsetWidth;
    flash.classList.add("on");
  }

  /** Shows the measured rate, four times a second. */
  showRate(clock) {
    const now = performance.now();
    if (now - this.shownAt < 250) return;
    this.shownAt = now;
    const measured = clock.running ? clock.measured : null;
    $("rate").textContent = measured === null ? "–" : measured.toFixed(1);
    const wanted = Number.isFinite(clock.rate) ? clock.rate : 0;
    $("rate-box").dataset.kept = measured === null ? "" : measured >= 0.97 * wanted ? "yes" : "no";
  }
}
