/** Random numbers that are a function of a seed and a step, so that a dream can be had again. */

/** Returns uniform float32 numbers in [0, 1). */
export function noiseOf(seed, step, count) {
  let state = mix((seed ^ 0x9e3779b9) + Math.imul(step + 1, 0x85ebca6b));
  const noise = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    // 24 bits, all of which a float32 keeps: never rounded up to 1.
    noise[i] = ((t ^ (t >>> 14)) >>> 8) / 2 ** 24;
  }
  return noise;
}

export function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
}

function mix(value) {
  value = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b);
  return value ^ (value >>> 16);
}
