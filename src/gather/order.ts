/**
 * draftOrders of order-sign -> the imaging orders in it.
 *
 * No element says reliably that an order is imaging, so four tests are tried in turn: a code of the report-code table, a category, the
 * performer's or place's words, the order's own words. Any status is read: order-sign also fires for revised orders.
 * Source: CDS Hooks library, order-sign 1.1; FHIR R4 ServiceRequest.
 */
import { z } from 'zod';
import { reportCodeOf } from '#domain/codes.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { Order } from '#domain/order.ts';
import { regionsOfOrder } from '#domain/regions.ts';
import { modalityOfOrder, modalityOfText } from './modality.ts';
import { type Concept, codesOf, hasCode, relative, type ServiceRequest, serviceRequestForm, wordsOf } from './resources.ts';
import { examPart, sideOfOrder } from './side.ts';

export interface Orders {
  /** One per imaging order, first come first. */
  readonly orders: readonly Order[];
  /** What was passed over, with the reason. */
  readonly passedOver: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly Warning[];
}

const bundleForm = z.object({ resourceType: z.literal('Bundle'), entry: z.array(z.unknown()).default([]) });
const entryForm = z.object({ fullUrl: z.string().optional(), resource: z.looseObject({ resourceType: z.string() }) });

/** SNOMED CT imaging and radiology, LOINC radiology, and the imaging sections of HL7 v2 table 0074. */
const imagingCategories = ['363679005', '394914008', 'LP29684-5', 'RAD', 'RUS', 'RX', 'CT', 'NMR', 'NMS', 'OUS', 'VUS', 'CUS', 'XRC'];
/** Laboratory, counselling, surgery, education: their words are not read ("CT" is also Chlamydia trachomatis). */
const otherCategories = ['108252007', '409063005', '387713003', '409073007', 'LAB', 'laboratory'];
const imagingPlace = /\bradiolog\w*|\bimaging\b|\bx[- ]?ray\b|\bsonograph\w*/i;

function isImaging(order: ServiceRequest): boolean {
  if (codesOf([order.code]).some((code) => reportCodeOf(code) !== null)) return true;
  if (order.category.some((category) => hasCode(category, ...imagingCategories))) return true;
  if (order.category.some((category) => hasCode(category, ...otherCategories))) return false;
  if ([order.performerType, ...order.locationCode].some((one) => imagingPlace.test(allWords(one)))) return true;
  return modalityOfText(allWords(order.code)) !== null;
}

function allWords(one: Concept | null): string {
  return [one?.text, ...(one?.coding ?? []).map(({ display }) => display)].filter(Boolean).join(' | ');
}

function accessionOf(order: ServiceRequest): Order['accession'] {
  const found = order.identifier.find(({ type }) => hasCode(type, 'ACSN'));
  return found?.value ? { system: found.system, value: found.value } : null;
}

/** References as written; a logical reference by its identifier's value (a study by `urn:oid:`). */
function supportingInfoOf(order: ServiceRequest): readonly string[] {
  return order.supportingInfo.flatMap(({ reference, identifier }) => reference ?? identifier?.value ?? []);
}

function reasonsOf(order: ServiceRequest): readonly string[] {
  const all = [
    ...order.reasonCode.map(wordsOf),
    ...order.reasonReference.map(({ display }) => display),
    ...order.note.map(({ text }) => text),
  ];
  return [...new Set(all.filter((reason) => reason !== null))];
}

function orderOf(order: ServiceRequest, reference: string): { order: Order; disagreement: string | null } {
  const codes = codesOf([order.code]);
  const sites = codesOf(order.bodySite);
  const siteTexts = order.bodySite.flatMap(({ text }) => text ?? []);
  const texts = [order.code?.text ?? null, ...order.orderDetail.map(wordsOf)].filter((text) => text !== null);
  // "XR chest, follow-up of CT" asks for a film; a text that is all reason is read whole.
  const exams = texts.map((text) => (modalityOfText(examPart(text)) === null ? text : examPart(text)));
  const displays = codes.flatMap((code) => reportCodeOf(code)?.display ?? code.display ?? []);
  const { regions, disagreement } = regionsOfOrder({ sites, terms: siteTexts, codes, texts: exams });
  return {
    disagreement,
    order: {
      reference,
      status: order.status,
      codes,
      text: wordsOf(order.code),
      modality: modalityOfOrder([...codes, ...codesOf([...order.orderDetail, ...order.category])], exams),
      regions,
      side: sideOfOrder(sites, siteTexts, [...texts, ...displays]),
      reasons: reasonsOf(order),
      accession: accessionOf(order),
      encounter: relative(order.encounter, 'Encounter'),
      supportingInfo: supportingInfoOf(order),
    },
  };
}

interface Entry {
  readonly what: string;
  readonly order: ServiceRequest | null;
  readonly reference: string | null;
  readonly problem: string | null;
}

function readEntry(entry: unknown, index: number): Entry {
  const parsed = entryForm.safeParse(entry);
  if (!parsed.success) return { what: `entry ${index + 1}`, order: null, reference: null, problem: 'no resource in it' };
  const { resource, fullUrl } = parsed.data;
  const what =
    typeof resource.id === 'string' ? `${resource.resourceType}/${resource.id}` : `entry ${index + 1} (${resource.resourceType})`;
  if (resource.resourceType !== 'ServiceRequest') return { what, order: null, reference: null, problem: 'no ServiceRequest' };
  const order = serviceRequestForm.parse(resource); // cannot fail: the type is checked, every other element may be absent
  const id = order.id ?? (fullUrl?.startsWith('urn:uuid:') ? fullUrl.slice(9) : null);
  if (id === null) return { what, order: null, reference: null, problem: 'a ServiceRequest without an id' };
  return { what, order, reference: `ServiceRequest/${id}`, problem: null };
}

/**
 * The imaging orders of a draftOrders Bundle; several entries of one id are one order (the last wins).
 * @throws request-malformed when it is no Bundle.
 */
export function ordersOf(draftOrders: unknown): Orders {
  const bundle = bundleForm.safeParse(draftOrders);
  if (!bundle.success)
    throw new WetreadError('request-malformed', 'context.draftOrders: found no Bundle, expected a Bundle of request resources');
  const entries = bundle.data.entry.map(readEntry);
  const latest = new Map<string, Order>();
  const passedOver = entries.flatMap(({ what, problem }) => (problem === null ? [] : [{ what, reason: problem }]));
  const warnings: Warning[] = [];
  for (const { what, order, reference } of entries) {
    if (order === null || reference === null) continue;
    if (!isImaging(order)) {
      passedOver.push({ what, reason: 'no imaging order' });
      continue;
    }
    const read = orderOf(order, reference);
    if (read.disagreement !== null) warnings.push({ code: 'order-region-disagrees', message: `${what}: ${read.disagreement}` });
    latest.set(reference, read.order);
  }
  return { orders: [...latest.values()], passedOver, warnings };
}
