/** A TCP proxy that disturbs what a server sends: a cut, silence, a stall, or a drip after so many bytes. One fault at a time. */
import { connect, createServer, type Socket } from 'node:net';

export type Fault =
  | { readonly kind: 'none' }
  /** Ends the connection after `afterBytes` of the answer; `reset` = without a clean end. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly reset: boolean }
  /** Sends nothing more after `afterBytes`, and keeps the connection open. */
  | { readonly kind: 'silent'; readonly afterBytes: number }
  /** Sends nothing for `ms` after `afterBytes`, then the rest. */
  | { readonly kind: 'stall'; readonly afterBytes: number; readonly ms: number }
  /** Sends `bytes` every `everyMs` after `afterBytes`. */
  | { readonly kind: 'drip'; readonly afterBytes: number; readonly bytes: number; readonly everyMs: number };

export interface FaultProxy {
  readonly origin: string;
  /** The fault of connections from now on; `times` of them, then none. */
  readonly next: (fault: Fault, times?: number) => void;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
}

/** Holds bytes back and sends them as `fault` says; `end` = then the connection ends. */
function slowly(client: Socket, fault: Fault): { add: (bytes: Buffer) => void; end: () => void } {
  let held = Buffer.alloc(0);
  let ended = false;
  const drips = fault.kind === 'drip';
  const ms = fault.kind === 'drip' ? fault.everyMs : fault.kind === 'stall' ? fault.ms : 0;
  let timer: NodeJS.Timeout | null = null;
  const flush = (): void => {
    const now = held.subarray(0, drips ? fault.bytes : held.length);
    held = held.subarray(now.length);
    client.write(now);
    if (held.length > 0) return;
    clearInterval(timer ?? undefined);
    if (ended) client.end();
  };
  client.on('close', () => clearInterval(timer ?? undefined));
  return {
    add(bytes) {
      held = Buffer.concat([held, bytes]);
      if (held.length > 0) timer ??= setInterval(flush, ms);
    },
    end() {
      ended = true;
      if (held.length === 0) client.end();
    },
  };
}

function relay(client: Socket, server: Socket, fault: Fault): void {
  let sent = 0;
  const slow = slowly(client, fault);
  client.on('data', (chunk) => server.write(chunk));
  client.on('end', () => server.end());
  for (const socket of [client, server]) {
    socket.on('error', () => {
      client.destroy();
      server.destroy();
    });
  }
  server.on('data', (chunk: Buffer) => {
    const left = fault.kind === 'none' ? chunk.length : Math.max(fault.afterBytes - sent, 0);
    sent += chunk.length;
    if (left > 0) client.write(chunk.subarray(0, left));
    if (fault.kind === 'stall' || fault.kind === 'drip') slow.add(chunk.subarray(left));
    if (fault.kind !== 'cut' || sent < fault.afterBytes) return;
    server.destroy();
    if (fault.reset) client.resetAndDestroy();
    else client.end();
  });
  server.on('end', () => {
    if (fault.kind !== 'silent') slow.end();
  });
}

/** Starts a proxy before `target` ("http://127.0.0.1:8042") on a free loopback port. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let fault: Fault = { kind: 'none' };
  let left = Number.POSITIVE_INFINITY;
  let connections = 0;
  const proxy = createServer((client) => {
    connections += 1;
    const server = connect({ host: hostname, port: Number(port) });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    relay(client, server, left > 0 ? fault : { kind: 'none' });
    left -= 1;
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const own = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    origin: `http://127.0.0.1:${own}`,
    next(one, times = Number.POSITIVE_INFINITY) {
      fault = one;
      left = times;
    },
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        proxy.close(() => resolve());
      }),
  };
}
