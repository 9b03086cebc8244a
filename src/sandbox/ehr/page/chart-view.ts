/** The chart: studies, reports and structured reports; what came since the patient was chosen is marked. */
import { type ComponentChild, h } from 'preact';
import type { Report, StructuredReport } from './chart.ts';
import * as state from './state.ts';

const mark = (id: string) => (state.known.value.has(id) ? null : h('span', { class: 'new' }, 'new'));

function reportView(report: Report): ComponentChild {
  return h(
    'article',
    { key: report.id, class: 'report', 'data-status': report.status },
    h(
      'p',
      null,
      h('strong', { class: 'status' }, report.status),
      ` ${report.title}, ${report.issued} `,
      mark(report.id),
      h('a', { class: 'quiet', href: `${state.place.fhir}/DiagnosticReport/${report.id}`, target: '_blank', rel: 'noopener' }, 'as FHIR'),
    ),
    report.conclusion === '' ? null : h('p', { class: 'conclusion' }, report.conclusion),
    report.statements.length === 0
      ? null
      : h(
          'ol',
          null,
          report.statements.map(({ id, text, note }) => h('li', { key: id }, text, h('span', { class: 'quiet' }, note))),
        ),
    h(
      'p',
      { class: 'thumbnails' },
      report.images.map(({ id, url, words }) =>
        // A report of an earlier start on other ports names a PACS that is gone.
        url.startsWith(state.place.dicomweb) ? h('img', { key: id, src: url, alt: words, title: words }) : h('span', { key: id }, words),
      ),
    ),
  );
}

function structuredView(one: StructuredReport): ComponentChild {
  return h(
    'article',
    { key: one.id, class: 'sr' },
    h('p', null, h('strong', { class: 'status' }, one.state), ' ', mark(one.id)),
    h('p', { class: 'quiet' }, `SOP Instance UID ${one.id}, series ${one.series}`),
    h(
      'details',
      { open: !state.known.value.has(one.id) },
      h('summary', null, 'Content'),
      one.lines.map(({ depth, text }, index) => h('p', { key: index, class: `depth-${Math.min(depth, 3)}` }, text)),
    ),
  );
}

const deliveryWords = {
  none: null,
  awaited: 'Accepted: the report and the structured report are on their way.',
  arrived: 'Both have arrived.',
  late: 'Nothing new has arrived within a minute. The review page says what became of the deliveries.',
} as const;

export function chartView(): ComponentChild {
  if (state.patient.value === null) return null;
  const { studies, reports, objects } = state.chart.value;
  const words = deliveryWords[state.delivery.value];
  return h(
    'section',
    { class: 'chart', 'aria-label': 'Chart' },
    h('div', { class: 'heading' }, h('h2', null, 'Chart'), h('button', { type: 'button', onClick: () => void state.refresh() }, 'Refresh')),
    h(
      'p',
      { class: words === null ? '' : `delivery ${state.delivery.value}`, role: 'status' },
      state.delivery.value === 'awaited' ? h('span', { class: 'spinner' }) : null,
      words,
    ),
    h('h3', null, `Studies in the PACS (${studies.length})`),
    h(
      'ul',
      { class: 'studies' },
      studies.map(({ uid, words: line }) => h('li', { key: uid }, line)),
    ),
    h('h3', null, `Reports in the FHIR server (${reports.length})`),
    reports.map(reportView),
    h('h3', null, `Structured reports in the PACS (${objects.length})`),
    objects.map(structuredView),
  );
}
