/** The mock EHR's page: patients on the left, the order in the middle with its cards, what arrived in FHIR server and PACS below. */
import { effect } from '@preact/signals';
import { type ComponentChild, h, render } from 'preact';
import { type Card, exams } from './cds.ts';
import { srText, value } from './fhir.ts';
import { markdown } from './markdown.ts';
import * as state from './state.ts';

function patientList(): ComponentChild {
  const rows = state.patients.value;
  return h(
    'nav',
    { class: 'patients', 'aria-label': 'Patients' },
    h('h2', null, 'Patients'),
    rows === null ? h('p', null, 'Loading.') : null,
    h(
      'ul',
      null,
      rows?.map((row) =>
        h(
          'li',
          { key: row.id },
          h(
            'button',
            { type: 'button', 'aria-pressed': state.patient.value?.id === row.id, onClick: () => void state.choosePatient(row) },
            h('span', { class: 'name' }, row.name || row.id),
            h('span', { class: 'facts' }, `${row.birthDate} ${row.gender}`),
            row.shows === '' ? null : h('span', { class: 'shows' }, row.shows),
          ),
        ),
      ),
    ),
  );
}

function orderForm(): ComponentChild {
  const row = state.patient.value;
  if (row === null) return h('section', { class: 'order' }, h('h2', null, 'Order'), h('p', null, 'Choose a patient.'));
  return h(
    'section',
    { class: 'order' },
    h('h2', null, `Imaging order for ${row.name}`),
    h(
      'form',
      {
        onSubmit: (event: Event) => {
          event.preventDefault();
          void state.sign();
        },
      },
      h('label', null, 'Exam', examSelect()),
      h('label', null, 'Side', sideSelect()),
      h(
        'label',
        null,
        'Reason',
        h('input', {
          value: state.reason.value,
          onInput: (event: Event) => {
            if (event.target instanceof HTMLInputElement) state.reason.value = event.target.value;
          },
        }),
      ),
      h('button', { type: 'submit', class: 'sign', disabled: state.signing.value }, state.signing.value ? 'Signing…' : 'Sign order'),
    ),
    state.failure.value === null ? null : h('p', { class: 'failure', role: 'alert' }, state.failure.value),
    cards(),
  );
}

function examSelect(): ComponentChild {
  return h(
    'select',
    {
      value: state.exam.value,
      onChange: (event: Event) => {
        if (event.target instanceof HTMLSelectElement) state.exam.value = event.target.value;
      },
    },
    exams.map((exam) => h('option', { key: exam.code, value: exam.code }, exam.display)),
  );
}

function sideSelect(): ComponentChild {
  return h(
    'select',
    {
      value: state.side.value ?? '',
      onChange: (event: Event) => {
        const chosen = event.target instanceof HTMLSelectElement ? event.target.value : '';
        state.side.value = chosen === 'left' || chosen === 'right' ? chosen : null;
      },
    },
    h('option', { value: '' }, 'not said'),
    h('option', { value: 'left' }, 'left'),
    h('option', { value: 'right' }, 'right'),
  );
}

function cards(): ComponentChild {
  const answer = state.answer.value;
  if (answer === null) return null;
  if (answer.cards.length === 0) return h('p', { class: 'quiet' }, `No card: the service has nothing to say (${answer.milliseconds} ms).`);
  return h(
    'div',
    { class: 'cards', 'aria-live': 'polite' },
    h('p', { class: 'quiet' }, `Answered in ${answer.milliseconds} ms.`),
    answer.cards.map(cardView),
  );
}

