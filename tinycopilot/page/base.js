'use strict';
// What our pages share: elements, tables, arrays, and pictures of attention.

const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);

/** An element with properties, attributes (those with a dash, and role) and children: texts are texts, never HTML. */
function el(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name.includes('-') || name === 'role' || name === 'for') element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat());
  return element;
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

const percent = p => p >= 0.0005 ? `${(100 * p).toFixed(1)} %` : p > 0 ? '<0.1 %' : '0 %';
const number = (x, digits = 2) => x.toFixed(digits).replace('-', '\u2212');

// The arrays: base64, zlib, little-endian.

async function unpack({ table, data: packed }) {
  const compressed = Uint8Array.from(atob(packed), character => character.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const buffer = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const [name, { at, type, shape }] of Object.entries(table)) {
    const n = shape.reduce((a, b) => a * b, 1);
    const values = { float16: () => floats(new Uint16Array(buffer, at, n)), float32: () => new Float32Array(buffer, at, n),
      int8: () => new Int8Array(buffer, at, n), uint8: () => new Uint8Array(buffer, at, n), uint16: () => new Uint16Array(buffer, at, n) }[type]();
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
    const start = index => index.reduce((sum, i, axis) => sum + i * strides[axis], 0);
    arrays[name] = { shape, at: (...index) => values[start(index)],
      row: (...index) => values.subarray(start(index), start(index) + strides[index.length - 1]) };
  }
  return arrays;
}

function floats(halves) {
  return Float32Array.from(halves, bits => {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * fraction / 1024);
  });
}

// Parts of panels.

/** A table with a row of heads; the columns in `words` are texts, the others figures. */
function table(heads, rows, { caption, words = [0], classes = [] } = {}) {
  const cell = (tag, content, i) => el(tag, { className: words.includes(i) ? 'words' : '', ...(tag === 'th' && { scope: 'col' }) }, content);
  const body = rows.map((row, r) => el('tr', { className: classes[r] ?? '' },
    row.map((content, i) => i ? cell('td', content, i) : el('th', { scope: 'row', className: 'words' }, content))));
  const whole = el('table', {}, el('thead', {}, el('tr', {}, heads.map((head, i) => cell('th', head, i)))), el('tbody', {}, body));
  if (caption) whole.prepend(el('caption', {}, caption));
  return scrolling(whole, caption ?? heads.join(', '));
}

function scrolling(content, label, tall = false) {
  return el('div', { className: tall ? 'scroll tall' : 'scroll', tabIndex: 0, role: 'group', 'aria-label': label }, content);
}

function control(label, input, output) {
  return el('div', { className: 'control' }, el('label', { for: input.id }, label), input, output);
}

/** A picture of one head's weights: a row for each position, a column for each position that it attends to; `at(t, s)` is from 0 to 1. */
function attentionPicture(n, at) {
  const canvas = el('canvas', { width: n, height: n, 'aria-hidden': 'true' });
  const context = canvas.getContext('2d'), image = context.createImageData(n, n);
  for (let t = 0; t < n; t++) {
    for (let s = 0; s <= t; s++) image.data.set([54, 116, 232, Math.min(255, 255 * Math.sqrt(at(t, s)) * 1.6)], 4 * (t * n + s));
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
