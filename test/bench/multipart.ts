/** The multipart reader over 64 parts of 4 MB, against copying the same bytes once: the limit of anything that hands parts on. */
import { readParts } from '#dicomweb/multipart.ts';

const boundary = 'bench';
const part = Buffer.alloc(4 * 1024 * 1024, 7);
const head = Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${part.length}\r\n\r\n`);
const count = 64;

async function* answer(): AsyncGenerator<Uint8Array> {
  for (let number = 0; number < count; number += 1) {
    yield head;
    for (let at = 0; at < part.length; at += 65_536) yield part.subarray(at, at + 65_536);
    yield Buffer.from('\r\n');
  }
  yield Buffer.from(`--${boundary}--\r\n`);
}

let start = performance.now();
let parts = 0;
for await (const { bytes } of readParts(answer(), boundary, { maxPartBytes: 1 << 30, maxParts: 1000 }, 'bench')) {
  if (bytes.length === part.length) parts += 1;
}
const own = performance.now() - start;
start = performance.now();
for (let number = 0; number < count; number += 1) {
  const copy = Buffer.allocUnsafe(part.length);
  for (let at = 0; at < part.length; at += 65_536) copy.set(part.subarray(at, at + 65_536), at);
}
const limit = performance.now() - start;
const megabytes = (count * part.length) / 1e6;
process.stdout.write(
  `multipart, ${parts} of ${count} parts, ${megabytes.toFixed(0)} MB: ${own.toFixed(0)} ms, one copy ${limit.toFixed(0)} ms, ratio ${(own / limit).toFixed(1)}\n`,
);
