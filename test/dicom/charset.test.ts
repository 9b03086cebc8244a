import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText } from '#dicom/charset.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Names of PS3.5 annexes H to K. */
describe('decodeText', () => {
  it('Japanese with code extensions: kanji and kana in G0 (PS3.5 H.3.1)', () => {
    const bytes = new Uint8Array(
      Buffer.concat([
        ascii('Yamada^Tarou='),
        hex('1b2442 3b33 4544 1b2842 5e 1b2442 4240 4f3a 1b2842 3d 1b2442 2464 245e 2440 1b2842 5e 1b2442 243f 246d 2426 1b2842'),
      ]),
    );
    expect(decodeText(bytes, ['', 'ISO 2022 IR 87'])).toBe('Yamada^Tarou=山田^太郎=やまだ^たろう');
  });

  it('Japanese half-width katakana as the first set (PS3.5 H.3.2)', () => {
    const bytes = hex('d4cfc0de5ec0dbb3');
    expect(decodeText(bytes, ['ISO 2022 IR 13', 'ISO 2022 IR 87'])).toBe('ﾔﾏﾀﾞ^ﾀﾛｳ');
  });

  it('Korean in G1, announced for every component (PS3.5 I.2)', () => {
    const bytes = new Uint8Array(Buffer.concat([ascii('Hong^Gildong='), hex('1b242943 fbf3 5e 1b242943 d1ce d4d7')]));
    expect(decodeText(bytes, ['', 'ISO 2022 IR 149'])).toBe('Hong^Gildong=洪^吉洞');
  });

  it('UTF-8, GB18030 and the Latin, Greek and Cyrillic sets', () => {
    expect(decodeText(new Uint8Array(Buffer.from('王^小东', 'utf8')), ['ISO_IR 192'])).toBe('王^小东');
    expect(decodeText(hex('cdf55ed0a1b6ab'), ['GB18030'])).toBe('王^小东');
    expect(decodeText(hex('c46e65617320'), ['ISO_IR 100'])).toBe('Äneas ');
    expect(decodeText(hex('c4e9efed'), ['ISO_IR 126'])).toBe('Διον');
    expect(decodeText(hex('bbeedae1'), ['ISO_IR 144'])).toBe('Люкс');
  });

  it('a code extension to Latin-2 ends at the next delimiter', () => {
    const bytes = new Uint8Array(Buffer.concat([ascii('a'), hex('1b2d42 b1'), ascii('^'), hex('b1')]));
    expect(decodeText(bytes, ['ISO 2022 IR 100', 'ISO 2022 IR 101'])).toBe('aą^±');
  });

  it('an unknown term is dicom-malformed', () => {
    expect(() => decodeText(ascii('x'), ['KLINGON'])).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
  });

  it('never fails on bytes, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom('ISO_IR 100', 'ISO 2022 IR 87', 'ISO_IR 192', 'GB18030', 'ISO 2022 IR 149'),
        (bytes, term) => {
          expect(typeof decodeText(bytes, [term])).toBe('string');
        },
      ),
    );
  });
});
