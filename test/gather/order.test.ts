import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WetreadError } from '#domain/errors.ts';
import { ordersOf } from '#gather/order.ts';
import { sideOfText } from '#gather/side.ts';

const bundle = (...resources: object[]) => ({
  resourceType: 'Bundle',
  type: 'collection',
  entry: resources.map((resource) => ({ resource })),
});
const order = (fields: object) => ({ resourceType: 'ServiceRequest', id: 'x', status: 'draft', intent: 'order', ...fields });
const coded = (system: string, code: string, display?: string) => ({ coding: [{ system, code, display }] });
const one = (fields: object) => ordersOf(bundle(order(fields))).orders[0];

describe('what is an imaging order', () => {
  const imaging: [string, object][] = [
    ['a code of the report-code table', { code: coded('http://loinc.org', '36643-5') }],
    ['category imaging', { category: [coded('http://snomed.info/sct', '363679005')], code: { text: 'Thorax in zwei Ebenen' } }],
    ['category of v2-0074', { category: [coded('http://terminology.hl7.org/CodeSystem/v2-0074', 'RAD')] }],
    ['the performer', { performerType: { text: 'Radiologist' }, code: { text: 'local 123' } }],
    ['the place', { locationCode: [{ text: 'X-ray department' }] }],
    ['the words', { code: { text: 'MRI knee left' } }],
    ['the display of a local code', { code: coded('urn:local', '99', 'PET-CT whole body') }],
  ];
  test.each(imaging)('%s', (_, fields) => expect(one(fields)).toBeDefined());

  const others: [string, object][] = [
    ['no words at all', {}],
    [
      'a laboratory order whose name has CT in it',
      { category: [coded('http://snomed.info/sct', '108252007')], code: { text: 'Chlamydia trachomatis (CT) NAAT' } },
    ],
    ['a consult with Mr. Smith', { code: { text: 'Consult Mr. Smith about use of statins, it must be us' } }],
  ];
  test.each(others)('not: %s', (_, fields) => {
    const { orders, passedOver } = ordersOf(bundle(order(fields)));
    expect(orders).toEqual([]);
    expect(passedOver).toEqual([{ what: 'ServiceRequest/x', reason: 'no imaging order' }]);
  });
});

