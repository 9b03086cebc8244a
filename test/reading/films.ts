/** Films that arrive at a PACS after others of their study: copies under another UID, and their way in by STOW-RS. */
import { createServer } from 'node:http';
import { readUids } from '#dicom/read.ts';

/** The same film under another SOP Instance UID of the same length, one for each `digit` that the UID does not end in. */
export function anotherFilm(bytes: Uint8Array, digit: string): Buffer {
  const { instance } = readUids(bytes);
  return Buffer.from(
    Buffer.from(bytes)
      .toString('latin1')
      .replaceAll(instance, `${instance.slice(0, -1)}${digit}`),
    'latin1',
  );
}

/** Digits that make other films of this one. */
export function otherDigits(bytes: Uint8Array): string[] {
  return [...'123456789'].filter((digit) => !readUids(bytes).instance.endsWith(digit));
}

export async function storeFilm(dicomweb: string, bytes: Uint8Array): Promise<void> {
  const body = Buffer.concat([Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), bytes, Buffer.from('\r\n--b--\r\n')]);
  const headers = { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' };
  const { status } = await fetch(`${dicomweb}/studies`, { method: 'POST', headers, body });
  if (status !== 200) throw new Error(`the film was not stored: ${status}`);
}

export interface Gate {
  /** DICOMweb root of the gate. */
  readonly root: string;
  /** Root of the PACS behind it; may change. */
  target: string;
  /** Done before the next request for pixels goes through, once. */
  beforePixels: (() => Promise<void>) | null;
  close(): Promise<void>;
}

/** A door before a PACS, by which something can happen between the search and the pixels. */
export async function openGate(target: string): Promise<Gate> {
  const server = createServer(async (request, response) => {
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk);
    if (request.method === 'GET' && String(request.headers.accept).includes('multipart/related')) {
      const before = gate.beforePixels;
      gate.beforePixels = null;
      await before?.();
    }
    const { accept = '*/*', 'content-type': type } = request.headers;
    const answer = await fetch(`${gate.target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { accept, ...(type === undefined ? {} : { 'content-type': type }) },
      ...(body.length === 0 ? {} : { body: Buffer.concat(body) }),
    });
    const kept = ['content-type', 'content-location', 'link', 'warning'].flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(answer.status, Object.fromEntries(kept)).end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the gate has no port');
  const gate: Gate = {
    root: `http://127.0.0.1:${address.port}`,
    target,
    beforePixels: null,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
  return gate;
}
