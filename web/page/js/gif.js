/** Animated GIFs, written in the page. */

const MOST_COLOURS = 256;

/**
 * Returns a GIF that loops.
 * @param frames RGBA arrays of one size
 * @param delays hundredths of a second of each frame
 */
export function encodeGif(frames, width, height, delays, scale = 1) {
  const palette = choosePalette(frames);
  const bytes = new Bytes();
  const [w, h] = [width * scale, height * scale];
  bytes.text("GIF89a").short(w).short(h).byte(0xf7, 0, 0);
  for (let i = 0; i < MOST_COLOURS; i++) {
    const colour = palette.colours[i] ?? 0;
    bytes.byte(colour >> 16, (colour >> 8) & 255, colour & 255);
  }
  bytes.byte(0x21, 0xff, 11).text("NETSCAPE2.0").byte(3, 1, 0, 0, 0);
  frames.forEach((rgba, number) => {
    bytes.byte(0x21, 0xf9, 4, 4).short(delays[number]).byte(0, 0);
    bytes.byte(0x2c).short(0).short(0).short(w).short(h).byte(0);
    compress(enlarge(palette.indicesOf(rgba), width, height, scale), bytes);
  });
  return bytes.byte(0x3b).array();
}

/** Delays in hundredths of a second that add up to `rate` frames/s. */
export function delaysOf(count, rate) {
  return Array.from({ length: count }, (_, i) => Math.max(2, Math.round(((i + 1) * 100) / rate) - Math.round((i * 100) / rate)));
}

/** The commonest colours; where there are more than 256, rare ones become the nearest of these. */
function choosePalette(frames) {
  const counts = new Map();
  for (const rgba of frames) {
    for (let i = 0; i < rgba.length; i += 4) {
      const colour = (rgba[i] << 16) | (rgba[i + 1] << 8) | rgba[i + 2];
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
  }
  const colours = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_COLOURS).map(([colour]) => colour);
  const known = new Map(colours.map((colour, index) => [colour, index]));
  const nearest = (colour) => {
    let best = 0;
    let least = Infinity;
    colours.forEach((other, index) => {
      const [r, g, b] = [16, 8, 0].map((shift) => ((colour >> shift) & 255) - ((other >> shift) & 255));
      const distance = 3 * r * r + 4 * g * g + 2 * b * b;
      if (distance < least) [least, best] = [distance, index];
    });
    return best;
  };
  const indicesOf = (rgba) => {
    const indices = new Uint8Array(rgba.length / 4);
    for (let i = 0; i < indices.length; i++) {
      const colour = (rgba[4 * i] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i + 2];
      let index = known.get(colour);
      if (index === undefined) known.set(colour, (index = nearest(colour)));
      indices[i] = index;
    }
    return indices;
  };
  return { colours, indicesOf };
}

function enlarge(indices, width, height, scale) {
  const large = new Uint8Array(indices.length * scale * scale);
  for (let y = 0; y < height * scale; y++) {
    const row = Math.floor(y / scale) * width;
    for (let x = 0; x < width * scale; x++) large[y * width * scale + x] = indices[row + Math.floor(x / scale)];
  }
  return large;
}

/** LZW with codes of 9 to 12 bits, in blocks of at most 255 bytes. */
function compress(indices, bytes) {
  const [clear, end] = [256, 257];
  let size = 9;
  let next = 258;
  let codes = new Map();
  let buffer = 0;
  let bits = 0;
  let block = [];
  bytes.byte(8);
  const flush = () => {
    if (block.length) bytes.byte(block.length, ...block);
    block = [];
  };
  const write = (code) => {
    buffer |= code << bits;
    bits += size;
    while (bits >= 8) {
      block.push(buffer & 255);
      buffer >>>= 8;
      bits -= 8;
      if (block.length === 255) flush();
    }
  };
  write(clear);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = (prefix << 8) | indices[i];
    const known = codes.get(key);
    if (known !== undefined) {
      prefix = known;
      continue;
    }
    write(prefix);
    if (next === 4096) {
      write(clear);
      codes = new Map();
      [next, size] = [258, 9];
    } else {
      if (next === 1 << size) size++;
      codes.set(key, next++);
    }
    prefix = indices[i];
  }
  write(prefix);
  write(end);
  if (bits) block.push(buffer & 255);
  flush();
  bytes.byte(0);
}

class Bytes {
  constructor() {
    this.parts = new Uint8Array(1 << 16);
    this.length = 0;
  }

  byte(...values) {
    if (this.length + values.length > this.parts.length) {
      const larger = new Uint8Array(this.parts.length * 2);
      larger.set(this.parts);
      this.parts = larger;
    }
    this.parts.set(values, this.length);
    this.length += values.length;
    return this;
  }

  short(value) {
    return this.byte(value & 255, value >> 8);
  }

  text(text) {
    return this.byte(...[...text].map((letter) => letter.charCodeAt(0)));
  }

  array() {
    return this.parts.slice(0, this.length);
  }
}