describe('what is read of it', () => {
  test('everything that decides what is looked for', () => {
    const read = one({
      status: 'active',
      code: coded('http://loinc.org', '24627-2', 'CT Chest'),
      reasonCode: [{ text: 'cough' }, coded('http://snomed.info/sct', '49727002', 'Cough (finding)')],
      reasonReference: [{ reference: 'Condition/1', display: 'COPD' }],
      identifier: [{ type: coded('http://terminology.hl7.org/CodeSystem/v2-0203', 'ACSN'), system: 'urn:acc', value: 'A1' }],
      encounter: { reference: 'Encounter/e1' },
      supportingInfo: [{ reference: 'ImagingStudy/9' }, { identifier: { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' } }],
    });
    expect(read).toEqual({
      reference: 'ServiceRequest/x',
      status: 'active',
      codes: [{ system: 'http://loinc.org', code: '24627-2', display: 'CT Chest' }],
      text: 'CT Chest',
      modality: 'CT',
      regions: ['chest'],
      side: null,
      reasons: ['cough', 'Cough (finding)', 'COPD'],
      accession: { system: 'urn:acc', value: 'A1' },
      encounter: 'Encounter/e1',
      supportingInfo: ['ImagingStudy/9', 'urn:oid:1.2.3'],
    });
  });
  test.each([
    ['XR Chest PA', 'DX'],
    ['Chest x-ray', 'DX'],
    ['CT angiogram chest', 'CT'],
    ['PET/CT', 'PT'],
    ['MRI brain', 'MR'],
    ['ultrasound abdomen', 'US'],
    ['Mammogram screening', 'MG'],
    ['XR chest, follow-up of a CT finding', 'DX'],
    ['Follow-up CT chest', 'CT'],
  ])('%s asks for %s', (text, modality) => expect(one({ code: { text } })?.modality).toBe(modality));
});

test('the region is that of the exam, not of its reason', () => {
  expect(one({ code: { text: 'XR chest for abdominal pain' } })?.regions).toEqual(['chest']);
  expect(one({ code: { text: 'Chest x-ray, suspected CAP' } })?.regions).toEqual(['chest']);
  expect(one({ code: { text: 'MRI femoral head left' } })?.regions).toEqual(['hip']);
});

describe('the side of an order', () => {
  test.each([
    [{ code: { text: 'XR knee left' } }, 'left'],
    [{ code: { text: 'XR KNEE RT' } }, 'right'],
    [{ code: { text: 'X-ray both hands' } }, 'bilateral'],
    [{ code: { text: 'XR left and right foot' } }, 'bilateral'],
    [{ code: { text: 'XR chest' }, reasonCode: [{ text: 'rule out left pneumothorax' }] }, null],
    [{ code: { text: 'XR chest PA, rule out left pneumothorax' } }, null],
    [{ code: { text: 'XR chest PA for right sided pain' } }, null],
    [{ code: { text: 'XR chest ?left effusion' } }, null],
    [{ code: { text: 'XR knee' }, bodySite: [coded('http://snomed.info/sct', '7771000', 'Left')] }, 'left'],
    [{ code: { text: 'XR knee' }, bodySite: [{ text: 'right knee' }] }, 'right'],
    [{ code: { text: 'XR of the larynx' } }, null],
  ])('%j is %s', (fields, side) => expect(one(fields)?.side).toBe(side));
  test('a text without the words has no side, whatever its letters', () => expect(sideOfText('Larl brt rightly l r')).toBeNull());
});

describe('a bundle', () => {
  test('of several imaging orders gives each once, the last of an id wins, others are passed over with the reason', () => {
    const { orders, passedOver } = ordersOf(
      bundle(
        order({ id: 'a', code: { text: 'XR chest' } }),
        order({ id: 'b', code: { text: 'CT head' }, status: 'active' }),
        order({ id: 'a', code: { text: 'XR chest lateral' } }),
        { resourceType: 'MedicationRequest', id: 'm' },
      ),
    );
    expect(orders.map(({ reference, text }) => [reference, text])).toEqual([
      ['ServiceRequest/a', 'XR chest lateral'],
      ['ServiceRequest/b', 'CT head'],
    ]);
    expect(passedOver).toEqual([{ what: 'MedicationRequest/m', reason: 'no ServiceRequest' }]);
  });
  test('takes the id of a urn:uuid fullUrl', () => {
    const entry = [{ fullUrl: 'urn:uuid:7', resource: { resourceType: 'ServiceRequest', code: { text: 'XR chest' } } }];
    expect(ordersOf({ resourceType: 'Bundle', entry }).orders[0]?.reference).toBe('ServiceRequest/7');
  });
  test('reports entries that are no resource or have no id, and reads the rest', () => {
    const entry = [
      null,
      7,
      { resource: {} },
      { resource: { resourceType: 'ServiceRequest', code: { text: 'CT' } } },
      { resource: order({ code: { text: 'CT' } }) },
    ];
    const { orders, passedOver } = ordersOf({ resourceType: 'Bundle', entry });
    expect(orders).toHaveLength(1);
    expect(passedOver.map(({ what }) => what)).toEqual(['entry 1', 'entry 2', 'entry 3', 'entry 4 (ServiceRequest)']);
  });
  test('that says two regions keeps both and warns', () => {
    const { orders, warnings } = ordersOf(
      bundle(order({ code: { text: 'CT head' }, bodySite: [coded('http://snomed.info/sct', '51185008')] })),
    );
    expect(orders[0]?.regions).toEqual(['head', 'chest']);
    expect(warnings[0]).toMatchObject({ code: 'order-region-disagrees' });
  });
  test.each([null, undefined, 'text', [], {}, { resourceType: 'Patient' }, { resourceType: 'Bundle', entry: {} }])(
    '%j is request-malformed',
    (input) => {
      expect(() => ordersOf(input)).toThrow(WetreadError);
      expect(() => ordersOf(input)).toThrow(/found no Bundle/);
    },
  );
  test('of any JSON never throws anything but request-malformed, and loses no entry', () => {
    const resource = fc.record({
      resourceType: fc.constantFrom('ServiceRequest', 'Patient'),
      id: fc.option(fc.string(), { nil: undefined }),
      code: fc.oneof(fc.jsonValue(), fc.record({ text: fc.oneof(fc.constant('CT chest'), fc.string()) })),
      category: fc.jsonValue(),
      identifier: fc.jsonValue(),
      reasonCode: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), fc.record({ resource }))), (entry) => {
        const { orders, passedOver } = ordersOf({ resourceType: 'Bundle', entry });
        expect(orders.length + passedOver.length).toBeLessThanOrEqual(entry.length);
        expect(passedOver.length === entry.length || orders.length > 0).toBe(true);
      }),
    );
  });
});
