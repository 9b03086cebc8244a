/** A finished draft: banner, sentences by section with the images that each depends on, what was used, left out and delivered. */
import { signal } from '@preact/signals';
import { type ComponentChild, type ComponentChildren, h } from 'preact';
import type { Image, Ready, Statement } from './document.ts';

/** Number of the statement in focus, null = none. */
const focused = signal<number | null>(null);

function litImages(page: Ready): ReadonlySet<number> {
  const statements = page.sections.flatMap((section) => section.statements);
  const statement = statements.find(({ number }) => number === focused.value);
  return new Set(statement?.images.map(({ number }) => number));
}

/** Links to the images; a share is shown where there are several to compare, as a ratio: a percentage would be read as a probability. */
function chips(statement: Statement): ComponentChildren {
  const several = statement.images.length > 1;
  return statement.images.map(({ number, share }) => [
    ' ',
    h(
      'a',
      { class: 'chip', href: `#image-${number}`, key: number },
      `image ${number}`,
      several && share !== null ? h('span', { class: 'share' }, ` share ${share.toFixed(2)}`) : null,
    ),
  ]);
}

/** The words of the draft; where they name images, the names are links. */
function dependence(statement: Statement): ComponentChild {
  const named = statement.dependence === 'depends' && statement.images.length > 0;
  return h('p', { class: 'dependence' }, h('span', { class: 'words' }, named ? 'depends on' : statement.words), chips(statement));
}

function statementItem(statement: Statement): ComponentChild {
  const held = statement.holds.length > 0;
  const focus = () => {
    focused.value = statement.number;
    const [first] = statement.images;
    if (first !== undefined) reveal(first.number);
  };
  const classes = ['statement', statement.dependence, held ? 'held' : '', focused.value === statement.number ? 'focused' : ''];
  return h(
    'li',
    {
      key: statement.number,
      id: `statement-${statement.number}`,
      class: classes.filter(Boolean).join(' '),
      tabIndex: 0,
      onMouseEnter: focus,
      onFocusIn: focus,
      onKeyDown: move,
    },
    h('p', { class: 'sentence' }, held ? h('del', null, statement.text) : statement.text),
    held ? h('p', { class: 'hold' }, h('strong', null, 'Held back: '), statement.holds.join('; ')) : null,
    dependence(statement),
  );
}

/** Scrolls the images, and nothing else, until this one is in view. */
function reveal(image: number): void {
  const figure = document.getElementById(`image-${image}`);
  const pane = figure?.parentElement;
  if (figure === null || !(pane instanceof HTMLElement)) return;
  const [own, seen] = [figure.getBoundingClientRect(), pane.getBoundingClientRect()];
  const past = (start: number, end: number, from: number, to: number) => (start < from ? start - from : Math.max(end - to, 0));
  pane.scrollBy({ left: past(own.left, own.right, seen.left, seen.right), top: past(own.top, own.bottom, seen.top, seen.bottom) });
}

/** Arrow keys go from sentence to sentence, Escape lets go of it. */
function move(event: KeyboardEvent): void {
  if (event.key === 'Escape') focused.value = null;
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0 || !(event.currentTarget instanceof HTMLElement)) return;
  const items = [...document.querySelectorAll<HTMLElement>('.statement')];
  const at = items.indexOf(event.currentTarget);
  const next = items[at + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}

function list(title: string, lines: readonly string[], open = false): ComponentChild {
  if (lines.length === 0) return null;
  const items = lines.map((line, index) => h('li', { key: index }, line));
  return h('details', { open }, h('summary', null, `${title} (${lines.length})`), h('ul', null, items));
}

function figure(image: Image, lit: ReadonlySet<number>): ComponentChild {
  const some = focused.value !== null && lit.size > 0;
  return h(
    'figure',
    { key: image.number, id: `image-${image.number}`, class: lit.has(image.number) ? 'lit' : some ? 'dim' : '', tabIndex: -1 },
    image.source === null
      ? h('p', { class: 'gone' }, 'The picture is not kept any more.')
      : h(
          'a',
          { href: image.source, target: '_blank', rel: 'noopener', title: 'Open the picture by itself' },
          h('img', { src: image.source, alt: `image ${image.number}: ${image.words}`, width: image.width, height: image.height }),
        ),
    h(
      'figcaption',
      null,
      h('strong', null, `image ${image.number}`),
      image.prior ? h('span', { class: 'prior' }, 'prior') : null,
      h('span', { class: 'label' }, image.label),
      h('span', { class: 'where' }, image.words),
    ),
  );
}

function banner(page: Ready, stale: string | null): ComponentChild {
  return h(
    'header',
    null,
    h(
      'p',
      { class: 'notices' },
      h('strong', { class: 'notice' }, page.notice),
      page.stamp === null ? null : h('strong', { class: 'notice stamp' }, page.stamp),
      stale === null ? null : h('span', { class: 'notice', role: 'status' }, stale),
    ),
    h('p', { class: 'patient' }, h('strong', null, page.patient.name), ` · ${page.patient.facts.join(' · ')}`),
    h('h1', null, page.study),
    page.supersedes.map((line, index) => h('p', { key: `supersedes ${index}`, class: 'reasons' }, line)),
    page.reasons.length === 0 ? null : h('p', { class: 'reasons' }, `Chosen: ${page.reasons.join('; ')}`),
    page.priors.map((prior, index) => h('p', { key: index, class: 'reasons' }, `Compared with ${prior}`)),
  );
}

function deliveries(page: Ready): ComponentChild {
  return h(
    'ul',
    { class: 'deliveries', 'aria-label': 'Deliveries' },
    page.deliveries.map(({ target, state, words, detail }) =>
      h('li', { key: target, class: state }, `${target}: `, h('strong', null, words), detail === null ? null : ` (${detail})`),
    ),
  );
}

function text(page: Ready): ComponentChild {
  const leftOut = page.leftOut.map(({ what, reason }) => `${what}: ${reason}`);
  return h(
    'section',
    { class: 'text', 'aria-label': 'Draft report' },
    page.sections.map(({ title, statements }) => [
      h('h2', { key: title }, title),
      h('ol', { key: `${title} statements`, class: 'statements' }, statements.map(statementItem)),
    ]),
    page.sections.length === 0 ? h('p', null, 'The model wrote no sentence that could be released.') : null,
    h(
      'div',
      { class: 'method' },
      page.method.map((line, index) => h('p', { key: index }, line)),
    ),
    list('Warnings', page.warnings, true),
    list('Left out', leftOut, true),
    list('History that was used', page.history),
    list('Reports quoted', page.quoted),
    deliveries(page),
    h('p', { class: 'model' }, `Written by ${page.model}, ${page.generatedAt}`),
  );
}

export function draftView(page: Ready, stale: string | null): ComponentChild {
  const lit = litImages(page);
  return h(
    'div',
    { class: 'draft' },
    banner(page, stale),
    h(
      'main',
      null,
      text(page),
      h(
        'section',
        { class: page.images.length > 2 ? 'images many' : 'images', 'aria-label': 'Images as the model saw them' },
        page.images.map((image) => figure(image, lit)),
      ),
    ),
  );
}
