/**
 * The review page: the draft's sentences beside the images as the model saw them; a sentence in focus lights up its images.
 *
 * It asks again while something is under way, and when it comes back into view. A draft that was shown stays when the service goes away.
 */
import { effect, signal } from '@preact/signals';
import { type ComponentChild, h, render } from 'preact';
import { type PageState, readDocument } from './document.ts';
import { draftView } from './draft-view.ts';

const current = signal<PageState>({ state: 'loading' });
/** Why a draft on the screen may be old; null = it is not. */
const stale = signal<string | null>(null);

function view(): ComponentChild {
  const page = current.value;
  switch (page.state) {
    case 'loading':
      return h('main', { class: 'wait', 'aria-busy': true }, h('h1', null, 'Draft report'), h('p', null, 'Loading.'));
    case 'queued':
      return h(
        'main',
        { class: 'wait', 'aria-busy': true },
        h('h1', null, 'The draft is being prepared'),
        h('p', { role: 'status' }, h('span', { class: 'spinner' }), ' This page shows it as soon as it is there.'),
      );
    case 'failed':
      return h(
        'main',
        { class: 'wait' },
        h('h1', null, 'No draft could be made'),
        h('p', { role: 'alert' }, page.message),
        h('p', null, 'Code: ', h('code', null, page.code)),
      );
    case 'unreachable':
      return h('main', { class: 'wait' }, h('h1', null, 'Nothing is shown'), h('p', { role: 'alert' }, page.message));
    case 'ready':
      return draftView(page, stale.value);
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Milliseconds until the page asks again; null = not by itself. */
function waitOf(page: PageState): number | null {
  if (page.state === 'queued') return 1500;
  if (page.state === 'unreachable') return page.again ? 4000 : null;
  return page.state === 'ready' && page.deliveries.some((delivery) => delivery.state === 'pending') ? 1500 : null;
}

async function ask(): Promise<void> {
  clearTimeout(timer);
  const next = await readDocument();
  const keep = current.value.state === 'ready' && next.state === 'unreachable' && next.again;
  stale.value = keep && next.state === 'unreachable' ? next.message : null;
  if (!keep) current.value = next;
  const wait = waitOf(next);
  if (wait !== null) timer = setTimeout(() => void ask(), wait);
}

const place = document.getElementById('page');
if (place !== null) {
  effect(() => render(view(), place));
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void ask();
  });
  void ask();
}
