// Points on a canvas: many of them, each with a shape and a colour, in a plane that can be moved and zoomed.
//
// Marks are stamped into the picture's own pixels. Canvas calls for each point take half a second for 50,000 of them; this
// takes a few milliseconds, and every shape is as cheap as another.

const SHAPES = [
  (x, y) => Math.hypot(x, y) <= 1,
  (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.88,
  (x, y) => y <= 0.75 && Math.abs(x) <= 0.62 * (y + 1) * 0.92,
  (x, y) => Math.abs(x) + Math.abs(y) <= 1.18,
  (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.36 && Math.max(Math.abs(x), Math.abs(y)) <= 1.1,
  (x, y) => Math.abs(Math.hypot(x, y) - 0.9) <= 0.14,
];

/** The shape around chosen points. */
export const RING = SHAPES.length - 1;

const FINE = 4;

/** A shape of this radius: where its pixels lie around the middle, and how much of each it covers, from 0 to 256. */
function stamp(shape, radius) {
  const half = Math.ceil(radius * 1.2);
  const pixels = [];
  for (let y = -half; y <= half; y++) {
    for (let x = -half; x <= half; x++) {
      let inside = 0;
      for (let sub = 0; sub < FINE * FINE; sub++) {
        const fine = (at) => (at + 0.5) / FINE - 0.5;
        if (SHAPES[shape]((x + fine(sub % FINE)) / radius, (y + fine(Math.floor(sub / FINE))) / radius)) inside++;
      }
      if (inside > 0) pixels.push([x, y, Math.round((256 * inside) / (FINE * FINE))]);
    }
  }
  const [dx, dy, cover] = [0, 1, 2].map((part) => Int32Array.from(pixels, (pixel) => pixel[part]));
  return { half, dx, dy, cover };
}

/** The stylesheet's colours as pixels, as they are in this light. */
function colours(element) {
  const style = getComputedStyle(element);
  const read = (name) => {
    const hex = style.getPropertyValue(name).trim().replace("#", "");
    const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) || 0);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  };
  const classes = [1, 2, 3, 4, 5].map((i) => read(`--c${i}`));
  return { classes, ink: read("--ink"), ground: read("--card") };
}

