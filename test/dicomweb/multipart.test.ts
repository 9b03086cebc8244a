import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundaryOf, type Part, readParts } from '#dicomweb/multipart.ts';
import { codeOf, WetreadError } from '#domain/errors.ts';

const limits = { maxPartBytes: 1_000_000, maxParts: 100 };

async function* stream(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const size = Math.max(1, sizes[n % sizes.length] ?? 1);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

interface Read {
  readonly parts: readonly Part[];
  readonly error: unknown;
}

async function read(bytes: Buffer, boundary: string, sizes: readonly number[] = [7], some = limits): Promise<Read> {
  const parts: Part[] = [];
  try {
    for await (const part of readParts(stream(bytes, sizes), boundary, some, 'PACS')) parts.push(part);
    return { parts, error: null };
  } catch (error) {
    return { parts, error };
  }
}

function message(boundary: string, bodies: readonly Uint8Array[], length = true): Buffer {
  const parts = bodies.flatMap((body) => [
    Buffer.from(`\r\n--${boundary}\r\nContent-Type: application/dicom\r\n${length ? `Content-Length: ${body.length}\r\n` : ''}\r\n`),
    Buffer.from(body),
  ]);
  return Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)]).subarray(2);
}

const boundaryChars = "0123456789abcXYZ'()+_,-./:=? ";
const anyBoundary = fc
  .array(fc.constantFrom(...boundaryChars), { minLength: 1, maxLength: 70 })
  .map((chars) => chars.join('').replace(/ $/, 'x'));

describe('readParts', () => {
  test('gives back every part whatever the chunks, also when bodies hold line breaks and the boundary as text', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyBoundary,
        fc.array(
          fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom('crlf', 'text', 'almost', 'dashes')), { maxLength: 8 }),
          {
            maxLength: 5,
          },
        ),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (boundary, recipes, sizes, length) => {
          const known = {
            crlf: '\r\n',
            text: `--${boundary}\r\n`, // no line break before it
            almost: `\r\n--${boundary}x`, // no line break after it
            dashes: '\r\n--',
          };
          const bodies = recipes.map((recipe) =>
            Buffer.concat(
              recipe.map((one) => (typeof one === 'string' ? Buffer.from(known[one as keyof typeof known]) : Buffer.from(one))),
            ),
          );
          // A body that does hold a delimiter cannot be written under this boundary.
          const delimiter = new RegExp(`\r\n--${boundary.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(--|[ \t]*\r\n)`);
          fc.pre(
            bodies.every(
              (body) =>
                !delimiter.test(`\r\n${body.toString('latin1')}\r\n`) && !`${body.toString('latin1')}`.includes(`\r\n--${boundary}--`),
            ),
          );
          const { parts, error } = await read(message(boundary, bodies, length), boundary, sizes);
          expect(error).toBeNull();
          expect(parts.map((part) => Buffer.from(part.bytes).toString('hex'))).toEqual(bodies.map((body) => body.toString('hex')));
          expect(parts.every((part) => part.type.type === 'application/dicom')).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('any cut before the closing boundary is dicomweb-truncated, and only complete parts come before it', async () => {
    const bodies = [Buffer.from('first part'), Buffer.from('second\r\n--part'), Buffer.alloc(0), Buffer.from('fourth')];
    const whole = message('bound', bodies);
    const end = whole.lastIndexOf('--');
    for (let cut = 0; cut < end + 2; cut += 1) {
      const { parts, error } = await read(whole.subarray(0, cut), 'bound', [5]);
      expect(codeOf(error), `cut at ${cut}`).toBe('dicomweb-truncated');
      for (const [index, part] of parts.entries()) expect(Buffer.from(part.bytes)).toEqual(bodies[index]);
    }
    expect((await read(whole.subarray(0, end + 2), 'bound')).error).toBeNull();
  });

  test('a preamble, an epilogue, padding after the delimiter and unknown headers do not disturb', async () => {
    const text =
      'preamble\r\n--b \t\r\nX-Any: 1\r\n  folded\r\ncontent-type: application/dicom; transfer-syntax=1.2\r\n\r\nbody\r\n--b-- \r\nepilogue';
    const { parts, error } = await read(Buffer.from(text), 'b');
    expect(error).toBeNull();
    expect(parts).toHaveLength(1);
    expect(Buffer.from(parts[0]?.bytes ?? []).toString()).toBe('body');
    expect(parts[0]?.headers.get('x-any')).toBe('1 folded');
    expect(parts[0]?.type.parameters.get('transfer-syntax')).toBe('1.2');
  });

  test('a message without parts is complete and empty', async () => {
    expect(await read(Buffer.from('--b--'), 'b')).toEqual({ parts: [], error: null });
  });

  test('a length that differs from Content-Length is dicomweb-truncated and names both numbers', async () => {
    const { error, parts } = await read(Buffer.from('--b\r\nContent-Length: 9\r\n\r\nbody\r\n--b--'), 'b');
    expect(codeOf(error)).toBe('dicomweb-truncated');
    expect(error instanceof WetreadError && error.message).toMatch(/4 bytes.*9/);
    expect(parts).toHaveLength(0);
  });

  test.each([
    ['a part over the limit', message('b', [Buffer.alloc(2000)]), { ...limits, maxPartBytes: 1000 }],
    ['too many parts', message('b', [Buffer.alloc(1), Buffer.alloc(1), Buffer.alloc(1)]), { ...limits, maxParts: 2 }],
    ['headers without end', Buffer.from(`--b\r\nX: ${'y'.repeat(20_000)}`), limits],
  ])('%s is net-too-large', async (_, bytes, some) => {
    expect(codeOf((await read(bytes, 'b', [100], some)).error)).toBe('net-too-large');
  });

  test('a header line without a colon is refused', async () => {
    expect(codeOf((await read(Buffer.from('--b\r\nnonsense\r\n\r\nbody\r\n--b--'), 'b')).error)).toBe('dicomweb-truncated');
  });

  test('a connection that ends in the middle keeps its cause', async () => {
    const cause = new WetreadError('net-unreachable', 'reset');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('--b\r\n\r\nbody');
      throw cause;
    }
    const reading = (async () => {
      for await (const _ of readParts(broken(), 'b', limits, 'PACS'));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'dicomweb-truncated', cause });
  });

  test('random bytes never hang and never give a part that is not delimited', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 60 }), async (bytes, size) => {
        const { error } = await read(Buffer.from(bytes), 'bound', [size]);
        expect(error).not.toBeNull();
      }),
    );
  });
});

describe('boundaryOf', () => {
  test.each([
    ['multipart/related; type="application/dicom"; boundary=abc', 'abc'],
    ['multipart/related; boundary="a b:c"; type="application/dicom"', 'a b:c'],
    ['Multipart/Related;BOUNDARY="a\\"b"', 'a"b'],
    ['multipart/related; type="application/dicom; boundary=inner"; boundary=outer', 'outer'],
  ])('of %s is %s', (header, boundary) => {
    expect(boundaryOf(header, 'PACS')).toBe(boundary);
  });

  test.each([
    null,
    '',
    'text/html; charset=utf-8',
    'application/dicom',
    'multipart/related',
    'multipart/related; boundary=""',
    `multipart/related; boundary=${'x'.repeat(71)}`,
  ])('of %j is dicomweb-unexpected-type', (header) => {
    expect(() => boundaryOf(header, 'PACS')).toThrow(expect.objectContaining({ code: 'dicomweb-unexpected-type' }));
  });
});
