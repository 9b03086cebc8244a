/**
 * A reverse proxy that knows when a named request passes and lets a test act at that moment: before the server sees it, or after the
 * server has done it and before the caller knows. Each point acts once; the caller never gets that request's answer.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

export interface Point {
  readonly name: string;
  readonly when: 'before' | 'after';
  readonly matches: (method: string, path: string, accept: string) => boolean;
}

export interface Gate {
  /** `http://127.0.0.1:port`, to be used in place of the target's origin. */
  readonly origin: string;
  close(): Promise<void>;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function forward(target: URL, incoming: IncomingMessage, body: Buffer): Promise<{ answer: IncomingMessage; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const options = { method: incoming.method, headers: { ...incoming.headers, host: target.host } };
    const outgoing = request(new URL(incoming.url ?? '/', target), options, (answer) => {
      bodyOf(answer).then((bytes) => resolve({ answer, body: bytes }), reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** @param pending points that have not been reached; one that is reached leaves the set before `reached` is called */
export async function startGate(origin: string, pending: Set<Point>, reached: (point: Point) => Promise<void>): Promise<Gate> {
  const target = new URL(origin);
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const path = incoming.url ?? '/';
    const body = await bodyOf(incoming);
    const point = [...pending].find((one) => one.matches(incoming.method ?? 'GET', path, incoming.headers.accept ?? ''));
    if (point !== undefined) pending.delete(point);
    if (point?.when === 'before') {
      await reached(point);
      outgoing.destroy();
      return;
    }
    const { answer, body: bytes } = await forward(target, incoming, body);
    if (point !== undefined) {
      await reached(point);
      outgoing.destroy();
      return;
    }
    // What the server says of its own address leads past the gate; what is sent here is whole, not in chunks.
    const { 'transfer-encoding': _, ...headers } = answer.headers;
    outgoing.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': bytes.length }).end(bytes);
  };
  const server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
