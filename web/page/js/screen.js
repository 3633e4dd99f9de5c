/** The picture: a frame, and over it a heat map of how unsure the model was of each token. */

/** Nats of a token that count as full doubt. */
const FULL_DOUBT = 2.5;
/** The light around the screen: the frame in so few pixels that the browser blurs it for nothing. */
const GLOW_PIXELS = 7;
/** Its large area is costly to put together without a graphics card. */
const GLOW_MILLISECONDS = 400;

export class Screen {
  /**
   * @param picture canvas of the frame
   * @param heat canvas over it
   * @param glow canvas behind it
   */
  constructor(picture, heat, glow) {
    this.picture = picture.getContext("2d");
    this.heat = heat.getContext("2d");
    this.glow = glow.getContext("2d");
    this.heatIsOn = false;
    this.glowedAt = -Infinity;
  }

  describe({ frame_shape: [height, width], grid: [rows, columns] }) {
    [this.picture.canvas.width, this.picture.canvas.height] = [width, height];
    [this.glow.canvas.width, this.glow.canvas.height] = [GLOW_PIXELS, GLOW_PIXELS];
    this.glow.imageSmoothingQuality = "high";
    [this.heat.canvas.width, this.heat.canvas.height] = [columns, rows];
    [this.width, this.height, this.columns, this.rows] = [width, height, columns, rows];
  }

  draw(rgba, entropy) {
    const image = new ImageData(rgba, this.width, this.height);
    this.picture.putImageData(image, 0, 0);
    if (performance.now() - this.glowedAt > GLOW_MILLISECONDS) {
      this.glowedAt = performance.now();
      this.glow.drawImage(this.picture.canvas, 0, 0, GLOW_PIXELS, GLOW_PIXELS);
    }
    this.entropy = entropy;
    this.drawHeat();
  }

  drawHeat() {
    this.heat.clearRect(0, 0, this.columns, this.rows);
    if (!this.heatIsOn || !this.entropy) return;
    const cells = new ImageData(this.columns, this.rows);
    this.entropy.forEach((nats, place) => cells.data.set(heatOf(nats), 4 * place));
    this.heat.putImageData(cells, 0, 0);
  }
}

/** Returns the colour of doubt, RGBA: clear, violet, orange, yellow. */
export function heatOf(nats) {
  const share = Math.sqrt(Math.min(1, Math.max(0, nats) / FULL_DOUBT));
  const stops = [[70, 20, 160], [225, 60, 110], [255, 150, 40], [255, 240, 150]];
  const at = share * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  const mix = stops[low].map((value, i) => value + (at - low) * (stops[low + 1][i] - value));
  return [...mix.map(Math.round), Math.round(225 * Math.min(1, 1.6 * share))];
}

/** Returns a picture's pixels, RGBA, at a frame's size; its middle if it has another shape. */
export async function pixelsOf(blob, width, height) {
  const picture = await createImageBitmap(blob);
  const scale = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [width * scale, height * scale];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
