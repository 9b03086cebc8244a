import { describe, expect, it } from 'vitest';
import { narrativeFault } from '#sandbox/fhir/narrative.ts';
import { FhirRefusal } from '#sandbox/fhir/refusal.ts';
import { isServed } from '#sandbox/fhir/types.ts';
import { checkResource } from '#sandbox/fhir/validate.ts';

const good = {
  resourceType: 'Observation',
  status: 'preliminary',
  code: { coding: [{ system: 'http://loinc.org', code: '59776-5' }], text: 'Findings' },
  subject: { reference: 'Patient/1' },
  valueString: 'x',
};

/** What a refusal says, '' = accepted. */
function faults(resource: Readonly<Record<string, unknown>>): string {
  const type = String(resource.resourceType);
  if (!isServed(type)) throw new Error(`${type} is not served`);
  try {
    checkResource(type, resource);
    return '';
  } catch (error) {
    if (error instanceof FhirRefusal) return `${error.status} ${error.issues.map((issue) => issue.diagnostics).join('; ')}`;
    throw error;
  }
}

describe('a write is refused with every fault named', () => {
  const rows: readonly (readonly [what: string, change: object, says: RegExp])[] = [
    ['a missing required element', { code: undefined }, /code/],
    ['an unknown property', { statment: 'x' }, /statment/],
    ['a wrong JSON type', { valueString: 7 }, /value/i],
    ['a bad date', { effectiveDateTime: '24.11.2026' }, /date/i],
    ['a status outside its value set', { status: 'partial' }, /status: found partial, expected .*preliminary/],
    [
      'a code deep inside outside its value set',
      { component: [{ code: { text: 'x' }, valueQuantity: { value: 1, comparator: '!' } }] },
      /comparator/,
    ],
    [
      'a code in an extension outside its value set',
      { extension: [{ url: 'urn:x', valueIdentifier: { use: 'never' } }] },
      /use: found never/,
    ],
    [
      'a code in a contained resource outside its value set',
      { contained: [{ resourceType: 'Patient', id: 'p', gender: 'x' }] },
      /gender: found x/,
    ],
    ['an empty string', { valueString: '' }, /valueString: an empty string/],
    ['blanks alone', { code: { text: '  ' } }, /code\.text: an empty string/],
    ['an empty array', { category: [] }, /category: an empty array/],
    ['an empty object', { subject: {} }, /subject: an empty object/],
    ['a control character', { valueString: 'a\u0000b' }, /control character/],
    ['two values of one choice', { valueInteger: 1 }, /value/i],
    ['a broken invariant (obs-6)', { dataAbsentReason: { text: 'x' } }, /obs-6/],
    ['a reference to a type that is not allowed', { subject: { reference: 'Practitioner/1' } }, /reference/i],
    [
      'a script in the narrative',
      { text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>' } },
      /script/,
    ],
  ];
  it('and the same without the fault is accepted', () => expect(faults(good)).toBe(''));
  it.each(rows)('%s', (_what, change, says) => {
    const resource = JSON.parse(JSON.stringify({ ...good, ...change }));
    expect(faults(resource)).toMatch(says);
  });

  it('several faults are all named', () => {
    expect(faults({ ...good, status: 'x', extension: [{ url: 'urn:x', valueIdentifier: { use: 'never' } }] })).toMatch(/status.*use/);
  });

  it('a value nested without end is refused, not a stack overflow', () => {
    let extension: object = { url: 'urn:x', valueString: 'x' };
    for (let depth = 0; depth < 5000; depth += 1) extension = { url: 'urn:x', extension: [extension] };
    expect(faults({ ...good, extension: [extension] })).toMatch(/nested deeper/);
  });

  it('required codes are checked in each type that wetread writes', () => {
    expect(faults({ resourceType: 'DiagnosticReport', status: 'draft', code: { text: 'x' } })).toMatch(/status/);
    expect(faults({ resourceType: 'Media', status: 'done', content: { url: 'http://x/' } })).toMatch(/status/);
    expect(faults({ resourceType: 'Device', status: 'running' })).toMatch(/status/);
    expect(
      faults({ resourceType: 'Condition', subject: { reference: 'Patient/1' }, clinicalStatus: { coding: [{ code: 'ill' }] } }),
    ).toMatch(/ill/);
    expect(faults({ resourceType: 'DiagnosticReport', status: 'partial', code: { text: 'x' } })).toBe('');
  });
});

describe('narrative', () => {
  const div = (inner: string) => narrativeFault(`<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>`);

  it('takes basic formatting, links and entities', () => {
    expect(div('<h2>A &amp; B</h2><p class="x">one<br/>two</p><ul><li>3 &lt; 4</li></ul><a href="Patient/1">p</a><!-- c -->')).toBeNull();
  });

  const refused: readonly (readonly [what: string, inner: string, says: RegExp])[] = [
    ['a script', '<script>alert(1)</script>', /script/],
    ['a form', '<form>x</form>', /form/],
    ['an iframe', '<iframe src="http://x"/>', /iframe/],
    ['an event handler', '<p onclick="x()">a</p>', /onclick/],
    ['a javascript link', '<a href="javascript:x()">a</a>', /href/],
    ['a style that loads', '<p style="background: url(http://x)">a</p>', /style/],
    ['an unclosed element', '<p>a', /expected <\/p>/],
    ['crossed elements', '<b><i>a</b></i>', /expected <\/i>/],
    ['an attribute without quotes', '<p class=x>a</p>', /well-formed/],
    ['a bare ampersand', 'a & b', /&/],
    ['no words', '<p> </p>', /no text/],
    ['content after the div', '</div><div>x', /after/],
  ];
  it.each(refused)('%s is refused', (_what, inner, says) => expect(div(inner)).toMatch(says));

  it('something else than a div of XHTML is refused', () => {
    expect(narrativeFault('<p>x</p>')).toMatch(/expected one <div/);
    expect(narrativeFault('<div>x</div>')).toMatch(/expected one <div/);
  });
});
