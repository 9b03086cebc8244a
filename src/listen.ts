/** An HTTP server whose address is known before what answers on it: a coded error for a port in use, and a close that ends idle connections. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { WetreadError } from '#domain/errors.ts';

export interface Listening {
  /** `http://<host>:<port>` */
  readonly origin: string;
  /** Sets what answers; until then requests get 503. */
  serve(listener: RequestListener): void;
  close(): Promise<void>;
}

/** How long open answers may go on after close() before their connections are cut. */
const graceMs = 2000;

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close((error) => {
      clearTimeout(cut);
      if (error === undefined) resolve();
      else reject(error);
    });
    server.closeIdleConnections();
  });
}

/** @param port 0 = a free one. @throws port-in-use */
export function listen(name: string, port: number, host = '127.0.0.1'): Promise<Listening> {
  let answer: RequestListener = (_request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => answer(request, response));
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE') return reject(cause);
      const hint = 'choose another port, or 0 for a free one';
      reject(new WetreadError('port-in-use', `${name}: port ${port} of ${host} is in use`, { hint, cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new WetreadError('internal', `${name}: the server has no port`));
      resolve({
        origin: `http://${host}:${address.port}`,
        serve: (listener) => {
          answer = listener;
        },
        close: () => closeServer(server),
      });
    });
  });
}
