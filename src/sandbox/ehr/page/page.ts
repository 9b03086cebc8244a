/** The mock EHR's page: patients on the left, the order in the middle with its cards, the chart with what arrived on the right. */
import { effect } from '@preact/signals';
import { type ComponentChild, h, render } from 'preact';
import { chartView } from './chart-view.ts';
import { orderView } from './order-view.ts';
import * as state from './state.ts';

function patientItem(row: state.PatientRow): ComponentChild {
  return h(
    'li',
    { key: row.id },
    h(
      'button',
      { type: 'button', 'aria-pressed': state.patient.value?.id === row.id, onClick: () => void state.choosePatient(row) },
      h('span', { class: 'name' }, row.name),
      h('span', { class: 'facts' }, `${row.birthDate} ${row.gender}`),
      row.shows === '' ? null : h('span', { class: 'shows' }, row.shows),
    ),
  );
}

function patientList(): ComponentChild {
  const rows = state.patients.value;
  return h(
    'nav',
    { class: 'patients', 'aria-label': 'Patients' },
    h('h2', null, 'Patients'),
    rows === null ? h('p', { role: 'status' }, 'Loading.') : h('ul', null, rows.map(patientItem)),
  );
}

function view(): ComponentChild {
  return h(
    'div',
    { class: 'ehr' },
    h(
      'header',
      null,
      h('h1', null, 'Sandbox hospital'),
      h('p', null, `A mock EHR on this machine. You are ${state.place.user}. None of it is for clinical use.`),
    ),
    state.failure.value === null ? null : h('p', { class: 'failure', role: 'alert' }, state.failure.value),
    h('main', null, patientList(), orderView(), chartView()),
  );
}

const root = document.getElementById('page');
if (root !== null) {
  effect(() => render(view(), root));
  void state.loadPatients();
}
