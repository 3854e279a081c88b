// Draws the panels from the data that Python computed. It computes nothing but softmax under the sliders of the sampling
// panel, the products of q and k, and layout.

const N = data.text.length;

const figure = x => Number(x.toPrecision(3)).toLocaleString('en');
const signs = { '\n': '⏎', '\t': '⇥' };
const names = { '\n': 'newline', '\t': 'tab', ' ': 'space' };
const nameAt = i => names[data.text[i]] ?? data.text[i];

// The text, and the chosen character.

let chosen = N - 1;
const panels = [];
const cells = [];

function drawText() {
  const box = byId('text');
  for (let i = 0; i < N; i++) {
    const character = data.text[i];
    const cell = el('span', { id: `c${i}`, role: 'option', 'aria-selected': 'false', 'aria-label': `${nameAt(i)}, ${i ? percent(data.p[i]) : 'start'}` });
    if (i > 0) cell.classList.add(level(data.p[i]));
    cell.append(...shape(character));
    cell.addEventListener('click', () => choose(i));
    cells.push(cell);
    box.append(cell);
  }
  box.append(el('span', { className: 'ghost', 'aria-hidden': 'true', textContent: data.ghost }));
  box.addEventListener('keydown', event => {
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, ArrowUp: vertical(-1), ArrowDown: vertical(1), Home: 0, End: N - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    choose(to);
  });
  byId('previous').addEventListener('click', () => choose(chosen - 1));
  byId('next').addEventListener('click', () => choose(chosen + 1));
}

const level = p => p < 0.01 ? 'l0' : p < 0.1 ? 'l1' : p < 0.5 ? 'l2' : 'l3';

/** A character as it is shown: a line end has a sign before it, so that it can be chosen. */
function shape(character) {
  if (character === '\n') return [el('span', { className: 'sign' }, '⏎'), '\n'];
  return [data.visible[character] ?? character];
}

/** The character above or below, in lines as written. */
function vertical(step) {
  const starts = [0];
  data.text.forEach((character, i) => { if (character === '\n' && i + 1 < N) starts.push(i + 1); });
  const line = starts.findLastIndex(start => start <= chosen), to = line + step;
  if (to < 0 || to >= starts.length) return chosen;
  return Math.min(starts[to] + chosen - starts[line], (starts[to + 1] ?? N) - 1);
}

function choose(i) {
  cells[chosen].classList.remove('chosen');
  cells[chosen].setAttribute('aria-selected', 'false');
  chosen = Math.max(0, Math.min(N - 1, i));
  cells[chosen].classList.add('chosen');
  cells[chosen].setAttribute('aria-selected', 'true');
  byId('text').setAttribute('aria-activedescendant', `c${chosen}`);
  const box = byId('text'), cell = cells[chosen];
  const top = cell.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + cell.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
  const position = data.mixture.positions[chosen], [likeliest, p] = position.top[3][0];
  const next = chosen < N - 1 ? `; next is “${nameAt(chosen + 1)}”, ${percent(position.p[3])}` : '; this is the cursor';
  byId('readout').textContent = `“${nameAt(chosen)}”, character ${chosen + 1} of ${N}. Most likely next: “${likeliest}”, ${percent(p)}${next}.`;
  for (const draw of panels) draw();
}

// Parts of panels.

function bars(entries, { className = '', hit, max = 1 } = {}) {
  return el('ul', { className: `bars ${className}` }, entries.map(([name, p]) => {
    const fill = el('span', { className: 'fill' });
    fill.style.width = `${Math.max(0, Math.min(100, 100 * p / max))}%`;
    return el('li', { className: name === hit ? 'hit' : '' }, el('span', { className: 'mono' }, name),
      el('span', { className: 'track', 'aria-hidden': 'true' }, fill), el('span', { className: 'figure' }, percent(p)));
  }));
}

