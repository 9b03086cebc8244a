/** The CDS Hooks client of the page: discovery, prefetch, order-sign, feedback (CDS Hooks 2.0). */
import { type Place, type Resource, read } from './fhir.ts';

export interface Card {
  readonly uuid?: string;
  readonly summary: string;
  readonly detail?: string;
  readonly indicator: string;
  readonly source: { readonly label: string; readonly topic?: { readonly code: string; readonly display?: string } };
  readonly suggestions?: readonly { readonly label: string; readonly uuid?: string }[];
  readonly overrideReasons?: readonly { readonly code: string; readonly system: string; readonly display: string }[];
  readonly links?: readonly { readonly label: string; readonly url: string; readonly type: string; readonly appContext?: string }[];
}

interface Service {
  readonly id: string;
  readonly hook: string;
  readonly prefetch?: Readonly<Record<string, string>>;
}

export interface Exam {
  readonly code: string;
  readonly display: string;
}

/** LOINC codes of common imaging orders. */
export const exams: readonly Exam[] = [
  { code: '36554-4', display: 'XR Chest Single view' },
  { code: '36643-5', display: 'XR Chest 2 Views' },
  { code: '24627-2', display: 'CT Chest' },
  { code: '24725-4', display: 'CT Head' },
  { code: '41806-1', display: 'CT Abdomen' },
];

export const priorities = ['routine', 'urgent', 'asap', 'stat'] as const;

export interface OrderForm {
  readonly patient: string;
  readonly exam: Exam;
  readonly side: 'left' | 'right' | null;
  readonly reason: string;
  readonly priority: (typeof priorities)[number];
  readonly id: string;
}

const sides = { left: { code: '7771000', display: 'Left' }, right: { code: '24028007', display: 'Right' } } as const;

export function serviceRequest(order: OrderForm, user: string): Resource {
  return {
    resourceType: 'ServiceRequest',
    id: order.id,
    status: 'draft',
    intent: 'order',
    priority: order.priority,
    category: [{ coding: [{ system: 'http://snomed.info/sct', code: '363679005', display: 'Imaging' }] }],
    code: { coding: [{ system: 'http://loinc.org', ...order.exam }], text: order.exam.display },
    subject: { reference: `Patient/${order.patient}` },
    requester: { reference: user },
    ...(order.reason === '' ? {} : { reasonCode: [{ text: order.reason }] }),
    ...(order.side === null
      ? {}
      : { bodySite: [{ coding: [{ system: 'http://snomed.info/sct', ...sides[order.side] }], text: sides[order.side].display }] }),
  };
}

async function prefetchOf(service: Service, place: Place, context: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
  const keys = Object.entries(service.prefetch ?? {}).flatMap(([key, template]) => {
    const query = template.replace(/\{\{context\.(\w+)\}\}/g, (whole, name: string) => context[name] ?? whole);
    return query.includes('{{') ? [] : [{ key, query }];
  });
  // A query that fails is null, as CDS Hooks wants it: the service decides what it can do without.
  const values = await Promise.all(keys.map(({ query }) => read(`${place.fhir}/${query}`).catch(() => null)));
  return Object.fromEntries(keys.map(({ key }, index) => [key, values[index] ?? null]));
}

export interface Signed {
  readonly cards: readonly Card[];
  readonly service: string;
  readonly milliseconds: number;
  /** What was sent and what came back, to be looked at. */
  readonly exchange: { readonly request: object; readonly answer: object };
}

/** Signs: every order-sign service of discovery is called. @throws Error with the service's own words */
export async function signOrder(order: OrderForm, place: Place): Promise<Signed> {
  const { services } = (await (await fetch(`${place.cds}/cds-services`)).json()) as { services: readonly Service[] };
  const service = services.find((one) => one.hook === 'order-sign');
  if (service === undefined) throw new Error('the CDS service offers nothing for order-sign');
  const context = { patientId: order.patient, userId: place.user };
  const request = {
    hook: 'order-sign',
    hookInstance: crypto.randomUUID(),
    fhirServer: place.fhir,
    context: {
      ...context,
      draftOrders: { resourceType: 'Bundle', type: 'collection', entry: [{ resource: serviceRequest(order, place.user) }] },
    },
    prefetch: await prefetchOf(service, place, context),
  };
  const start = performance.now();
  const response = await fetch(`${place.cds}/cds-services/${service.id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const answer = (await response.json()) as {
    cards?: readonly Card[];
    issue?: readonly { diagnostics?: string; details?: { text?: string } }[];
  };
  if (!response.ok) throw new Error(answer.issue?.[0]?.details?.text ?? answer.issue?.[0]?.diagnostics ?? `status ${response.status}`);
  const milliseconds = Math.round(performance.now() - start);
  return { cards: answer.cards ?? [], service: service.id, milliseconds, exchange: { request, answer } };
}

export async function sendFeedback(place: Place, service: string, entry: Readonly<Record<string, unknown>>): Promise<void> {
  const response = await fetch(`${place.cds}/cds-services/${service}/feedback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ feedback: [{ ...entry, outcomeTimestamp: new Date().toISOString() }] }),
  });
  if (!response.ok) throw new Error(`feedback: status ${response.status}`);
}
