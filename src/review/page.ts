/** The review page: draft on the left, the images as the model saw them on the right; a sentence in focus lights up its images. */
import { computed, effect, signal } from '@preact/signals';
import { type ComponentChild, type ComponentChildren, h, render } from 'preact';
import type { Ready, Statement } from './document.ts';
import { type Document, readDocument } from './document.ts';

const current = signal<Document>({ state: 'loading' });
/** Number of the statement in focus, null = none. */
const focused = signal<number | null>(null);
const lit = computed(() => {
  const page = current.value;
  if (page.state !== 'ready' || focused.value === null) return new Set<number>();
  const statement = page.sections.flatMap((section) => section.statements).find((one) => one.number === focused.value);
  return new Set(statement?.images.map((image) => image.number) ?? []);
});

function chips(statement: Statement): ComponentChildren {
  return statement.images.map((image) =>
    h(
      'a',
      { class: 'chip', href: `#image-${image.number}`, key: image.number },
      `image ${image.number}`,
      image.share === null ? null : h('span', { class: 'share' }, ` ${image.share.toFixed(2)}`),
    ),
  );
}

function statementItem(statement: Statement): ComponentChild {
  const held = statement.holds.length > 0;
  const focus = () => {
    focused.value = statement.number;
  };
  return h(
    'li',
    {
      key: statement.number,
      class: `statement ${statement.dependence}${held ? ' held' : ''}${focused.value === statement.number ? ' focused' : ''}`,
      tabIndex: 0,
      onMouseEnter: focus,
      onFocus: focus,
    },
    h('p', { class: 'sentence' }, held ? h('del', null, statement.text) : statement.text),
    h('p', { class: 'dependence' }, h('span', { class: 'words' }, held ? 'held back' : statement.words), ' ', chips(statement)),
    held ? h('p', { class: 'hold' }, statement.holds.join('; ')) : null,
  );
}

function list(title: string, lines: readonly string[], open = false): ComponentChild {
  if (lines.length === 0) return null;
  return h(
    'details',
    { open },
    h('summary', null, `${title} (${lines.length})`),
    h(
      'ul',
      null,
      lines.map((line, index) => h('li', { key: index }, line)),
    ),
  );
}

function images(page: Ready): ComponentChild {
  return h(
    'section',
    { class: 'images', 'aria-label': 'Images as the model saw them' },
    page.images.map((image) =>
      h(
        'figure',
        {
          key: image.number,
          id: `image-${image.number}`,
          class: lit.value.has(image.number) ? 'lit' : focused.value === null ? '' : 'dim',
        },
        image.source === null
          ? h('p', { class: 'gone' }, 'The picture is not kept any more.')
          : h('img', { src: image.source, alt: `image ${image.number}: ${image.words}`, width: image.width, height: image.height }),
        h('figcaption', null, h('strong', null, `image ${image.number}`), ` ${image.words}`),
      ),
    ),
  );
}

function readyPage(page: Ready): ComponentChild {
  return h(
    'div',
    { class: 'draft' },
    h(
      'header',
      null,
      h(
        'p',
        { class: 'notice', role: 'note' },
        h('strong', null, page.notice),
        page.stamp === null ? null : h('span', { class: 'stamp' }, ` ${page.stamp}`),
      ),
      h('h1', null, page.study),
      h('p', { class: 'patient' }, page.patient),
      page.reasons.length === 0 ? null : h('p', { class: 'reasons' }, `Chosen: ${page.reasons.join('; ')}`),
    ),
    h(
      'main',
      null,
      h(
        'section',
        { class: 'text', 'aria-label': 'Draft report' },
        page.sections.map((section) => [
          h('h2', null, section.title),
          h('ol', { class: 'statements' }, section.statements.map(statementItem)),
        ]),
        h(
          'div',
          { class: 'method' },
          page.method.map((line, index) => h('p', { key: index }, line)),
        ),
        list('Warnings', page.warnings, true),
        list('History that was used', page.history),
        list('Reports quoted', page.quoted),
        list(
          'Left out',
          page.leftOut.map((one) => `${one.what}: ${one.reason}`),
        ),
        h(
          'ul',
          { class: 'deliveries' },
          page.deliveries.map((delivery) =>
            h(
              'li',
              { key: delivery.target },
              `${delivery.target}: `,
              h('strong', null, delivery.state),
              delivery.detail === '' ? null : ` (${delivery.detail})`,
            ),
          ),
        ),
        h('p', { class: 'model' }, `${page.model}, ${page.generatedAt}`),
      ),
      images(page),
    ),
  );
}

function view(): ComponentChild {
  const page = current.value;
  switch (page.state) {
    case 'loading':
      return h('p', { class: 'wait' }, 'Loading the draft.');
    case 'queued':
      return h(
        'main',
        { class: 'wait', 'aria-busy': true },
        h('h1', null, 'The draft is being prepared'),
        h('p', null, 'This page shows it as soon as it is there.'),
      );
    case 'failed':
      return h(
        'main',
        { class: 'wait' },
        h('h1', null, 'No draft could be made'),
        h('p', null, page.message),
        h('p', null, 'Code: ', h('code', null, page.code)),
      );
    case 'unreachable':
      return h('main', { class: 'wait' }, h('h1', null, 'Nothing is shown'), h('p', null, page.message));
    case 'ready':
      return readyPage(page);
  }
}

const place = document.getElementById('page');
if (place !== null) {
  effect(() => render(view(), place));
  const again = async () => {
    const next = await readDocument();
    current.value = next;
    const open = next.state === 'ready' && next.deliveries.some((delivery) => delivery.state === 'pending');
    if (next.state === 'queued' || open) setTimeout(again, 1500);
  };
  void again();
}
