import { describe, expect, test } from 'vitest';
import { impressionOf } from '#gather/impression.ts';
import { diagnosticReportForm } from '#gather/resources.ts';

const of = (fields: object) => impressionOf(diagnosticReportForm.parse({ resourceType: 'DiagnosticReport', ...fields }));
const form = (contentType: string, text: string) => ({ presentedForm: [{ contentType, data: Buffer.from(text).toString('base64') }] });

describe('the impression of a report', () => {
  test('is its conclusion', () => expect(of({ conclusion: ' No acute\n disease. ' })).toBe('No acute disease.'));
  test('else the section of a plain text', () => {
    expect(of(form('text/plain', 'FINDINGS:\nClear.\n\nIMPRESSION:\nNormal.\nStable.\nRECOMMENDATION: none'))).toBe('Normal. Stable.');
  });
  test('else the section of an HTML text, without tags, script and entities', () => {
    const html =
      '<style>p{}</style><p>Findings: <b>clear</b></p><script>alert(1)</script><p>Impression: A &lt;5 mm <i>nodule</i> &amp; scar.</p>';
    expect(of(form('text/html; charset=utf-8', html))).toBe('A <5 mm nodule & scar.');
  });
  test('else that of the narrative', () => {
    expect(of({ text: { div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>Conclusion: Normal.</p></div>' } })).toBe('Normal.');
  });
  test('is unknown in a PDF, in a text without such a section, and without any text', () => {
    expect(of(form('application/pdf', 'Impression: x'))).toBeNull();
    expect(of(form('text/plain', 'Clear lungs.'))).toBeNull();
    expect(of({})).toBeNull();
  });
  test('is cut when it is very long, and shows it', () => {
    const long = of({ conclusion: 'x'.repeat(5000) });
    expect(long).toHaveLength(1000);
    expect(long?.endsWith('…')).toBe(true);
  });
});
