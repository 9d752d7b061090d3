// Ready pictures for the playground. Each is the same every time it is taken.

/** Numbers from 0 to 1 that are the same every time. */
function draws(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Points of one class: n places of `at(i / n)`, each moved by a normal of this width. */
function along(random, kind, n, width, at) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const round = (value) => Math.round(value * 1e4) / 1e4;
  return Array.from({ length: n }, (_, i) => {
    const [x, y] = at(i / n);
    return { x: round(x + width * normal()), y: round(y + width * normal()), kind };
  });
}

const arc = (x, y, radius, from, to) => (t) => {
  const angle = from + (to - from) * t;
  return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
};

const PICTURES = {
  blobs: (random) => [
    ...along(random, 0, 220, 0.22, () => [-0.7, 0.2]),
    ...along(random, 1, 180, 0.2, () => [0.75, 0.35]),
    ...along(random, 2, 25, 0.14, () => [0.15, -0.5]),
  ],
  moons: (random) => [
    ...along(random, 0, 250, 0.07, arc(-0.35, -0.2, 0.8, 0, Math.PI)),
    ...along(random, 1, 60, 0.07, arc(0.35, 0.15, 0.8, Math.PI, 2 * Math.PI)),
  ],
  rings: (random) => [
    ...along(random, 0, 260, 0.05, arc(0, 0, 0.95, 0, 2 * Math.PI)),
    ...along(random, 1, 70, 0.05, arc(0, 0, 0.4, 0, 2 * Math.PI)),
  ],
  line: (random) => [
    ...along(random, 0, 200, 0.05, (t) => [-1.2 + 2.4 * t, -0.5 + t]),
    ...along(random, 1, 12, 0.35, () => [0.2, -0.1]),
  ],
};

/** The points of a picture: none of one that is not known. */
export function ready(name) {
  return PICTURES[name]?.(draws(7)) ?? [];
}
