// Draws heads and embeddings at the chosen step. While training runs, the page reloads itself; what was chosen is kept in
// the history's state, since a page from a file can neither read that file again nor ask a server.

const { steps, text, map } = data;
const remembered = history.state ?? {};
const panels = [];
let at = steps.findIndex(step => step.step === remembered.step), head = remembered.head ?? 0;
if (at < 0) at = steps.length - 1;

const isNewest = () => at === steps.length - 1;
const remember = () => history.replaceState({ step: isNewest() ? null : steps[at].step, head, reload: byId('reload')?.checked, focus: document.activeElement?.id }, '');

function choose(to) {
  at = Math.max(0, Math.min(steps.length - 1, to));
  byId('time').value = at;
  const said = `${steps[at].name}${isNewest() ? ', the newest' : ''}`;
  byId('time').setAttribute('aria-valuetext', said);
  byId('readout').textContent = said;
  document.querySelectorAll('.completions li').forEach((item, i) => item.classList.toggle('shown', i === at));
  for (const draw of panels) draw();
  remember();
}

function drawTime() {
  byId('time').addEventListener('input', event => { stop(); choose(Number(event.target.value)); });
  const button = byId('play');
  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    button.setAttribute('aria-pressed', 'false');
  }
  button.addEventListener('click', () => {
    if (timer) { stop(); return; }
    button.setAttribute('aria-pressed', 'true');
    choose(isNewest() ? 0 : at);
    timer = setInterval(() => { choose(at + 1); if (isNewest()) stop(); }, 400);
  });
  const list = document.querySelector('.history');
  list.scrollTop = list.scrollHeight;
}

/** Reloads while training runs, but not while a reader moves through the steps. */
function reloadWhileRunning() {
  if (!data.is_running) return;
  byId('reload').checked = remembered.reload ?? true;
  byId('reload').addEventListener('change', remember);
  setInterval(() => {
    if (!byId('reload').checked || byId('play').getAttribute('aria-pressed') === 'true') return;
    remember();
    location.reload();
  }, 1000 * data.reload_s);
}

function attention(weights) {
  const [L, H, n] = weights[0].shape, value = (i, l, h) => (t, s) => weights[i].at(l, h, t, s) / 255;
  const grid = el('fieldset', { className: 'heads' }, el('legend', {}, `${L} layers of ${H} heads. Left: before training; right: at the selected step.`));
  const now = [];
  head = Math.min(head, L * H - 1);
  for (let i = 0; i < L * H; i++) {
    const [l, h] = [Math.floor(i / H), i % H], input = el('input', { type: 'radio', name: 'head', id: `head${i}`, checked: i === head, 'aria-label': `layer ${l + 1}, head ${h + 1}` });
    input.addEventListener('change', () => { head = i; drawLarge(); remember(); });
    const pair = el('span', { className: 'pair' }, attentionPicture(n, value(0, l, h)));
    now.push(pair);
    grid.append(el('label', {}, input, pair, `${l + 1}.${h + 1}`));
  }
  const detail = el('div');
  byId('attention-body').append(el('div', { className: 'split' }, grid, detail));

  /** Where the head looks, as shares of all weights: the position itself, the one before, the start, and elsewhere. */
  function shares(i, l, h) {
    const weight = value(i, l, h), sums = [0, 0, 0];
    for (let t = 2; t < n; t++) [t, t - 1, 0].forEach((s, which) => { sums[which] += weight(t, s) / (n - 2); });
    return [...sums, Math.max(0, 1 - sums[0] - sums[1] - sums[2])];
  }

  function drawLarge() {
    const [l, h] = [Math.floor(head / H), head % H], name = `Layer ${l + 1}, head ${h + 1}`, [first, chosen] = [shares(0, l, h), shares(at, l, h)];
    const rows = ['the character itself', 'the previous character', 'the start of the text', 'elsewhere'].map((what, i) => [what, percent(first[i]), percent(chosen[i])]);
    const picture = svg('svg', { class: 'large', viewBox: `0 0 ${10 * (n + 1)} ${10 * (n + 1)}`, role: 'img', 'aria-label': `${name} at ${steps[at].name}. The table has the shares.` });
    for (let t = 0; t < n; t++) {
      const label = text[t].length > 1 ? '·' : text[t];
      picture.append(svg('text', { x: 5, y: 10 * t + 15 }, label), svg('text', { x: 10 * t + 15, y: 5 }, label));
      for (let s = 0; s <= t; s++) {
        const weight = value(at, l, h)(t, s);
        if (weight > 0.02) picture.append(svg('rect', { x: 10 * s + 10, y: 10 * t + 10, width: 10, height: 10, opacity: Math.min(1, 1.3 * Math.sqrt(weight)).toFixed(2) }));
      }
    }
    picture.append(svg('rect', { class: 'frame', x: 10, y: 10, width: 10 * n, height: 10 * n }));
    detail.replaceChildren(el('h3', {}, `${name} at ${steps[at].name}`), scrolling(picture, `${name}, position by position`),
      table(['attends to', steps[0].name, steps[at].name], rows, { caption: 'Mean shares of the weights' }));
  }
  panels.push(() => {
    now.forEach((pair, i) => {
      pair.children[1]?.remove();
      pair.append(attentionPicture(n, value(at, Math.floor(i / H), i % H)));
    });
    drawLarge();
  });
}

function embeddings() {
  const picture = svg('svg', { class: 'map', viewBox: '0 0 100 100', role: 'img', 'aria-label': 'The characters on a plane. The table has the shares of neighbors in the same group.' });
  const marks = map.characters.map((character, i) => svg('text', { class: `k${map.kinds[i]}${character.length > 1 ? ' word' : ''}` }, character));
  picture.append(...marks);
  const shares = el('div'), present = map.names.filter((_, i) => map.kinds.includes(i));
  const key = el('p', { className: 'note' }, 'Colors: ', present.map((name, i) => [i ? ', ' : '', el('span', { className: `k${map.names.indexOf(name)}` }, name)]).flat(),
    `. The plane shows ${percent(map.share)} of the newest vectors’ variance.`);
  byId('embeddings-body').append(picture, key, shares);
  panels.push(() => {
    marks.forEach((mark, i) => {
      const [x, y] = map.places[at][i];
      mark.style.transform = `translate(${50 + 0.46 * x}px, ${50 - 0.46 * y}px)`;
    });
    const rows = map.names.filter(name => name in map.same_kind[0]).map(name => [name, percent(map.same_kind[0][name]), percent(map.same_kind[at][name])]);
    shares.replaceChildren(table(['kind', steps[0].name, steps[at].name], rows, { caption: 'Characters whose nearest neighbor (cosine similarity) is in the same group' }));
  });
}

async function start() {
  reloadWhileRunning();
  if (!('DecompressionStream' in window)) throw new Error('this browser is too old: it has no DecompressionStream');
  const weights = (await Promise.all(steps.map(step => unpack(step.attention)))).map(arrays => arrays.weights);
  drawTime();
  attention(weights);
  embeddings();
  choose(at);
  if (remembered.focus) byId(remembered.focus)?.focus({ preventScroll: true });
  document.documentElement.dataset.ready = 'true';
}

start().catch(error => {
  byId('panels').prepend(el('p', { className: 'note', role: 'alert' }, `The panels cannot be drawn: ${error.message}`));
});
