/** The order form and the cards that its signature brought. */
import { type ComponentChild, type ComponentChildren, h } from 'preact';
import { type Card, exams, priorities } from './cds.ts';
import { markdown } from './markdown.ts';
import * as state from './state.ts';

function choice(
  label: string,
  value: string,
  options: readonly (readonly [value: string, text: string])[],
  onPick: (value: string) => void,
) {
  const onChange = (event: Event) => {
    if (event.target instanceof HTMLSelectElement) onPick(event.target.value);
  };
  return h(
    'label',
    null,
    label,
    h(
      'select',
      { value, onChange },
      options.map(([one, text]) => h('option', { key: one, value: one }, text)),
    ),
  );
}

function fields(): ComponentChildren {
  const { exam, side, reason, priority } = state.form;
  return [
    choice(
      'Exam',
      exam.value,
      exams.map(({ code, display }) => [code, display]),
      (code) => {
        exam.value = code;
      },
    ),
    choice(
      'Side',
      side.value ?? '',
      [
        ['', 'not said'],
        ['left', 'left'],
        ['right', 'right'],
      ],
      (chosen) => {
        side.value = chosen === 'left' || chosen === 'right' ? chosen : null;
      },
    ),
    h(
      'label',
      null,
      'Reason',
      h('input', {
        value: reason.value,
        onInput: (event: Event) => {
          if (event.target instanceof HTMLInputElement) reason.value = event.target.value;
        },
      }),
    ),
    choice(
      'Priority',
      priority.value,
      priorities.map((one) => [one, one]),
      (chosen) => {
        priority.value = priorities.find((one) => one === chosen) ?? 'routine';
      },
    ),
  ];
}

export function orderView(): ComponentChild {
  const row = state.patient.value;
  if (row === null) {
    return h('section', { class: 'order', 'aria-label': 'Order' }, h('h2', null, 'Order'), h('p', null, 'Choose a patient.'));
  }
  const onSubmit = (event: Event) => {
    event.preventDefault();
    void state.sign();
  };
  return h(
    'section',
    { class: 'order', 'aria-label': 'Order' },
    h('h2', null, `Imaging order for ${row.name}`),
    h(
      'form',
      { onSubmit },
      fields(),
      h('button', { type: 'submit', class: 'sign', disabled: state.signing.value }, state.signing.value ? 'Signing…' : 'Sign order'),
    ),
    cards(),
  );
}

function cards(): ComponentChild {
  const answer = state.answer.value;
  if (answer === null) return null;
  const none = answer.cards.length === 0;
  return h(
    'div',
    { class: 'cards', 'aria-live': 'polite', 'aria-busy': state.waiting.value },
    h(
      'p',
      { class: none ? 'none' : 'quiet' },
      none ? `No card: the service has nothing to say (${answer.milliseconds} ms).` : `Answered in ${answer.milliseconds} ms.`,
    ),
    answer.cards.map(cardView),
    state.waiting.value
      ? h('p', { class: 'waiting', role: 'status' }, h('span', { class: 'spinner' }), 'Asking again every two seconds.')
      : null,
    h(
      'details',
      null,
      h('summary', null, 'What was sent and what came back'),
      h('pre', { tabIndex: 0, 'aria-label': 'Answer' }, JSON.stringify(answer.exchange.answer, null, 2)),
      h('pre', { tabIndex: 0, 'aria-label': 'Request' }, JSON.stringify(answer.exchange.request, null, 2)),
    ),
  );
}

function cardView(card: Card): ComponentChild {
  return h(
    'article',
    { key: card.uuid ?? card.summary, class: `card ${card.indicator}`, 'data-topic': card.source.topic?.code ?? '' },
    h('h3', null, card.summary),
    h('div', { class: 'detail' }, markdown(card.detail ?? '')),
    h('p', { class: 'quiet' }, [card.source.label, card.source.topic?.display].filter(Boolean).join(': ')),
    h('div', { class: 'actions' }, answers(card), links(card)),
  );
}

/** Accept and override, or what was chosen. */
function answers(card: Card): ComponentChildren {
  const settled = card.uuid === undefined ? undefined : state.settled.value[card.uuid];
  if (settled !== undefined) return h('strong', { class: 'settled' }, settled);
  return [
    card.suggestions?.map(({ label, uuid = '' }) =>
      h(
        'button',
        {
          key: uuid,
          type: 'button',
          class: 'accept',
          onClick: () => void state.settle(card, 'accepted', { acceptedSuggestions: [{ id: uuid }] }),
        },
        label,
      ),
    ),
    overrideSelect(card),
  ];
}

function links(card: Card): ComponentChildren {
  return card.links?.map((link) =>
    h('button', { key: link.url, type: 'button', class: 'link', onClick: () => void state.openLink(link) }, link.label),
  );
}

function overrideSelect(card: Card): ComponentChild {
  const reasons = card.overrideReasons ?? [];
  if (reasons.length === 0) return null;
  const onChange = (event: Event) => {
    const picked = event.target instanceof HTMLSelectElement ? event.target.value : '';
    const reason = reasons.find(({ code }) => code === picked);
    if (reason !== undefined) void state.settle(card, 'overridden', { overrideReason: { reason } });
  };
  return h(
    'select',
    { class: 'override', 'aria-label': 'Override with a reason', onChange },
    h('option', { value: '' }, 'Override…'),
    reasons.map(({ code, display }) => h('option', { key: code, value: code }, display)),
  );
}