function cardView(card: Card): ComponentChild {
  const settled = card.uuid === undefined ? undefined : state.settled.value[card.uuid];
  const suggestion = card.suggestions?.[0];
  return h(
    'article',
    { key: card.uuid ?? card.summary, class: `card ${card.indicator}`, 'data-topic': card.source.topic?.code ?? '' },
    h('h3', null, card.summary),
    h('div', { class: 'detail' }, markdown(card.detail ?? '')),
    h('p', { class: 'source' }, card.source.label),
    h(
      'div',
      { class: 'actions' },
      suggestion === undefined || settled !== undefined
        ? null
        : h(
            'button',
            {
              type: 'button',
              class: 'accept',
              onClick: () => void state.settle(card, 'accepted', { acceptedSuggestions: [{ id: suggestion.uuid ?? '' }] }),
            },
            suggestion.label,
          ),
      settled === undefined ? overrideSelect(card) : h('span', { class: 'settled' }, settled),
      card.links?.map((link) =>
        h('button', { key: link.url, type: 'button', class: 'link', onClick: () => void state.openLink(link) }, link.label),
      ),
    ),
  );
}

function overrideSelect(card: Card): ComponentChild {
  const reasons = card.overrideReasons ?? [];
  if (reasons.length === 0) return null;
  return h(
    'select',
    {
      'aria-label': 'Override with a reason',
      onChange: (event: Event) => {
        const reason = reasons.find((one) => event.target instanceof HTMLSelectElement && one.code === event.target.value);
        if (reason !== undefined) void state.settle(card, 'overridden', { overrideReason: { reason } });
      },
    },
    h('option', { value: '' }, 'Override…'),
    reasons.map((reason) => h('option', { key: reason.code, value: reason.code }, reason.display)),
  );
}

function arrived(): ComponentChild {
  if (state.patient.value === null) return null;
  return h(
    'section',
    { class: 'arrived' },
    h('div', { class: 'heading' }, h('h2', null, 'Chart'), h('button', { type: 'button', onClick: () => void state.refresh() }, 'Refresh')),
    h('h3', null, `Studies in the PACS (${state.studies.value.length})`),
    h(
      'ul',
      { class: 'studies' },
      state.studies.value.map((study) =>
        h('li', { key: value(study, '0020000D') }, `${value(study, '00080020')} ${value(study, '00080061')} ${value(study, '00081030')}`),
      ),
    ),
    h('h3', null, `Reports in the FHIR server (${state.reports.value.length})`),
    state.reports.value.map(({ report, statements }) =>
      h(
        'article',
        { key: report.id, class: 'report', 'data-status': String(report.status) },
        h('p', null, h('strong', null, String(report.status)), ` ${String(report.issued ?? '')} DiagnosticReport/${report.id}`),
        report.conclusion === undefined ? null : h('p', null, String(report.conclusion)),
        h(
          'ol',
          null,
          statements.map((one) => h('li', { key: one.id }, String(one.valueString ?? ''), ' ', h('em', null, imagesOf(one)))),
        ),
      ),
    ),
    h('h3', null, `Structured reports in the PACS (${state.objects.value.length})`),
    state.objects.value.map(({ instance, series }) =>
      h(
        'article',
        { key: value(instance, '00080018'), class: 'sr' },
        h('p', null, h('strong', null, `${value(instance, '0040A491')} / ${value(instance, '0040A493')}`), ` series ${series}`),
        srText(instance).map((line, index) => h('p', { key: index, class: `depth-${Math.min(line.depth, 3)}` }, line.text)),
      ),
    ),
  );
}

function imagesOf(observation: { readonly [member: string]: unknown }): string {
  const count = ((observation.derivedFrom ?? []) as readonly { readonly reference?: string }[]).filter((one) =>
    one.reference?.startsWith('Media/'),
  ).length;
  return count === 0 ? '(no image cited)' : `(${count} image${count === 1 ? '' : 's'} cited)`;
}

const root = document.getElementById('page');
if (root !== null) {
  effect(() =>
    render(
      h(
        'div',
        { class: 'ehr' },
        h('header', null, h('h1', null, 'Sandbox hospital'), h('p', null, 'Synthetic patients only.')),
        h('main', null, patientList(), orderForm(), arrived()),
      ),
      root,
    ),
  );
  state.loadPatients().catch((error: unknown) => {
    state.failure.value = error instanceof Error ? error.message : String(error);
  });
}