/** A row of numbers as colors: blue above 0, orange below; `values` from -1 to 1. */
function strip(values, label) {
  const canvas = el('canvas', { width: values.length, height: 1, className: 'vector', role: 'img', 'aria-label': label });
  const context = canvas.getContext('2d'), image = context.createImageData(values.length, 1);
  values.forEach((value, i) => image.data.set(value > 0 ? [54, 116, 232, 255 * value] : [224, 122, 40, -255 * value], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

const chip = (text, p, className = '') => el('span', { className: `chip mono ${className}`, title: p === undefined ? '' : percent(p) }, text);

function panel(name, draw) {
  const body = byId(`${name}-body`);
  panels.push(() => body.replaceChildren(...draw().flat()));
}

// 1. Tokenizer.

function tokenizer(arrays) {
  const { vocabulary, ids, nearest } = data.tokens;
  panel('tokenizer', () => {
    const id = ids[chosen], embedding = [...arrays.embedding.row(id)], most = Math.max(...embedding.map(Math.abs)) || 1;
    const around = [];
    for (let i = Math.max(0, chosen - 7); i < Math.min(N, chosen + 8); i++) around.push(i);
    const rows = [['character', ...around.map(i => i === chosen ? el('strong', {}, nameAt(i)) : nameAt(i))], ['id', ...around.map(i => i === chosen ? el('strong', {}, ids[i]) : ids[i])]];
    const cells = rows.map(([head, ...row]) => el('tr', {}, el('th', { scope: 'row' }, head), row.map(content => el('td', {}, content))));
    const unknown = id === vocabulary.length - 1 ? el('p', {}, 'The network does not know this character: it reads one id for all unknown ones. The n-gram models know it.') : '';
    return [
      scrolling(el('table', { className: 'ids' }, el('caption', {}, `Characters around the chosen one, and their ids of ${vocabulary.length}`), el('tbody', {}, cells)), 'Characters and ids'), unknown,
      el('div', { className: 'columns' },
        el('div', {}, el('h3', {}, `Embedding of “${vocabulary[id]}”: ${embedding.length} numbers`), strip(embedding.map(x => x / most), `Embedding of ${vocabulary[id]}`),
          el('details', {}, el('summary', {}, 'The numbers'), el('p', { className: 'mono' }, embedding.map(x => number(x, 3)).join('  ')))),
        el('div', {}, el('h3', {}, 'Nearest characters, by cosine similarity'), similar(nearest[id].map(([i, s]) => [vocabulary[i], s])))),
    ];
  });
}

function similar(entries) {
  const list = bars(entries);
  [...list.querySelectorAll('.figure')].forEach((figure, i) => { figure.textContent = number(entries[i][1]); });
  return list;
}

// 2. Attention.

function attention(arrays) {
  const { shown, window: seen, distance, rates } = data.attention;
  const [L, H] = arrays.attention.shape, D = arrays.q.shape[3], first = N - shown;
  const body = byId('attention-body');
  let layer = L - 1, head = 0, key = null;
  const grid = el('fieldset', { className: 'heads' }, el('legend', {}, `${L} layers (rows) of ${H} heads. Each square has a row for each position, and a column for each position that it attends to. ⌀: average distance.`));
  grid.style.setProperty('--n-heads', Math.min(H, 8));
  for (let l = 0; l < L; l++) for (let h = 0; h < H; h++) {
    const input = el('input', { type: 'radio', name: 'head', checked: l === layer && h === head, 'aria-label': `layer ${l + 1}, head ${h + 1}, attends ${Math.round(distance[l][h])} characters back on average` });
    input.addEventListener('change', () => { [layer, head, key] = [l, h, null]; draw(); });
    grid.append(el('label', {}, input, attentionPicture(shown, (t, s) => arrays.attention.at(l, h, t, s) / 65535), el('span', {}, `${l + 1}.${h + 1}`), ' ', el('small', {}, `⌀ ${Math.round(distance[l][h])}`)));
  }
  const detail = el('div');
  body.append(el('div', { className: 'split' }, grid, detail));

  function draw() {
    const t = chosen - first;
    if (t < 0) {
      detail.replaceChildren(el('p', {}, `Attention is shown for the last ${shown} characters. Choose one of them.`));
      return;
    }
    const weights = Array.from(arrays.attention.row(layer, head, t), w => w / 65535), earlier = arrays.earlier.at(layer, head, t) / 65535;
    const ranked = weights.map((w, s) => [w, s]).slice(0, t + 1).sort(([a], [b]) => b - a), most = ranked[0][0] || 1;
    if (key === null || key > t) key = ranked[0][1];
    const look = el('div', { className: 'text look', tabIndex: 0, role: 'group', 'aria-label': `What layer ${layer + 1}, head ${head + 1} attends to from the chosen character` });
    for (let s = 0; s <= t; s++) {
      const cell = el('span', { title: `${percent(weights[s])}, ${t - s} back`, className: s === key ? 'key' : '' }, shape(data.text[first + s]));
      cell.style.background = `rgb(var(--heat) / ${(0.8 * Math.sqrt(weights[s] / most) * Math.min(1, weights[s] * 50)).toFixed(3)})`;
      if (t - s >= seen) cell.style.opacity = 0.4;
      if (s === t) cell.classList.add('chosen');
      cell.addEventListener('mouseenter', () => { if (s !== key) { key = s; draw(); } });
      look.append(cell);
    }
    const q = arrays.q.row(layer, head, t), k = arrays.k.row(layer, head, key);
    const score = s => q.reduce((sum, x, i) => sum + x * arrays.k.at(layer, head, s, i), 0) / Math.sqrt(D);
    const rows = ranked.slice(0, 8).map(([w, s]) => [pick(s), t - s, number(score(s)), percent(w)]);
    let sum = 0;
    const products = Array.from(q, (x, i) => [i, number(x, 3), number(k[i], 3), number(x * k[i], 3), number(sum += x * k[i], 3)]);
    detail.replaceChildren(
      el('h3', {}, `Layer ${layer + 1}, head ${head + 1}: where “${nameAt(chosen)}” looks`), look,
      el('p', { className: 'note' }, `The window: a position attends to itself and the ${seen - 1} before it${t >= seen ? '; characters further back are pale' : ''}. ${first ? `${percent(earlier)} of the weight goes to characters before those shown.` : earlier > 0.001 ? `${percent(earlier)} goes further back.` : ''}`),
      el('div', { className: 'columns' },
        el('div', {}, table(['key', 'back', 'q·k / √D', 'weight'], rows, { caption: 'The eight highest weights; choose one to see its numbers', classes: rows.map((_, i) => ranked[i][1] === key ? 'best' : '') })),
        el('div', {}, el('h3', {}, `Rotary positions: “${nameAt(first + key)}” is ${t - key} back`), dials(t - key, rates),
          el('p', { className: 'note' }, 'Each pair of channels of q and k is turned by its position times a rate. Only the difference, shown here, reaches the score: fast pairs tell neighbors apart, slow pairs measure long distances.'))),
      el('details', { open: isOpen, ontoggle: event => { isOpen = event.target.open; } }, el('summary', {}, `q and k, number by number: ${number(sum, 3)} / √${D} = ${number(sum / Math.sqrt(D), 3)}`),
        scrolling(table(['channel', 'q', 'k', 'q · k', 'sum so far'], products, { caption: `q of “${nameAt(chosen)}”, k of “${nameAt(first + key)}”` }), 'q and k', true)));

    look.scrollTop = look.scrollHeight;

    function pick(s) {
      const button = el('button', { type: 'button', className: 'mono', 'aria-pressed': String(s === key) }, nameAt(first + s));
      button.addEventListener('click', () => { key = s; draw(); detail.querySelector('button[aria-pressed=true]')?.focus(); });
      return button;
    }
  }
  let isOpen = false;
  panels.push(() => { key = null; draw(); });
}

function dials(distance, rates) {
  return el('div', { className: 'dials', role: 'img', 'aria-label': `Angles between query and key at a distance of ${distance}: ${rates.map(r => Math.round(distance * r * 180 / Math.PI) % 360).join(', ')} degrees` },
    rates.map(rate => {
      const angle = -distance * rate, [x, y] = [16 + 13 * Math.cos(angle), 16 + 13 * Math.sin(angle)];
      return svg('svg', { viewBox: '0 0 32 32', 'aria-hidden': 'true' }, svg('circle', { cx: 16, cy: 16, r: 14 }),
        svg('line', { class: 'k', x1: 16, y1: 16, x2: 29, y2: 16 }), svg('line', { class: 'q', x1: 16, y1: 16, x2: x.toFixed(2), y2: y.toFixed(2) }));
    }));
}

// 3. Blocks.

function blocks(arrays) {
  const L = arrays.added.shape[0], { vocabulary } = data.tokens;
  panel('blocks', () => {
    const next = vocabulary[data.blocks.next[chosen]], rows = [];
    for (let l = 0; l <= L; l++) {
      const predicted = Array.from(arrays.lens_ids.row(l, chosen), (id, i) => chip(vocabulary[id], arrays.lens_p.at(l, chosen, i), vocabulary[id] === next ? 'right' : ''));
      const stream = strip(Array.from(arrays.stream.row(l, chosen), x => x / 127), `Residual stream after ${l ? `block ${l}` : 'the embedding'}`);
      stream.style.minWidth = '9rem';
      rows.push([l ? `block ${l}` : 'embedding', predicted, percent(arrays.lens_next.at(l, chosen)),
        l ? figure(arrays.added.at(l - 1, 0, chosen)) : '', l ? figure(arrays.added.at(l - 1, 1, chosen)) : '', figure(arrays.stream_norm.at(l, chosen)), stream]);
    }
    const neurons = [];
    for (let l = 0; l < L; l++) {
      neurons.push([`block ${l + 1}`, Array.from(arrays.neurons.row(l, chosen), (neuron, i) => el('span', { className: 'chip' },
        `#${neuron}: ${number(arrays.activations.at(l, chosen, i))} → `, el('span', { className: 'mono' }, Array.from(arrays.promoted.row(l, neuron), id => vocabulary[id]).join(' '))))]);
    }
    return [
      table(['after', 'would predict (logit lens)', `p(“${next}”)`, 'attention adds', 'feed-forward adds', 'length |x|', 'residual stream x'], rows, { caption: `Reading “${nameAt(chosen)}”; what follows is “${next}”`, words: [0, 1, 6] }),
      table(['block', 'most active neurons of the feed-forward layer: activation → characters it makes likelier'], neurons, { words: [0, 1] }),
    ];
  });
}

// 4. Sampling: the same formula as generate's.

function distribution(logits, temperature, k) {
  const known = Array.from(logits).slice(0, -1);  // never the unknown id
  const limit = [...known].sort((a, b) => b - a)[Math.min(k, known.length) - 1], most = Math.max(...known);
  if (temperature === 0) { const best = known.indexOf(most); return known.map((_, i) => i === best ? 1 : 0); }
  const shares = known.map(z => z < limit ? 0 : Math.exp((z - most) / temperature)), sum = shares.reduce((a, b) => a + b, 0);
  return shares.map(share => share / sum);
}

function sampling(arrays) {
  const { vocabulary } = data.tokens, n = vocabulary.length - 1;
  const temperature = el('input', { type: 'range', id: 'temperature', min: 0, max: 2, step: 0.05, value: 1 }), k = el('input', { type: 'range', id: 'top-k', min: 1, max: n, step: 1, value: n });
  const [saidT, saidK] = [el('output', { for: 'temperature' }), el('output', { for: 'top-k' })], result = el('div'), drawn = el('p', { 'aria-live': 'polite' });
  const button = el('button', { type: 'button' }, 'Draw 30 characters');
  byId('sampling-body').append(control('temperature', temperature, saidT), control('top-k', k, saidK), result, el('p', {}, button), drawn);
  const p = () => distribution(arrays.logits.row(chosen), Number(temperature.value), Number(k.value));
  const draw = () => {
    saidT.value = Number(temperature.value).toFixed(2);
    saidK.value = k.value;
    const shares = p(), ranked = shares.map((share, i) => [vocabulary[i], share]).sort(([, a], [, b]) => b - a).slice(0, 12);
    const bits = -shares.reduce((sum, share) => sum + (share ? share * Math.log2(share) : 0), 0), kept = shares.filter(share => share > 0).length;
    result.replaceChildren(el('p', {}, `After “${nameAt(chosen)}”, ${kept} of ${n} characters can be drawn; the entropy is ${number(bits)} bits.`),
      el('div', { className: 'columns' }, bars(ranked.slice(0, 6), { hit: vocabulary[data.blocks.next[chosen]] }), bars(ranked.slice(6))));
    drawn.replaceChildren();
  };
  for (const input of [temperature, k]) input.addEventListener('input', draw);
  button.addEventListener('click', () => {
    const shares = p();
    drawn.replaceChildren(...Array.from({ length: 30 }, () => {
      let left = Math.random();
      const i = shares.findIndex(share => (left -= share) < 0);
      return chip(vocabulary[i < 0 ? shares.indexOf(Math.max(...shares)) : i]);
    }));
  });
  panels.push(draw);
}

// 5. Generation: the same for every character that is chosen.

function generation() {
  const { steps, window: seen, floats: perPosition } = data.generation;
  const most = Math.max(...steps.map(step => step.ms[0] + step.ms[1] + step.ms[2]));
  const cost = ms => el('div', { className: 'cost', 'aria-hidden': 'true' }, ['draft', 'read', 'verify'].map((name, i) => {
    const part = el('span', { className: name });
    part.style.width = `${100 * ms[i] / most}%`;
    return part;
  }));
  const rows = steps.map((step, i) => [i + 1, [...step.right.map(c => chip(c, undefined, 'right')), ...step.wrong.map(c => chip(c, undefined, 'wrong')), chip(step.own[0], Math.exp(step.own[1]), 'own')],
    step.read, step.right.length + 1, step.kept.toLocaleString('en'), step.ms.map(ms => number(ms)).join(' + '), cost(step.ms)]);
  const characters = steps.reduce((sum, step) => sum + step.right.length + 1, 0);
  const drafted = steps.reduce((sum, step) => sum + step.right.length + step.wrong.length, 0), right = steps.reduce((sum, step) => sum + step.right.length, 0);
  byId('generation-body').append(
    el('p', {}, `${characters} characters took ${steps.length} forward passes. `, drafted ? `${right} of ${drafted} drafted characters were right. ` : 'Nothing was drafted: no context was seen often enough. ',
      `The text before the cursor had been read already; each further position adds ${perPosition.toLocaleString('en')} numbers to the cache, keys and values, and attends to ${seen} positions at most.`),
    el('p', {}, chip('a', undefined, 'right'), ' drafted and right ', chip('b', undefined, 'wrong'), ' drafted and wrong: its position is removed from the cache ', chip('c', undefined, 'own'), ' chosen by the mixture'),
    table(['step', 'characters', 'positions read', 'gained', 'cache length', 'draft + read + verify, ms', 'cost'], rows, { words: [0, 1, 6], caption: 'Speculative decoding from the cursor' }));
}

// 6. N-grams and mixture.

function mixture() {
  const kinds = [['network', 'blue', ''], ['n-grams, workspace', 'violet', 'violet'], ['n-grams, this file', 'green', 'green']];
  const group = el('fieldset', { className: 'switches' }, el('legend', {}, 'Mix'));
  let mixed = 3;
  [['all three', 3], ['without network', 4], ['without workspace', 5], ['without file', 6]].forEach(([label, value]) => {
    const input = el('input', { type: 'radio', name: 'mix', id: `mix${value}`, checked: value === mixed });
    input.addEventListener('change', () => { mixed = value; draw(); });
    group.append(el('span', {}, input, ' ', el('label', { for: `mix${value}` }, label)));
  });
  const result = el('div');
  byId('mixture-body').append(group, result);

  function draw() {
    const position = data.mixture.positions[chosen], hit = chosen < N - 1 ? nameAt(chosen + 1) : position.top[3][0][0];
    const columns = kinds.map(([name, color, className], i) => el('div', {}, el('h3', { className: color }, name, el('br'), el('small', {}, `weight ${number(mixed === i + 4 ? 0 : position.weights[i])}`)),
      bars(position.top[i], { className, hit }), el('p', { className: 'note' }, `p(“${hit}”) = ${percent(position.p[i])}`)));
    columns.push(el('div', {}, el('h3', { className: 'orange' }, 'mixture', el('br'), el('small', {}, mixed === 3 ? 'of all three' : 'of the other two')), bars(position.top[mixed], { className: 'orange', hit }), el('p', { className: 'note' }, `p(“${hit}”) = ${percent(position.p[mixed])}`)));
    const context = position.order ? `The longest context that the workspace has seen is ${position.order} characters: “${tail(position.order)}”. It chooses the weights, together with the kind of the last character (${position.kind}). ${position.completion}`
      : 'No context of three or more characters was seen before: the prediction is the network’s alone.';
    result.replaceChildren(el('div', { className: 'columns' }, columns), el('p', {}, context),
      el('div', { className: 'columns' }, orders('In the workspace', position.workspace, hit), orders('In this file', position.file, hit)), ...seen());
  }
  const tail = n => data.text.slice(Math.max(0, chosen + 1 - n), chosen + 1).map(c => signs[c] ?? c).join('');

  function orders(title, rows, hit) {
    if (!rows.length) return el('div', {}, el('h3', {}, title), el('p', { className: 'note' }, 'No context was seen.'));
    const cells = rows.map(([order, n, different, followers, p], i) => [order, n.toLocaleString('en'), different, followers.map(([c, times]) => chip(`${c} ${times}`)), data.mixture.discounts[i], percent(p)]);
    return el('div', {}, table(['order', 'seen', 'followers', 'most frequent', 'discount', `p(“${hit}”)`], cells, { caption: title, words: [0, 3] }));
  }

  function seen() {
    if (chosen < N - 1 || !data.mixture.seen.length) return [];
    const { n_occurrences: n, seen: places } = data.mixture;
    return [el('h3', {}, `Where it was seen: ${n === 1 ? 'once' : `${n.toLocaleString('en')} times`}`), el('ul', { className: 'seen mono' }, places.map(([file, line, before, character, after]) =>
      el('li', {}, el('b', {}, `${file || 'this text'}:${line}  `), before, el('mark', {}, character || '⏎'), after)))];
  }
  panels.push(draw);
}

// 7. Decision: the same for every character that is chosen.

function decision() {
  const { decoded, by_eagerness: all, actual, line } = data.decision;
  const slider = el('input', { type: 'range', id: 'eagerness', min: 0, max: all.length - 1, step: 1, value: all.findIndex(one => one.eagerness === actual) }), said = el('output', { for: 'eagerness' }), result = el('div');
  byId('decision-body').append(control('eagerness', slider, said), result);
  let isOpen = false;
  function draw() {
    const at = all[Number(slider.value)];
    said.value = at.eagerness.toFixed(2) + (at.eagerness === actual ? ' (set)' : '');
    slider.setAttribute('aria-valuetext', said.value);
    const text = [...data.decision.text], rows = at.cuts.filter(([n]) => n).map(([n, p, saved, reading, waiting, gain, obstacle]) =>
      [text.slice(Math.max(0, n - 24), n).join(''), percent(p), number(saved), number(-reading), number(-waiting), number(gain), n === at.best ? 'best' : obstacle]);
    const shownText = el('p', { className: 'shown-text mono' }, el('span', { className: 'sign' }, line), el('span', { className: 'ghost' }, at.shown), el('span', { className: 'rest' }, text.slice(at.n_shown).join('')));
    result.replaceChildren(shownText, el('p', { className: at.shown ? 'verdict' : 'verdict silent', 'aria-live': 'polite' }, at.why), scrolling(chart(at, text), 'Confidence and expected gain by character'),
      el('details', { open: isOpen, ontoggle: event => { isOpen = event.target.open; } }, el('summary', {}, 'All cuts as a table'),
        table(['cut after', 'confidence', 'keys saved', 'reading', 'waiting', 'expected gain', ''], rows, { words: [0, 6], classes: at.cuts.filter(([n]) => n).map(([n, , , , , , obstacle]) => n === at.best ? 'best' : obstacle ? 'off' : '') })));
  }
  slider.addEventListener('input', draw);
  draw();

  function chart(at, text) {
    const n = Math.max(decoded.length, 1), [left, right, top, height] = [48, 60, 26, 190];
    const width = Math.max(560, Math.min(900, 48 * n), 18 * n), step = width / n;
    const gains = at.cuts.map(cut => cut[5]), high = Math.max(1, ...gains), low = Math.min(-1, ...gains);
    const x = i => left + i * step, y = gain => top + (high - gain) / (high - low) * height, yp = p => top + (1 - p) * height;
    const whole = svg('svg', { class: 'chart', viewBox: `0 0 ${left + width + right} ${top + height + 40}`, role: 'img', 'aria-label': `Confidence falls from 100 % to ${percent(at.cuts.at(-1)?.[1] ?? 1)}; the expected gain is highest, ${number(Math.max(-9, ...gains))} keys, after ${at.best || 'no'} characters. The table below has the numbers.` });
    whole.style.width = `${left + width + right}px`;
    for (let i = Math.ceil(low); i <= high; i += Math.max(1, Math.round((high - low) / 6))) whole.append(svg('line', { class: i ? 'grid' : 'zero', x1: left, x2: left + width, y1: y(i), y2: y(i) }), svg('text', { class: 'y', x: left - 6, y: y(i) }, `${number(i, 0)}`));
    whole.append(svg('text', { class: 'orange', x: 2, y: 10 }, 'expected gain, keys'), svg('text', { class: 'blue end', x: left + width + right - 2, y: 10 }, 'confidence'));
    for (const p of [0, 0.5, 1]) if (Math.abs(p - at.least) > 0.06) whole.append(svg('text', { x: left + width + 6, y: yp(p) + 4 }, `${100 * p} %`));
    whole.append(svg('line', { class: 'least', x1: left, x2: left + width, y1: yp(at.least), y2: yp(at.least) }), svg('text', { class: 'blue', x: left + width + 6, y: yp(at.least) + 4 }, `min ${Math.round(100 * at.least)} %`));
    const curve = (className, points) => svg('path', { class: className, d: `M${points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join('L')}` });
    whole.append(curve('p', at.cuts.map(([i, p]) => [x(i), yp(p)])), curve('gain', at.cuts.map(cut => [x(cut[0]), y(cut[5])])));
    for (const cut of at.cuts) whole.append(svg('circle', { class: cut[6] ? 'may-not' : 'may', cx: x(cut[0]), cy: y(cut[5]), r: cut[0] === at.best && at.best ? 6 : 3.5 }, svg('title', {}, `${number(cut[5])} keys ${cut[6]}`)));
    text.forEach((character, i) => whole.append(svg('text', { class: 'char', x: x(i + 0.5), y: top + height + 16 }, character === ' ' ? '·' : character)));
    if (at.n_shown) whole.append(svg('line', { class: 'cut', x1: x(at.n_shown), x2: x(at.n_shown), y1: top - 4, y2: top + height + 22 }), svg('text', { class: 'green', x: x(at.n_shown) + 4, y: top + height + 34 }, 'shown up to here'));
    return whole;
  }
}

async function start() {
  drawText();
  if (!('DecompressionStream' in window)) throw new Error('this browser is too old: it has no DecompressionStream');
  const arrays = await unpack(data.arrays);
  tokenizer(arrays);
  attention(arrays);
  blocks(arrays);
  sampling(arrays);
  generation();
  mixture();
  decision();
  choose(N - 1);
  document.documentElement.dataset.ready = 'true';
}

start().catch(error => {
  byId('panels').prepend(el('p', { className: 'verdict silent', role: 'alert' }, `The panels cannot be drawn: ${error.message}`));
});