/** A map on a canvas. It shows what `points` holds; `changed()` after a change of the points draws again. */
export class PointMap {
  /**
   * @param canvas the canvas; its size on the page is the map's
   * @param view the part of the plane at first: { x, y, width } of its middle and its width
   */
  constructor(canvas, view) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.view = { ...view };
    this.home = { ...view };
    // x and y, class (-1: none), radius in pixels of the page, strength from 0 to 1, and shape (-1: that of the class).
    this.points = { n: 0, x: [], y: [], kind: [], radius: [], strength: [], shape: [] };
    this.cursor = null;
    this.stamps = new Map();
    this.waiting = false;
    this.last = null;
    new ResizeObserver(() => this.changed()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.changed());
    this.listen();
  }

  /** Pixels of the canvas for a unit of the plane. */
  get scale() {
    return this.canvas.width / this.view.width;
  }

  /** Where a place on the page is in the plane. */
  plane(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const unit = this.view.width / box.width;
    return [
      this.view.x + (clientX - box.left - box.width / 2) * unit,
      this.view.y - (clientY - box.top - box.height / 2) * unit,
    ];
  }

  /** Draws at the next frame. */
  changed() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  move(dx, dy) {
    this.view.x += dx * this.view.width;
    this.view.y += dy * this.view.width;
    this.changed();
  }

  zoom(factor, at = [this.view.x, this.view.y]) {
    const width = Math.min(1e6 * this.home.width, Math.max(1e-6 * this.home.width, this.view.width * factor));
    const kept = width / this.view.width;
    this.view.x = at[0] + (this.view.x - at[0]) * kept;
    this.view.y = at[1] + (this.view.y - at[1]) * kept;
    this.view.width = width;
    this.changed();
  }

  /** Dragging moves where `drags(event)` says so, the wheel zooms while the control key is held. */
  listen() {
    this.drags = () => true;
    let last = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.drags(event)) return;
      last = [event.clientX, event.clientY];
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const width = this.canvas.getBoundingClientRect().width;
      this.move((last[0] - event.clientX) / width, (event.clientY - last[1]) / width);
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => (last = null));
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, this.plane(event.clientX, event.clientY));
    }, { passive: false });
  }

  stampOf(shape, radius) {
    const key = shape * 1000 + Math.round(radius * 10);
    if (!this.stamps.has(key)) this.stamps.set(key, stamp(shape, radius));
    return this.stamps.get(key);
  }

  draw() {
    const { canvas, context } = this;
    const box = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const light = colours(canvas);
    // The middle of the canvas in pixels of the whole plane: a plane that is moved is the same pixels elsewhere.
    const { scale, points } = this;
    const [x, y] = [Math.round(this.view.x * scale), Math.round(this.view.y * scale)];
    const same = JSON.stringify([width, height, scale, ratio, light]);
    const last = this.last;
    const still = last && last.same === same && last.points === points;
    const image = still ? last.image : context.createImageData(width, height);
    const sheet = { pixels: new Uint32Array(image.data.buffer), width, height, light, scale, ratio, x, y };
    const blank = still ? shift(sheet, x - last.x, last.y - y) : [[0, 0, width, height]];
    for (const part of blank) this.fill(sheet, part);
    this.last = { same, points, image, x, y };
    context.putImageData(image, 0, 0);
    if (this.cursor) this.cross(light.ink, scale, ratio);
  }

  /** Draws a part of the sheet anew: left, top, right and bottom. */
  fill(sheet, part) {
    const { pixels, width, height, light, scale, ratio } = sheet;
    const [left, top, right, bottom] = part;
    for (let row = top; row < bottom; row++) pixels.fill(light.ground, row * width + left, row * width + right);
    const [x, y] = [(width >> 1) - sheet.x, (height >> 1) + sheet.y];
    const points = this.points;
    for (let i = 0; i < points.n; i++) {
      const kind = points.kind[i];
      const mark = this.stampOf(points.shape[i] < 0 ? Math.max(0, kind % 5) : points.shape[i], points.radius[i] * ratio);
      const colour = kind < 0 ? light.ink : light.classes[kind % 5];
      const at = [x + Math.round(points.x[i] * scale), y - Math.round(points.y[i] * scale)];
      press(pixels, width, part, mark, at[0], at[1], colour, points.strength[i]);
    }
  }

  /** Where the keyboard draws. */
  cross(ink, scale, ratio) {
    const { canvas, context } = this;
    const x = canvas.width / 2 + (this.cursor[0] - this.view.x) * scale;
    const y = canvas.height / 2 - (this.cursor[1] - this.view.y) * scale;
    context.strokeStyle = `rgb(${ink & 255} ${(ink >> 8) & 255} ${(ink >> 16) & 255})`;
    context.lineWidth = ratio;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * ratio * dx, y + 4 * ratio * dy);
      context.lineTo(x + 12 * ratio * dx, y + 12 * ratio * dy);
    }
    context.stroke();
  }
}

/** Moves a sheet's pixels by so many columns and rows to the left and up; returns the parts that are to be drawn. */
function shift({ pixels, width, height }, columns, rows) {
  if (Math.abs(columns) >= width || Math.abs(rows) >= height) return [[0, 0, width, height]];
  const by = rows * width + columns;
  if (by >= 0) pixels.copyWithin(0, by);
  else pixels.copyWithin(-by, 0, pixels.length + by);
  const [left, right] = columns >= 0 ? [width - columns, width] : [0, -columns];
  const [top, bottom] = rows >= 0 ? [height - rows, height] : [0, -rows];
  const beside = columns >= 0 ? [0, left] : [right, width];
  return [[left, 0, right, height], [beside[0], top, beside[1], bottom]].filter((part) => part[0] < part[2] && part[1] < part[3]);
}

/** Blends a stamp into a part of the pixels; what hangs over its edge is left out. */
function press(pixels, width, [left, top, right, bottom], mark, x, y, colour, strength) {
  const { half, dx, dy, cover } = mark;
  if (x < left - half || y < top - half || x >= right + half || y >= bottom + half) return;
  const hangs = x < left + half || y < top + half || x >= right - half || y >= bottom - half;
  const middle = y * width + x;
  for (let k = 0; k < cover.length; k++) {
    const [column, row] = [x + dx[k], y + dy[k]];
    if (hangs && (column < left || row < top || column >= right || row >= bottom)) continue;
    const at = middle + dy[k] * width + dx[k];
    const share = strength < 1 ? (cover[k] * strength) | 0 : cover[k];
    pixels[at] = share === 256 ? colour : mix(pixels[at], colour, share);
  }
}

/** `share` 256ths of a colour over another: red and blue in one multiplication, green in another. */
function mix(under, over, share) {
  const rest = 256 - share;
  const redBlue = ((Math.imul(over & 0xff00ff, share) + Math.imul(under & 0xff00ff, rest)) >>> 8) & 0xff00ff;
  const green = ((Math.imul(over & 0xff00, share) + Math.imul(under & 0xff00, rest)) >>> 8) & 0xff00;
  return 0xff000000 | redBlue | green;
}
